"""The spool in memory, for tests and simulations: the same contract as `LogSpool`, nothing survives the process.

Commits and marks are "durable" at the next turn of the loop, in groups, as on disk; `fail_next` makes the next commits fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from postwright.model.errors import SpoolError
from postwright.model.message import Message, SpoolRef
from postwright.store.spool import DEFERRED, Mark, RecordSink, Recovered, SpoolStatus, receipt_records


class MemorySpool:
    """See `store.spool.Spool`. `survivors` hands what is alive to a successor, as a restart would."""

    def __init__(self, shard: int = 0, sink: RecordSink | None = None, survivors: MemorySpool | None = None) -> None:
        self.shard = shard
        self.fail_next: list[SpoolError] = []
        self._sink = sink
        self._offset = 0
        self._messages: dict[int, tuple[Message, bytes, SpoolRef]] = dict(survivors._messages) if survivors else {}
        self._left: dict[int, set[int]] = {k: set(v) for k, v in survivors._left.items()} if survivors else {}
        self._deferred: dict[int, Mark] = dict(survivors._deferred) if survivors else {}
        self._loop = asyncio.get_running_loop()

    def commit(self, message: Message, content: Sequence[bytes]) -> asyncio.Future[SpoolRef]:
        """See `Spool.commit`."""
        future: asyncio.Future[SpoolRef] = self._loop.create_future()
        if self.fail_next:
            future.set_exception(self.fail_next.pop(0))
            return future
        body = b"".join(content)
        ref = SpoolRef(self.shard, 1, self._offset, 0, len(body))
        self._offset += max(1, len(body))

        def durable() -> None:
            self._messages[message.id] = (message, body, ref)
            self._left[message.id] = set(range(len(message.envelope.recipients)))
            if self._sink is not None:
                self._sink.write(receipt_records(message))
            if not future.done():
                future.set_result(ref)

        self._loop.call_soon(durable)
        return future

    def mark(self, marks: Sequence[Mark]) -> asyncio.Future[None]:
        """See `Spool.mark`."""
        future: asyncio.Future[None] = self._loop.create_future()
        for mark in marks:
            self.mark_nowait(mark)

        def durable() -> None:
            if not future.done():
                future.set_result(None)

        self._loop.call_soon(durable)
        return future

    def mark_nowait(self, mark: Mark) -> None:
        """See `Spool.mark_nowait`."""
        if self._sink is not None and mark.records:
            self._sink.write(mark.records)
        if mark.message_id not in self._messages:
            return
        if mark.kind == DEFERRED:
            self._deferred[mark.message_id] = mark
            return
        left = self._left[mark.message_id]
        left.difference_update(mark.recipients)
        if not left:
            del self._messages[mark.message_id], self._left[mark.message_id]
            self._deferred.pop(mark.message_id, None)

    def read_message(self, message_id: int, ref: SpoolRef) -> Message:
        """See `Spool.read_message`."""
        return self._messages[message_id][0]

    def read(self, message_id: int, ref: SpoolRef) -> tuple[Message, bytes]:
        """See `Spool.read`."""
        message, body, _ = self._messages[message_id]
        return message, body

    def recover(self) -> Iterator[Recovered]:
        """See `Spool.recover`."""
        for message_id, (message, _, ref) in list(self._messages.items()):
            mark = self._deferred.get(message_id)
            state = (mark.due, mark.attempts, mark.first_attempt) if mark is not None else (0.0, 0, 0.0)
            yield Recovered(message, ref, ((tuple(sorted(self._left[message_id])), *state),))

    def live(self) -> Iterator[tuple[int, SpoolRef]]:
        """See `Spool.live`."""
        return iter([(message_id, ref) for message_id, (_, _, ref) in self._messages.items()])

    def live_recipients(self, message_id: int) -> tuple[int, ...] | None:
        """See `Spool.live_recipients`."""
        left = self._left.get(message_id)
        return tuple(sorted(left)) if left else None

    def deferral(self, message_id: int) -> tuple[float, int, float]:
        """Due time, attempts and first attempt of the last deferral; zeros when there was none."""
        mark = self._deferred.get(message_id)
        return (mark.due, mark.attempts, mark.first_attempt) if mark is not None else (0.0, 0, 0.0)

    def ref(self, message_id: int) -> SpoolRef | None:
        """Where the message lies now."""
        found = self._messages.get(message_id)
        return found[2] if found is not None else None

    def status(self) -> SpoolStatus:
        """See `Spool.status`."""
        return SpoolStatus(live=len(self._messages), segments=1)

    async def close(self) -> None:
        """See `Spool.close`."""
