"""The supervisor's end of the HTTP process: its listening sockets, its start, its starts after a death, the settings that hold.

Mail does not depend on it: a port that cannot be had is a warning, tried again now and then, and a process that dies is started anew. What
the process is comes in as the words of a command (`argv`), since this layer does not know the layer above.
"""

from __future__ import annotations

import asyncio
import pickle
import secrets
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from postwright.engine import child, listeners
from postwright.engine import http_frames as h
from postwright.engine.bus import Link
from postwright.engine.frames import Frame
from postwright.policy.settings import Settings

PAUSES = (0.0, 0.5, 2.0, 5.0, 10.0)
SOUND = 60.0  # seconds of life after which a death is the first again
GRACE = 5.0
RETRY = 30.0  # seconds between two attempts for a port that somebody else has
EVERYWHERE = ("0.0.0.0", "::")

Place = tuple[str, int]


class HttpProcess:
    """`open` before privileges are dropped, `tell` whenever settings are in force, `attend` as a task, `stop` at the end.

    Without `argv` there is no such process, whatever the settings say.
    """

    def __init__(
        self, argv: Sequence[str], state_dir: Path, user: str, debug: bool, shards: int, log: structlog.stdlib.BoundLogger
    ) -> None:
        self.answers = asyncio.Event()  # it serves in this life
        self.restarts = 0
        self._argv = list(argv)
        self._state_dir = state_dir
        self._user = user
        self._debug = debug
        self._shards = shards
        self._log = log
        self._secret = secrets.token_bytes(32)
        self._settings = Settings()
        self._sockets: dict[Place, socket.socket] = {}
        self._told = ""  # the last complaint about ports, said once
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._link: Link | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process, 0 when there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    @property
    def places(self) -> list[str]:
        """Where it listens: `address:port`."""
        return [listeners.label(*place) for place in self._sockets]

    def open(self, settings: Settings) -> None:
        """Have the sockets that these settings want, and no others. What cannot be had is told, not raised: mail comes first."""
        self._settings = settings
        wanted = _places(settings) if self._argv else []
        for place in [place for place in self._sockets if place not in wanted]:
            self._sockets.pop(place).close()
            self._changed.set()
        troubles = [trouble for place in wanted if place not in self._sockets and (trouble := self._bind(place))]
        self._tell_of("; ".join(troubles))

    def _bind(self, place: Place) -> str:
        """Why not, "" when it is bound."""
        try:
            self._sockets[place] = listeners.bind(*place)
        except OSError as error:
            if place[0] == "::" and not self._settings.http.http_mgmt_address:
                return ""  # a machine without IPv6 that nobody asked for
            return str(error)
        self._changed.set()
        return ""

    def _tell_of(self, trouble: str) -> None:
        if trouble and trouble != self._told:
            self._log.warning("the HTTP monitor cannot listen; mail goes on, and it is tried again (see http-mgmt-port)", error=trouble)
        self._told = trouble

    def tell(self, settings: Settings) -> None:
        """These settings are in force."""
        self.open(settings)
        self._tell()

    def _tell(self) -> None:
        if self._link is not None:
            settings = pickle.dumps(self._settings)
            self._link.send(h.Serve(settings, str(self._state_dir), self._debug, self._user, self._secret, self._shards))

    def reopen_log(self) -> None:
        """The log was rotated."""
        if self._link is not None:
            self._link.send(h.Serve(reopen=True))

    async def attend(self) -> None:
        """Keep one alive until `stop`, while there is a socket for it."""
        deaths = 0
        while not self._stopping.is_set():
            self._changed.clear()  # what has changed until now is what the sockets are; left set, it would end every wait at once
            if not self._sockets:
                await self._until_there_is_a_socket()
                continue
            began = time.monotonic()
            try:
                meant = await self._one_life()
            except OSError as error:
                self._log.error("the HTTP process cannot be started", error=str(error))
                meant = False
            if meant or self._stopping.is_set():
                continue
            deaths = deaths + 1 if time.monotonic() - began < SOUND else 1
            self.restarts += 1
            self._log.error("the HTTP process has died and is started anew; mail goes on")
            await child.pause(self._stopping, PAUSES[min(deaths, len(PAUSES)) - 1])

    async def _until_there_is_a_socket(self) -> None:
        await child.either(self._changed, self._stopping, RETRY)
        if not self._stopping.is_set():
            self.open(self._settings)

    async def _one_life(self) -> bool:
        """Until it is gone; true when we had it leave, as the sockets have changed or we stop."""
        gone = asyncio.Event()

        def closed(link: Link, reason: str) -> None:
            gone.set()

        self._process, sock = child.spawn(self._argv, [one.fileno() for one in self._sockets.values()], held=True)
        _, self._link = await asyncio.get_running_loop().create_connection(lambda: Link(self._heard, closed, "http"), sock=sock)
        self._tell()
        try:
            while not gone.is_set():
                await child.either(gone, self._changed, RETRY)
                if self._changed.is_set() or self._stopping.is_set():
                    self._link.close()
                    await gone.wait()
                    return True
                if self._told:
                    self.open(self._settings)
        finally:
            self._link = None
            self.answers.clear()
            await child.reap(self._process, GRACE)
        return False

    def _heard(self, link: Link, frame: Frame) -> None:
        if isinstance(frame, h.Serving):
            self.answers.set()
            self._log.info("the HTTP process answers", pid=frame.pid, places=self.places)

    async def stop(self) -> None:
        """Tell it to leave by closing our end; `attend` returns when it has left."""
        self._stopping.set()
        self._changed.set()
        for sock in self._sockets.values():
            sock.close()


def _places(settings: Settings) -> list[Place]:
    """Where these settings have the process listen; [] for nowhere."""
    port = settings.http.http_mgmt_port
    monitor = [(address, port) for address in settings.http.http_mgmt_address or EVERYWHERE] if port else []
    others = [(one.address, one.port) for one in settings.transmissions_api_listeners]
    return list(dict.fromkeys([*monitor, *others]))
