"""Random worlds: receivers that fail at every stage, restarts and crashes at any moment, and what must hold at the end.

POSTWRIGHT_WORLDS=1000 has more of them, POSTWRIGHT_FIRST_WORLD=500 others; the seed of one that fails is in the test's name.
"""

from __future__ import annotations

import os
from collections import Counter
from random import Random

import pytest
from msgspec.structs import replace

from postwright.model.outcome import Fault
from postwright.policy.settings import Rate, ReplyAction, ReplyRule, RollupRule, Settings
from postwright.testing.world import World
from postwright.testing.world_settings import domain, pool, relay, vmta

HOME = "home.example"
SENDER = f"me@{HOME}"
RULES = (
    "connect {p}% drop",
    "connect {p}% 421 4.7.0 too many",
    "connect {p}% 554 5.7.1 not today",
    "ehlo {p}% 421 4.3.2 closing",
    "mail {p}% 451 4.3.0 later",
    "mail {p}% 550 5.7.1 no",
    "mail {p}% drop",
    "rcpt {p}% 450 4.2.0 later",
    "rcpt {p}% 550 5.1.1 unknown",
    "rcpt {p}% 421 4.3.2 closing",
    "data {p}% 451 4.3.0 later",
    "data {p}% 554 5.6.0 no",
    "data {p}% drop",
    "eod {p}% 451 4.3.0 later",
    "eod {p}% 552 5.2.2 full",
    "eod {p}% drop",
    "eod {p}% delay=20",
    "rcpt {p}% delay=5",
    "quit {p}% hang",
)
# a reset loses replies on their way, that to the end of data before it too
COPIES = ("eod {p}% take-drop", "rcpt {p}% reset", "mail {p}% reset")

COUNT = int(os.environ.get("POSTWRIGHT_WORLDS", "12"))
FIRST = int(os.environ.get("POSTWRIGHT_FIRST_WORLD", "0"))
seeds = pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))


class Life:
    """One world. `crashes` and `copies` (cuts after the final dot) make duplicates possible, and are the only things that do."""

    def __init__(self, seed: int, *, shards: int = 1, crashes: bool = True, copies: bool = True) -> None:
        self.chance = Random(seed)
        self.crashes = crashes
        self.copies = copies
        self.shards = shards
        self.accepted: set[str] = set()
        self.reported: set[str] = set()  # accepted from a sender who hears of failures
        self.silent: set[str] = set()  # of whose end nobody is told
        self.domains = [f"d{number}.example" for number in range(self.chance.randint(2, 6))]
        self.world = World(self.settings(), seed=seed, shards=shards, sync=self.chance.choice((0.0005, 0.01, 0.3)))

    def settings(self) -> Settings:
        chance = self.chance
        return relay(
            domain(
                "*",
                retry_after=chance.choice(((60.0,), (10.0, 60.0, 300.0))),
                bounce_after=chance.choice((600.0, 7200.0)),
                max_smtp_out=chance.randint(1, 4),
                max_msg_per_connection=chance.choice((None, 1, 3)),
                max_rcpt_per_message=chance.choice((1, 2, 100)),
                max_msg_rate=chance.choice((None, Rate(20, 60.0))),
                ignore_chunking=chance.random() < 0.5,
                ignore_pipelining=chance.random() < 0.3,
                connection_idle_timeout=chance.choice((0.0, 30.0)),
            ),
            domain(HOME, retry_after=(5.0,), bounce_after=864000.0),
            vmta("a", "192.0.2.10", max_smtp_out=chance.choice((None, 2))),
            vmta("b", "192.0.2.11"),
        )

    def live(self) -> None:
        """Mail for a while, then receivers are well again, then until nothing is left."""
        self._build()
        for number in range(40):
            self._submit(number)
            self._pass_time()
        for receiver in self.receivers.values():
            receiver.set_rules([])
            receiver.down = None
        self.world.run_until_empty(within=30 * 86400.0)
        self.world.advance(1.0)

    def _build(self) -> None:
        world, chance = self.world, self.chance
        self.home = world.domain(HOME)
        self.receivers = {name: world.domain(name) for name in self.domains}
        for receiver in self.receivers.values():
            templates = chance.sample(RULES, chance.randint(0, 5)) + ([chance.choice(COPIES)] if self.copies else [])
            receiver.set_rules([template.format(p=chance.choice((5, 20, 60))) for template in templates])

    def _submit(self, number: int) -> None:
        chance = self.chance
        sender = SENDER if chance.random() < 0.8 else ""
        recipients = [f"u{number}-{at}@{chance.choice(self.domains)}" for at in range(chance.randint(1, 5))]
        headers = {"x-virtual-mta": chance.choice("ab")} if chance.random() < 0.5 else {}
        headers["x-job"] = f"job{number % 3}"  # they take turns in their queues
        taken = self.world.submit(sender, recipients, headers=headers, shard=chance.randrange(self.shards))
        if taken.accepted:
            self.accepted.update(recipients)
            if sender:
                self.reported.update(recipients)

    def _pass_time(self) -> None:
        chance, world = self.chance, self.world
        world.advance(chance.choice((0.0, 0.001, 0.01, 0.5, 20.0, 200.0)) * chance.random())
        receiver = self.receivers[chance.choice(self.domains)]
        if chance.random() < 0.1:
            receiver.down = None if receiver.down else chance.choice((Fault.REFUSED, Fault.TIMEOUT))
        if self.crashes and chance.random() < 0.1:
            shard = chance.randrange(self.shards)
            if chance.random() < 0.7:
                world.crash(shard)
                world.advance(chance.choice((0.0, 0.05, 3.0)))
                world.begin(shard)
            else:
                world.restart(shard)

    def check(self) -> None:
        """Nothing accepted is lost or counted twice; copies only where something explains them."""
        fates = Counter(rcpt for (_, rcpt), count in self.world.fates().items() for _ in range(count) if not rcpt.endswith(HOME))
        assert {rcpt: fates[rcpt] for rcpt in self.accepted if fates[rcpt] != 1} == {}
        delivered = Counter(rcpt for receiver in self.receivers.values() for rcpt in receiver.recipients)
        said = {rcpt for kind, rcpt in self.world.fates() if kind == "d"}
        assert {rcpt for rcpt in said & self.accepted if not delivered[rcpt]} == set()
        if not self.crashes and not self.copies:
            assert {rcpt: count for rcpt, count in delivered.items() if count > 1} == {}
        self._check_reports({rcpt for kind, rcpt in self.world.fates() if kind == "b"} & self.reported)
        errors = [line for line in self.world.log if line.level == "error" and "waits" not in line.event]
        assert errors == []

    def _check_reports(self, bounced: set[str]) -> None:
        told = Counter(
            line.partition(";")[2].strip()
            for message in self.home.messages
            for line in message.content.decode().splitlines()
            if line.startswith("Final-Recipient:")
        )
        assert {rcpt for rcpt in bounced - self.silent if not told[rcpt]} == set()
        if not self.crashes:
            assert {rcpt: count for rcpt, count in told.items() if count > 1} == {}
            assert set(told) <= bounced


