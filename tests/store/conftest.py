"""Messages to spool, both spools behind one fixture, and a sink of records that remembers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from postwright.model.address import Address
from postwright.model.envelope import Envelope, Recipient
from postwright.model.message import Arrival, ContentFacts, Message
from postwright.model.record import Record
from postwright.store.log_spool import LogSpool
from postwright.store.memory_spool import MemorySpool
from postwright.store.segments import SpoolDir
from postwright.store.spool import Recovered

CONTENT = b"Subject: x\r\n\r\nbody\r\n"


def make_message(number: int, recipients: int = 1, content: bytes = CONTENT) -> Message:
    """Message `number` with recipients r0@d0.example, r1@d1.example ..."""
    return Message(
        id=number,
        received_at=1000.0 + number,
        envelope=Envelope(
            Address("s@src.example", "src.example"), [Recipient(Address(f"r{i}@d{i}.example", f"d{i}.example")) for i in range(recipients)]
        ),
        facts=ContentFacts(len(content), content.find(b"\r\n\r\n") + 4),
        arrival=Arrival(peer="127.0.0.1", peer_name="client.example"),
    )


@pytest.fixture(scope="session")
def message() -> Callable[..., Message]:
    return make_message


class Rows:
    """A record sink that remembers: its position is how many it has."""

    def __init__(self) -> None:
        self.wants = frozenset(("d", "b", "r", "t"))
        self.rows: list[tuple[str, int]] = []
        self.refuses = False
        self.trouble: OSError | None = None
        self.checkpoints = 0
        self.choked = ""

    def write(self, records: Sequence[Record]) -> None:
        self.rows += [(r.type, r.message_id) for r in records]

    def position(self) -> tuple[bytes, Callable[[], None]] | None:
        return None if self.refuses else (str(len(self.rows)).encode(), self._sync)

    def _sync(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def remembered(self, position: bytes) -> None:
        self.checkpoints += 1

    def resume(self, position: bytes, folder: Path) -> None:
        self.rows = self.rows[: int(position or b"0")]

    def resumed(self) -> None:
        pass


@pytest.fixture
def rows() -> Rows:
    return Rows()


class Restarter:
    """A spool that can be closed and opened again: `spool` is the present one."""

    def __init__(self, kind: str, path: Path) -> None:
        self.kind = kind
        self.path = path
        self.sink = Rows()
        self.spool: LogSpool | MemorySpool = self._open(None)
        list(self.spool.recover())

    def _open(self, old: MemorySpool | None) -> LogSpool | MemorySpool:
        if self.kind == "memory":
            return MemorySpool(0, sink=self.sink, survivors=old)
        return LogSpool((SpoolDir(self.path),), 0, sink=self.sink)

    async def restart(self) -> list[Recovered]:
        """Close, open anew; returns what is recovered."""
        old = self.spool
        await old.close()
        self.spool = self._open(old if isinstance(old, MemorySpool) else None)
        return list(self.spool.recover())


@pytest.fixture(params=["log", "memory"])
async def restarter(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Restarter]:
    made = Restarter(request.param, tmp_path / "spool")
    yield made
    await made.spool.close()
