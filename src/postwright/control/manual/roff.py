"""Manual pages in the man(7) macros of roff, made of `Entry`s: one for each command, as Debian wants them in section 1.

Pure text. What could be taken for a request or an escape of roff is written so that it cannot (groff_man(7)); a hyphen that somebody
copies out of an example stays a hyphen.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

from postwright.control.manual.entries import Entry

_ESCAPES = str.maketrans({"\\": "\\e", "-": "\\-", "'": "\\(aq", "^": "\\(ha", "~": "\\(ti", "`": "\\(ga"})


def escape(text: str) -> str:
    """One line of text for roff: backslashes and hyphens are themselves, and no full stop or apostrophe begins a request."""
    escaped = text.translate(_ESCAPES)
    return f"\\&{escaped}" if escaped.startswith((".", "\\(aq")) else escaped


def page(entry: Entry, version: str) -> str:
    """The manual page of one command."""
    return "\n".join([*_head(entry, version), *_prose(entry), *_options(entry), *_commands(entry), *_ends(entry), *_see_also(entry)]) + "\n"


def _head(entry: Entry, version: str) -> Iterator[str]:
    yield f'.TH "{escape(entry.page.upper())}" "1" "" "Postwright {escape(version)}" "Postwright"'
    yield ".ad l"  # long options do not break, and gaps to the right margin help nobody
    yield ".SH NAME"
    yield f"{escape(entry.page)} \\- {escape(entry.summary)}"
    yield ".SH SYNOPSIS"
    yield f".B {escape(entry.name)}"
    yield escape(entry.usage.removeprefix(entry.name).strip())


def _prose(entry: Entry) -> Iterator[str]:
    yield ".SH DESCRIPTION"
    for paragraph in entry.paragraphs or (entry.summary + ".",):
        yield ".PP"
        lines = paragraph.split("\n")
        yield from [escape(lines[0])] if len(lines) == 1 else _verbatim(lines)


def _verbatim(lines: Iterable[str]) -> list[str]:
    return [".nf", *[escape(line) for line in lines], ".fi"]


def _options(entry: Entry) -> Iterator[str]:
    if not entry.options:
        return
    yield ".SH OPTIONS"
    for option in entry.options:
        yield ".TP"
        yield f".B {escape(option.spelling)}"
        yield escape(option.text) if option.text else "\\&"


def _commands(entry: Entry) -> Iterator[str]:
    if not entry.below:
        return
    yield ".SH COMMANDS"
    for name, summary in entry.below:
        yield ".TP"
        yield f".B {escape(name)}"
        yield escape(summary)


def _ends(entry: Entry) -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for number, meaning in entry.statuses:
        yield ".TP"
        yield f".B {number}"
        yield escape(meaning)
    if entry.examples:
        yield ".SH EXAMPLES"
        yield from _verbatim(entry.examples)


def _see_also(entry: Entry) -> Iterator[str]:
    pages = [f"{entry.page}-{name}" for name, _ in entry.below]
    if len(entry.path) > 1:
        pages.append("-".join(entry.path[:-1]))
    if pages:
        yield ".SH SEE ALSO"
        yield ",\n".join(f"{escape(name)}(1)" for name in pages)


def write(entries: Iterable[Entry], folder: Path, version: str, *, packed: bool = False) -> list[Path]:
    """Every page as a file `NAME.1` in `folder`, or with `packed` `NAME.1.gz`, the same octets each time. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for entry in entries:
        text = page(entry, version).encode()
        file = folder / f"{entry.page}.1{'.gz' if packed else ''}"
        file.write_bytes(gzip.compress(text, 9, mtime=0) if packed else text)
        written.append(file)
    return written
