"""One transaction on its way through the client engine: which reply it waits for, and what came of it.

A plain record with two questions; the engine (`wire.client`) moves it. Nothing here raises.
"""

from __future__ import annotations

from postwright.model.outcome import Failure, TransactionResult
from postwright.wire.client_states import BODY, MAIL, Transaction


class Turn:
    """`expect` is what the next reply answers, `index` which recipient; `lines` MAIL and each RCPT as octets.

    `started` its first command was given out; `grouped` all commands were, in one go; `given` its content was given out whole
    (or the empty one instead); `void` the content went to nobody, so that the reply to it says nothing; `refused` MAIL was;
    `answered` some reply to it came; `first` the session carried nothing before it.
    """

    __slots__ = (
        "accepted",
        "answered",
        "by_bdat",
        "expect",
        "first",
        "given",
        "grouped",
        "index",
        "lines",
        "refused",
        "result",
        "size",
        "started",
        "token",
        "transaction",
        "void",
    )

    def __init__(self, transaction: Transaction, token: object, lines: list[bytes]) -> None:
        self.transaction = transaction
        self.token = token
        self.lines = lines
        self.result = TransactionResult([None] * len(transaction.recipients))
        self.size = sum(map(len, transaction.content))
        self.expect = MAIL
        self.index = 0
        self.accepted = 0
        self.started = self.answered = self.refused = self.given = self.void = self.grouped = False
        self.by_bdat = transaction.facts.binary
        self.first = False

    @property
    def octets(self) -> int:
        """Its commands, with RSET and DATA."""
        return sum(map(len, self.lines)) + 12

    def stage(self, left: bool) -> int:
        """What it waits for, if all octets have `left`; else that they do."""
        return self.expect if left or not self.given else BODY

    def broken(self, failure: Failure, left: bool) -> TransactionResult:
        """The session ended before the answer it waited for; `left`: its content, if given, left us whole."""
        result = self.result
        wanted = not self.refused and (self.accepted > 0 or self.index < len(result.rcpt))
        result.maybe_taken = self.given and left and not self.void and wanted
        result.untouched = not (self.answered or self.first or result.maybe_taken)
        result.usable = False
        result.failure = failure
        return result
