"""Crash at every call to the disk, with everything a power cut may do to what was not synced: what was promised holds.

Promised: a commit that was answered is alive with its octets until its recipients are settled; a recipient whose settlement was answered
does not come back; a deferral that was answered is remembered; accounting rows of answered marks are in the files, once.
"""

from __future__ import annotations

import asyncio
import csv
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postwright.model.message import Message
from postwright.model.record import Record
from postwright.store import accounting, accounting_ledger
from postwright.store.accounting import AcctFiles
from postwright.store.accounting_file import AcctOptions
from postwright.store.accounting_ledger import Ledger
from postwright.store.log_spool import LogSpool
from postwright.store.segments import SpoolDir
from postwright.store.spool import DEFERRED, SETTLED, Mark
from postwright.testing.faulty_files import FaultyFiles

Make = Callable[..., Message]
Step = tuple[str, int]
BODY = b"Subject: PW\r\n\r\n" + b"PW\x02\x00 0123456789" * 20 + b"\r\n"


def body(number: int) -> bytes:
    return b"X: %d\r\n" % number + BODY


@pytest.fixture(autouse=True, scope="module")
def _nobody_pulls_the_plug() -> Iterator[None]:
    """The machine that runs the tests stays on: what a power cut may take is played by `FaultyFiles` and `Synced`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda fd: None)
        patch.setattr(os, "fsync", lambda fd: None)
        yield


class World:
    """What was asked, and what was promised."""

    def __init__(self) -> None:
        self.asked: dict[int, int] = {}  # message -> recipients
        self.stored: set[int] = set()
        self.tried: set[tuple[int, int]] = set()  # settled, perhaps
        self.settled: set[tuple[int, int]] = set()  # settled, promised
        self.deferred: dict[tuple[int, int], list[int]] = {}  # attempts asked for, in order
        self.promised: dict[tuple[int, int], int] = {}  # attempts promised
        self.next = 1
        self.turn = 0


class Life:
    """One run of a spool over a disk that may die."""

    def __init__(self, folder: Path, world: World, crash_at: int | None, make: Make, **more: Any) -> None:
        self.world, self.make, self.folder = world, make, folder
        self.loop = asyncio.get_running_loop()
        self.dead = asyncio.Event()
        self.files = FaultyFiles()
        self.files.crash_at = crash_at
        self.files.on_crash = lambda: self.loop.call_soon_threadsafe(self.dead.set)
        options = {"segment_size": 3000, "slack": 0, "every": 0.0, "pause": 3600.0} | more
        dirs = tuple(SpoolDir(folder / f"spool{n}") for n in range(2))
        self.acct = AcctFiles([AcctOptions(folder / "acct" / "acct.csv", ("d", "b", "t"), max_size=2500)])
        self.spool = LogSpool(dirs, 0, files=self.files, sink=self.acct, report=self.hear, **options)
        self.heard: list[str] = []

    def hear(self, event: str, detail: str) -> None:
        self.heard.append(event)

    async def either(self, *futures: asyncio.Future[Any]) -> bool:
        """Wait for all, or for the end of the world. True when all went well."""
        death = asyncio.ensure_future(self.dead.wait())
        pending: set[asyncio.Future[Any]] = set(futures)
        while pending and not death.done():
            done, _ = await asyncio.wait({*pending, death}, return_when=asyncio.FIRST_COMPLETED)
            pending -= done
        death.cancel()
        return not pending and all(f.exception() is None for f in futures)

    async def commit(self, count: int) -> None:
        world = self.world
        numbers = range(world.next, world.next + count)
        world.next += count
        futures = {}
        for number in numbers:
            world.asked[number] = 1 + number % 3
            futures[number] = self.spool.commit(self.make(number, recipients=1 + number % 3, content=body(number)), (body(number),))
        await self.either(*futures.values())
        world.stored |= {n for n, f in futures.items() if f.done() and not f.cancelled() and f.exception() is None}

    def _live(self) -> list[tuple[int, int]]:
        return [(n, i) for n, _ in self.spool.live() for i in self.spool.live_recipients(n) or ()]

    async def settle(self, step: int, every: int) -> None:
        which = [pair for at, pair in enumerate(self._live()) if at % every == step % every]
        self.world.tried |= set(which)
        marks = [Mark(n, (i,), SETTLED, records=(_record("d", n, i),)) for n, i in which]
        if await self.either(self.spool.mark(marks)):
            self.world.settled |= set(which)

    async def defer(self, step: int) -> None:
        which = [pair for at, pair in enumerate(self._live()) if at % 4 == step % 4]
        for pair in which:
            self.world.deferred.setdefault(pair, []).append(step)
        marks = [Mark(n, (i,), DEFERRED, 9000.0 + step, step, 500.0, (_record("t", n, i, step),)) for n, i in which]
        if await self.either(self.spool.mark(marks)):
            self.world.promised.update(dict.fromkeys(which, step))

    async def run(self, steps: list[Step]) -> None:
        """Until the steps are done, or the lights go out."""
        for what, number in steps:
            self.world.turn += 1
            turn = self.world.turn
            if self.dead.is_set():
                return
            if what == "commit":
                await self.commit(number)
            elif what == "settle":
                await self.settle(turn, number)
            elif what == "defer":
                await self.defer(turn)
            self.spool.tick()
            self.acct.tick()

    async def end(self) -> None:
        """The process is gone: threads end, locks are free, nothing more is written."""
        self.files.crashed = True
        journal = self.spool._journal
        if journal._writer is not None:
            await asyncio.to_thread(journal._writer.stop)
        await self.spool._keeper.finish()
        self.spool._reader.close()
        if journal._file is not None and journal._file.fd >= 0:
            os.close(journal._file.fd)
            journal._file.fd = -1
        for fd in self.spool._locks:
            os.close(fd)
        self.spool._locks = []
        for file in self.acct.files.values():
            file._drop()
            file.ledger.close()


def _record(kind: str, number: int, index: int, attempt: int = 0) -> Record:
    return Record(kind, 1_700_000_000.0 + attempt, number, index, rcpt=f"{kind}{number}-{index}-{attempt}")


def rows(folder: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    for path in (folder / "acct").glob("*.csv"):
        with path.open(newline="") as file:
            found.update(row["rcpt"] for row in csv.DictReader(file))
    return found


def judge(life: Life, found: dict[int, set[int]], states: dict[tuple[int, int], int]) -> None:
    """What came back is what was promised."""
    world = life.world
    alive = {(n, i) for n, indexes in found.items() for i in indexes}
    promised = {(n, i) for n in world.stored for i in range(world.asked[n])}
    assert promised - world.tried <= alive, "mail is lost"
    assert not alive & world.settled, "a settled recipient came back"
    assert {n for n, _ in alive} <= set(world.asked), "mail that nobody sent"
    for pair, attempts in world.promised.items():
        if pair in alive:
            later = world.deferred[pair][world.deferred[pair].index(attempts) :]
            assert states[pair] in later, "a deferral is forgotten"
    for number in found:
        ref = life.spool.ref(number)
        assert ref is not None
        message, content = life.spool.read(number, ref)
        assert content == body(number)
        assert message == life.make(number, recipients=world.asked[number], content=body(number))


def judge_rows(life: Life) -> None:
    counted = rows(life.folder)
    assert all(count == 1 for count in counted.values()), "a row is doubled"
    for number, index in life.world.settled:
        assert counted[f"d{number}-{index}-0"] == 1, "a row is lost"
    for (number, index), attempts in life.world.promised.items():
        assert counted[f"t{number}-{index}-{attempts}"] == 1, "a row is lost"


async def reborn(folder: Path, world: World, make: Make, crash_in: int | None = None) -> Life:
    """Start again on what is left, and judge it. The next crash is `crash_in` calls ahead."""
    life = Life(folder, world, None, make)
    found: dict[int, set[int]] = {}
    states: dict[tuple[int, int], int] = {}
    for recovered in life.spool.recover():
        for indexes, _, attempts, _ in recovered.states:
            found.setdefault(recovered.message.id, set()).update(indexes)
            states.update({(recovered.message.id, i): attempts for i in indexes})
    judge(life, found, states)
    life.acct.flush()
    judge_rows(life)
    if crash_in is not None:
        life.files.crash_at = life.files.calls + crash_in
    return life


class Synced:
    """Accounting files and power cuts: rows behind the last sync of a file may be gone, or zeros; so may the ledger's last lines."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: dict[Path, int] = {}
        self._one_at_a_time = threading.Lock()
        monkeypatch.setattr(accounting, "sync_file", self.sync)
        monkeypatch.setattr(accounting_ledger.Ledger, "note", self._noting(accounting_ledger.Ledger.note))

    def sync(self, path: Path) -> None:
        # In one go: a checkpoint's thread that had looked and noted late would take back what the loop has synced since.
        with self._one_at_a_time:
            if path.exists():
                self.sizes[path] = path.stat().st_size

    def _noting(self, note: Callable[..., None]) -> Callable[..., None]:
        def noting(ledger: Ledger, said: Any, *, sync: bool = False) -> None:
            note(ledger, said, sync=sync)
            if sync:
                self.sync(ledger.path)

        return noting

    def power_cut(self, folder: Path, chance: random.Random) -> None:
        for path in [*(folder / "acct").glob("*.csv"), *(folder / "acct").glob(".*.ledger")]:
            size = path.stat().st_size
            header = path.read_bytes().find(b"\n") + 1 if path.suffix == ".csv" else 0
            kept = min(size, self.sizes.get(path, header))
            cut = chance.randint(kept, size)
            os.truncate(path, cut)
            if chance.random() < 0.3 and cut > kept:
                hole = chance.randint(kept, cut - 1)
                with path.open("rb+") as file:
                    file.seek(hole)
                    file.write(bytes(chance.randint(1, cut - hole)))


