"""Pickup: messages that programs put into a folder as files (`pickup DIR BADDIR`), taken by every shard at once.

A file becomes a message, never two and never none, whatever dies in between:

    rename   into a folder of ours: it is this shard's alone
    commit   its message is on disk, and says of which file it was made; it is in no queue yet
    remove   the file is gone, and that is on disk too
    queue    from here on it can be delivered

A shard that begins anew removes the files whose messages its spool has (`pickup_folder.forget`) and takes what is left of its own once
more. There can be no message that was delivered while its file was still there.

What cannot be taken for now (a full disk, memory, a rate) waits in the folder and is tried again; what holds no message, or one that is
refused, goes to the bad folder, and the log says why. Files are taken in order of their times, those of one shard's share first; which
is which is by name, and after a moment any shard takes any file, so that none waits for one that is gone.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol
from zlib import crc32

import structlog

from postwright.engine.dialogue import Dialogue
from postwright.engine.folder_watch import FolderWatch
from postwright.engine.injector import PICKUP, Injector, Origin
from postwright.engine.intake import Intake
from postwright.engine.lock_lines import shown
from postwright.engine.pickup_file import PickupError, Script, script_of
from postwright.engine.pickup_folder import Claim, Folder, Seen, Unfit
from postwright.engine.submission import Submissions
from postwright.model.message import Message, SpoolRef
from postwright.model.reply import Reply
from postwright.net.visit import Answer
from postwright.policy.settings import Settings

LOOK = 5.0  # seconds between two looks where nobody tells us that something has come
OTHERS = 2.0  # seconds after which a file of another shard's share is anybody's
QUIET = 2.0  # seconds without a write after which a file counts as whole, where nobody has told us that it is
STALE = 30.0  # the same for one that somebody was seen to begin and not to end
AT_ONCE = 64  # files under way in one shard
OCTETS = 64 * 1024 * 1024  # of them together; one that is larger goes alone
LARGEST = 512 * 1024 * 1024  # octets of a file, where `max-message-size` says nothing
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)  # seconds after what could not be taken for now
PATIENCE = 5.0  # seconds that a stop waits for what is under way


class Home(Protocol):
    """The shard that takes; `engine.node` is the real one."""

    number: int
    shards: int
    intake: Intake
    log: structlog.stdlib.BoundLogger

    def accepted(self, message: Message, ref: SpoolRef) -> None: ...


class Pickup:
    """One per shard. `apply` whenever settings are in force, `stop` at the end."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._of: tuple[str, str] = ("", "")
        self._remove_dot = False
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._earlier: set[asyncio.Task[None]] = set()  # they end what they have under way

    def apply(self, settings: Settings) -> None:
        """By these settings from now on."""
        self._remove_dot = settings.general.pickup_remove_dot
        if settings.pickup == self._of or self._stopping:
            return
        self._of = settings.pickup
        if self._task is not None:
            self._task.cancel()
            self._earlier = {task for task in (*self._earlier, self._task) if not task.done()}
            self._task = None
        if settings.pickup[0]:
            self._task = asyncio.get_running_loop().create_task(self._attend(frozenset(self._earlier), settings.pickup))

    async def stop(self) -> None:
        """Take nothing more; done when what was under way is either ours or lies in the folder."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
        if tasks := [task for task in (self._task, *self._earlier) if task is not None]:
            await asyncio.wait(tasks, timeout=PATIENCE)

    async def _attend(self, before: frozenset[asyncio.Task[None]], where: tuple[str, str]) -> None:
        if before:  # however long it takes: a file that they have under way would be found, and taken, once more
            await asyncio.wait(before)
        folder = Folder(Path(where[0]), Path(where[1]), self._home.number, self._home.shards)
        while True:
            try:
                await asyncio.to_thread(folder.open)
                break
            except OSError as error:
                self._home.log.error("the pickup folder cannot be used", folder=where[0], error=str(error))
                await asyncio.sleep(PAUSES[-1])
        rounds = Rounds(self._home, folder, lambda: self._remove_dot)
        try:
            await rounds.run()
        finally:
            await rounds.close()


class Rounds:
    """The work on one folder."""

    def __init__(self, home: Home, folder: Folder, remove_dot: Callable[[], bool]) -> None:
        self._home = home
        self._folder = folder
        self._remove_dot = remove_dot
        self._woken = asyncio.Event()
        self._watch = FolderWatch(folder.path, self._woken.set)
        self._syncing = Syncing(folder)
        self._again: deque[Claim] = deque()  # taken, and to be tried again
        self._tasks: set[asyncio.Task[None]] = set()
        self._octets = 0
        self._room = asyncio.Event()
        self._failures = 0
        self._not_before = 0.0

    async def run(self) -> None:
        """Until cancelled."""
        begun = False
        while True:
            self._woken.clear()
            wait = LOOK
            try:
                if not begun:
                    self._again.extend(await asyncio.to_thread(self._folder.left_over))
                    begun = True
                wait = await self._round()
            except OSError as error:
                self._home.log.error("the pickup folder cannot be read", folder=str(self._folder.path), error=str(error))
            try:
                async with asyncio.timeout(wait):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def close(self) -> None:
        """What is under way comes to its end: its message is ours, or its file stays."""
        self._watch.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _round(self) -> float:
        """Take all that can be taken; returns the seconds after which to look again, if nobody tells us before."""
        pause = self._not_before - time.monotonic()
        if pause > 0:
            await asyncio.sleep(pause)
        for _ in range(len(self._again)):
            await self._begin(self._again.popleft())
        wait = LOOK
        for seen in await asyncio.to_thread(self._folder.look):
            if self._not_before > time.monotonic():
                return 0.0
            due = self._due(seen) - time.time()
            if due > 0:
                wait = min(wait, due)
                continue
            await self._begin(seen)
        return wait

    def _due(self, seen: Seen) -> float:
        """When this file may be taken by us, Unix seconds."""
        others = crc32(seen.name.encode("utf-8", "surrogateescape")) % self._home.shards != self._home.number
        at = seen.written + OTHERS if others else 0.0
        if not seen.plain or self._watch.is_whole(seen.name):
            return at
        # a time in the future (another machine's clock, an archive unpacked) says nothing about who writes
        written = min(seen.written, time.time())
        return max(at, written + (STALE if self._watch.is_written(seen.name) else QUIET)) if written == seen.written else at

    async def _begin(self, what: Seen | Claim) -> None:
        """Have one file taken, as soon as there is room for it."""
        while len(self._tasks) >= AT_ONCE or (self._tasks and self._octets + what.size > OCTETS):
            self._room.clear()
            await self._room.wait()
        self._octets += what.size
        task = asyncio.get_running_loop().create_task(self._one(what))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, what.size))

    def _ended(self, octets: int, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._octets -= octets
        self._room.set()

    async def _one(self, what: Seen | Claim) -> None:
        claim = what if isinstance(what, Claim) else None
        try:
            if claim is None:
                claim = await asyncio.to_thread(self._folder.claim, what.name, what.size)
                self._watch.forget(what.name)
            if claim is None:
                return
            script = await asyncio.to_thread(self._read, claim)
        except FileNotFoundError:
            return  # an operator has taken it away
        except OSError as error:
            self._put_off(claim, what.name, str(error))
            return
        except (Unfit, PickupError) as error:
            assert claim is not None
            await self._put_away(claim, str(error))
            return
        await self._hand_in(claim, script)

    def _read(self, claim: Claim) -> Script:
        intake = self._home.intake
        most = intake.epoch.resolved.named_source(PICKUP).max_message_size
        # dots and receivers beside the message: the exact judgement is that of the session's rules
        largest = LARGEST if most is None else min(LARGEST, most + most // 2 + OCTETS)
        return script_of(self._folder.read(claim, largest), remove_dot=self._remove_dot())

    async def _hand_in(self, claim: Claim, script: Script) -> None:
        taking = Taking(self._home, self._folder, self._syncing, claim)
        origin = Origin("pickup", PICKUP, name="pickup", bounces=script.bounces)
        visitor = Injector(self._home.intake, origin, stored_by=taking)
        played = await Dialogue(visitor, script.octets, strict=True).play()
        if played.reply.code == 250:
            self._failures = 0
            await taking.over()
        elif comes_again(played.reply):
            self._put_off(claim, claim.name, played.reply.text)
        else:
            await self._put_away(claim, played.reply.text)

    def _put_off(self, claim: Claim | None, name: str, reason: str) -> None:
        """It stays taken (None: it was not), and all others wait, too: what was too much for this one is too much for the next."""
        if claim is not None:
            self._again.append(claim)
        if self._home.intake.stopping:
            return  # the next start has it
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        if time.monotonic() >= self._not_before:
            self._failures += 1
            self._home.log.warning("pickup waits", file=shown(name), reason=reason, seconds=pause)
        self._not_before = time.monotonic() + pause
        self._woken.set()

    async def _put_away(self, claim: Claim, reason: str) -> None:
        self._home.intake.counters.traffic.rejected += 1
        try:
            aim = await asyncio.to_thread(self._folder.put_away, claim)
        except OSError as error:
            self._again.append(claim)
            self._failures += 1
            self._not_before = time.monotonic() + PAUSES[-1]
            self._home.log.error("the bad folder of pickup takes nothing", file=shown(claim.name), reason=shown(reason), error=str(error))
            return
        self._home.log.warning("a pickup file is refused", file=shown(claim.name), reason=shown(reason), moved_to=shown(str(aim)))


def comes_again(reply: Reply) -> bool:
    """Can the same file be taken later? Too many recipients (RFC 5321 section 4.5.3.1.10) are a matter of another transaction, and a file
    has but one: put off, it would stand in the way of all others for ever."""
    return reply.transient and reply.status != "4.5.3"


class Taking(Submissions):
    """Stores the message of one file: the shard's submissions, but that the file goes between the disk and the queue."""

    def __init__(self, home: Home, folder: Folder, syncing: Syncing, claim: Claim) -> None:
        usual = home.intake.submissions
        super().__init__(usual.spool, self, usual.clock, usual.ids, usual.counters)
        self.stand_in(usual)
        self._home = home
        self._folder = folder
        self._syncing = syncing
        self._claim = claim
        self._removal: asyncio.Task[None] | None = None

    def _commit(self, message: Message, parts: tuple[bytes, ...], text: str) -> Answer:
        message.envelope.claim = str(self._claim.path)
        return super()._commit(message, parts, text)

    def accepted(self, message: Message, ref: SpoolRef) -> None:
        """It is on disk. A report may have gone on as several messages: the file is removed once, before the first is queued."""
        self._removal = self.loop.create_task(self._queue(self._removal, message, ref))

    async def _queue(self, before: asyncio.Task[None] | None, message: Message, ref: SpoolRef) -> None:
        if before is not None:
            await before
        else:
            await self._remove()
        self._home.accepted(message, ref)

    async def _remove(self) -> None:
        try:
            await self._syncing.removed(self._claim)
        except OSError as error:  # it is delivered now, and may be once more after a restart: better than never
            self._home.log.error("a pickup file cannot be removed", file=shown(str(self._claim.path)), error=str(error))

    async def over(self) -> None:
        """After the 250: done when the file is gone. A report that nobody gets left no message to wait for."""
        await (self._removal if self._removal is not None else self._remove())


class Syncing:
    """Removals of many files share what makes them durable."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._waiting: list[tuple[Claim, asyncio.Future[None]]] = []
        self._running: asyncio.Task[None] | None = None

    async def removed(self, claim: Claim) -> None:
        """Remove a file; done when that is durable. Raises OSError."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((claim, done))
        if self._running is None:
            self._running = loop.create_task(self._run())
        await done

    async def _run(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            errors = await asyncio.to_thread(self._remove, [claim for claim, _ in group])
            for (_, done), error in zip(group, errors, strict=True):
                if done.done():
                    continue
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)
        self._running = None

    def _remove(self, claims: list[Claim]) -> list[OSError | None]:
        """What went wrong with each: a file that cannot be removed leaves no other one there."""
        errors = [self._unlinked(claim) for claim in claims]
        try:
            self._folder.sync()
        except OSError as error:
            return [error] * len(claims)
        return errors

    def _unlinked(self, claim: Claim) -> OSError | None:
        try:
            self._folder.remove(claim)
        except OSError as error:
            return error
        return None
