"""The rounds on a pickup folder, and what the file system does to them: a file is neither lost nor in the way of the others."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from postwright.engine import pickup
from postwright.engine.dialogue import Played
from postwright.engine.not_kept import FULL
from postwright.engine.pickup import Pickup, Rounds, Syncing
from postwright.engine.pickup_file import Script
from postwright.engine.pickup_folder import TAKEN, Claim, Folder
from postwright.model.reply import Reply
from postwright.policy.settings import Settings, SourceSettings
from postwright.wire.refusals import TOO_MANY_RECIPIENTS

WAIT = 10.0  # seconds, of which some thousandths are needed


class Lines(list[tuple[str, dict[str, Any]]]):
    """A log."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    def warning(self, event: str, **more: Any) -> None:
        self.append((event, more))
        self.came.set()

    error = warning


class Home:
    """As much of a shard as the rounds look at."""

    number, shards = 0, 1

    def __init__(self) -> None:
        resolved = SimpleNamespace(named_source=lambda name: SourceSettings())
        traffic = SimpleNamespace(traffic=SimpleNamespace(rejected=0))
        self.intake = SimpleNamespace(stopping=False, epoch=SimpleNamespace(resolved=resolved), counters=traffic)
        self.log = Lines()


class Judge:
    """For a `Dialogue`: these replies, one after the other."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = list(replies)

    def __call__(self, visitor: object, octets: bytes, *, strict: bool) -> Judge:
        return self

    async def play(self) -> Played:
        return Played(self._replies.pop(0), {})


class Place:
    """A folder with rounds on it; `taken` are the names of files that were read and handed in."""

    def __init__(self, path: Path) -> None:
        self.home = Home()
        self.folder = Folder(path / "in", path / "bad", 0, 1)
        self.folder.open()
        self.rounds = Rounds(self.home, self.folder, lambda: False)  # type: ignore[arg-type]
        self.rounds._hand_in = self._hand_in  # type: ignore[method-assign]
        self.taken: list[str] = []
        self.task: asyncio.Task[None] | None = None
        self._more = asyncio.Event()

    def begin(self) -> None:
        self.task = asyncio.create_task(self.rounds.run())

    async def _hand_in(self, claim: Claim, script: Script) -> None:
        self.folder.remove(claim)
        self.taken.append(claim.name)
        self._more.set()

    def put(self, name: str) -> None:
        """A file that a writer moves in."""
        part = self.folder.path / f".{name}"
        part.write_bytes(b"x-sender: <>\nx-receiver: you@example.com\n\nbody\n")
        part.rename(self.folder.path / name)

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(WAIT):
            while sorted(self.taken) != sorted(names):
                self._more.clear()
                await self._more.wait()


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.setattr(pickup, "PAUSES", (0.01,))
    monkeypatch.setattr(pickup, "LOOK", 0.01)
    made = Place(tmp_path)
    yield made
    if made.task is not None:
        made.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await made.task
    await made.rounds.close()


def fails_once(work: Callable[..., Any], number: int) -> Callable[..., Any]:
    left = [OSError(number, "no")]

    def run(*arguments: Any, **more: Any) -> Any:
        if left:
            raise left.pop()
        return work(*arguments, **more)

    return run


async def test_too_many_recipients_are_too_many_tomorrow(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    del place.rounds._hand_in  # the real one
    monkeypatch.setattr(pickup, "Dialogue", Judge(FULL, TOO_MANY_RECIPIENTS))
    for name in ("Injector", "Taking"):
        monkeypatch.setattr(pickup, name, lambda *_, **more: None)
    place.put("a.msg")
    place.begin()
    async with asyncio.timeout(WAIT):
        while len(place.home.log) < 2:
            place.home.log.came.clear()
            await place.home.log.came.wait()
    assert [event for event, _ in place.home.log] == ["pickup waits", "a pickup file is refused"]
    assert [file.name for file in place.folder.bad.iterdir()] == ["a.msg"]


@pytest.mark.parametrize("what", ["claim", "read", "left_over"])
async def test_what_the_system_cannot_do_now_is_done_later(place: Place, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without descriptors for a moment, a good file would be refused, or lie there until the next start."""
    monkeypatch.setattr(place.folder, what, fails_once(getattr(place.folder, what), errno.EMFILE))
    for name in ("a.msg", "b.msg"):
        place.put(name)
    place.begin()
    await place.until("a.msg", "b.msg")
    assert not list(place.folder.bad.iterdir())
    assert [event for event, _ in place.home.log] == ["the pickup folder cannot be read" if what == "left_over" else "pickup waits"]


async def test_a_taken_file_that_somebody_removes_is_nobody_s_trouble(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    read = place.folder.read

    def removed_before(claim: Claim, most: int) -> bytes:
        if claim.name == "a.msg":
            claim.path.unlink()
        return read(claim, most)

    monkeypatch.setattr(place.folder, "read", removed_before)
    place.put("a.msg")
    place.put("b.msg")
    place.begin()
    await place.until("b.msg")
    async with asyncio.timeout(WAIT):
        await asyncio.gather(*place.rounds._tasks)
    assert (list(place.home.log), list((place.folder.path / TAKEN).iterdir())) == ([], [])
    assert place.rounds._not_before <= time.monotonic()


async def test_a_reload_does_not_take_what_is_under_way_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same folder with another one for what is refused, while the disk is slow."""
    for name, value in (("PATIENCE", 0.0), ("LOOK", 0.01), ("QUIET", 0.0)):
        monkeypatch.setattr(pickup, name, value)
    taken, began, disk = [], asyncio.Event(), asyncio.Event()

    async def hand_in(rounds: Rounds, claim: Claim, script: Script) -> None:
        taken.append(claim.name)
        began.set()
        await disk.wait()
        claim.path.unlink()

    monkeypatch.setattr(Rounds, "_hand_in", hand_in)
    door = Pickup(Home())  # type: ignore[arg-type]
    place = Place(tmp_path)
    place.put("a.msg")
    for bad in ("bad", "worse", "worst"):
        door.apply(Settings(pickup=(str(place.folder.path), str(tmp_path / bad))))
        await asyncio.wait_for(began.wait(), WAIT)
    for _ in range(50):
        await asyncio.to_thread(time.monotonic)  # whoever would take it once more has had its turns
    disk.set()
    began.clear()
    place.put("b.msg")
    await asyncio.wait_for(began.wait(), WAIT)
    assert taken == ["a.msg", "b.msg"]
    monkeypatch.setattr(pickup, "PATIENCE", WAIT)
    await door.stop()


async def test_a_file_that_cannot_be_removed_leaves_no_other_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left there is taken once more after a restart."""
    place = Place(tmp_path)
    claims = []
    for name in ("a.msg", "b.msg", "c.msg"):
        place.put(name)
        claims.append(place.folder.claim(name) or pytest.fail("it is gone"))
    remove = place.folder.remove

    def removes(claim: Claim) -> None:
        if claim.name == "a.msg":
            raise PermissionError(errno.EACCES, "no")
        remove(claim)

    monkeypatch.setattr(place.folder, "remove", removes)
    syncing = Syncing(place.folder)
    told = await asyncio.gather(*[syncing.removed(claim) for claim in claims], return_exceptions=True)
    assert [type(one) for one in told] == [PermissionError, type(None), type(None)]
    assert [left.name for left in place.folder.left_over()] == ["a.msg"]
