"""A relay in a world of its own: simulated time, network, name server, disk and receivers, all out of one seed.

    with World(relay(domain("*", retry_after=(600.0,)))) as world:
        mx = world.domain("example.com", rules=["rcpt first=2 450 4.2.0 later"])
        world.submit("me@sender.example", ["you@example.com"])
        world.advance(3600)
        assert [attempt.at for attempt in mx.attempts] == [0.0, 600.0, 1200.0]

The node is the real one, and so are sessions, channels, queues and what is between them; only the rim is simulated. Receivers are
`SinkServer`s, whose rules say how they misbehave and for whom. The same seed gives the same history. Times shown are seconds since the
beginning of the world. `crash` and `restart` end the relay and begin it anew from what its disk had.
"""

from __future__ import annotations

import asyncio
import mmap
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any

import structlog
from msgspec import Struct

from postwright.engine.login_guard import OwnOffice
from postwright.engine.node import Node
from postwright.engine.workers import Inline
from postwright.model.message import Message, SpoolRef
from postwright.model.record import Record
from postwright.model.route import Route, SessionOptions, SourceHost
from postwright.net.channel import Channel
from postwright.net.clock import Sweep
from postwright.net.place_board import PlaceBoard, page_size
from postwright.net.session import ServerSession
from postwright.net.session_book import SessionBook
from postwright.net.visit import PeerFacts
from postwright.policy.resolve import Resolved
from postwright.policy.settings import ListenerSettings, Settings
from postwright.schedule.budget import Places
from postwright.testing.fake_resolver import FakeResolver
from postwright.testing.memory_transport import MemoryTransport, join
from postwright.testing.simulated_loop import SimulatedClock, SimulatedLoop
from postwright.testing.simulated_net import Receiver, SimulatedDialer
from postwright.testing.simulated_spool import SimulatedDisk, SimulatedSpool
from postwright.testing.sink_records import SinkMessage
from postwright.testing.world_settings import relay
from postwright.testing.world_submit import Submission, submission, transaction

START = 1_700_000_000.0
_TO_US = Route("relay.example", "192.0.2.1", 25, SourceHost("", "client.example"))
PATIENCE = 365 * 86400.0


class LogLine(Struct):
    """What a node logged."""

    level: str
    event: str
    fields: dict[str, Any]


