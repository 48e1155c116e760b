"""An accounting record that cannot be encoded as it is: it is put right, and holds up neither mail nor other records."""

from __future__ import annotations

from pathlib import Path

from postwright.model.address import parse_mailbox
from postwright.model.envelope import Envelope, Recipient
from postwright.model.message import Arrival, Message
from postwright.model.record import Record
from postwright.store import marks
from postwright.store.log_spool import LogSpool
from postwright.store.segments import SpoolDir
from postwright.store.spool import SETTLED, Mark
from postwright.wire.body import scan

CONTENT = b"Subject: x\r\n\r\n"


def message(number: int) -> Message:
    envelope = Envelope(parse_mailbox("me@sender.example"), [Recipient(parse_mailbox("you@example.com"))])
    return Message(id=number, received_at=1.0, envelope=envelope, facts=scan(CONTENT), arrival=Arrival("smtp"))


async def test_a_text_that_is_no_unicode_does_not_keep_the_spool_from_writing(tmp_path: Path) -> None:
    spool = LogSpool((SpoolDir(tmp_path),), 0)
    assert list(spool.recover()) == []
    await spool.commit(message(1), (CONTENT,))
    odd = Mark(1, (0,), SETTLED, records=(Record("d", 1.0, 1, 0, dsn_diag="smtp;an \udc80 octet"),))
    spool.mark_nowait(odd)
    await spool.commit(message(2), (CONTENT,))
    await spool.close()
    again = LogSpool((SpoolDir(tmp_path),), 0)
    assert [found.message.id for found in again.recover()] == [2]
    await again.close()


def test_only_what_is_odd_is_changed() -> None:
    odd, sound = Record("d", 1.0, 1, 0, dsn_diag="a \ud800 b", rcpt="grün@example.com"), Record("t", 2.0, 2, 0, dsn_diag="später")
    _, content = marks.encode([Mark(1, (0,), SETTLED, records=(odd, sound))], [1])
    first, second = marks.decode_records(content)
    assert (first.dsn_diag, first.rcpt) == ("a ? b", "grün@example.com")
    assert second == sound
