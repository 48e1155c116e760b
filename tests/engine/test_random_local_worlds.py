"""Random worlds in which some domains need no host: what they are delivered to fails, waits and puts off as chance has it, with restarts,
crashes and reloads at any moment. What must hold at the end is what holds for every queue. As many worlds as of `test_random_worlds`.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from msgspec.structs import replace
from tests.engine.test_random_worlds import Life, seeds

from postwright.engine.transports import PutOff, delivered, later, never
from postwright.engine.transports.keeping import Transports
from postwright.model.message import Message
from postwright.model.outcome import Disposition, Kind
from postwright.policy.settings import DomainSettings, Settings
from postwright.testing.world_settings import domain
from postwright.wire.client_states import Transaction

OUTCOMES = (
    later("4.3.0", "not now"),
    never("5.1.1", "nobody"),
    PutOff(later("4.4.1", "down")),
    PutOff(later("4.4.1", "busy"), 45.0),
)


class Chancy:
    """A transport of a world of chance."""

    name = "file"
    reports = True

    def __init__(self, life: LocalLife) -> None:
        self.most = life.chance.choice((None, 1))
        self._life = life

    async def deliver(self, message: Message, transaction: Transaction) -> list[Disposition] | PutOff:
        life, fates = self._life, []
        life.running += 1
        life.busiest = max(life.busiest, life.running)
        await asyncio.sleep(life.chance.choice((0.0, 0.01, 5.0)))
        life.running -= 1
        for recipient in transaction.recipients:
            outcome = life.chance.choice(OUTCOMES) if life.chance.random() < life.trouble else delivered("taken")
            if isinstance(outcome, PutOff):
                if fates:
                    break
                return outcome
            fates.append(outcome)
            if outcome.kind is Kind.DELIVERED:
                life.taken[recipient.address.text] += 1
        return [*fates, *[later("4.3.0", "not reached")] * (len(transaction.recipients) - len(fates))]


class LocalLife(Life):
    """Every other domain is of a type of its own."""

    def __init__(self, seed: int, *, shards: int = 1, crashes: bool = True) -> None:
        self.taken: Counter[str] = Counter()
        self.running = self.busiest = 0
        self.trouble = 0.3
        super().__init__(seed, shards=shards, crashes=crashes, copies=False)

    def settings(self) -> Settings:
        settings = super().settings()
        self.most = self.chance.randint(1, 5)
        local = [domain(name, type="file", file_destination="/nowhere", max_smtp_out=self.most) for name in self.domains[::2]]
        return replace(settings, domains=(*settings.domains, *local))

    def _pass_time(self) -> None:
        super()._pass_time()
        if self.chance.random() < 0.05:
            self.world.reload(self.world.settings)

    def live(self) -> None:
        super().live()
        assert self.taken, "some went there"

    def check(self) -> None:
        for name, receiver in self.receivers.items():
            assert name not in self.domains[::2] or not receiver.attempts, "no host was asked"
        local = {to for to in self.accepted if to.partition("@")[2] in self.domains[::2]}
        said = {to for kind, to in self.world.fates() if kind == "d"}
        assert {to for to in local & said if not self.taken[to]} == set()
        if not self.crashes:
            assert {to: count for to, count in self.taken.items() if count > 1} == {}
            assert self.busiest <= self.most * len(self.domains[::2]) * 3, "of each domain by each virtual MTA"
        self.accepted -= local  # their arrival is checked; the rest is as everywhere
        fates = Counter(to for (_, to), count in self.world.fates().items() for _ in range(count))
        assert {to: fates[to] for to in local if fates[to] != 1} == {}
        super().check()


@pytest.mark.directive("type")
@seeds
@pytest.mark.parametrize(("shards", "crashes"), [(1, False), (1, True), (2, True)])
def test_what_needs_no_host_is_neither_lost_nor_told_of_twice(
    seed: int, shards: int, crashes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives: list[LocalLife] = []

    def make(self: Transports, settings: DomainSettings) -> Chancy:
        return Chancy(lives[0])

    monkeypatch.setattr(Transports, "make", make)  # before there is a node, which keeps it
    lives.append(LocalLife(seed, shards=shards, crashes=crashes))
    [life] = lives
    with life.world:
        life.live()
        life.check()
