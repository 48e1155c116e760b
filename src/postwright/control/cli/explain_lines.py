"""The answer of `explain` for people (sections, values and lines in columns) and for programs. Pure; what others said is shown with
controls escaped, and no secret is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import click

from postwright.control.config.directive import Directive, Scope
from postwright.control.config.shown import is_secret, row_of, written
from postwright.engine.explain_values import Fact, Hop, Journey, Path, Section
from postwright.engine.lock_lines import shown

_SCOPES = {"domain": Scope.DOMAIN, "source": Scope.SOURCE, "virtual-mta": Scope.VMTA, "global": Scope.GLOBAL}
_NAMES, _VALUES = 34, 44  # columns; what is wider pushes the rest out


def lines(journey: Journey) -> Iterator[str]:
    """One section after the other, as the message goes."""
    yield click.style(shown(journey.subject), bold=True)
    for section in journey.sections:
        yield from _section(section)
    if journey.refusal:
        yield ""
        yield f"refused: {shown(journey.refusal)}"
    for path in journey.paths:
        yield from _path(path)


def _path(path: Path) -> Iterator[str]:
    yield ""
    yield click.style(f"{shown(', '.join(path.recipients))} waits in {path.queue}", bold=True)
    if path.others:
        yield f"  other messages of this kind in: {', '.join(path.others)}"
    for section in path.sections:
        yield from _section(section)
    if path.error:
        yield ""
        yield f"no connection: {shown(path.error)}"
    for number, hop in enumerate(path.hops, 1):
        if number == 1:
            yield ""
            yield click.style("attempts", bold=True)
        yield f"  {number}. {_hop(hop)}"


def _hop(hop: Hop) -> str:
    where = hop.address if hop.address.startswith("/") else f"{shown(hop.host)} [{hop.address}]:{hop.port}"
    through = f" through {hop.proxy}" if hop.proxy else ""
    return f"{where} from {hop.source or 'an address of the system'} as {hop.name}{through}; {hop.tls}"


def _section(section: Section) -> Iterator[str]:
    yield ""
    yield click.style(section.title, bold=True)
    for fact in section.facts:
        text = shown(text_of(fact))
        yield f"  {name_of(fact):{_NAMES}}  {text:{_VALUES}}  {_line(fact)}".rstrip()


def _line(fact: Fact) -> str:
    return str(fact.origin) if fact.origin.file or fact.scope else ""


def _row(fact: Fact) -> Directive | None:
    return row_of(fact.name.replace("-", "_"), _SCOPES[fact.scope]) if fact.scope else None


def name_of(fact: Fact) -> str:
    """The directive as it is written today."""
    row = _row(fact)
    return row.name if row is not None else fact.name


def text_of(fact: Fact) -> str:
    """The value as one would write it."""
    if is_secret(fact.name.replace("-", "_")) and fact.value:
        return "***"
    row = _row(fact)
    return written(fact.value, row.kind if row is not None else None) if fact.scope else str(fact.value)


def as_values(journey: Journey) -> dict[str, Any]:
    """For JSON."""
    return {
        "subject": journey.subject,
        "refusal": journey.refusal,
        "sections": _values(journey.sections),
        "paths": [
            {
                "queue": path.queue,
                "virtual-mta": path.vmta,
                "recipients": path.recipients,
                "others": path.others,
                "sections": _values(path.sections),
                "attempts": path.hops,
                "error": path.error,
                "permanent": path.permanent,
            }
            for path in journey.paths
        ],
    }


def _values(sections: Iterable[Section]) -> list[dict[str, Any]]:
    return [
        {
            "title": section.title,
            "facts": [
                {"name": name_of(fact), "text": text_of(fact), "file": fact.origin.file, "line": fact.origin.line} for fact in section.facts
            ],
        }
        for section in sections
    ]
