"""The main program of the exporter: feeds programs, webhooks and brokers from the event logs that the shards write.

Started by the supervisor when somebody wants events, told by it what holds, gone when it is gone. It only reads what the shards have
written, and writes cursors: killing it, or a consumer that hangs, stops no mail. What one consumer does is no other's concern:
each is a task of its own. SIGTERM and SIGINT to the process group are the supervisor's business.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import sys
from pathlib import Path

import structlog

from postwright.engine import export_frames as x
from postwright.engine import log as logs
from postwright.engine import privileges
from postwright.engine.bus import Link
from postwright.engine.export_feed import Feed
from postwright.engine.export_outlets import Consumer, consumer_settings, make_outlet, wants
from postwright.engine.frames import Frame
from postwright.policy.settings import Settings

REPORT = 1.0  # seconds between two words to the supervisor
LAST = 8.0  # seconds that feeds have to end
NICENESS = 5  # mail goes first


class Exporter:
    """One exporter process: a feed for each consumer, made anew when its settings change."""

    def __init__(self) -> None:
        self._feeds: dict[str, Feed] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._made_of: dict[str, Consumer] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._useless: dict[str, str] = {}  # consumers that cannot be fed -> why
        self._log_file: logs.LogFile | None = None
        self._log: structlog.stdlib.BoundLogger = structlog.get_logger()
        self._user_is_set = False

    def heard(self, link: Link, frame: Frame) -> None:
        """A word of the supervisor's."""
        if isinstance(frame, x.Replay):
            if frame.consumer in self._feeds:
                self._feeds[frame.consumer].rewind(frame.since)
        elif isinstance(frame, x.Export):
            if not frame.reopen:
                self._apply(pickle.loads(frame.settings), frame)
            elif self._log_file is not None:
                self._log_file.reopen()

    def _apply(self, settings: Settings, frame: x.Export) -> None:
        if not self._user_is_set:
            self._user_is_set = True
            privileges.drop(settings, frame.user)
        if self._log_file is None or not logs.same_log(self._log_file, settings.general):
            self._log_file = logs.open_log(settings.general)
        self._log = logs.configure(self._log_file, frame.debug, process="exporter")
        wanted = consumer_settings(settings)
        for name in [name for name in self._feeds if self._made_of[name] != wanted.get(name)]:
            self._end(name)
        self._useless.clear()
        for name, consumer in wanted.items():
            if name in self._feeds:
                self._feeds[name].wake()
            else:
                self._begin(name, consumer, Path(frame.state_dir))

    def _begin(self, name: str, consumer: Consumer, state_dir: Path) -> None:
        try:
            outlet = make_outlet(consumer, self._log)
        except (OSError, ValueError) as error:
            self._useless[name] = str(error)
            self._log.error("a consumer of events cannot be fed", consumer=name, error=str(error))
            return
        feed = self._feeds[name] = Feed(name, state_dir, outlet, wants(consumer), self._log)
        self._made_of[name] = consumer
        before = self._tasks.get(name)
        self._tasks[name] = asyncio.get_running_loop().create_task(self._run(feed, before))

    async def _run(self, feed: Feed, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})  # two that move one cursor would lose events
        await feed.run()

    def _end(self, name: str) -> None:
        self._feeds.pop(name).stop()
        self._made_of.pop(name)
        self._ending.add(self._tasks[name])
        self._tasks[name].add_done_callback(self._ending.discard)

    def statuses(self) -> list[x.ConsumerStatus]:
        """How far each is."""
        useless = [x.ConsumerStatus(name, trouble=why) for name, why in self._useless.items()]
        return [*(feed.status() for feed in self._feeds.values()), *useless]

    async def report(self, link: Link) -> None:
        """For ever: how far each is."""
        while True:
            link.send(x.Exporting(self.statuses()))
            await asyncio.sleep(REPORT)

    async def stop(self) -> None:
        """Let all feeds end by themselves, for a while."""
        for name in list(self._feeds):
            self._end(name)
        if self._ending:
            await asyncio.wait(set(self._ending), timeout=LAST)


async def serve(control: socket.socket) -> None:
    """Be the exporter until the supervisor closes `control`."""
    loop = asyncio.get_running_loop()
    gone = asyncio.Event()
    exporter = Exporter()
    _, link = await loop.create_connection(lambda: Link(exporter.heard, lambda link, reason: gone.set(), "supervisor"), sock=control)
    reporting = loop.create_task(exporter.report(link))
    await gone.wait()
    reporting.cancel()
    await exporter.stop()


def main() -> None:
    """`python -m postwright.engine.exporter CONTROL_FD`."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, lambda signum, frame: None)  # not SIG_IGN: the programs that we start would inherit that
    os.nice(NICENESS)
    control = socket.socket(fileno=int(sys.argv[1]))
    control.setblocking(False)
    asyncio.run(serve(control))


if __name__ == "__main__":
    main()
