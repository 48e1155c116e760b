"""Helpers of the log spool's tests: open one, fill it, settle, keep house, look at its files, damage them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from postwright.model.message import Message, SpoolRef
from postwright.store.framing import Header
from postwright.store.log_spool import LogSpool
from postwright.store.segment_view import SegmentView
from postwright.store.segments import SpoolDir, find_segments
from postwright.store.spool import SETTLED, Mark

Make = Callable[..., Message]
CONTENT = b"Subject: x\r\n\r\n" + b"0123456789" * 50 + b"\r\n"


def opened(path: Path, **more: Any) -> tuple[LogSpool, list[int]]:
    """A spool over that folder, and what it found alive there."""
    spool = LogSpool((SpoolDir(path),), 0, **({"pause": 0.0, "every": 0.0} | more))
    return spool, [r.message.id for r in spool.recover()]


async def fill(spool: LogSpool, make: Make, numbers: range, recipients: int = 1) -> dict[int, SpoolRef]:
    refs = await asyncio.gather(*[spool.commit(make(n, recipients, content=CONTENT), (CONTENT,)) for n in numbers])
    return dict(zip(numbers, refs, strict=True))


async def settle(spool: LogSpool, numbers: Any) -> None:
    await spool.mark([Mark(n, (0,), SETTLED) for n in numbers])


async def keep_house(spool: LogSpool, rounds: int = 12) -> None:
    """Rounds of housekeeping, each with something to account for."""
    for _ in range(rounds):
        await settle(spool, [999_999])
        spool.tick()
        await spool._keeper.finish()


def segments(path: Path) -> list[int]:
    return [number for number, _ in find_segments((path / "shard-0",))]


def header(path: Path, number: int) -> Header:
    with SegmentView(path / "shard-0" / f"{number:08}.seg") as view:
        assert view.header is not None
        return view.header


def damage(path: Path, ref: SpoolRef, at: int, size: int = 1) -> None:
    """Turn octets of a record over."""
    file = path / "shard-0" / f"{ref.segment:08}.seg"
    data = bytearray(file.read_bytes())
    for place in range(ref.offset + at, ref.offset + at + size):
        data[place] ^= 0xFF
    file.write_bytes(data)
