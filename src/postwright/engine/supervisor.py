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
import os
import pickle
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

from postwright.engine import frames as f
from postwright.engine import log as logs
from postwright.engine import privileges, systemd
from postwright.engine.bus import Link, listen_unix
from postwright.engine.control import ControlServer
from postwright.engine.listeners import ListenerSockets
from postwright.model.errors import PostwrightError
from postwright.policy.settings import Settings

RESTART_PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0)
HEARTBEAT = 1.0


class LoadFailed(PostwrightError):
    """The configuration has errors; `problems` are ready to print."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Options(Struct, frozen=True):
    """What `postwright run` was told, beside the configuration. `drain` is the longest time of a polite stop, seconds."""

    state_dir: Path
    shards: int
    drain: float = 10.0
    user: str = ""
    debug: bool = False


class _Shard:
    """What the supervisor knows of one shard process."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.process: subprocess.Popen[bytes] | None = None
        self.link: Link | None = None
        self.fds: socket.socket | None = None
        self.ready = asyncio.Event()
        self.deaths = 0
        self.started = 0.0
        self.beat = 0.0


class Supervisor:
    """One running relay. `await run()` returns the exit status."""

    def __init__(self, load: Callable[[], Settings], options: Options) -> None:
        self._load = load
        self._options = options
        self.settings = load()
        self._shards = [_Shard(number) for number in range(options.shards)]
        self._stopping = False
        self._stopped = asyncio.Event()
        self._log_file = logs.LogFile(_log_path(self.settings), self.settings.general.log_file_world_readable)
        self.log: structlog.stdlib.BoundLogger = logs.configure(self._log_file, options.debug, process="supervisor")
        self._sockets = ListenerSockets()
        self._tasks: set[asyncio.Task[None]] = set()
        self._drainer: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Future[f.Answer]] = {}
        self._next_question = 0
        self.started = time.time()

    async def run(self, announce: Callable[[], None] = lambda: None) -> int:
        """Run until SIGTERM or SIGINT. `announce` is called once all shards take mail."""
        loop = asyncio.get_running_loop()
        self._options.state_dir.mkdir(parents=True, exist_ok=True)
        self._sockets.update(self.settings)
        privileges.prepare(self.settings, self._options.state_dir, self._options.user)
        control = ControlServer(self)
        await control.start(listen_unix(self._options.state_dir / "control.sock"))
        privileges.drop(self.settings, self._options.user)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn_task(self._reload_logged()))
        for shard in self._shards:
            self._start(shard)
        ticker = loop.create_task(self._tick())
        ready = loop.create_task(self._await_ready(announce))
        await self._stopped.wait()
        for task in (ticker, ready):
            task.cancel()
        await control.stop()
        self.log.info("stopped")
        return 0

    async def _await_ready(self, announce: Callable[[], None]) -> None:
        for shard in self._shards:
            await shard.ready.wait()
        systemd.notify("READY=1")
        self.log.info("ready", shards=len(self._shards), listeners=[s.label for s in self._sockets.open()])
        announce()

    # -- shards ---------------------------------------------------------------

    def _start(self, shard: _Shard) -> None:
        ours, theirs = socket.socketpair()
        fds_ours, fds_theirs = socket.socketpair()
        command = [sys.executable, "-m", "postwright.engine.shard", str(theirs.fileno()), str(fds_theirs.fileno())]
        shard.process = subprocess.Popen(command, pass_fds=(theirs.fileno(), fds_theirs.fileno()), stdin=subprocess.DEVNULL)
        theirs.close()
        fds_theirs.close()
        shard.fds = fds_ours
        shard.started = shard.beat = time.monotonic()
        shard.ready.clear()
        self._spawn_task(self._attend(shard, ours))

    async def _attend(self, shard: _Shard, sock: socket.socket) -> None:
        """Live with one shard process until it is gone, then decide what comes next."""
        loop = asyncio.get_running_loop()
        process = shard.process
        assert process is not None
        gone: asyncio.Future[None] = loop.create_future()

        def closed(link: Link, reason: str) -> None:
            if not gone.done():
                gone.set_result(None)

        sock.setblocking(False)
        heard = partial(self._heard_on, shard)
        _, link = await loop.create_connection(lambda: Link(heard, closed, f"shard {shard.number}"), sock=sock)
        shard.link = link
        self._hand_sockets(shard)
        link.send(
            f.Start(
                version=f.VERSION,
                shard=shard.number,
                shards=len(self._shards),
                state_dir=str(self._options.state_dir),
                settings=pickle.dumps(self.settings),
                debug=self._options.debug,
                user=self._options.user,
            )
        )
        await gone
        status = await asyncio.to_thread(process.wait)
        shard.link = None
        if shard.fds is not None:
            shard.fds.close()
            shard.fds = None
        if self._stopping:
            if all(other.link is None for other in self._shards):
                self._stopped.set()
            return
        self.log.error("shard died", shard=shard.number, pid=process.pid, status=status)
        shard.deaths = shard.deaths + 1 if time.monotonic() - shard.started < 60 else 1
        await asyncio.sleep(RESTART_PAUSES[min(shard.deaths, len(RESTART_PAUSES)) - 1])
        if not self._stopping:
            self._start(shard)

    def _heard_on(self, shard: _Shard, link: Link, frame: f.Frame) -> None:
        shard.beat = time.monotonic()
        if isinstance(frame, f.Ready):
            shard.ready.set()
            self.log.info("shard ready", shard=shard.number, recovered=frame.recovered, seconds=round(frame.seconds, 3))
        elif isinstance(frame, f.Answer):
            waiting = self._answers.pop(frame.number, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(frame)

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]:
        """Ask every shard that runs; answers in order of the shards' numbers, fewer if some do not answer in time."""
        loop = asyncio.get_running_loop()
        waits: list[asyncio.Future[f.Answer]] = []
        for shard in self._shards:
            if shard.link is None:
                continue
            self._next_question += 1
            future: asyncio.Future[f.Answer] = loop.create_future()
            self._answers[self._next_question] = future
            shard.link.send(f.Question(number=self._next_question, verb=verb, argument=argument))
            waits.append(future)
        if not waits:
            return []
        done, pending = await asyncio.wait(waits, timeout=timeout)
        for late in pending:
            late.cancel()
        return sorted((wait.result() for wait in done), key=lambda answer: answer.shard)

    def _hand_sockets(self, shard: _Shard) -> None:
        """Give the shard duplicates of all listening sockets, a list of their labels first."""
        if shard.fds is None:
            return
        open_sockets = self._sockets.open()
        labels = pickle.dumps([(s.listener, s.label) for s in open_sockets])
        shard.fds.sendall(len(labels).to_bytes(4, "big") + labels)
        for entry in open_sockets:
            socket.send_fds(shard.fds, [b"s"], [entry.sock.fileno()])

    # -- reload, rotation, time -------------------------------------------------

    async def reload(self) -> list[str]:
        """Load the configuration again and give it to all shards. Returns the problems; with any the old one stays."""
        try:
            settings = await asyncio.to_thread(self._load)
        except LoadFailed as error:
            return error.problems
        try:
            self._sockets.update(settings)
        except OSError as error:
            return [f"a listener cannot be opened: {error}; the old configuration stays"]
        self.settings = settings
        for shard in self._shards:
            self._hand_sockets(shard)
        answers = await self.ask_shards("reload", pickle.dumps(settings))
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

    async def _tick(self) -> None:
        day = time.localtime().tm_yday
        while True:
            await asyncio.sleep(HEARTBEAT)
            now = time.monotonic()
            if all(shard.link is not None and now - shard.beat < 20 for shard in self._shards):
                systemd.notify("WATCHDOG=1")
            today = time.localtime().tm_yday
            if today != day:
                day = today
                if self.settings.general.log_auto_rotation:
                    await self.rotate_log()

    # -- stopping ---------------------------------------------------------------

    def _signalled(self) -> None:
        if self._stopping:
            self._kill()
            return
        self.stop()

    def stop(self) -> None:
        """Begin the polite stop: no new mail, what is in flight ends, at most `drain` seconds."""
        if self._stopping:
            return
        self._stopping = True
        systemd.notify("STOPPING=1")
        self.log.info("stopping", within=self._options.drain)
        self._sockets.close()
        alive = [shard.link for shard in self._shards if shard.link is not None]
        for link in alive:
            link.send(f.Drain(seconds=self._options.drain))
        if not alive:
            self._stopped.set()
        self._drainer = asyncio.get_running_loop().create_task(self._end_late())

    async def _end_late(self) -> None:
        await asyncio.sleep(self._options.drain + 2.0)
        self._kill()

    def _kill(self) -> None:
        for shard in self._shards:
            if shard.process is not None and shard.process.poll() is None:
                self.log.warning("shard killed", shard=shard.number, pid=shard.process.pid)
                shard.process.kill()

    def pids(self) -> list[int]:
        """Process ids of the shards, in order; 0 for one that is down."""
        return [shard.process.pid if shard.process is not None and shard.link is not None else 0 for shard in self._shards]

    def _spawn_task(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _log_path(settings: Settings) -> Path | None:
    return Path(settings.general.log_file) if settings.general.log_file else None


def default_shards() -> int:
    """One shard per core that this process may use (design.md)."""
    return max(1, len(os.sched_getaffinity(0)))
