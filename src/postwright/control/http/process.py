"""The main program of the HTTP process: serves the monitor's port until the supervisor closes its end.

    python -m postwright.control.http.process [--config FILE] [--tolerant] SOCKET_FD... CONTROL_FD

Started by the supervisor, which has opened the listening sockets while it might, and tells it the settings; it gives up root first of all.
It holds no mail: killing it costs who is watching a moment. SIGTERM and SIGINT to the process group are the supervisor's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import time
from email.utils import formatdate
from pathlib import Path

import click
import structlog
import uvloop
from uvicorn.server import ServerState

from postwright.control.http.doors import Doors
from postwright.control.http.site import Site
from postwright.control.monitor.sampler import Sampler
from postwright.engine import child, privileges
from postwright.engine import http_frames as h
from postwright.engine import log as logs
from postwright.engine.bus import Link
from postwright.engine.frames import Frame
from postwright.policy.settings import Settings

NICENESS = 5  # mail goes first
LAST = 2.0  # seconds that answers under way have to end


class HttpServer:
    """One HTTP process: nothing until the first word of the supervisor, then the site on all its sockets."""

    def __init__(self, listening: list[socket.socket], config_file: Path | None, tolerant: bool) -> None:
        self._listening = listening
        self._config_file = config_file
        self._tolerant = tolerant
        self._site: Site | None = None
        self._doors: Doors | None = None
        self._log_file: logs.LogFile | None = None
        self._state = ServerState()
        self._tasks: list[asyncio.Task[None]] = []

    def heard(self, link: Link, frame: Frame) -> None:
        """A word of the supervisor's."""
        if not isinstance(frame, h.Serve):
            return
        if frame.reopen:
            if self._log_file is not None:
                self._log_file.reopen()
            return
        settings: Settings = pickle.loads(frame.settings)
        if self._site is None:
            privileges.drop(settings, frame.user)
            self._begin(settings, frame)
            link.send(h.Serving(os.getpid()))
        else:
            self._site.log = self._open_log(settings, frame)
            self._site.apply(settings)
            assert self._doors is not None
            self._doors.apply(settings)

    def _open_log(self, settings: Settings, frame: h.Serve) -> structlog.stdlib.BoundLogger:
        if self._log_file is None or not logs.same_log(self._log_file, settings.general):
            self._log_file = logs.open_log(settings.general)
        return logs.configure(self._log_file, frame.debug, process="http")

    def _begin(self, settings: Settings, frame: h.Serve) -> None:
        log = self._open_log(settings, frame)
        folder = Path(frame.state_dir)
        self._site = site = Site(settings, folder, log, frame.secret, self._config_file, self._tolerant, frame.shards)
        self._doors = doors = Doors(site, self._state)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._unexpected(context))
        self._tasks = [loop.create_task(doors.front(sock).serve(sock)) for sock in self._listening]
        self._tasks.append(loop.create_task(self._date()))
        self._watch(site, log)

    def _watch(self, site: Site, log: structlog.stdlib.BoundLogger) -> None:
        """Begin the monitor's history; without a place for it there are no pages of it, and all else is served."""
        try:
            site.sampler = Sampler(site.relay, site.state_dir / "monitor", log)
        except OSError as error:
            log.error("the monitor has no place for its history", error=str(error))
            return
        self._tasks.append(asyncio.get_running_loop().create_task(site.sampler.run()))

    def _unexpected(self, context: dict[str, object]) -> None:
        error = context.get("exception")
        assert self._site is not None
        if isinstance(error, OSError):  # a client that went away
            return
        self._site.log.error("unexpected", what=context.get("message", ""), exc_info=error if isinstance(error, BaseException) else False)

    async def _date(self) -> None:
        """For ever: the Date of every answer (RFC 9110 section 6.6.1)."""
        while True:
            self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]
            await asyncio.sleep(1.0)

    async def stop(self) -> None:
        """Let answers under way end, for a moment."""
        for task in self._tasks:
            task.cancel()
        for connection in list(self._state.connections):
            connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=LAST)


async def serve(control: socket.socket, server: HttpServer) -> None:
    """Be the HTTP process until the supervisor closes `control`."""
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: Link(server.heard, lambda link, reason: gone.set(), "supervisor"), sock=control)
    await gone.wait()
    await server.stop()


def _socket(fd: int) -> socket.socket:
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock


@click.command()
@click.option("--config", type=click.Path(path_type=Path))
@click.option("--tolerant", is_flag=True)
@click.argument("fds", type=int, nargs=-1, required=True)
def main(config: Path | None, tolerant: bool, fds: tuple[int, ...]) -> None:
    """The HTTP process of a relay; `postwright run` starts it."""
    for number in child.HELD:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, child.HELD)
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    *listening, control = map(_socket, fds)
    uvloop.run(serve(control, HttpServer(listening, config, tolerant)))


if __name__ == "__main__":
    main()
