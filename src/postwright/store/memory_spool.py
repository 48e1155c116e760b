"""The spool in memory, for tests and simulations: the same contract as `LogSpool`, nothing survives the process.

Commits and marks are "durable" at the next turn of the loop, as on a very fast disk; `fail_next` makes the next commits fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from postwright.model.errors import SpoolBroken, SpoolError
from postwright.model.message import Message, SpoolRef
from postwright.store.index import Index
from postwright.store.spool import DEFERRED, Apart, Mark, RecordSink, Recovered, SpoolStatus, State, plainly, receipt_records


class MemorySpool:
    """See `store.spool.Spool`. `survivors`: a closed one, whose messages are taken over as a restart would."""

    def __init__(
        self, shard: int = 0, sink: RecordSink | None = None, survivors: MemorySpool | None = None, apart: Apart = plainly
    ) -> None:
        self.shard = shard
        self._apart = apart
        self.fail_next: list[SpoolError] = []
        self._sink = sink
        self._messages: dict[int, tuple[Message, bytes]] = {}
        self._index = Index()
        self._offset = 0
        self._highest = 0
        if survivors is not None:
            self._messages, self._index = survivors._messages, survivors._index
            self._offset, self._highest = survivors._offset, survivors._highest
        self._coming: set[asyncio.Future[SpoolRef]] = set()
        self._closing = False
        self._loop = asyncio.get_running_loop()

    def commit(self, message: Message, content: Sequence[bytes]) -> asyncio.Future[SpoolRef]:
        """See `Spool.commit`."""
        future: asyncio.Future[SpoolRef] = self._loop.create_future()
        if self.fail_next or self._closing:
            future.set_exception(self.fail_next.pop(0) if self.fail_next else SpoolBroken("the spool is closing"))
            return future
        body = b"".join(content)
        ref = SpoolRef(self.shard, 1, self._offset, 0, len(body))
        self._offset += max(1, len(body))
        self._coming.add(future)
        self._loop.call_soon(self._durable, message, body, ref, future)
        return future

    def _durable(self, message: Message, body: bytes, ref: SpoolRef, future: asyncio.Future[SpoolRef]) -> None:
        self._coming.discard(future)
        self._messages[message.id] = (message, body)
        self._highest = max(self._highest, message.id)
        self._index.add(message.id, ref, len(message.envelope.recipients))
        if self._sink is not None:
            self._sink.write(receipt_records(message, self._apart))
        if not future.done():
            future.set_result(ref)

    def refusal(self) -> SpoolError | None:
        """See `Spool.refusal`."""
        if self.fail_next:
            return self.fail_next[0]
        return SpoolBroken("the spool is closing") if self._closing else None

    def mark(self, marks: Sequence[Mark]) -> asyncio.Future[None]:
        """See `Spool.mark`."""
        future: asyncio.Future[None] = self._loop.create_future()
        for mark in marks:
            self.mark_nowait(mark)
        self._loop.call_soon(lambda: None if future.done() else future.set_result(None))
        return future

    def mark_nowait(self, mark: Mark) -> None:
        """See `Spool.mark_nowait`."""
        if self._sink is not None and mark.records:
            self._loop.call_soon(self._sink.write, mark.records)
        if mark.kind == DEFERRED:
            self._index.defer(mark.message_id, mark.recipients, mark.due, mark.attempts, mark.first_attempt)
        elif self._index.settle(mark.message_id, mark.recipients) is not None:
            del self._messages[mark.message_id]

    def read_message(self, message_id: int, ref: SpoolRef) -> Message:
        """See `Spool.read_message`."""
        return self._messages[message_id][0]

    def read(self, message_id: int, ref: SpoolRef) -> tuple[Message, bytes]:
        """See `Spool.read`."""
        return self._messages[message_id]

    def recover(self) -> Iterator[Recovered]:
        """See `Spool.recover`."""
        for message_id, ref in self._index.items():
            yield Recovered(self._messages[message_id][0], ref, self._index.states(message_id) or ())

    def live(self) -> Iterator[tuple[int, SpoolRef]]:
        """See `Spool.live`."""
        return self._index.items()

    def live_recipients(self, message_id: int) -> tuple[int, ...] | None:
        """See `Spool.live_recipients`."""
        return self._index.live_recipients(message_id)

    def states(self, message_id: int) -> tuple[State, ...] | None:
        """See `Spool.states`."""
        return self._index.states(message_id)

    def deferral(self, message_id: int) -> tuple[float, int, float]:
        """See `Spool.deferral`."""
        return self._index.deferral(message_id)

    def ref(self, message_id: int) -> SpoolRef | None:
        """See `Spool.ref`."""
        return self._index.ref(message_id)

    @property
    def recipients(self) -> int:
        """See `Spool.recipients`."""
        return self._index.recipients

    @property
    def highest_id(self) -> int:
        """See `Spool.highest_id`."""
        return self._highest

    def status(self) -> SpoolStatus:
        """See `Spool.status`."""
        return SpoolStatus(live=len(self._index), segments=1)

    def tick(self) -> None:
        """See `Spool.tick`."""

    async def close(self) -> None:
        """See `Spool.close`."""
        self._closing = True
        if self._coming:
            await asyncio.wait(self._coming)
