"""What pmtaacctfind answers: rows of accounting files for which conditions hold, some or all of their fields, in the forms that it has.

A stream: nothing is kept, but for sorting, which keeps what was found, and refuses beyond `SORTED_MOST`. Forms are text; what a terminal
may see of it is the caller's affair.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from time import gmtime, strftime

import msgspec
from msgspec import Struct

from postwright.engine.acct.conditions import Condition, chosen, values
from postwright.engine.acct.fields import TIMES, field_named, seconds, whole_number
from postwright.model.columns import canonical
from postwright.store.accounting_reader import Batch

SORTED_MOST = 1_000_000
FORMS = ("standard", "csv", "tsv", "html", "xml", "prettyxml", "json", "custom")
TYPES = {"delivered": "d", "bounced": "b", "status": "rs", "mta": "tq"}
"""What acctfind's options name: messages delivered, bounced, remote status, and what is said of whole queues."""

_output = re.compile(r"([a-z]+)(?:\[(.*)\])?", re.DOTALL).fullmatch
_place = re.compile(r"\{([A-Za-z][\w:-]*)\}")
_escapes = {"\\t": "\t", "\\n": "\n", "\\\\": "\\"}
_illegal = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # no character of XML 1.0


class Form(Struct, frozen=True):
    """`kind` out of `FORMS`; `fields` as they are shown, empty for all that a file has; `template` of `custom`."""

    kind: str
    fields: tuple[str, ...] = ()
    template: str = ""


class Row(Struct, frozen=True):
    """One that was found."""

    names: tuple[str, ...]
    values: list[str]


def form(text: str) -> Form:
    """`csv`, `tsv[to,from,dsnStatus]`, `custom[{to} {dsnStatus}]`. Raises ValueError for another."""
    found = _output(text)
    if found is None or found[1] not in FORMS:
        raise ValueError(f"`{text}` is no form of output: {', '.join(FORMS)}, with [FIELD,FIELD...] behind it if wanted")
    if found[1] != "custom":
        return Form(found[1], tuple(name.strip() for name in found[2].split(",")) if found[2] else ())
    fields = tuple(dict.fromkeys(_place.findall(found[2] or "")))
    if not fields:
        raise ValueError("`custom` wants a text with fields in braces: custom[{to} {dsnStatus}]")
    return Form("custom", fields, re.sub(r"\\[tn\\]", lambda m: _escapes[m[0]], found[2]))


def rows(batches: Iterable[Batch], conditions: Sequence[Condition], fields: Sequence[str], times: str = "") -> Iterator[Row]:
    """What was found, with these fields (none: all), times as they stand, "iso" or "unix". Raises ValueError for an unknown field."""
    wanted = [field_named(name) for name in fields]
    shown = tuple(_spelled(name) for name in fields)
    for batch in batches:
        found = chosen(batch, conditions)
        if found.rows:
            names = wanted or [name.lower() for name in found.layout.names]
            columns = [_timed(values(found, name), times) if name in TIMES and times else values(found, name) for name in names]
            header = shown or found.layout.names
            for row in zip(*columns, strict=True):
                yield Row(header, list(row))


def _spelled(name: str) -> str:
    """acctfind's short names stay as they were asked for; columns have their own case."""
    return canonical(name) or name


def _timed(column: Sequence[str], times: str) -> list[str]:
    if times == "unix":
        return [str(seconds(text)) if text else "" for text in column]
    return [strftime("%Y-%m-%d %H:%M:%S+0000", gmtime(seconds(text))) if text else "" for text in column]


def ordered(found: Iterable[Row], by: str) -> list[Row]:
    """Sorted by a field, which must be one of those that are shown; as texts, numbers by their value. Raises ValueError."""
    kept: list[Row] = []
    for row in found:
        if len(kept) >= SORTED_MOST:
            raise ValueError(f"over {SORTED_MOST:,} rows were found: too many to sort; ask for fewer, or sort the output")
        kept.append(row)
    field = field_named(by)

    def key(row: Row) -> tuple[float, str]:
        at = next((at for at, name in enumerate(row.names) if field_named(name) == field), -1)
        if at < 0:
            raise ValueError(f"`{by}` is not among the fields that are shown")
        text = row.values[at]
        return (float(whole_number(text)), text.lower())

    return sorted(kept, key=key)


# -- forms ------------------------------------------------------------------------------------


def written(found: Iterable[Row], shape: Form) -> Iterator[str]:
    """Pieces of text that end with a line each."""
    if shape.kind in ("csv", "tsv"):
        return _separated(found, "," if shape.kind == "csv" else "\t")
    if shape.kind in ("xml", "prettyxml"):
        return _xml(found, pretty=shape.kind == "prettyxml")
    if shape.kind == "html":
        return _html(found)
    if shape.kind == "custom":
        return (_filled(row, shape) for row in found)
    return (_json(row) if shape.kind == "json" else _standard(row) for row in found)


def _standard(row: Row) -> str:
    width = max(map(len, row.names))
    return "".join([f"{name:<{width}}  {value}\n" for name, value in zip(row.names, row.values, strict=True) if value]) + "\n"


def _json(row: Row) -> str:
    return msgspec.json.encode(dict(zip(row.names, row.values, strict=True))).decode() + "\n"


def _filled(row: Row, shape: Form) -> str:
    known = dict(zip(shape.fields, row.values, strict=True))
    return _place.sub(lambda found: known[found[1]], shape.template) + "\n"


def _separated(found: Iterable[Row], comma: str) -> Iterator[str]:
    """A header before the first row, and again where files have other columns."""
    header: tuple[str, ...] | None = None
    line = _csv_line if comma == "," else _tab_line
    for row in found:
        if row.names != header:
            header = row.names
            yield line(header)
        yield line(row.values)


def _csv_line(texts: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(texts)
    return out.getvalue()


def _tab_line(texts: Sequence[str]) -> str:
    return "\t".join([re.sub(r"[\t\r\n]", " ", text) for text in texts]) + "\n"


def _xml(found: Iterable[Row], *, pretty: bool) -> Iterator[str]:
    end, indent = ("\n", "  ") if pretty else ("", "")
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<records>{end}'
    for row in found:
        fields = zip(map(_element, row.names), row.values, strict=True)
        inner = [f"{indent * 2}<{name}>{escape(_illegal.sub('?', value), quote=False)}</{name}>{end}" for name, value in fields]
        yield f"{indent}<record>{end}{''.join(inner)}{indent}</record>{end}"
    yield "</records>\n"


def _element(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)


def _html(found: Iterable[Row]) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<meta charset="utf-8"><title>Accounting records</title>\n<table>\n'
    header: tuple[str, ...] | None = None
    cell: Callable[[str, str], str] = lambda tag, text: f"<{tag}>{escape(_illegal.sub('?', text))}</{tag}>"  # noqa: E731 - two uses
    for row in found:
        if row.names != header:
            header = row.names
            yield "<tr>" + "".join([cell("th", name) for name in header]) + "</tr>\n"
        yield "<tr>" + "".join([cell("td", value) for value in row.values]) + "</tr>\n"
    yield "</table>\n"
