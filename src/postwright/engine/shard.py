"""The main program of a shard process: started by the supervisor, told by it what to do, gone when the supervisor is gone.

Reads nothing but its control socket to learn who it is; opens its spool, recovers, takes the listening sockets it is handed, and says
`Ready`. SIGTERM and SIGINT to the whole process group are the supervisor's business: a shard ignores them and waits for `Drain`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import structlog

from postwright.engine import admission, auth_process, dump, heap, precache, privileges, state_dump
from postwright.engine import frames as f
from postwright.engine import log as logs
from postwright.engine.auth_client import AuthClient
from postwright.engine.bus import Link
from postwright.engine.dkim_keys import KeyFiles
from postwright.engine.event_consumers import event_options
from postwright.engine.lock_frames import LocksChanged, LoginDelay
from postwright.engine.login_guard import DistantOffice
from postwright.engine.merged import apart
from postwright.engine.node import Node
from postwright.engine.orders.shard_verbs import SHARD_ORDERS, carry_out
from postwright.engine.outside import accounting, listener_tls, make_dialer, make_resolver, outside_facts, spool_dirs
from postwright.engine.queue_verbs import QUEUE_VERBS
from postwright.engine.shard_status import shard_status
from postwright.engine.side_doors import SideDoors
from postwright.engine.tls_watch import TlsWatch
from postwright.engine.views import verbs as views
from postwright.engine.views.seen import moved as views_moved
from postwright.model.errors import PostwrightError, SpoolError
from postwright.net.address_board import AddressBoard
from postwright.net.clock import SystemClock
from postwright.net.day_board import DayBoard
from postwright.net.interfaces import local_addresses
from postwright.net.listener import Listener
from postwright.net.load_board import LoadBoard
from postwright.net.place_board import PlaceBoard
from postwright.net.rate_board import RateBoard
from postwright.net.session_book import SessionBook
from postwright.net.slot_board import SlotBoard
from postwright.policy.resolve import Resolved
from postwright.policy.settings import ListenerSettings, Settings
from postwright.store.accounting import AcctFiles
from postwright.store.event_files import log_folder
from postwright.store.event_log import EventLog
from postwright.store.log_spool import LogSpool
from postwright.store.reader import SegmentReader
from postwright.store.record_sinks import RecordSinks
from postwright.store.segments import shard_folder

SWITCH_INTERVAL = 0.0005
TRIM_EVERY = 10  # seconds
GATHER_FLOWS = 10  # seconds between two gatherings of what queues have moved
VAULT_EVERY = 15  # seconds between two looks whether a key in the vault is due
OLD_RESOLVER = 60.0  # seconds: what it was asked before a reload it may still answer


class Shard:
    """One shard process from `Start` to its end."""

    def __init__(self, start: f.Start, link: Link, fds: socket.socket) -> None:
        self.start_frame = start
        self.settings: Settings = pickle.loads(start.settings)
        self.number = start.shard
        self.link = link
        self.loop = asyncio.get_running_loop()
        self.started = time.time()
        self.done = asyncio.Event()
        self._fds = fds
        self._listeners: dict[str, Listener] = {}
        self._sockets: dict[str, socket.socket] = {}
        self._ending = False
        self._serving = False
        self._early: list[f.Question] = []  # what was asked before there was anything to tell
        self._log_file = logs.open_log(self.settings.general)
        self.log: structlog.stdlib.BoundLogger = logs.configure(self._log_file, start.debug, shard=start.shard)
        self.clock = SystemClock()
        self.book = SessionBook(time.monotonic, admission.limits(self.settings), *self._boards())
        self.acct = AcctFiles(accounting(self.settings))
        folder = log_folder(Path(start.state_dir), start.shard)
        self.events = EventLog(folder, start.shard, event_options(self.settings, start.shards), self._report)
        self.helper = AuthClient(auth_process.socket_path(Path(start.state_dir)))
        self.locks = DistantOffice(link)
        self._tasks: list[asyncio.Task[None]] = []

    def _boards(self) -> tuple[LoadBoard | None, AddressBoard | None, SlotBoard | None]:
        """What shards tell each other of their sessions; one alone knows all."""
        folder, shards = Path(self.start_frame.state_dir), self.start_frame.shards
        if shards == 1:
            return None, None, None
        number = self.number
        return (
            LoadBoard.open(folder / "load.board", number, shards),
            AddressBoard.open(folder / "address.board", number, shards),
            SlotBoard.open(folder / "slot.board", number, shards),
        )

    def _places(self) -> PlaceBoard | None:
        """Connections to receivers that all shards count together."""
        start = self.start_frame
        return PlaceBoard.open(Path(start.state_dir) / "place.board", self.number, start.shards) if start.shards > 1 else None

    async def run(self) -> None:
        """Recover, open, serve until told to leave."""
        state_dump.write_stacks_on_signal(Path(self.start_frame.state_dir), self.number)
        self._receive_sockets()
        before = time.perf_counter()
        dirs = spool_dirs(self.settings, Path(self.start_frame.state_dir))
        self.spool = LogSpool(dirs, self.number, sink=RecordSinks(self.acct, self.events), report=self._report, apart=apart)
        self.node = self._make_node(self.spool)
        state, intake = Path(self.start_frame.state_dir), self.node.intake
        intake.boards.days = DayBoard.open(state / "day.board")
        if self.start_frame.shards > 1:
            intake.admission.rates = intake.boards.rates = RateBoard.open(state / "rate.board")
            intake.room.board = LoadBoard.open(state / "recipients.board", self.number, self.start_frame.shards)
        await self.node.vault.fetch(self.settings)
        recovered = await self._recover()
        if recovered is None:
            return
        self.book.start(self.loop)
        self.tls_watch = TlsWatch(self.node.intake, self.log, tells=self.number == 0)
        self.tls_watch.begin(self.start_frame.tickets)
        self._open_listeners()
        self.doors = SideDoors(self.node)
        await self.doors.open(self.settings, state / "run")
        precached = precache.keep(lambda: (self.node.resolver, self.settings.dns), self.clock, self.log)
        self._tasks = [self.loop.create_task(self._seconds()), self.loop.create_task(precached)]
        self.link.send(f.Ready(self.number, recovered, time.perf_counter() - before))
        self._serving = True
        for question in self._early:
            self._answer(question)
        await self.done.wait()

    async def _recover(self) -> int | None:
        """How many messages were alive; None when we were told to leave before that was known."""
        start = self.loop.create_task(self.node.start())
        leave = self.loop.create_task(self.done.wait())
        await asyncio.wait((start, leave), return_when=asyncio.FIRST_COMPLETED)
        leave.cancel()
        if start.done():
            return start.result()
        start.cancel()
        await self.spool.close()
        return None

    def _make_node(self, spool: LogSpool) -> Node:
        settings, state_dir = self.settings, Path(self.start_frame.state_dir)
        dirs = spool_dirs(settings, state_dir)
        return Node(
            self.number,
            self.start_frame.shards,
            Resolved(settings),
            spool,
            clock=self.clock,
            resolver=make_resolver(settings),
            dialer=make_dialer(settings),
            log=self.log,
            run_dir=state_dir / "run",
            state_dir=state_dir,
            readers=lambda shard: SegmentReader(tuple(shard_folder(d.path, shard) for d in dirs)),
            local_addresses=local_addresses(),
            helper=self.helper,
            keeper=self.locks,
            places=self._places(),
        )

    def _report(self, event: str, detail: str) -> None:
        self.log.warning(event, detail=detail)

    # -- listening sockets ------------------------------------------------------------

    def _receive_sockets(self) -> None:
        """The supervisor's list of listeners, and a descriptor for each (blocking: they are on their way)."""
        size = int.from_bytes(_exactly(self._fds, 4), "big")
        labels: list[tuple[ListenerSettings, str]] = pickle.loads(_exactly(self._fds, size))
        self.handed: dict[str, ListenerSettings] = {}
        for listener, label in labels:
            _, fds, _, _ = socket.recv_fds(self._fds, 1, 1)
            sock = socket.socket(fileno=fds[0])
            if label in self._sockets:
                sock.close()
            else:
                self._sockets[label] = sock
            self.handed[label] = listener
        for label in [label for label in self._sockets if label not in self.handed]:
            self._close_listener(label)

    def _open_listeners(self) -> None:
        for label, listener in self.handed.items():
            if label in self._listeners:
                self._listeners.pop(label).close()
            tls = listener_tls(self.node.intake, listener)
            if listener.immediate_tls and tls is None:
                continue  # who expects TLS from the first octet must not be greeted in the clear; `tls_watch` has said why
            intake = self.node.intake
            accepting = Listener(
                self._sockets[label], intake.factory(listener), self.book, tls=tls, door=intake.door(listener), loop=self.loop
            )
            accepting.start()
            self._listeners[label] = accepting

    def _close_listener(self, label: str) -> None:
        if label in self._listeners:
            self._listeners.pop(label).close()
        self._sockets.pop(label).close()

    # -- what the supervisor says --------------------------------------------------------

    def heard(self, frame: f.Frame) -> None:
        """A frame from the supervisor, after `Start`."""
        if isinstance(frame, f.Drain):
            self.end(frame.seconds)
        elif isinstance(frame, LoginDelay):
            self.locks.heard(frame)
        elif isinstance(frame, LocksChanged):
            self.locks.changed(frame)
        elif isinstance(frame, f.Question):
            if self._serving:
                self._answer(frame)
            else:
                self._early.append(frame)

    def _answer(self, question: f.Question) -> None:
        answer = f.Answer(question.number, self.number)
        try:
            if question.verb == "status":
                answer.body = msgspec.msgpack.encode(shard_status(self))
            elif question.verb in views.SHARD_VIEWS:
                self.node.spawn(self._answer_view(question))
                return
            elif question.verb in SHARD_ORDERS:
                self.node.spawn(self._carry_out(question))
                return
            elif question.verb == "reload":
                self._tasks.append(self.loop.create_task(self._reload_soon(question)))
                return
            elif question.verb in QUEUE_VERBS:
                answer.body = QUEUE_VERBS[question.verb](self.node, msgspec.json.decode(question.argument, type=dict[str, str]))
            elif question.verb == "dump":
                answer.body = "\n".join(dump.lines(self.node, self.book)).encode()
            elif question.verb == "reopen-log":
                self._log_file.reopen()
            elif question.verb == "rotate-acct":
                self.acct.rotate(msgspec.json.decode(question.argument or b"{}", type=dict[str, str]).get("file", ""))
            elif question.verb == "clear-dnscache":
                answer.body = msgspec.msgpack.encode(self.node.resolver.clear(question.argument.decode()))
            else:
                answer.error = f"shard {self.number} knows no {question.verb}"
        except (OSError, ValueError) as error:
            answer.error = f"shard {self.number}: {error}"
        self.link.send(answer)

    async def _answer_view(self, question: f.Question) -> None:
        """What there is, in slices; the supervisor's book of what has moved is brought up to date first."""
        answer = f.Answer(question.number, self.number)
        try:
            answer.body = await views.answer(self.node, question.verb, question.argument)
        except (ValueError, SpoolError) as error:
            answer.error = str(error)
        self._beat()
        self.link.send(answer)

    async def _carry_out(self, question: f.Question) -> None:
        """An order about mail; it may take minutes, in which everything else goes on."""
        answer = f.Answer(question.number, self.number)
        try:
            answer.body = await carry_out(self.node, question.verb, question.argument)
        except (OSError, ValueError, SpoolError) as error:
            answer.error = f"shard {self.number}: {error}"
        except Exception as error:  # a defect of ours; whoever asks would wait for an hour
            self.log.error("an order failed", verb=question.verb, exc_info=error)
            answer.error = f"shard {self.number}: {question.verb} failed: {type(error).__name__}; its log has more"
        self.link.send(answer)

    def _beat(self) -> None:
        crew = self.node.delivery.crew
        now, peaks = (len(self.book), len(crew.workers)), (self.book.peak, crew.peak)
        self.book.peak, crew.peak = now
        self.link.send(f.Beat(self.number, views_moved(self.node), now, peaks))

    async def _reload_soon(self, question: f.Question) -> None:
        """A reload; the keys that sign mail are read before, off the loop, as a thousand of them take half a second."""
        answer = f.Answer(question.number, self.number)
        try:
            settings: Settings = pickle.loads(question.argument)
            keys = await asyncio.to_thread(KeyFiles, settings)
            await self.node.vault.fetch(settings)
            self._reload(settings)
            del keys  # the node has found the same ones by now
        except (OSError, ValueError) as error:
            answer.error = f"shard {self.number}: {error}"
        self.link.send(answer)

    def _reload(self, settings: Settings) -> None:
        self._receive_sockets()
        self.node.reload(Resolved(settings))
        if outside_facts(settings) != outside_facts(self.settings):
            before, self.node.resolver = self.node.resolver, make_resolver(settings)
            self.node.dialer = make_dialer(settings)
            self.loop.call_later(OLD_RESOLVER, lambda: self._tasks.append(self.loop.create_task(before.close())))
        self.settings = settings
        self.book.limits = admission.limits(settings)
        self.acct.reconfigure(accounting(settings))
        self.events.reconfigure(event_options(settings, self.start_frame.shards))
        self.spool.reconfigure(spool_dirs(settings, Path(self.start_frame.state_dir)))
        self.doors.apply(settings)
        self._open_listeners()

    def supervisor_gone(self) -> None:
        """Nobody is left to restart us or to tell us to stop: leave politely. Nothing new when we are leaving anyway."""
        if not self._ending:
            self.log.error("the supervisor is gone")
            self.end(5.0)

    def end(self, within: float) -> None:
        """Begin to leave."""
        if not self._serving:
            self.done.set()
        elif not self._ending:
            self._ending = True
            self._tasks.append(self.loop.create_task(self._leave(within)))

    async def _leave(self, within: float) -> None:
        for label in list(self._sockets):
            self._close_listener(label)
        self.node.stopping = self.node.intake.stopping = self.node.scheduler.stopping = True
        await self.doors.close(within / 2)
        half, until = within / 2, self.clock.monotonic() + within
        cut = await self.book.drain(half)
        self.book.stop()
        await self.node.stop(half, until - self.clock.monotonic())
        self.helper.close()
        self.acct.close()
        self.events.close()
        self.log.info("shard stopped", sessions_cut=cut)
        self.done.set()

    # -- once a second ----------------------------------------------------------------------

    async def _seconds(self) -> None:
        moved = 0
        for second in count(1):
            await asyncio.sleep(1.0)
            self.node.counters.tick()
            self.node.look_at_clock()
            self.node.intake.admission.memory.look(self.settings.general.max_memory_usage_percent)
            self.node.intake.room.tick()
            self.spool.tick()
            if second % GATHER_FLOWS == 0:
                self.node.flows.gather()
            if second % VAULT_EVERY == 0 and self.settings.vault is not None:
                self.node.spawn(self.node.vault.fetch(self.settings))  # of what is fresh it asks nothing
            if self.tls_watch.tick() and not self._ending:
                self._open_listeners()
            for trouble in (*self.acct.tick(), *self.events.tick()):
                self.log.error("accounting", trouble=trouble)
            for file in self.acct.moved():
                self.log.info("accounting file moved", file=str(file.was), to=str(file.path), records=file.records)
            self._beat()
            if second % TRIM_EVERY == 0:
                traffic, before = self.node.counters.traffic, moved
                moved = traffic.messages_in + traffic.delivered
                if moved == before:
                    heap.trim()  # not while mail moves: pages that are needed again come back at a price