STORY: list[Step] = [
    ("commit", 4),
    ("settle", 3),
    ("commit", 5),
    ("defer", 0),
    ("commit", 6),
    ("settle", 2),
    ("defer", 0),
    ("settle", 2),
    ("commit", 3),
    ("settle", 2),
    ("settle", 2),
    ("tick", 0),
    ("commit", 2),
    ("tick", 0),
    ("settle", 1),
    ("tick", 0),
    ("commit", 1),
]


async def one(folder: Path, make: Make, crash_at: int, seed: int, synced: Synced | None) -> bool:
    """Run the story into the wall at call `crash_at`, start again (twice). False when it never got as far as that."""
    world, chance = World(), random.Random(seed)
    life = Life(folder, world, crash_at, make)
    list(life.spool.recover())
    await life.run(STORY)
    reached = life.files.crashed
    await life.end()
    if synced is not None:
        life.files.power_cut(chance)
        synced.power_cut(folder, chance)
    for _ in range(2):
        life = await reborn(folder, world, make)
        await life.run([("commit", 2), ("defer", 0), ("settle", 3), ("tick", 0)])
        await life.end()
    await (await reborn(folder, world, make)).end()
    return reached


@pytest.mark.parametrize("seed", range(3))
async def test_a_power_cut_at_every_call(tmp_path: Path, message: Make, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    synced, crash_at = Synced(monkeypatch), 1
    while await one(tmp_path / str(crash_at), message, crash_at, seed * 1000 + crash_at, synced):
        synced.sizes.clear()
        crash_at += 1
    assert crash_at > 60


async def test_a_killed_process_at_every_call(tmp_path: Path, message: Make) -> None:
    """As `kill -9`: what was written is there, whether synced or not."""
    crash_at = 1
    while await one(tmp_path / str(crash_at), message, crash_at, 0, None):
        crash_at += 1
    assert crash_at > 60


steps = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), st.integers(1, 8)),
        st.tuples(st.just("settle"), st.integers(1, 4)),
        st.tuples(st.just("defer"), st.just(0)),
        st.tuples(st.just("tick"), st.just(0)),
    ),
    max_size=14,
)


@settings(max_examples=60)
@given(lives=st.lists(st.tuples(steps, st.integers(1, 80)), min_size=1, max_size=4), seed=st.integers(0, 1 << 30))
def test_any_story_any_number_of_crashes(
    message: Make, tmp_path_factory: pytest.TempPathFactory, lives: list[tuple[list[Step], int]], seed: int
) -> None:
    async def story() -> None:
        folder, world, chance = tmp_path_factory.mktemp("crash"), World(), random.Random(seed)
        for doing, crash_in in lives:
            life = await reborn(folder, world, message, crash_in)
            await life.run(doing)
            await life.end()
            life.files.power_cut(chance)
        await (await reborn(folder, world, message)).end()

    asyncio.run(story())
