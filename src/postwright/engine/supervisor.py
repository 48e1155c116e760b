"""The supervisor: opens the listening sockets, starts the shards, restarts what dies, carries signals; it never touches mail.

    start     bind every listener, start N shards (each a process of its own), hand each the settings and the sockets
    reload    a new settings tree from the loader is given to all shards; a bad file changes nothing
    stop      SIGTERM: shards finish what is in flight within a bound, then leave; a second SIGTERM ends at once
    death     a shard that dies is started again (at once the first time, then slower); if the supervisor dies, the shards
              see their control socket close and leave by themselves

The loader comes in as a function, so that this layer does not know the configuration language.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from msgspec import Struct

from postwright.engine import export_outlets, open_files, privileges, state_dump, state_folder, systemd
from postwright.engine import frames as f
from postwright.engine import log as logs
from postwright.engine.auth_process import AuthProcess
from postwright.engine.bus import Link, listen_unix
from postwright.engine.control import ControlServer
from postwright.engine.epoch import check
from postwright.engine.export_process import ExportProcess
from postwright.engine.http_process import HttpProcess
from postwright.engine.listeners import ListenerSockets
from postwright.engine.lock_frames import LocksChanged, LoginDelay, LoginFailed, LoginWorked
from postwright.engine.lock_office import LockOffice
from postwright.engine.orders.audit import Audit
from postwright.engine.orders.desk import Desk
from postwright.engine.outside import spool_dirs
from postwright.engine.tickets import SECRET
from postwright.engine.views.settings import Describe
from postwright.engine.views.traffic import TrafficBook
from postwright.model.errors import PostwrightError
from postwright.policy.settings import Settings

RESTART_PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0)
HEARTBEAT = 1.0
SLOW = 20.0  # seconds without a word from a shard after which systemd is no more told that all is well
GRACE = 10.0  # seconds from the end of a shard's control connection to that of its process
RECOVERY = 60_000_000  # microseconds that systemd gives a start again and again while shards read their spools


class LoadFailed(PostwrightError):
    """The configuration has errors; `problems` are ready to print."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Options(Struct, frozen=True):
    """What `postwright run` was told, beside the configuration.

    `drain` is the longest time of a polite stop; a shard that has not said a word for `hung` is ended and started anew. Seconds.
    `http` is the command of the HTTP process, () for none.
    """

    state_dir: Path
    shards: int
    drain: float = 10.0
    user: str = ""
    debug: bool = False
    hung: float = 60.0
    http: tuple[str, ...] = ()


