"""The scheduler against a naive model that remembers everything: whatever is done in whatever order, nothing is lost or doubled, no
limit is passed, and no queue with work is left where nobody will look at it again.
"""

from __future__ import annotations

import random
from collections import Counter

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace

from postwright.model.message import SpoolRef
from postwright.model.work import Entry, Lease, QueueKey, WaitReason
from postwright.policy.settings import Rate
from postwright.schedule.budget import VmtaRates
from postwright.schedule.queue import Queue, QueueLimits
from postwright.schedule.scheduler import NEVER, Scheduler
from postwright.schedule.seats import ANY_SEAT, Refusals
from postwright.schedule.sifting import Place
from postwright.schedule.sources import NO_SOURCES, SourceLimits, SourceSet

KEYS = [QueueKey(domain, vmta) for domain in ("a.example", "b.example", "c.example") for vmta in ("m1", "m2")]
RATES = st.none() | st.builds(Rate, st.integers(1, 4), st.sampled_from([1.0, 10.0, 60.0]))
SMALL = st.none() | st.integers(1, 3)
VOLUMES = st.none() | st.builds(Rate, st.sampled_from([100, 250, 1000]), st.sampled_from([10.0, 60.0]))
SIZES = st.sampled_from([10, 60, 400])  # octets of a content; the last is more than some rates
ADDRESSES = ("192.0.2.1", "192.0.2.2")
HOST = "mx.example"
SOURCES = st.builds(
    lambda each: SourceSet(each, any(one.limited for one in each)),
    st.tuples(*[st.builds(SourceLimits, st.just(address), SMALL, RATES, RATES, VOLUMES) for address in ADDRESSES]),
)
LIMITS = st.builds(
    QueueLimits,
    max_smtp_out=SMALL,
    max_msg_rate=RATES,
    max_data_volume_rate=VOLUMES,
    max_connect_rate=RATES,
    queue_priority=st.sampled_from([50, 50, 80]),
    sources=st.just(NO_SOURCES) | st.just(NO_SOURCES) | SOURCES,
    smtp_out_rampup_interval=st.sampled_from([0.0, 0.0, 5.0]),
    max_rcpt_per_message=st.none() | st.integers(1, 3),
    retry_after=st.sampled_from([(10.0,), (5.0, 30.0, 100.0)]),
)
# What time ends, and what an event ends: the second kind needs somebody who will cause it.
TIMED = {WaitReason.QUEUE_RETRY, WaitReason.RECIPIENT_RETRY, WaitReason.SCHEDULED, WaitReason.MESSAGE_RATE}
TIMED |= {WaitReason.CONNECT_RATE, WaitReason.RAMP_UP, WaitReason.DATA_VOLUME}
TIMED |= {WaitReason.SOURCE_CONNECT_RATE, WaitReason.SOURCE_MESSAGE_RATE, WaitReason.SOURCE_DATA_VOLUME}

Mail = tuple[int, int]  # message, recipient


