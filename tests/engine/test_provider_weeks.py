"""Stories of days and weeks at providers: retries through outages, warm-up by day lists, rollup under one limit. Times are simulated."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest

from postwright.model.outcome import Fault
from postwright.policy.settings import Rate, RollupRule
from postwright.testing.provider_host import most_at_once, most_within
from postwright.testing.provider_map import COMPANIES, GOOGLE, MICROSOFT, MIMECAST_COM, ORANGE_FR, PPHOSTED, YAHOO_INC
from postwright.testing.providers import Providers
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay, vmta

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
ME = "me@sender.example"
KIND = {"unknown": 0.0, "full": 0.0, "complaints": 0.0}
HOMES = {
    "gmail.com": GOOGLE,
    "yahoo.com": YAHOO_INC,
    "outlook.com": MICROSOFT,
    "orange.fr": ORANGE_FR,
    "firm.example": COMPANIES,
    "bank.example": PPHOSTED,
    "shop.example": MIMECAST_COM,
}


class Week:
    """Recipients in messages of five, within two days; each provider is away twice, two of them for good in the end."""

    def __init__(self, seed: int, recipients: int) -> None:
        self.recipients = recipients
        retries = {"retry_after": (10 * MINUTE, HOUR, 4 * HOUR), "bounce_after": 4.5 * DAY}
        self.world = World(relay(domain("*", max_smtp_out=5, max_msg_per_connection=20, **retries)), seed=seed)
        self.town = Providers(self.world, seed)
        self.chance = Random(seed)
        self.accepted: set[str] = set()

    def live(self) -> None:
        self.world.domain("sender.example")
        for name, manner in HOMES.items():
            self.town.settle(manner, name)
        self._outages()
        for start in range(0, self.recipients, 5):
            self.world.advance(2 * self.chance.random() * 2 * DAY * 5 / self.recipients)
            recipients = [f"user{number}@{self.chance.choice(list(HOMES))}" for number in range(start, start + 5)]
            assert self.world.submit(ME, recipients).accepted
            self.accepted.update(recipients)
        self.world.run_until_empty(within=7 * DAY - self.world.now)

    def _outages(self) -> None:
        for name in sorted(self.town.all):
            for _ in range(2):
                begin, fault = self.chance.uniform(0, 3 * DAY), self.chance.choice((Fault.REFUSED, Fault.TIMEOUT))
                self.world.clock.call_later(begin, lambda name=name, fault=fault: self._away(name, fault))
                self.world.clock.call_later(begin + self.chance.uniform(HOUR, DAY), lambda name=name: self._away(name, None))
        for name in ("orange", "companies"):
            self.world.clock.call_later(1.5 * DAY, lambda name=name: self._gone(name))

    def _away(self, name: str, fault: Fault | None) -> None:
        for host in self.town.all[name].hosts:
            host.down = fault

    def _gone(self, name: str) -> None:
        for host in self.town.all[name].hosts:
            host.set_rules(["mail 451 4.3.0 not today", "mail 451 4.3.0 not today"])


def history(seed: int) -> tuple[Any, ...]:
    week = Week(seed, 750)
    with week.world as world:
        week.live()
        return (world.records, week.town.ledger.taken, week.town.ledger.events, round(world.now, 6))


@pytest.mark.directive("bounce-after", "retry-after")
def test_after_a_week_of_outages_every_recipient_has_met_one_fate() -> None:
    week = Week(11, 5000)
    with week.world as world:
        week.live()
        fates = {rcpt: count for (_, rcpt), count in world.fates().items() if rcpt in week.accepted}
        assert set(fates) == week.accepted
        assert len(week.accepted) == 5000
        assert Counter(count for count in fates.values()) == Counter({1: 5000})
        kinds = Counter(kind for kind, rcpt in world.fates() if rcpt in week.accepted)
        delivered = Counter(week.town.ledger.recipients())
        assert set(delivered.values()) == {1}, "nobody got it twice"
        assert set(delivered) == {rcpt for kind, rcpt in world.fates() if kind == "d" and rcpt in week.accepted}
        expired = [
            record
            for record in world.of("b")
            if "bounce-after" in record.dsn_diag or record.dsn_status == "4.4.7" or "not today" in record.dsn_diag
        ]
        assert kinds["d"] > 3500
        assert len(expired) > 300
        assert world.now > 5 * DAY
        assert [line for line in world.log if line.level == "error"] == []


def test_two_weeks_of_one_seed_are_the_same_week() -> None:
    first, again = history(4), history(4)
    assert first == again


@pytest.mark.directive("cold-virtual-mta", "max-cold-virtual-mta-msg")
def test_a_new_address_is_warmed_up_by_its_day_list() -> None:
    """Of 400 messages a day to Gmail 20 go by the new address on the first day, then 50, then 100, and so on with 100."""
    days = (Rate(20, DAY), Rate(50, DAY), Rate(100, DAY))
    old = vmta("old", "192.0.2.10", cold_virtual_mta=("new",), max_smtp_out=10)
    settings = relay(domain("*", max_cold_virtual_mta_msg=days, max_smtp_out=5), old, vmta("new", "192.0.2.11"))
    world = World(settings, seed=2)
    town = Providers(world, 2)
    with world:
        world.advance(DAY - world.clock.now() % DAY + 1)  # a new day (UTC)
        town.settle(GOOGLE, "gmail.com", **KIND)
        by_day = []
        for number in range(4):
            before = Counter(taken.source for taken in town.ledger.taken)
            begun = world.now
            for at in range(400):
                world.submit(ME, [f"user{number}-{at}@gmail.com"], headers={"x-virtual-mta": "old"})
            world.run_until_empty(within=HOUR)
            by_day.append(Counter(taken.source for taken in town.ledger.taken) - before)
            world.advance(DAY - (world.now - begun))
        assert [one["192.0.2.11"] for one in by_day] == [20, 50, 100, 100]
        assert [one["192.0.2.10"] for one in by_day] == [380, 350, 300, 300]


@pytest.mark.directive("mx-rollup-list", "max-smtp-out", "max-msg-rate")
def test_two_hundred_domains_at_one_provider_are_under_one_limit() -> None:
    """Each has a message or three; Microsoft would count them together, and so do we."""
    rollups = tuple(RollupRule(host, "microsoft.rollup") for host in MICROSOFT.hosts)
    limits = domain("microsoft.rollup", max_smtp_out=3, max_msg_rate=Rate(60, MINUTE), max_msg_per_connection=20)
    for rolled in (True, False):
        world = World(relay(domain("*", retry_after=(10 * MINUTE,)), limits, mx_rollups=rollups if rolled else ()), seed=3)
        town = Providers(world, 3)
        with world:
            world.domain("sender.example")
            names = [f"customer{number}.example" for number in range(200)]
            town.settle(MICROSOFT, *names, **KIND, connections=3, tarpit=0.5)
            for number in range(400):
                world.submit(ME, [f"user{number}@{names[number % 200]}"])
            world.run_until_empty(within=DAY)
            assert len(town.ledger.recipients()) == 400 or not rolled
            asked = [at for visit in town.ledger.visits for at, _ in visit.asked]
            kept = most_at_once(town.ledger.visits) <= 3 and most_within(asked, MINUTE) <= 60 and not town.refusals()
            assert kept is rolled
