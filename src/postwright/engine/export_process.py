"""The supervisor's end of the exporter: started while anybody is fed from the event log, started again when it dies or hangs, told the
settings.

Mail does not depend on it. What it said last of its consumers is kept here for `postwright status`.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import subprocess
import sys
import time
from pathlib import Path

import structlog
from msgspec import structs

from postwright.engine import child
from postwright.engine import export_frames as x
from postwright.engine.bus import Link
from postwright.engine.event_consumers import consumers
from postwright.engine.frames import Frame
from postwright.policy.settings import Settings

PAUSES = (0.0, 0.5, 2.0, 5.0, 10.0)
SOUND = 60.0  # seconds of life after which a death is the first again
GRACE = 10.0
SILENCE = 60.0  # seconds without a word after which it is taken to hang; it speaks every second, but a disk may be slow
_AWAY = "the exporter does not run just now"


class ExportProcess:
    """`tell` whenever settings are in force, `attend` as a task after privileges are dropped, `stop` at the end."""

    def __init__(self, state_dir: Path, user: str, debug: bool, log: structlog.stdlib.BoundLogger) -> None:
        self.consumers: list[x.ConsumerStatus] = []
        self.restarts = 0
        self._talks = False  # has it said anything in this life?
        self._words = 0  # how often
        self._state_dir = state_dir
        self._user = user
        self._debug = debug
        self._log = log
        self._settings = Settings()
        self._wanted = asyncio.Event()
        self._stopping = asyncio.Event()
        self._link: Link | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process, 0 when there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def tell(self, settings: Settings) -> None:
        """These settings are in force."""
        self._settings = settings
        if consumers(settings):
            self._wanted.set()
        if not self._talks:
            self._note_absence()
        self._tell()

    def _note_absence(self) -> None:
        """Until it speaks, status says of each consumer what was said last, and that nobody feeds it."""
        said = {one.name: one for one in self.consumers}
        names = consumers(self._settings)
        self.consumers = [structs.replace(said.get(name, x.ConsumerStatus(name)), trouble=_AWAY) for name in names]

    def _tell(self) -> None:
        if self._link is not None:
            frame = x.Export(pickle.dumps(self._settings), str(self._state_dir), self._debug, self._user)
            self._link.send(frame)

    def reopen_log(self) -> None:
        """The log was rotated."""
        if self._link is not None:
            self._link.send(x.Export(reopen=True))

    def replay(self, consumer: str, since: float) -> str:
        """Have a consumer get everything since then again; why not, "" if it will."""
        if consumer not in consumers(self._settings):
            known = ", ".join(consumers(self._settings)) or "none"
            return f"no consumer of events is called {consumer}; there are: {known}"
        if self._link is None:
            return _AWAY
        self._link.send(x.Replay(consumer, since))
        return ""

    async def attend(self) -> None:
        """Keep one alive until `stop`, from when it is first wanted."""
        deaths = 0
        while not await self._stopped_while_unwanted():
            began = time.monotonic()
            try:
                await self._one_life()
            except OSError as error:
                self._log.error("the exporter cannot be started", error=str(error))
            if self._stopping.is_set():
                return
            deaths = deaths + 1 if time.monotonic() - began < SOUND else 1
            self.restarts += 1
            self._log.error("the exporter has died and is started anew; mail goes on, events wait")
            await child.pause(self._stopping, PAUSES[min(deaths, len(PAUSES)) - 1])

    async def _stopped_while_unwanted(self) -> bool:
        await child.either(self._wanted, self._stopping)
        return self._stopping.is_set()

    async def _one_life(self) -> None:
        gone = asyncio.Event()

        def closed(link: Link, reason: str) -> None:
            gone.set()

        sock = self._spawn()
        _, self._link = await asyncio.get_running_loop().create_connection(lambda: Link(self._heard, closed, "exporter"), sock=sock)
        self._tell()
        if self._stopping.is_set():
            self._link.close()
        try:
            await self._watch(gone)
        finally:
            self._link, self._talks = None, False
            self._note_absence()
            if self._process is not None:
                await child.reap(self._process, GRACE)

    async def _watch(self, gone: asyncio.Event) -> None:
        """Until it is gone. One that says nothing is ended: its successor takes up at the cursors."""
        self._words = 0
        while not gone.is_set():
            before = self._words
            await child.pause(gone, SILENCE)
            if self._words == before and not gone.is_set() and self._process is not None:
                self._log.error("the exporter hangs and is ended", seconds=SILENCE)
                self._process.kill()
                return

    def _spawn(self) -> socket.socket:
        self._process, ours = child.spawn([sys.executable, "-m", "postwright.engine.exporter"])
        return ours

    def _heard(self, link: Link, frame: Frame) -> None:
        if isinstance(frame, x.Exporting):
            self.consumers, self._talks = frame.consumers, True
            self._words += 1

    async def stop(self) -> None:
        """Tell it to leave by closing our end; `attend` returns when it has left."""
        self._stopping.set()
        if self._link is not None:
            self._link.close()
