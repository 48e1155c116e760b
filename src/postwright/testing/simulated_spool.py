"""A disk that is not there: what would have been written is kept in order, and a crash loses what had not been synced yet.

`SimulatedSpool` is a `MemorySpool` over such a disk. A commit or mark is durable `latency` seconds after it was made; `crash` cuts the
spool off at once, and a new one on the same disk knows exactly what was durable.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from postwright.engine.merged import apart
from postwright.model.errors import SpoolError
from postwright.model.message import Message, SpoolRef
from postwright.net.clock import Clock
from postwright.store.memory_spool import MemorySpool
from postwright.store.spool import Mark, RecordSink, receipt_records


class SimulatedDisk:
    """What is durable: stored messages and marks, in the order in which they were synced."""

    def __init__(self) -> None:
        self.written: list[tuple[Message, bytes, SpoolRef] | Mark] = []


class SimulatedSpool(MemorySpool):
    """See the module. `ended` after a crash: everything that still reaches it is lost."""

    def __init__(self, disk: SimulatedDisk, shard: int, sink: RecordSink, clock: Clock, latency: float) -> None:
        super().__init__(shard, sink, apart=apart)
        self.ended = False
        self.damaged: set[int] = set()  # message ids that cannot be read now
        self._disk = disk
        self._clock = clock
        self._latency = latency
        self._syncing: deque[Callable[[], object]] = deque()
        self._places: dict[SpoolRef, int] = {}
        for entry in disk.written:
            if isinstance(entry, Mark):
                super().mark_nowait(replace(entry, records=()))
            else:
                self._remember(*entry)

    def _remember(self, message: Message, body: bytes, ref: SpoolRef) -> None:
        self._messages[message.id] = (message, body)
        self._places[ref] = message.id
        self._highest = max(self._highest, message.id)
        self._offset = max(self._offset, ref.offset + max(1, len(body)))
        self._index.add(message.id, ref, len(message.envelope.recipients))

    def crash(self) -> None:
        """The machine is off: nothing more is written, nobody is answered."""
        self.ended = True

    def commit(self, message: Message, content: Sequence[bytes]) -> asyncio.Future[SpoolRef]:
        """See `Spool.commit`."""
        if self.fail_next or self._closing:
            return super().commit(message, content)
        future: asyncio.Future[SpoolRef] = self._loop.create_future()
        body = b"".join(content)
        ref = SpoolRef(self.shard, 1, self._offset, 0, len(body))
        self._offset += max(1, len(body))
        self._later(lambda: self._committed(message, body, ref, future))
        return future

    def _committed(self, message: Message, body: bytes, ref: SpoolRef, future: asyncio.Future[SpoolRef]) -> None:
        self._disk.written.append((message, body, ref))
        self._remember(message, body, ref)
        if self._sink is not None:
            self._sink.write(receipt_records(message, self._apart))
        if not future.done():
            future.set_result(ref)

    def mark(self, marks: Sequence[Mark]) -> asyncio.Future[None]:
        """See `Spool.mark`."""
        future: asyncio.Future[None] = self._loop.create_future()
        for mark in marks:
            self.mark_nowait(mark)
        self._later(lambda: None if future.done() else future.set_result(None))
        return future

    def mark_nowait(self, mark: Mark) -> None:
        """See `Spool.mark_nowait`."""
        if self.ended:
            return
        super().mark_nowait(replace(mark, records=()))
        self._later(lambda: self._marked(mark))

    def _marked(self, mark: Mark) -> None:
        self._disk.written.append(mark)
        if self._sink is not None and mark.records:
            self._sink.write(mark.records)

    def _later(self, durable: Callable[[], object]) -> None:
        """Call `durable` when it is on disk, in the order of the calls, unless the machine was off before that."""
        self._syncing.append(durable)
        self._clock.call_later(self._latency, self._synced)

    def _synced(self) -> None:
        durable = self._syncing.popleft()
        if not self.ended:
            durable()

    @property
    def syncing(self) -> bool:
        """Something is not on disk yet."""
        return bool(self._syncing)

    def at(self, ref: SpoolRef) -> tuple[Message, bytes]:
        """What another shard reads by reference. Raises KeyError when the message is not there any more, SpoolError when damaged."""
        return self.read(self._places[ref], ref)

    def read(self, message_id: int, ref: SpoolRef) -> tuple[Message, bytes]:
        """See `Spool.read`."""
        if message_id in self.damaged:
            raise SpoolError(f"the message at {ref} is damaged")
        return super().read(message_id, ref)

    def read_message(self, message_id: int, ref: SpoolRef) -> Message:
        """See `Spool.read_message`."""
        return self.read(message_id, ref)[0]

    def move(self, message_id: int) -> None:
        """The message gets another place, as by compaction: references to the old one lead nowhere."""
        old = self._index.ref(message_id)
        assert old is not None
        fresh = SpoolRef(self.shard, 1, self._offset, 0, old.content_size)
        self._offset += max(1, old.content_size)
        self._index.move(message_id, fresh)
        del self._places[old]
        self._places[fresh] = message_id

    async def close(self) -> None:
        """See `Spool.close`."""
        self._closing = True
        while self._syncing and not self.ended:
            await self._clock.sleep(self._latency)