class World:
    """See the module. `shards` nodes share the work; `log` is what they logged, `records` their accounting, in order."""

    def __init__(self, settings: Settings | None = None, *, seed: int = 0, shards: int = 1, sync: float = 0.002) -> None:
        self.settings = settings or relay()
        self.random = Random(seed)
        self.loop = SimulatedLoop()
        self.clock = SimulatedClock(self.loop, START)
        self.receivers: dict[str, Receiver] = {}
        self.zone: dict[str, Mapping[str, Sequence[str]]] = {}  # the DNS: name -> kind -> records
        self.failing: set[str] = set()  # names for which no name server answers
        self.records: list[Record] = []
        self.log: list[LogLine] = []
        self.nodes: list[Node] = []
        self._seed = seed
        self._sync = sync
        self._disks = [SimulatedDisk() for _ in range(shards)]
        self.spools: list[SimulatedSpool] = []
        self._places = mmap.mmap(-1, page_size(shards))  # what shards count together
        self._boards: dict[int, _Board] = {}
        self._past: list[Node] = []  # those that crashed: what they were about is not collected before the world ends
        self._sessions: list[list[MemoryTransport]] = [[] for _ in range(shards)]
        self.locks = OwnOffice(self.clock.now, structlog.wrap_logger(None, processors=[partial(self._logged, -1)]))
        self._folder = tempfile.TemporaryDirectory(prefix="pw-")  # for the sockets between shards
        self.loop.set_exception_handler(self._unexpected)
        for shard in range(shards):
            self.run(self._begin(shard))

    # -- the world ------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self.loop.time()

    @property
    def node(self) -> Node:
        """The first shard."""
        return self.nodes[0]

    @property
    def state(self) -> Path:
        """The state folder of all shards."""
        return Path(self._folder.name)

    def host(self, name: str, rules: Iterable[str] = (), kind: Callable[..., Receiver] = Receiver, **options: Any) -> Receiver:
        """A receiver of that name and `kind`, with an address of its own. `options` as of `SinkServer`, or what the kind has beside."""
        number = len(self.receivers) + 1
        address = f"198.51.{number // 250}.{number % 250 + 1}"
        receiver = kind(address, self.clock, START, rules, hostname=name, seed=self.random.randrange(1 << 30), **options)
        self.receivers[address] = receiver
        self.zone[name] = {"A": [address]}
        return receiver

    def domain(self, name: str, *, host: str = "", rules: Iterable[str] = (), **options: Any) -> Receiver:
        """A domain with one receiver, which is `mx.NAME` unless `host` says otherwise."""
        host = host or f"mx.{name}"
        receiver = self.host(host, rules, **options)
        self.mx(name, host)
        return receiver

    def mx(self, name: str, *hosts: str) -> None:
        """The MX records of a domain, best first."""
        self.zone[name] = {"MX": [f"{10 * at} {host}" for at, host in enumerate(hosts, 1)]}

    # -- time -----------------------------------------------------------------------------

    def run(self, work: Any) -> Any:
        """A coroutine to its end, in simulated time."""
        return self.loop.run_until_complete(work)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.run(asyncio.sleep(seconds))

    def run_until(self, condition: Callable[[], bool], within: float = PATIENCE) -> float:
        """Until `condition()` holds; returns the time at which it did. Raises TimeoutError after `within` simulated seconds."""
        self.run(self._until(condition, within))
        return self.now

    async def _until(self, condition: Callable[[], bool], within: float) -> None:
        met: asyncio.Future[None] = self.loop.create_future()

        def look() -> None:
            if not met.done() and condition():
                met.set_result(None)

        self.loop.before_time_passes = look
        try:
            await asyncio.wait_for(met, within)
        finally:
            self.loop.before_time_passes = lambda: None

    def run_until_empty(self, within: float = PATIENCE) -> float:
        """Until no recipient is left in any spool, and all that was said of them is durable; returns the time."""
        return self.run_until(lambda: not any(spool.status().live or spool.syncing for spool in self.spools), within)

    # -- mail -----------------------------------------------------------------------------

    def submit(self, sender: str, recipients: Sequence[Any], content: bytes | str = b"", *, shard: int = 0, **options: Any) -> Submission:
        """Hand in a message over SMTP. See `world_submit.transaction` for recipients and options; raises nothing."""
        return self.run(self.submitting(sender, recipients, content, shard=shard, **options))  # type: ignore[no-any-return]

    async def submitting(
        self,
        sender: str,
        recipients: Sequence[Any],
        content: bytes | str = b"",
        *,
        shard: int = 0,
        peer: str = "192.0.2.77",
        listener: ListenerSettings | None = None,
        **options: Any,
    ) -> Submission:
        """`submit` as a coroutine."""
        channel = Channel(_TO_US, SessionOptions(), self.clock, Sweep(self.clock))
        facts = PeerFacts(peer, 40000, "192.0.2.1", 25)
        visitor = self.nodes[shard].intake.factory(listener or self.settings.listeners[0])(facts)
        ends = join(channel, ServerSession(visitor, facts, SessionBook(self.loop.time), self.loop))
        self._sessions[shard] = [end for end in self._sessions[shard] if not end.is_closing()] + [ends[1]]
        await channel.opened()
        result = await channel.run(transaction(sender, recipients, content, **options))
        channel.close()
        return submission(result)

    def fates(self) -> Counter[tuple[str, str]]:
        """How many final records there are, by (d or b, recipient)."""
        return Counter((record.type, record.rcpt) for record in self.records if record.type in ("d", "b"))

    def of(self, kind: str) -> list[Record]:
        """The accounting records of a type."""
        return [record for record in self.records if record.type == kind]

    def messages(self) -> list[SinkMessage]:
        """Everything that any receiver took."""
        return [message for receiver in self.receivers.values() for message in receiver.messages]

    # -- the relay's own fate ----------------------------------------------------------------

    def crash(self, shard: int = 0) -> None:
        """The power of one shard goes: nothing is finished, nobody is told. Only its disk remains."""
        node = self.nodes[shard]
        self.spools[shard].crash()
        self._past.append(node)
        node.stopping = node.scheduler.stopping = node.intake.stopping = True
        if shard in self._boards:
            self._boards[shard].dead = True
        node.exchange.cut()
        dialer = node.dialer
        assert isinstance(dialer, SimulatedDialer)
        dialer.crash()
        for end in self._sessions[shard]:
            end.abort()

    def begin(self, shard: int = 0) -> None:
        """A shard begins anew from its disk, after a `crash` or `stop`."""
        self.run(self._begin(shard))

    def stop(self, shard: int = 0, within: float = 10.0) -> None:
        """A polite stop."""
        self.run(self.nodes[shard].stop(within))
        self.spools[shard].crash()

    def restart(self, shard: int = 0) -> None:
        """A polite stop and a new beginning."""
        self.stop(shard)
        self.begin(shard)

    def reload(self, settings: Settings) -> None:
        """Put other settings in force on all shards."""
        self.settings = settings
        for node in self.nodes:
            self.run(_call(partial(node.reload, Resolved(settings))))

    def _board(self, shard: int) -> Places | None:
        if len(self._disks) == 1:
            return None
        board = self._boards[shard] = _Board(self._places, shard, len(self._disks))
        return board

    def _resolver(self) -> FakeResolver:
        resolver = FakeResolver({}, clock=self.clock, seed=self._seed, own_names=self.settings.general.host_name)
        resolver.source.zone, resolver.source.failing = self.zone, self.failing
        return resolver

    async def _begin(self, shard: int) -> None:
        spool = SimulatedSpool(self._disks[shard], shard, _Sink(self.records), self.clock, self._sync)
        node = Node(
            shard,
            len(self._disks),
            Resolved(self.settings),
            spool,
            clock=self.clock,
            resolver=self._resolver(),
            dialer=SimulatedDialer(self.receivers, self.clock, self.random),
            log=structlog.wrap_logger(None, processors=[partial(self._logged, shard)]),
            run_dir=Path(self._folder.name),
            readers=lambda other: _Reader(self.spools, other),
            random=self.random,
            workers=Inline(),
            keeper=self.locks,
            places=self._board(shard),
        )
        self.spools[shard : shard + 1] = [spool]
        self.nodes[shard : shard + 1] = [node]
        await node.start()

    def _logged(self, shard: int, logger: Any, level: str, event: Any) -> Any:
        fields = dict(event)
        self.log.append(LogLine(level, fields.pop("event"), {"shard": shard, **fields}))
        raise structlog.DropEvent

    def _unexpected(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.log.append(LogLine("error", str(context.get("message")), {"exc_info": context.get("exception")}))

    # -- the end --------------------------------------------------------------------------------

    def close(self) -> None:
        """The world ends; what was still going on is dropped."""
        for node in self.nodes:
            node.exchange.cut()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.run(_gather(tasks))
        self.loop.close()
        self._folder.cleanup()

    def __enter__(self) -> World:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Sink:
    """Accounting that is kept in a list."""

    wants = frozenset(("d", "b", "t", "r"))
    choked = ""

    def __init__(self, records: list[Record]) -> None:
        self._records = records

    def write(self, records: Sequence[Record]) -> None:
        self._records += records

    def position(self) -> None:
        return None

    def remembered(self, position: bytes) -> None:
        return

    def resume(self, position: bytes, folder: Path) -> None:
        return

    def resumed(self) -> None:
        return


class _Board(PlaceBoard):
    """What a process that has crashed does no longer change anything."""

    __slots__ = ("dead",)
    dead: bool

    def __init__(self, shared: mmap.mmap, slot: int, slots: int) -> None:
        self.dead = False
        super().__init__(shared, slot, slots)

    def give(self, names: Sequence[str]) -> None:
        if not self.dead:
            super().give(names)

    def take(self, wanted: Sequence[tuple[str, int | None]]) -> int:
        return -1 if self.dead else super().take(wanted)

    def want(self, queues: int) -> None:
        if not self.dead:
            super().want(queues)


class _Reader:
    """Reads by reference what another shard keeps."""

    def __init__(self, spools: list[SimulatedSpool], shard: int) -> None:
        self.spools = spools
        self._shard = shard

    def read(self, ref: SpoolRef) -> tuple[Message, bytes]:
        return self.spools[self._shard].at(ref)

    def read_message(self, ref: SpoolRef) -> Message:
        return self.read(ref)[0]

    def close(self) -> None:
        return


async def _call(what: Callable[[], object]) -> None:
    what()


async def _gather(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
