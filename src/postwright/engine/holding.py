"""Messages with a key, between the disk and the queue: they wait until whoever handed them in has the answer on disk, too.

Without that a message could be delivered and forgotten, and the relay killed, before its client had an answer: asking again would make a
second one. So a key's message is let go when the client says so (`Settled`), when its link ends, or after `PATIENCE`; until then it is
alive in the spool, and a start knows its key (`claims`). Nothing here can lose a message: what is held is on disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Final

from postwright.engine.submission import Accepted, Submissions
from postwright.model.message import Message, SpoolRef
from postwright.net.visit import Answer

PATIENCE: Final = 30.0  # seconds


class Keyed(Submissions):
    """The shard's submissions, for a message that says under which key it was handed in, and is held by `holding`."""

    def __init__(self, usual: Submissions, key: str, owner: Hashable, holding: Holding) -> None:
        super().__init__(usual.spool, self, usual.clock, usual.ids, usual.counters)
        self.stand_in(usual)
        self._key = key
        self._owner = owner
        self._holding = holding

    def _commit(self, message: Message, parts: tuple[bytes, ...], text: str) -> Answer:
        message.envelope.claim = self._key
        return super()._commit(message, parts, text)

    def accepted(self, message: Message, ref: SpoolRef) -> None:
        self._holding.hold(self._key, self._owner, message, ref)


class Holding:
    """Of one shard; `target` is who queues."""

    def __init__(self, target: Accepted) -> None:
        self._target = target
        self._held: dict[str, tuple[Hashable, list[tuple[Message, SpoolRef]]]] = {}

    def hold(self, key: str, owner: Hashable, message: Message, ref: SpoolRef) -> None:
        """It is on disk. A report that goes on may be several messages."""
        if key not in self._held:
            self._held[key] = owner, []
            asyncio.get_running_loop().call_later(PATIENCE, self.release, key)
        self._held[key][1].append((message, ref))

    def release(self, key: str) -> None:
        """The answer is on disk, or nobody waits for it any more. Nothing when that was said before."""
        _, messages = self._held.pop(key, (None, []))
        for message, ref in messages:
            self._target.accepted(message, ref)

    def gone(self, owner: Hashable) -> None:
        """Who has handed these in is no longer there: the keys are known here, if he comes back."""
        for key in [key for key, (whose, _) in self._held.items() if whose == owner]:
            self.release(key)
