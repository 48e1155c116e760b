"""Limits over several shards, out of random worlds: never passed, whatever arrives and is reloaded and dies; and used.

POSTWRIGHT_WORLDS=1000 has more of them, POSTWRIGHT_FIRST_WORLD=500 others; the seed of one that fails is in the test's name. What is
judged is what receivers saw (`limit_witness`), in simulated time.
"""

from __future__ import annotations

import os
from random import Random
from typing import Any

import pytest
from tests.engine.limit_witness import Era, Event, Law, Notes, Visit, Witness

from postwright.policy.resolve import Resolved
from postwright.policy.settings import Rate, Settings, SourceHostRule, VmtaSettings
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

COUNT = int(os.environ.get("POSTWRIGHT_WORLDS", "5"))
FIRST = int(os.environ.get("POSTWRIGHT_FIRST_WORLD", "0"))
seeds = pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))

ALL4 = "0.0.0.0/0"
SOURCES = {"192.0.2.10": "a", "192.0.2.20": "b", "192.0.2.21": "b"}
OWN = [f"d{number}.example" for number in range(4)]  # each has a host of its own
SHARING = [f"s{number}.example" for number in range(3)]  # these have one together
TROUBLE = ("connect 20% drop", "mail 10% 451 4.3.0 later", "rcpt 20% 450 4.2.0 later", "eod 10% drop", "quit 20% hang", "eod 50% delay=3")


