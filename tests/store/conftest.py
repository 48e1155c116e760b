"""Messages to spool, and both spools behind one fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from postwright.model.address import Address
from postwright.model.envelope import Envelope, Recipient
from postwright.model.message import Arrival, ContentFacts, Message
from postwright.store.log_spool import LogSpool
from postwright.store.memory_spool import MemorySpool
from postwright.store.segments import SpoolDir

CONTENT = b"Subject: x\r\n\r\nbody\r\n"


def make_message(number: int, recipients: int = 1, content: bytes = CONTENT) -> Message:
    """Message `number` with recipients r0@d0.example, r1@d1.example ..."""
    return Message(
        id=number,
        received_at=1000.0 + number,
        envelope=Envelope(
            Address("s@src.example", "src.example"), [Recipient(Address(f"r{i}@d{i}.example", f"d{i}.example")) for i in range(recipients)]
        ),
        facts=ContentFacts(len(content), 14),
        arrival=Arrival(peer="127.0.0.1", peer_name="client.example"),
    )


@pytest.fixture
def message() -> Callable[..., Message]:
    return make_message


class Restarter:
    """A spool that can be closed and opened again: `spool` is the present one."""

    def __init__(self, kind: str, path: Path) -> None:
        self.kind = kind
        self.path = path
        self.spool: LogSpool | MemorySpool = self._open(None)
        list(self.spool.recover())

    def _open(self, old: MemorySpool | None) -> LogSpool | MemorySpool:
        if self.kind == "memory":
            return MemorySpool(0, survivors=old)
        return LogSpool((SpoolDir(self.path),), 0)

    async def restart(self) -> list[object]:
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
