"""Fuzzes files of the pickup folder: any octets are a dialogue or a PickupError, and the dialogue has one message at most.

Beside that: in the first form no address or envelope id becomes a command or a parameter of its own, and the content is what was behind
the head, octet for octet once its lines end in CRLF.
"""

from __future__ import annotations

from typing import Final

import common

from postwright.engine.pickup_file import PickupError, script_of
from postwright.model.reply import Reply
from postwright.wire.events import Chunk, Content, MailFrom, RcptTo, Rejected, Signal
from postwright.wire.options import Limits, Offers, ServerOptions
from postwright.wire.server import SmtpServer

ALLOWED: Final[tuple[type[Exception], ...]] = (PickupError,)
OK: Final = Reply(250, "2.0.0", ("ok",))
GO: Final = Reply(354, "", ("go",))
OPTIONS: Final = ServerOptions(bare="repair", limits=Limits(errors=None, junk=None), offers=Offers(merge=True, verp=True))
SEEDS: Final = (
    b"x-sender: a@a.example\nx-receiver: b@b.example\nx-receiver: <c@c.example>\nx-envid: e 1\nx-job: 1\nSubject: s\n\n..b\n",
    b'x-sender:\r\nx-sender-override: a@a.example\r\nx-receiver: "a>b"@b.example\r\n\r\nb',
    b"XACK OFF\nEHLO x\nMAIL FROM:<a@a.example> BODY=8BITMIME\nRCPT TO:<b@b.example>\nDATA\nS: 1\n\n..\n.\nQUIT\n",
    b"XMRG FROM:<a@a.example>\r\nXDFN n=1\r\nRCPT TO:<b@b.example>\r\nXPRT 1 LAST\r\n[n]\r\n.\r\n",
)


def _events(octets: bytes) -> list[object]:
    server = SmtpServer(OPTIONS)
    server.send_reply(OK)
    server.receive_data(b"EHLO localhost\r\n" + octets)
    found: list[object] = []
    while not isinstance(event := server.next_event(), Signal):
        found.append(event)
        content = type(event).__name__ in ("DataStart", "PartStart")
        server.send_reply(GO if content else event.reply if isinstance(event, Rejected) else OK)
        if isinstance(event, Content):
            break
    return found


def fuzz_one(data: bytes) -> None:
    for remove_dot in (False, True):
        try:
            script = script_of(data, remove_dot=remove_dot)
        except PickupError:
            continue
        events = _events(script.octets)
        if data[:2].lower() != b"x-":
            continue
        kinds = [type(event) for event in events[1:]]
        assert kinds[:1] == [MailFrom], kinds
        assert kinds[-1] in (Content, Rejected), kinds  # the content may be one that no session takes
        assert all(kind in (RcptTo, Chunk, Rejected) for kind in kinds[1:-1]), kinds


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