def _exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise OSError("the supervisor closed the socket channel")
        data += part
    return data


async def serve(control: socket.socket, fds: socket.socket) -> None:
    """Join the control socket, wait for `Start`, be a shard."""
    loop = asyncio.get_running_loop()
    begin: asyncio.Future[f.Start] = loop.create_future()
    shard: Shard | None = None
    early: list[f.Frame] = []

    def heard(link: Link, frame: f.Frame) -> None:
        if shard is not None:
            shard.heard(frame)
        elif isinstance(frame, f.Start) and not begin.done():
            begin.set_result(frame)
        else:
            early.append(frame)

    def closed(link: Link, reason: str) -> None:
        if shard is not None:
            shard.supervisor_gone()
        elif not begin.done():
            begin.set_exception(ConnectionError(reason))

    link: Any
    _, link = await loop.create_connection(lambda: Link(heard, closed, "supervisor"), sock=control)
    start = await begin
    if start.version != f.VERSION:
        raise SystemExit(f"the supervisor speaks version {start.version} of the bus, this shard {f.VERSION}")
    privileges.drop(pickle.loads(start.settings), start.user)
    heap.large_blocks_apart()
    shard = Shard(start, link, fds)
    loop.set_exception_handler(lambda _, context: _unexpected(shard, context))
    for frame in early:
        shard.heard(frame)
    if link.is_open:
        try:
            await shard.run()
        except PostwrightError as error:  # the spool is another relay's, or of a version to come: no defect, so no traceback
            shard.log.error("the shard cannot work", error=str(error))
            raise SystemExit(1) from None
    link.close()
    await asyncio.sleep(0)


def _unexpected(shard: Shard | None, context: dict[str, Any]) -> None:
    if shard is not None:
        error = context.get("exception")
        shard.log.error("unexpected", what=context.get("message", ""), exc_info=error if isinstance(error, BaseException) else False)


def _work_in_long_turns() -> None:
    """Scheduling policy SCHED_BATCH, where there is one: each of our writes wakes somebody, who need not interrupt us for that.

    docs/decisions/shards-are-batch-processes.md has the figures. It takes no privilege; a system that refuses is as good as without.
    """
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def main() -> None:
    """`python -m postwright.engine.shard CONTROL_FD SOCKETS_FD`."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.setswitchinterval(SWITCH_INTERVAL)
    _work_in_long_turns()
    control = socket.socket(fileno=int(sys.argv[1]))
    fds = socket.socket(fileno=int(sys.argv[2]))
    control.setblocking(False)
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(control, fds))
    else:
        uvloop.run(serve(control, fds))


if __name__ == "__main__":
    main()