class Limited:
    """One world of random limits. `reloads`: they change on the way; `crashes`: shards die."""

    def __init__(self, seed: int, *, shards: int, reloads: bool = False, crashes: bool = False) -> None:
        self.chance = Random(seed)
        self.shards, self.reloads, self.crashes = shards, reloads, crashes
        self.intervals = {what: self.chance.choice((2.0, 10.0, 60.0)) for what in ("msg", "volume", "connect")}
        self.limited = {name: self.chance.random() < 0.5 for name in "ab"}
        self.law = Law(SOURCES.__getitem__)
        self.notes = Notes()
        settings = self._settings()
        self.world = World(settings, seed=seed, shards=shards)
        self._in_force(settings)
        self.receivers = [self._host(f"mx.{name}", name) for name in OWN] + [self._host("mx.shared.example", "")]
        for name in OWN:
            self.world.mx(name, f"mx.{name}")
        for name in SHARING:
            self.world.mx(name, "mx.shared.example")
        self.accepted: set[str] = set()

    def _host(self, name: str, queue: str) -> Witness:
        rules = self.chance.sample(TROUBLE, self.chance.randint(0, 3))
        witness = self.world.host(name, rules, kind=Witness, notes=self.notes, queue=queue)
        assert isinstance(witness, Witness)
        return witness

    # -- settings ---------------------------------------------------------------------

    def _some(self, odds: float, value: Any) -> Any:
        return value if self.chance.random() < odds else None

    def _rate(self, what: str, low: int, high: int) -> Rate:
        return Rate(self.chance.randint(low, high), self.intervals[what])

    def _settings(self) -> Settings:
        chance = self.chance
        own: dict[str, Any] = {
            "max_smtp_out": self._some(0.7, chance.randint(1, 4)),
            "max_msg_rate": self._some(0.3, self._rate("msg", 1, 12)),
            "max_connect_rate": self._some(0.3, self._rate("connect", 1, 6)),
            "max_data_volume_rate": self._some(0.2, self._rate("volume", 5000, 20000)),
            "max_msg_per_connection": chance.choice((None, 1, 3)),
            "max_rcpt_per_message": chance.choice((1, 2, 100)),
            "connection_idle_timeout": chance.choice((0.0, 5.0)),
            "retry_after": (10.0,),
            "ignore_pipelining": True,  # so that nothing is asked for earlier or later than it is leased
            "ignore_chunking": chance.random() < 0.5,
        }
        for name, limit in (
            ("max_smtp_out", chance.randint(1, 3)),
            ("max_msg_rate", self._rate("msg", 1, 8)),
            ("max_connect_rate", self._rate("connect", 1, 4)),
            ("max_data_volume_rate", self._rate("volume", 5000, 20000)),
        ):
            if chance.random() < 0.2:
                own[f"source_ip_{name}"] = ((ALL4, limit),)
        more: dict[str, Any] = {}
        if chance.random() < 0.5:
            more["mx_connection_limit"] = (("*.example", chance.randint(1, 3)),)
        if chance.random() < 0.3:
            more["ip_connection_limit"] = (("198.51.0.0/16", chance.randint(1, 3)),)
        general = {"total_max_smtp_out": self._some(0.5, chance.randint(self.shards, 6))}
        return relay(domain("*", **own), *[self._vmta(name) for name in "ab"], general=general, **more)

    def _vmta(self, name: str) -> VmtaSettings:
        chance = self.chance
        rules = tuple(SourceHostRule(address, f"{name}.relay.example") for address, of in SOURCES.items() if of == name)
        if not self.limited[name]:
            return VmtaSettings(name, smtp_source_host=rules)
        return VmtaSettings(
            name,
            smtp_source_host=rules,
            max_smtp_out=chance.randint(1, 5),  # always one: queues stay with their shard
            max_smtp_msg_rate=self._some(0.4, self._rate("msg", 2, 20)),
            max_smtp_data_volume_rate=self._some(0.3, self._rate("volume", 5000, 40000)),
        )

    def _in_force(self, settings: Settings) -> None:
        self.law.eras.append(Era(self.world.now, settings, Resolved(settings).queue))

    # -- life -------------------------------------------------------------------------

    def live(self) -> None:
        """Mail in bursts, and whatever else there is; then time for it to leave."""
        for number in range(60):
            for at in range(self.chance.choice((1, 1, 3, 10))):
                self._submit(f"{number}-{at}")
            self.world.advance(self.chance.choice((0.0, 0.01, 1.0, 5.0)) * self.chance.random())
            if self.reloads and self.chance.random() < 0.1:
                settings = self._settings()
                self.world.reload(settings)
                self._in_force(settings)
            if self.crashes and self.chance.random() < 0.05:
                self._crash(self.chance.randrange(self.shards))
        self.world.advance(120.0)

    def _submit(self, name: str) -> None:
        chance = self.chance
        recipients = [f"{name}-{at}@{chance.choice(OWN + SHARING)}" for at in range(chance.randint(1, 3))]
        content = b"y" * 60 + b"\r\n"
        headers = {"x-virtual-mta": chance.choice("ab")}
        shard = chance.randrange(self.shards)
        if self.world.submit("", recipients, content * chance.randint(1, 60), headers=headers, shard=shard).accepted:
            self.accepted.update(recipients)

    def _crash(self, shard: int) -> None:
        self.world.crash(shard)
        self.world.advance(self.chance.choice((0.01, 3.0)))
        self.world.begin(shard)

    def check(self) -> None:
        """Nothing was passed. A shard that dies takes with it what its rates have counted, so then only places are judged."""
        said = self.law.crowds(self.notes.visits)
        if not self.crashes:
            said += self.law.floods(self.notes.asked, "msg")
            said += self.law.floods(self.notes.taken, "data_volume")
            said += self.law.floods(self._dials(), "connect")
        assert said == []
        assert [line for line in self.world.log if line.level == "error"] == []
        assert len(self.notes.taken) > 20, "something went"

    def _dials(self) -> list[Event]:
        return [
            Event(attempt.at, Visit(witness.hostname, witness.host, attempt.source, attempt.at, queue=witness.queue))
            for witness in self.receivers
            for attempt in witness.attempts
        ]


def live(life: Limited) -> None:
    with life.world:
        life.live()
        life.check()


@seeds
def test_over_two_shards_or_three(seed: int) -> None:
    live(Limited(seed, shards=2 + seed % 2))


@seeds
def test_with_reloads(seed: int) -> None:
    live(Limited(seed, shards=1 + seed % 3, reloads=True))


@seeds
def test_places_while_shards_die(seed: int) -> None:
    live(Limited(seed, shards=2 + seed % 2, reloads=seed % 2 == 0, crashes=True))
