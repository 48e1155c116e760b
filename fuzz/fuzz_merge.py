"""Fuzzes mail merges: XDFN's values, what a recipient's own becomes, and templates filled with them. None of these may raise anything.

Beside that: no value has a line end or a NUL, no expansion has more line ends than its template, half of one, or more octets than was said
before, and the parts that are chosen are cut where they were.
"""

from __future__ import annotations

from typing import Final

import common

from postwright.content.merge import Template
from postwright.engine.merging import Gathering, template_text, values_of
from postwright.model.address import parse_mailbox
from postwright.model.envelope import Recipient
from postwright.model.merge import Merge, Own
from postwright.model.reply import Reply
from postwright.wire.body import has_bare, repair, scan
from postwright.wire.events import Define
from postwright.wire.mail_merge import parse_xdfn, parse_xprt

ALLOWED: Final[tuple[type[Exception], ...]] = ()
NOW: Final = 1_700_000_000.0
SEEDS: Final = (
    b'name="Anna \\" B" x=1 *parts=1-2\nSubject: [name]\r\n[x]\r\n\r\n[[][*to] [NAME]\r\n',
    b'*schedule="2030-01-31 08:00 / 2030-01-31 12:00" *from=<a@b.c> *priority=9 *vmta=v *jobid=j *envid=e\n[a][b]\r\n.\r\n',
    b"1 LAST\n\r\n[a]",
    "stadt=Zürich\n[stadt]".encode(),
)


def _own(values: dict[str, str]) -> Own:
    """What such an XDFN makes of a recipient; refused, of none."""
    gathering = Gathering(lambda address: address, utf8=True)
    recipient = Recipient(parse_mailbox("you@example.com"))
    refused = gathering.define(values, NOW)
    assert refused is None or isinstance(refused, Reply)
    gathering.next(recipient)
    assert recipient.own is not None
    return recipient.own


def _fill(own: Own, text: bytes) -> None:
    half = len(text) // 2
    content = b"ours" + text
    merge = Merge(((1, half), (2, len(text) - half)), 4)
    chosen = template_text(merge, content, own.parts)
    if not own.parts:
        assert chosen == text
    values = values_of(own)
    for keep in (False, True):
        template = Template(chosen, keep=keep)
        filled = template.expand(values)
        assert len(filled) <= template.size(values)
        if not has_bare(chosen):
            assert not has_bare(filled)
            assert filled.count(b"\r\n") <= chosen.count(b"\r\n")
        if b"[" not in chosen:
            assert filled == chosen
        scan(filled)


def fuzz_one(data: bytes) -> None:
    line, _, text = data.partition(b"\n")
    said = line.decode("utf-8", "replace")
    parse_xprt(said)
    found = parse_xdfn(said)
    values = found.values if isinstance(found, Define) else {}
    assert not any(octet in value for value in values.values() for octet in "\r\n\0")
    own = _own(values)
    _fill(own, text)
    _fill(own, repair(text))


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