class _Shard:
    """What the supervisor knows of one shard process."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self.link: Link | None = None
        self.fds: socket.socket | None = None
        self.ready = asyncio.Event()
        self.deaths = 0  # in a row
        self.restarts = 0
        self.started = 0.0
        self.beat = 0.0


class Supervisor:
    """One running relay. `await run()` returns the exit status."""

    def __init__(self, load: Callable[[], Settings], options: Options, describe: Describe | None = None) -> None:
        self._load = load
        self.describe = describe
        self._options = options
        self.settings = load()
        self._shards = [_Shard(number) for number in range(options.shards)]
        self._stopping = asyncio.Event()
        self._log_file = logs.open_log(self.settings.general)
        self.log: structlog.stdlib.BoundLogger = logs.configure(self._log_file, options.debug, process="supervisor")
        self._sockets = ListenerSockets()
        self._auth = AuthProcess(options.state_dir, options.user, self.log)
        self.locks = LockOffice(time.time, self._tell_of_locks, self.log, options.state_dir / state_folder.LOCKS)
        self.desk = Desk(options.state_dir, time.time, self.log)
        self.audit = Audit(options.state_dir, time.time, self.log)
        self.exporter = ExportProcess(options.state_dir, options.user, options.debug, self.log)
        self.http = HttpProcess(options.http, options.state_dir, options.user, options.debug, options.shards, self.log)
        self._tasks: set[asyncio.Task[None]] = set()
        self._drainer: asyncio.Task[None] | None = None
        self._answers: dict[int, tuple[int, asyncio.Future[f.Answer]]] = {}  # by question: who was asked, and the answer to come
        self._next_question = 0
        self._tickets = secrets.token_bytes(SECRET)
        self.started = time.time()
        self.traffic = TrafficBook(time.monotonic(), self.started)

    async def run(self, announce: Callable[[], None] = lambda: None) -> int:
        """Run until SIGTERM or SIGINT. `announce` is called once all shards take mail.

        Raises LoadFailed, PrivilegeError or OSError when it cannot begin.
        """
        folder = self._options.state_dir
        folder.mkdir(parents=True, exist_ok=True)
        held = state_folder.hold(folder)  # before anything there is touched that another relay may be using
        (folder / "place.board").unlink(missing_ok=True)  # of how many shards it was is not known
        (folder / "slot.board").unlink(missing_ok=True)  # the names of groups that there once were
        for left in (folder / "run").glob("inject-*.sock"):  # of shards that there may be no more
            left.unlink(missing_ok=True)
        try:
            return await self._run(announce)
        finally:
            os.close(held)

    async def _run(self, announce: Callable[[], None]) -> int:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._unexpected(context))
        open_files.raise_limit()
        control = await self._open()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn_task(self._reload_logged()))
        loop.add_signal_handler(state_dump.SIGNAL, lambda: self._spawn_task(state_dump.write(self, self._options.state_dir)))
        helpers = [loop.create_task(work) for work in (self._tick(), self._await_ready(announce), self._auth.attend())]
        exporting, serving = loop.create_task(self.exporter.attend()), loop.create_task(self.http.attend())
        # what goes wrong in keeping a shard is a defect: better no relay, which is seen, than one with fewer shards
        await asyncio.gather(*[self._keep(shard) for shard in self._shards])
        for task in helpers:
            task.cancel()
        await self.exporter.stop()
        await self.http.stop()
        await asyncio.gather(exporting, serving)
        await self._auth.stop()
        await control.stop()
        self.locks.save()
        self.log.info("stopped")
        return 0

    def _unexpected(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.log.error("unexpected", what=context.get("message", ""), exc_info=error if isinstance(error, BaseException) else False)

    async def _open(self) -> ControlServer:
        """All that needs root first, then the rest as the user that we shall be."""
        options = self._options
        self._find_left_mail()
        self._sockets.update(self.settings)
        self.http.open(self.settings)
        privileges.prepare(self.settings, options.state_dir, options.user)
        self._open_auth()
        self.locks.apply(self.settings)
        self.locks.load()
        path = options.state_dir / "control.sock"
        control = ControlServer(self)
        await control.start(listen_unix(path))
        for name in (path.name, *state_folder.OURS):
            privileges.give(options.state_dir / name, self.settings, options.user)
        privileges.drop(self.settings, options.user)
        self.desk.load()
        try:
            check(self.settings)
            export_outlets.check(self.settings)
        except (OSError, ValueError) as error:
            raise LoadFailed([str(error)]) from error
        self.exporter.tell(self.settings)
        return control

    def _open_auth(self) -> None:
        try:
            self._auth.open(self.settings)
        except ValueError as error:
            raise LoadFailed([str(error)]) from error

    def _find_left_mail(self) -> None:
        """Mail of earlier runs in folders that are not configured any more, or of more shards than were asked for, is not left alone."""
        options, named = self._options, len(self.settings.spools)
        self.settings = state_folder.with_left_spools(self.settings, options.state_dir)
        for spool in self.settings.spools[named:]:
            self.log.warning("a spool that is not configured any more is delivered from until it is empty", folder=spool.path)
        state_folder.remember_spools(self.settings, options.state_dir)
        needed = state_folder.shards_needed(spool_dirs(self.settings, options.state_dir), options.shards)
        if needed > options.shards:
            self.log.warning("more shards than asked for are started, as their spools hold mail", asked=options.shards, started=needed)
            self._shards += [_Shard(number) for number in range(options.shards, needed)]

    async def _await_ready(self, announce: Callable[[], None]) -> None:
        for shard in self._shards:
            await shard.ready.wait()
        systemd.notify("READY=1")
        self.log.info("ready", shards=len(self._shards), listeners=[s.label for s in self._sockets.open()])
        announce()

    # -- shards ---------------------------------------------------------------

    async def _keep(self, shard: _Shard) -> None:
        """One process after the other, until we stop: at once after the first death, more slowly after several in a row."""
        while not self._stopping.is_set():
            shard.started = shard.beat = time.monotonic()
            try:
                status = await self._one_life(shard)
            except OSError as error:  # no processes or descriptors left
                self.log.error("a shard cannot be started", shard=shard.number, error=str(error))
                status = None
            if self._stopping.is_set():
                return
            self.log.error("shard died", shard=shard.number, pid=shard.process.pid if shard.process else 0, status=status)
            shard.restarts += 1
            shard.deaths = shard.deaths + 1 if time.monotonic() - shard.started < 60 else 1
            await self._pause(RESTART_PAUSES[min(shard.deaths, len(RESTART_PAUSES)) - 1])

    async def _pause(self, seconds: float) -> None:
        """So many seconds, or until we stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _one_life(self, shard: _Shard) -> int:
        """Start a process and live with it until it is gone; its exit status. Raises OSError when it cannot be started."""
        loop = asyncio.get_running_loop()
        gone: asyncio.Future[None] = loop.create_future()

        def closed(link: Link, reason: str) -> None:
            if not gone.done():
                gone.set_result(None)

        shard.ready.clear()
        process, sock = self._spawn(shard)
        heard = partial(self._heard_on, shard)
        _, shard.link = await loop.create_connection(lambda: Link(heard, closed, f"shard {shard.number}"), sock=sock)
        try:
            self._hand_sockets(shard)
            shard.link.send(self._start_frame(shard))
            shard.link.send(self.locks.all())
            if self._stopping.is_set():
                shard.link.send(f.Drain(seconds=0.0))
            await gone
        finally:
            shard.link = None
            self.traffic.gone(shard.number)
            self._ask_no_more(shard.number)
            if shard.fds is not None:
                shard.fds.close()
                shard.fds = None
        return await _ended(process)

    def _spawn(self, shard: _Shard) -> tuple[subprocess.Popen[bytes], socket.socket]:
        """A new process, and our end of its control connection."""
        ours, theirs = socket.socketpair()
        shard.fds, fds_theirs = socket.socketpair()
        command = [sys.executable, "-m", "postwright.engine.shard", str(theirs.fileno()), str(fds_theirs.fileno())]
        try:
            with state_dump.held():
                shard.process = subprocess.Popen(command, pass_fds=(theirs.fileno(), fds_theirs.fileno()), stdin=subprocess.DEVNULL)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
            fds_theirs.close()
        ours.setblocking(False)
        return shard.process, ours

    def _start_frame(self, shard: _Shard) -> f.Start:
        return f.Start(
            version=f.VERSION,
            shard=shard.number,
            shards=len(self._shards),
            state_dir=str(self._options.state_dir),
            settings=pickle.dumps(self.settings),
            debug=self._options.debug,
            user=self._options.user,
            tickets=self._tickets,
        )

    def _heard_on(self, shard: _Shard, link: Link, frame: f.Frame) -> None:
        shard.beat = time.monotonic()
        if isinstance(frame, f.Beat):
            self.traffic.heard(shard.number, frame.figures, frame.connections, frame.peaks)
        elif isinstance(frame, f.Ready):
            shard.ready.set()
            self.log.info("shard ready", shard=shard.number, recovered=frame.recovered, seconds=round(frame.seconds, 3))
        elif isinstance(frame, LoginFailed):
            link.send(LoginDelay(frame.number, self.locks.failed(frame.failure)))
        elif isinstance(frame, LoginWorked):
            self.locks.worked(frame.user, frame.peer)
        elif isinstance(frame, f.Answer):
            _, waiting = self._answers.pop(frame.number, (0, None))
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)

    def _tell_of_locks(self, changed: LocksChanged) -> None:
        for shard in self._shards:
            if shard.link is not None:
                shard.link.send(changed)

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]:
        """Ask every shard that runs; answers in order of the shards' numbers, fewer if some do not answer in time, or die."""
        loop = asyncio.get_running_loop()
        waits: dict[asyncio.Future[f.Answer], int] = {}
        for shard in self._shards:
            if shard.link is None:
                continue
            self._next_question += 1
            future: asyncio.Future[f.Answer] = loop.create_future()
            self._answers[self._next_question] = shard.number, future
            shard.link.send(f.Question(number=self._next_question, verb=verb, argument=argument))
            waits[future] = self._next_question
        if not waits:
            return []
        done, pending = await asyncio.wait(waits, timeout=timeout)
        for late in pending:
            self._answers.pop(waits[late], None)
        return sorted((wait.result() for wait in done if not wait.cancelled()), key=lambda answer: answer.shard)

    def _ask_no_more(self, shard: int) -> None:
        """It is gone, and will answer nothing that it was asked."""
        for number in [number for number, (asked, _) in self._answers.items() if asked == shard]:
            self._answers.pop(number)[1].cancel()

    def _hand_sockets(self, shard: _Shard) -> None:
        """Give the shard duplicates of all listening sockets, a list of their labels first. One that is just dying needs none."""
        if shard.fds is None:
            return
        open_sockets = self._sockets.open()
        labels = pickle.dumps([(s.listener, s.label) for s in open_sockets])
        try:
            shard.fds.sendall(len(labels).to_bytes(4, "big") + labels)
            for entry in open_sockets:
                socket.send_fds(shard.fds, [b"s"], [entry.sock.fileno()])
        except OSError as error:
            self.log.warning("a shard takes no sockets", shard=shard.number, error=str(error))

    # -- reload, rotation, time -------------------------------------------------

    async def reload(self) -> list[str]:
        """Load the configuration again and give it to all shards. Returns the problems; with any the old one stays."""
        try:
            settings = await asyncio.to_thread(self._load)
            settings = state_folder.with_left_spools(settings, self._options.state_dir)
            check(settings)
            export_outlets.check(settings)
            self._auth.judge(settings)
            self._sockets.update(settings)  # the last that may fail, as it takes effect
            self._auth.reload(settings)
        except LoadFailed as error:
            return error.problems
        except (OSError, ValueError) as error:
            return [f"{error}; the old configuration stays"]
        self.settings = settings
        self.locks.apply(settings)
        for shard in self._shards:
            self._hand_sockets(shard)
        answers = await self.ask_shards("reload", pickle.dumps(settings))
        self.exporter.tell(settings)
        self.http.tell(settings)
        problems = [answer.error for answer in answers if answer.error]
        self.log.info("reloaded", epoch=settings.epoch, shards=len(answers), problems=problems)
        return problems

    async def _reload_logged(self) -> None:
        systemd.notify("RELOADING=1")
        for problem in await self.reload():
            self.log.error("reload refused", problem=problem)
        systemd.notify("READY=1")

    async def rotate_log(self) -> None:
        """`log-rotate`: rename the log files, then let every process open the new one."""
        if self._log_file.path is not None:
            logs.rotate(self._log_file.path, self.settings.general.log_rotate)
            self._log_file.reopen()
            await self.ask_shards("reopen-log")
            self.exporter.reopen_log()
            self.http.reopen_log()

    async def _tick(self) -> None:
        day = time.localtime().tm_yday
        while True:
            await asyncio.sleep(HEARTBEAT)
            self._watch(time.monotonic())
            self.traffic.tick(time.monotonic())
            self.locks.tick()
            self.desk.tidy()
            today = time.localtime().tm_yday
            if today != day:
                day = today
                if self.settings.general.log_auto_rotation:
                    await self.rotate_log()

    def _watch(self, now: float) -> None:
        """Are the shards alive? One that is still reading its spool is given its time."""
        for shard in self._shards:
            if shard.ready.is_set() and shard.process is not None and now - shard.beat > self._options.hung:
                self.log.error("shard hangs and is killed", shard=shard.number, pid=shard.process.pid)
                shard.process.kill()
        if not all(shard.ready.is_set() for shard in self._shards):
            systemd.notify(f"EXTEND_TIMEOUT_USEC={RECOVERY}")
        if all(shard.link is not None and (not shard.ready.is_set() or now - shard.beat < SLOW) for shard in self._shards):
            systemd.notify("WATCHDOG=1")

    # -- stopping ---------------------------------------------------------------

    def _signalled(self) -> None:
        if self._stopping.is_set():
            self._kill()
            return
        self.stop()

    def stop(self) -> None:
        """Begin the polite stop: no new mail, what is in flight ends, at most `drain` seconds."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        systemd.notify("STOPPING=1")
        self.log.info("stopping", within=self._options.drain)
        self._sockets.close()
        for shard in self._shards:
            if shard.link is not None:
                shard.link.send(f.Drain(seconds=self._options.drain))
        self._drainer = asyncio.get_running_loop().create_task(self._end_late())

    async def _end_late(self) -> None:
        await asyncio.sleep(self._options.drain + 2.0)
        self._kill()

    def _kill(self) -> None:
        for shard in self._shards:
            if shard.process is not None and shard.process.poll() is None:
                self.log.warning("shard killed", shard=shard.number, pid=shard.process.pid)
                shard.process.kill()

    @property
    def stopping(self) -> bool:
        """Is the polite stop under way?"""
        return self._stopping.is_set()

    def restarts(self) -> dict[str, int]:
        """How often each process has died and begun again."""
        helpers = {"exporter": self.exporter.restarts, "http": self.http.restarts, "login": self._auth.restarts}
        return {f"shard {shard.number}": shard.restarts for shard in self._shards} | helpers

    def pids(self) -> list[int]:
        """Process ids of the shards, in order; 0 for one that is down."""
        return [shard.process.pid if shard.process is not None and shard.link is not None else 0 for shard in self._shards]

    def _spawn_task(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _ended(process: subprocess.Popen[bytes]) -> int:
    """The exit status of a shard that has closed its connection; one that does not end by itself is killed."""
    try:
        return await asyncio.to_thread(process.wait, GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        return await asyncio.to_thread(process.wait)


def default_shards() -> int:
    """One shard per core that this process may use (design.md)."""
    return max(1, len(os.sched_getaffinity(0)))
