"""The client's side of LMTP (RFC 2033): SMTP for the last hop, where each recipient has an answer of its own to the content.

What differs is little: LHLO and no HELO, a reply at the end of data for each recipient that was taken, and none when nobody was. Those
replies stand in `TransactionResult.finals`; whoever has none when the session ends may have the message, or may not. CHUNKING is not used:
content goes by DATA, whose replies RFC 2033 section 4.2 counts.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from postwright.model.outcome import Failure, Fault
from postwright.model.reply import Reply
from postwright.model.route import SessionOptions
from postwright.wire.client import SmtpClient
from postwright.wire.client_states import END, STAGES
from postwright.wire.client_turn import Turn
from postwright.wire.watched_client import WatchedClient


class LmtpClient(SmtpClient):
    """See the module; made and used as `SmtpClient` is."""

    __slots__ = ()
    _INTRODUCTION = "LHLO"

    def __init__(self, name: str, options: SessionOptions, *rest: Any, **more: Any) -> None:
        super().__init__(name, replace(options, ignore_chunking=True), *rest, **more)

    def _negative(self, phase: int, reply: Reply) -> None:
        self._refused(phase, reply)

    def _data_reply(self, turn: Turn, reply: Reply) -> None:
        if 300 <= reply.code < 400 and not turn.accepted:
            # RFC 2033 section 4.2: DATA must fail then. The end of such a content would never be answered.
            self._fault(Fault.PROTOCOL, "354 and there is nobody to send to")
            return
        super()._data_reply(turn, reply)

    def _end_reply(self, turn: Turn, reply: Reply) -> None:
        if 300 <= reply.code < 400:
            self._fault(Fault.PROTOCOL, f"{reply.code} in reply to the end of data")
        elif self.clear:
            self._one_more(turn, reply)
        elif reply.code < 300:
            self._fault(Fault.PROTOCOL, "content accepted before it was sent")
        else:
            turn.result.final = reply
            self._end(Failure(STAGES[END], reply))

    def _one_more(self, turn: Turn, reply: Reply) -> None:
        """The reply of the next recipient that was taken; they come in the order of RCPT."""
        result = turn.result
        finals = result.finals
        if finals is None:
            finals = result.finals = [None] * len(result.rcpt)
        waiting = [at for at, rcpt in enumerate(result.rcpt) if rcpt is not None and rcpt.code < 300 and finals[at] is None]
        finals[waiting[0]] = reply
        if result.final is None or reply.code < 300:
            result.final = reply
        if len(waiting) == 1:
            self._finish(turn)


class WatchedLmtpClient(LmtpClient, WatchedClient):
    """An LMTP session that somebody looks over the shoulder of."""

    __slots__ = ()