class Channel:
    """A connection as the engine would keep it."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.lease: Lease | None = None
        self.idle = False
        self.seat = ANY_SEAT
        self.source = ADDRESSES[0]


class Relay(RuleBasedStateMachine):
    """What the engine does, at random, with all that it must be able to trust checked on the way."""

    @initialize(
        limits=st.tuples(LIMITS, LIMITS),
        vmta=SMALL,
        total=SMALL,
        rates=st.just(VmtaRates()) | st.builds(VmtaRates, RATES, VOLUMES),
        hosts=st.tuples(SMALL, SMALL),
    )
    def begin(
        self,
        limits: tuple[QueueLimits, QueueLimits],
        vmta: int | None,
        total: int | None,
        rates: VmtaRates,
        hosts: tuple[int | None, int | None],
    ) -> None:
        self.rates = rates
        self.hosts = hosts
        self.places: Counter[str] = Counter()
        self.octets: dict[str, list[list[float]]] = {}  # what a volume counts: [time, octets]
        self.sent: dict[str, list[list[float]]] = {}  # what a rate counts, beside the queues': [time, recipients]
        self.dialled: dict[str, list[float]] = {}
        self.now = 1000.0
        self.limits = limits
        self.vmta_limit = vmta
        self.messages = 0
        self.alive: dict[QueueKey, set[Mail]] = {key: set() for key in KEYS}
        self.opening: list[Queue] = []
        self.channels: list[Channel] = []
        self.attempts: dict[QueueKey, list[list[float]]] = {key: [] for key in KEYS}  # [time, recipients]
        self.connects: dict[QueueKey, list[float]] = {key: [] for key in KEYS}
        self.scheduler = Scheduler(self.limits_of, lambda name: self.vmta_limit if name == "m1" else None, total, self.rates_of)
        self.scheduler.routes.limit(
            ((HOST, hosts[0]),) if hosts[0] is not None else (), (("198.51.100.0/24", hosts[1]),) if hosts[1] is not None else ()
        )

    def rates_of(self, vmta: str) -> VmtaRates:
        return self.rates if vmta == "m2" else VmtaRates()

    def limits_of(self, key: QueueKey) -> QueueLimits:
        return self.limits[KEYS.index(key) % 2]

    # -- what the engine does -------------------------------------------------------

    @rule(
        key=st.sampled_from(KEYS),
        recipients=st.integers(1, 5),
        delay=st.sampled_from([0.0, 0.0, 0.0, 7.0, 50.0]),
        owner=st.sampled_from(["", "a", "b"]),
        rank=st.sampled_from([50, 50, 80, 1050]),
        size=SIZES,
    )
    def submit(self, key: QueueKey, recipients: int, delay: float, owner: str, rank: int, size: int) -> None:
        self.messages += 1
        due = self.now + delay if delay else 0.0
        entry = Entry(self.messages, SpoolRef(0, 1, 0, 0, size), tuple(range(recipients)), self.now, due, owner=owner, rank=rank)
        self.alive[key] |= {(self.messages, index) for index in entry.recipients}
        self.scheduler.submit(key, entry, self.now)
        self.pump()

    def pump(self) -> None:
        """As `Node._pump`, and then everything must be at rest."""
        for _ in range(10_000):
            queue = self.scheduler.next_queue(self.now)
            if queue is None:
                break
            channel = queue.pick_idle(self.now)
            if channel is not None:
                assert isinstance(channel, Channel)
                self.feed(channel)
                self.scheduler.look_again(queue, self.now)
            else:
                self.connect(queue)
        else:
            raise AssertionError("the pump does not come to rest")
        self.check()

    def connect(self, queue: Queue) -> None:
        key, limits = queue.key, queue.limits
        used = queue.connections + queue.opening
        assert limits.max_smtp_out is None or used < limits.max_smtp_out
        times = self.connects[key]
        if limits.max_connect_rate is not None:
            rate = limits.max_connect_rate
            assert sum(at > self.now - rate.interval for at in times) < rate.count
        assert not times or self.now - times[-1] >= limits.smtp_out_rampup_interval
        times.append(self.now)
        self.scheduler.opening(queue, self.now)
        self.opening.append(queue)
        total = self.scheduler.total
        assert total.limit is None or total.open <= total.limit
        assert queue.budget.limit is None or queue.budget.open <= queue.budget.limit

    def feed(self, channel: Channel) -> None:
        """As `Worker.feed`."""
        queue = channel.queue
        channel.idle = False
        lease = channel.lease = self.scheduler.lease(queue, self.now, None, channel.source)
        if lease is None:
            channel.idle = True
            queue.idle.append(channel)
            return
        limits, count = queue.limits, len(lease.entry.recipients)
        assert not queue.paused
        assert queue.retry_at <= self.now
        assert lease.entry.due <= self.now
        assert 0 < count <= (limits.max_rcpt_per_message or count)
        self.within_all_rates(channel, lease)
        attempts = self.attempts[queue.key]
        attempts.append([self.now, count])
        if limits.max_msg_rate is not None:
            rate = limits.max_msg_rate
            assert sum(number for at, number in attempts if at > self.now - rate.interval) <= rate.count

    def within_all_rates(self, channel: Channel, lease: Lease) -> None:
        """Of octets, of the source address and of the virtual MTA: no window holds more, but for one content larger than the rate."""
        queue, count, size = channel.queue, len(lease.entry.recipients), lease.entry.size
        use = queue.sources.of(channel.source) if queue.sources is not None else None
        own = next((one for one in queue.limits.sources.each if one.address == channel.source), None)
        assert use is None or use.disabled_until <= self.now
        shared = self.rates_of(queue.key.vmta)
        rates = {f"{queue.key} {channel.source}": own and own.max_msg_rate, queue.key.vmta: shared.messages}
        volumes = {
            str(queue.key): queue.limits.max_data_volume_rate,
            f"{queue.key} {channel.source}": own and own.max_data_volume_rate,
            queue.key.vmta: shared.volume,
        }
        for counted, limits, amount in ((self.sent, rates, count), (self.octets, volumes, size)):
            for name, rate in limits.items():
                grants = counted.setdefault(name, [])
                if rate is not None:
                    used = sum(number for at, number in grants if at > self.now - rate.interval)
                    assert used + amount <= rate.count or not used, (name, rate, grants)
                grants.append([self.now, amount])

    def dial(self, queue: Queue) -> Channel | None:
        """As `Opener.open`: the first address that has a seat at the one host."""
        refusals = Refusals()
        for source in ADDRESSES:
            seat = self.scheduler.seat(queue, source, HOST, "198.51.100.1", self.now, refusals)
            if seat is not None:
                channel = Channel(queue)
                channel.seat, channel.source = seat, source
                self.hold(channel)
                return channel
        self.scheduler.no_seat(queue, refusals, self.now)
        return None

    def hold(self, channel: Channel) -> None:
        limits, name = channel.queue.limits, f"{channel.queue.key} {channel.source}"
        own = next((one for one in limits.sources.each if one.address == channel.source), None)
        times = self.dialled.setdefault(name, [])
        if own is not None and own.max_connect_rate is not None:
            rate = own.max_connect_rate
            assert sum(at > self.now - rate.interval for at in times) < rate.count
        times.append(self.now)
        for held, limit in ((name, own and own.max_smtp_out), (f"mx {channel.source}", self.hosts[0]), ("ip", self.hosts[1])):
            self.places[held] += 1
            assert limit is None or self.places[held] <= limit, held

    def give_up_seat(self, channel: Channel, *, tries_on: bool = False) -> None:
        self.scheduler.unseat(channel.queue, channel.seat, tries_on=tries_on)
        for held in (f"{channel.queue.key} {channel.source}", f"mx {channel.source}", "ip"):
            self.places[held] -= 1

    def close(self, channel: Channel) -> None:
        self.channels.remove(channel)
        self.give_up_seat(channel)
        self.scheduler.closed(channel.queue, was_open=True)

    @rule(key=st.sampled_from(KEYS), address=st.sampled_from(ADDRESSES), seconds=st.sampled_from([20.0, NEVER, 0.0]))
    def disable(self, key: QueueKey, address: str, seconds: float) -> None:
        queue = self.scheduler.queues.get(key)
        if queue is None:
            return
        if seconds:
            self.scheduler.disable_source(queue, address, self.now + seconds)
        else:
            self.scheduler.enable_source(queue, address)
        self.pump()

    @precondition(lambda self: self.opening)
    @rule(data=st.data(), up=st.sampled_from([True, True, False]))
    def connection_answers(self, data: st.DataObject, up: bool) -> None:
        queue = self.opening.pop(data.draw(st.integers(0, len(self.opening) - 1)))
        channel = self.dial(queue)
        if channel is None:
            self.scheduler.closed(queue, was_open=False)
        elif up:
            self.scheduler.opened(queue)
            self.channels.append(channel)
            self.feed(channel)
        else:
            self.give_up_seat(channel, tries_on=True)
            until = self.scheduler.retry_later(queue, self.now, "refused")
            assert self.now < until <= self.now + 100.0  # the longest step of any settings: a wait outlives a reload
            self.scheduler.closed(queue, was_open=False)
        self.pump()

    def busy(self) -> list[Channel]:
        return [channel for channel in self.channels if channel.lease is not None]

    @precondition(lambda self: self.busy())
    @rule(
        data=st.data(), outcome=st.sampled_from(["final", "again", "mixed", "untouched"]), then=st.sampled_from(["feed", "feed", "close"])
    )
    def transaction_ends(self, data: st.DataObject, outcome: str, then: str) -> None:
        busy = self.busy()
        channel = busy[data.draw(st.integers(0, len(busy) - 1))]
        queue, lease = channel.queue, channel.lease
        assert lease is not None
        channel.lease = None
        entry = lease.entry
        if outcome == "untouched":
            attempts = self.attempts[queue.key]
            if [lease.at, len(entry.recipients)] in attempts:  # else the rate was changed meanwhile
                attempts.remove([lease.at, len(entry.recipients)])
            for name in (str(queue.key), f"{queue.key} {channel.source}", queue.key.vmta):
                for counted, amount in ((self.sent, len(entry.recipients)), (self.octets, entry.size)):
                    if [lease.at, amount] in counted.get(name, ()):
                        counted[name].remove([lease.at, amount])
            self.scheduler.settle(queue, lease, self.now, [], untouched=True)
            then = "close"
        else:
            kept = {"final": (), "again": entry.recipients, "mixed": entry.recipients[1:]}[outcome]
            due = self.now + 20.0
            again = [replace(entry, recipients=kept, due=due, attempts=entry.attempts + 1)] if kept else []
            self.alive[queue.key] -= {(entry.message_id, index) for index in entry.recipients if index not in kept}
            if outcome != "again":
                self.scheduler.delivered_something(queue)
            self.scheduler.settle(queue, lease, self.now, again)
        if then == "close":
            self.close(channel)
        else:
            self.feed(channel)
        self.pump()

    @precondition(lambda self: any(channel.idle for channel in self.channels))
    @rule(data=st.data())
    def idle_connection_closes(self, data: st.DataObject) -> None:
        channel = data.draw(st.sampled_from([channel for channel in self.channels if channel.idle]))
        channel.queue.idle.remove(channel)
        self.close(channel)
        self.pump()

    @rule(seconds=st.sampled_from([0.125, 1.0, 5.0, 30.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        """As the alarm of a node: it wakes at `next_wake`, however many times that is."""
        end = self.now + seconds
        while self.scheduler.next_wake() <= end:
            self.now = max(self.now, self.scheduler.next_wake())
            self.pump()
        self.now = end
        self.pump()

    # -- operators --------------------------------------------------------------------

    @rule(key=st.sampled_from(KEYS), paused=st.booleans())
    def pause(self, key: QueueKey, paused: bool) -> None:
        queue = self.scheduler.queues.get(key)
        if queue is not None:
            self.scheduler.pause(queue, paused)
            self.pump()

    @rule(key=st.sampled_from(KEYS))
    def retry_now(self, key: QueueKey) -> None:
        queue = self.scheduler.queues.get(key)
        if queue is not None:
            self.scheduler.retry_now(queue, self.now)
            self.pump()

    @rule(odd=st.booleans())
    def remove(self, odd: bool) -> None:
        gone = self.scheduler.remove(lambda key, entry: entry.message_id % 2 == odd)
        for key, entry in gone:
            taken = {(entry.message_id, index) for index in entry.recipients}
            assert taken <= self.alive[key]
            self.alive[key] -= taken
        self.pump()

    @rule(key=st.sampled_from(KEYS), job=st.sampled_from(["", "a", "b"]), fate=st.sampled_from(Place), patient=st.booleans())
    def look_at_each(self, key: QueueKey, job: str, fate: Place, patient: bool) -> None:
        """An order about a job: its first recipients of each entry leave, or all are held, or let go; other things happen in between."""
        queue = self.scheduler.queues.get(key)
        if queue is None or not queue.recipients:
            return
        self.scheduler.set_aside(queue)
        more = True
        while more:
            leases, more = self.scheduler.sift(queue, self.now, 2, lambda entry: parted(entry, fate, entry.owner == job))
            for lease in leases:
                self.alive[key] -= {(lease.entry.message_id, index) for index in lease.entry.recipients}
                self.scheduler.settle(queue, lease, self.now, [])
            if more and not patient:
                self.scheduler.give_up(queue, self.now)
                break
            self.pump()
        self.pump()

    @rule(key=st.sampled_from(KEYS), recipients=st.integers(1, 3))
    def take_in_held(self, key: QueueKey, recipients: int) -> None:
        """A job that is paused gets more mail, and some of what comes in goes at once."""
        self.messages += 1
        entry = Entry(self.messages, SpoolRef(0, 1, 0, 0, 10), tuple(range(recipients)), self.now, owner="a")
        self.alive[key] |= {(self.messages, index) for index in entry.recipients}
        self.scheduler.hold(key, entry, self.now)
        queue, lease = self.scheduler.lease_new(key, replace(entry, message_id=-1), self.now)
        self.scheduler.settle(queue, lease, self.now, [])
        self.pump()

    @rule(key=st.sampled_from(KEYS), age=st.sampled_from([0.0, 30.0]))
    def give_up(self, key: QueueKey, age: float) -> None:
        queue = self.scheduler.queues.get(key)
        while queue is not None and (lease := self.scheduler.lease_for_end(queue, self.now, self.now - age)) is not None:
            assert lease.entry.due <= self.now
            assert lease.entry.received_at <= self.now - age
            self.alive[key] -= {(lease.entry.message_id, index) for index in lease.entry.recipients}
            self.scheduler.settle(queue, lease, self.now, [])
        self.pump()

    @rule(limits=st.tuples(LIMITS, LIMITS), vmta=SMALL, total=SMALL)
    def reload(self, limits: tuple[QueueLimits, QueueLimits], vmta: int | None, total: int | None) -> None:
        before = self.limits
        self.now += 0.25
        # The addresses and their limits stay: of new ones only connections count that are opened from then on.
        limits = (replace(limits[0], sources=before[0].sources), replace(limits[1], sources=before[1].sources))
        self.limits, self.vmta_limit = limits, vmta
        for key in KEYS:
            if key not in self.scheduler.queues:
                self.connects[key] = []  # nothing limited it, so nothing is remembered of it that a new limit could count
        self.scheduler.reloaded(total)
        for number, key in enumerate(KEYS):
            # A rate that is new counts from now on.
            if before[number % 2].max_msg_rate != limits[number % 2].max_msg_rate:
                self.attempts[key] = []
            self.octets.clear()
            self.sent.clear()
            self.dialled.clear()
            if before[number % 2].max_connect_rate != limits[number % 2].max_connect_rate:
                self.connects[key] = self.connects[key][-1:] if limits[number % 2].max_connect_rate is None else []
        # Connections that are over a lowered limit stay; the checks of `connect` hold for new ones only.
        self.pump_over()

    def pump_over(self) -> None:
        while (queue := self.scheduler.next_queue(self.now)) is not None:
            channel = queue.pick_idle(self.now)
            if channel is not None:
                assert isinstance(channel, Channel)
                self.feed(channel)
                self.scheduler.look_again(queue, self.now)
            else:
                self.scheduler.opening(queue, self.now)
                self.connects[queue.key].append(self.now)
                self.opening.append(queue)
        self.check()

    # -- what must hold ------------------------------------------------------------------

    def check(self) -> None:
        self.nothing_is_lost_or_doubled()
        for queue in self.scheduler.queues.values():
            self.its_wait_will_end(queue)
        self.idle_queues_are_forgotten()

    def nothing_is_lost_or_doubled(self) -> None:
        for key in KEYS:
            queue = self.scheduler.queues.get(key)
            waiting = list(self.scheduler.entries(queue)) if queue is not None else []
            leased = [channel.lease.entry for channel in self.busy() if channel.queue.key == key and channel.lease is not None]
            found = Counter((entry.message_id, index) for entry in waiting + leased for index in entry.recipients)
            assert found == Counter(self.alive[key])
            if queue is not None:
                assert queue.recipients == len(self.alive[key])
                assert queue.in_flight == sum(len(entry.recipients) for entry in leased)
                assert queue.octets == sum(entry.size for entry in waiting + leased)
        assert self.scheduler.recipients == sum(map(len, self.alive.values()))
        self.owners_are_counted()

    def owners_are_counted(self) -> None:
        entries = [entry for queue in self.scheduler.queues.values() for entry in self.scheduler.entries(queue)]
        owned: dict[str, tuple[int, int]] = {}
        for entry in entries + [channel.lease.entry for channel in self.busy() if channel.lease is not None]:
            recipients, octets = owned.get(entry.owner, (0, 0))
            owned[entry.owner] = (recipients + len(entry.recipients), octets + entry.size)
        owned.pop("", None)
        assert {owner: (recipients, octets) for owner, recipients, octets in self.scheduler.owned} == owned

    def its_wait_will_end(self, queue: Queue) -> None:
        reason = self.scheduler.why(queue, self.now)
        assert (reason is WaitReason.NONE) == (queue.recipients == queue.in_flight)
        assert reason is not WaitReason.READY, "work that may go, and nobody looks"
        if queue.waiting is not None or queue.rationed:
            # In line for a place or a rate, whatever it may wait for beside: it will be looked at when there is one.
            assert queue.waiting is None or queue.waiting.shut(self.now)
            rates = queue.budget.rates
            assert not queue.rationed or (rates is not None and rates.shut(self.now))
            assert not queue.rationed or rates is None or rates.opening or self.scheduler.next_wake() <= rates.wake_at < NEVER
        elif reason in TIMED and not self.at_work(queue):
            assert queue.wake_at < NEVER, reason
            assert self.scheduler.next_wake() <= queue.wake_at
        elif reason in (WaitReason.VMTA_CONNECTIONS, WaitReason.TOTAL_CONNECTIONS):
            assert (queue.budget if reason is WaitReason.VMTA_CONNECTIONS else self.scheduler.total).full
            # It waited for a time before the budget was full, and will stand in line at that time.
            assert self.scheduler.next_wake() <= queue.wake_at < NEVER
        elif reason in (WaitReason.QUEUE_CONNECTIONS, WaitReason.CONNECTING):
            assert queue.connections + queue.opening > 0

    def at_work(self, queue: Queue) -> bool:
        """Somebody will lease from it, or be done with it, without being asked."""
        return queue in self.opening or any(channel.queue is queue for channel in self.busy())

    def idle_queues_are_forgotten(self) -> None:
        for queue in self.scheduler.queues.values():
            if queue.empty and not queue.paused and all(use.disabled_until < NEVER for use in queue.sources or ()):
                assert queue.wake_at < NEVER, "it holds nothing, remembers nothing that ends, and stays"

    def teardown(self) -> None:
        """However it stands: when receivers take everything and nobody interferes, everything goes out and all is forgotten."""
        if not hasattr(self, "scheduler"):
            return
        for queue in list(self.scheduler.queues.values()):
            self.scheduler.pause(queue, False)
            self.scheduler.set_aside(queue)
            while self.scheduler.sift(queue, self.now, 100, lambda entry: ((Place.LINE, entry),))[1]:
                pass
            for address in ADDRESSES:
                self.scheduler.enable_source(queue, address)
        self.pump()
        chance = random.Random(1)
        for _ in range(5000):
            if not self.scheduler.recipients and not self.channels and not self.opening:
                break
            self.all_goes_well(chance)
        assert not self.scheduler.recipients, [self.scheduler.why(queue, self.now) for queue in self.scheduler.queues.values()]
        self.time_passes(1000.0)
        assert not self.scheduler.queues
        assert not self.scheduler.total.open

    def all_goes_well(self, chance: random.Random) -> None:
        while self.opening:
            queue = self.opening.pop()
            channel = self.dial(queue)
            if channel is None:
                self.scheduler.closed(queue, was_open=False)
                continue
            self.scheduler.opened(queue)
            self.channels.append(channel)
            self.feed(channel)
        for channel in [*self.channels]:
            if (lease := channel.lease) is not None:
                self.alive[channel.queue.key] -= {(lease.entry.message_id, index) for index in lease.entry.recipients}
                self.scheduler.settle(channel.queue, lease, self.now, [])
                self.feed(channel)
            elif chance.random() < 0.5:
                channel.queue.idle.remove(channel)
                self.close(channel)
        self.time_passes(5.0)


def parted(entry: Entry, fate: Place, meant: bool) -> list[tuple[Place, Entry]]:
    """What becomes of an entry that somebody looks at."""
    if not meant:
        return [(Place.LINE, entry)]
    if fate is not Place.OUT or len(entry.recipients) == 1:
        return [(fate, entry)]
    return [(fate, replace(entry, recipients=entry.recipients[:1])), (Place.LINE, replace(entry, recipients=entry.recipients[1:]))]


TestRelay = Relay.TestCase
TestRelay.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
