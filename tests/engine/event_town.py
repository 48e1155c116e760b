"""An event log with a feed beside it, for the stories of single outlets: what a shard would write, without the shard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import structlog

from postwright.engine.export_feed import Feed, Outlet
from postwright.engine.export_outlets import Consumer, make_outlet, wants
from postwright.model.record import Record
from postwright.store.event_files import log_folder
from postwright.store.event_log import EventLog, EventOptions

KINDS = frozenset(("d", "b", "t", "r"))


def delivered(number: int, kind: str = "d", queue: str = "example.com/{default}") -> Record:
    """One record; its recipient has its number."""
    return Record(kind, 1.7e9 + number, number, 0, rcpt=f"{number}@example.com", dsn_status="2.0.0", queue=queue, dlv_size=1000)


class EventTown:
    """`logs` shards' logs in `folder`, and one consumer. `told` is what was logged."""

    def __init__(self, folder: Path, consumer: Consumer, name: str, *, logs: int = 1, outlet: Outlet | None = None) -> None:
        self.folder = folder
        self.told: list[dict[str, Any]] = []
        self.logs = [self._log(number, name) for number in range(logs)]
        self.logger = structlog.wrap_logger(_Ears(self.told), processors=[_as_arguments])
        self.feed = Feed(name, folder, outlet or make_outlet(consumer, self.logger), wants(consumer), self.logger, poll=0.01)
        self._task: asyncio.Task[None] | None = None

    def _log(self, number: int, name: str) -> EventLog:
        options = EventOptions(KINDS, (name,))
        return EventLog(log_folder(self.folder, number), number, options, lambda event, detail: self.told.append({"event": event}))

    def write(self, records: Sequence[Record], log: int = 0) -> None:
        """Events, as if a shard had settled them."""
        self.logs[log].write(records)
        self.logs[log].flush()

    async def __aenter__(self) -> EventTown:
        self._task = asyncio.get_running_loop().create_task(self.feed.run())
        return self

    async def __aexit__(self, *unused: object) -> None:
        self.feed.stop()
        assert self._task is not None
        await asyncio.wait_for(self._task, 20)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Waits for something outside; a feed that has died is told at once."""
        async with asyncio.timeout(10):
            try:
                while not condition():
                    if self._task is not None and self._task.done():
                        self._task.result()
                        raise AssertionError("the feed has ended")
                    await asyncio.sleep(0.005)
            except TimeoutError:
                raise AssertionError(f"waited for {what}; told: {self.told}") from None

    async def until_all_is_had(self) -> None:
        """Until nothing is before the consumer."""
        await self.until(lambda: self.feed.status().behind == 0, "the consumer to have it all")


def _as_arguments(logger: object, method: str, event: Any) -> Any:
    return (msgspec.json.encode(event, enc_hook=repr),), {}


class _Ears:
    def __init__(self, told: list[dict[str, Any]]) -> None:
        self._told = told

    def msg(self, line: bytes) -> None:
        self._told.append(msgspec.json.decode(line))

    log = debug = info = warning = error = critical = msg