class Moving(Life):
    """A world in which mail is sent to other queues all the time: by settings that come and go, by what the DNS says today, by modes."""

    def settings(self) -> Settings:
        plain = super().settings()
        self.all_settings = [self._moved(plain) for _ in range(3)]
        return self.chance.choice(self.all_settings)

    def _moved(self, plain: Settings) -> Settings:
        chance, one, other = self.chance, *self.chance.sample(self.domains, 2)
        wide = {"smtp_pattern_list": "slow", "backoff_retry_after": (60.0,), "backoff_max_smtp_out": 2}
        if chance.random() < 0.7:
            wide["backoff_reroute_to_virtual_mta"] = chance.choice(("b", "both"))
        blocks = [domain("*", **wide)]
        if chance.random() < 0.5:
            blocks.append(domain(one, queue_to=other))
        if chance.random() < 0.5:
            blocks.append(domain(other, reroute_to_virtual_mta=chance.choice(("b", "both"))))
        cold = {"cold_virtual_mta": ("c",)} if chance.random() < 0.5 else {}
        vmtas = (vmta("a", "192.0.2.10", domain("*", max_cold_virtual_mta_msg=(Rate(7, 86400.0),)), **cold), vmta("c", "192.0.2.12"))
        rules = (RollupRule(f"mx{number}.big.example", "big.rollup") for number in (1, 2))
        return replace(
            plain,
            domains=(*plain.domains, *blocks),
            vmtas={**plain.vmtas, **{each.name: each for each in vmtas}},
            pools={"both": pool("both", "a", "b")},
            mx_rollups=tuple(rules) if chance.random() < 0.7 else (),
            smtp_pattern_lists={"slow": (ReplyRule("/too many|later/", ReplyAction(mode="backoff", backoff_to_normal_after=100.0)),)},
        )

    def _build(self) -> None:
        super()._build()
        for number in (1, 2):
            name = f"mx{number}.big.example"
            self.receivers[name] = self.world.host(name, [rule.format(p=20) for rule in self.chance.sample(RULES, 2)])
        for name in self.domains:
            self._choose_hosts(name)

    def _choose_hosts(self, name: str) -> None:
        if self.chance.random() < 0.5:
            self.world.mx(name, f"mx.{name}")
        else:
            self.world.mx(name, "mx1.big.example", "mx2.big.example")

    def _pass_time(self) -> None:
        super()._pass_time()
        chance, world = self.chance, self.world
        if chance.random() < 0.1:
            self._choose_hosts(chance.choice(self.domains))
            for node in world.nodes:
                node.resolver.clear()  # type: ignore[attr-defined]
        if chance.random() < 0.1:
            for rollups in [node.where.rollups for node in chance.sample(world.nodes, chance.randint(1, self.shards))]:
                rollups.forget(chance.choice(self.domains), float("inf"))
        if chance.random() < 0.1:
            world.reload(chance.choice(self.all_settings))


@seeds
def test_mail_that_moves_from_queue_to_queue_goes_once(seed: int) -> None:
    live(Moving(seed, crashes=False, copies=False))


@seeds
def test_also_over_shards(seed: int) -> None:
    live(Moving(seed, shards=3, crashes=False, copies=False))


@seeds
def test_mail_that_moves_while_shards_crash_is_neither_lost_nor_accounted_for_twice(seed: int) -> None:
    live(Moving(seed, shards=seed % 3 + 1))


@seeds
def test_without_crashes_everything_happens_exactly_once(seed: int) -> None:
    live(Life(seed, crashes=False, copies=False))


@seeds
def test_with_crashes_nothing_is_lost_and_nothing_accounted_for_twice(seed: int) -> None:
    live(Life(seed))


@seeds
def test_two_shards_that_hand_over_and_crash(seed: int) -> None:
    live(Life(seed, shards=2))


@seeds
def test_three_shards_without_crashes_are_as_exact_as_one(seed: int) -> None:
    live(Life(seed, shards=3, crashes=False, copies=False))


def live(life: Life) -> None:
    with life.world:
        life.live()
        life.check()
