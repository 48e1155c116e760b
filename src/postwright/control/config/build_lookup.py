"""`<user-lookup>`: from its block to settings, and what makes it useless or unsafe, said at its line. Nothing is asked here."""

from __future__ import annotations

from collections.abc import Iterator

from postwright.control.config import fill
from postwright.control.config.build_oauth import private
from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report
from postwright.policy.settings import UserLookup


def lookup(blocks: list[Block], report: Report) -> UserLookup | None:
    """The look-up; several blocks are one, the later line winning."""
    if not blocks:
        return None
    entries = [entry for block in blocks for entry in block.entries()]
    found = UserLookup(**{**fill.values(entries, UserLookup), "origin": blocks[0].origin})
    for message, hint in _missing(found):
        report.at(blocks[0].text, blocks[0].line, f"<user-lookup>: {message}", hint=hint)
    for entry in entries:
        _judge_url(entry, report)
    return found


def _missing(found: UserLookup) -> Iterator[tuple[str, str]]:
    if not found.url:
        yield "no url", "say where users are asked for: url https://users.example/lookup"
    if found.secret and found.secret_file:
        yield "both secret and secret-file", "one of them is enough"


def _judge_url(entry: Entry, report: Report) -> None:
    if entry.row.name == "url" and not private(entry.value):
        hint = "write https://; plain http:// only reaches this machine itself (127.0.0.1, ::1, localhost)"
        report.at(entry.text, entry.line, "url: hashes and passwords must not travel over plain HTTP", hint=hint)
