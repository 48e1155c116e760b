"""docs/reference/commands.md: every command with its usage, options, examples and exit statuses, made of `Entry`s. Pure; says nothing that
`--help` does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from postwright.control.manual.entries import Entry

_HEAD = """\
# Commands

Made of the commands' own help by `postwright manual --reference docs/reference/commands.md`. Every name may be shortened as long as one
command begins like that (`postwright sh top`). `--xml`, `--dom` and `--json` may stand before the command, as PowerMTA has them, or behind.
Commands that ask a running relay look for it in `--state-dir`, else in `postwright-data` here (`run --sandbox`), else in its usual place.
"""


def page(entries: Iterable[Entry]) -> str:
    """The whole page, in Markdown."""
    known = list(entries)
    contents = [f"- [`{entry.name}`](#{_anchor(entry)}): {_plain(entry.summary)}" for entry in known if len(entry.path) == 2]
    sections = [line for entry in known[1:] for line in _section(entry)]
    return "\n".join([_HEAD, *contents, "", *sections]).rstrip("\n") + "\n"


def _anchor(entry: Entry) -> str:
    return entry.name.replace(" ", "-")


def _section(entry: Entry) -> Iterator[str]:
    yield f"{'#' * min(len(entry.path), 4)} {entry.name}"
    yield ""
    yield f"`{entry.usage}`"
    yield ""
    for paragraph in entry.paragraphs or (entry.summary,):
        yield _plain(paragraph)
        yield ""
    told = [(_code(option.spelling), _plain(option.text)) for option in entry.options if option.text and "--help" not in option.spelling]
    yield from _table(("option", ""), told)
    if entry.examples:
        yield from ("Example:", "", *[f"    {line}" for line in entry.examples], "")
    if not entry.below:
        yield "Exit status: " + ", ".join(f"{number} {_plain(meaning)}" for number, meaning in entry.statuses) + "."
        yield ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if rows:
        yield f"| {' | '.join(head)} |"
        yield "|" + "---|" * len(head)
        for row in rows:
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
        yield ""


def _code(text: str) -> str:
    return f"`{text}`"


def _plain(text: str) -> str:
    """Prose that Markdown leaves as it is."""
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*")
