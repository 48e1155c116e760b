"""Stories of several shards: who owns which queue, mail handed over by reference, and what holds when one of them dies.

The sockets between the shards are real ones; time, disks and receivers are simulated.
"""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from postwright.engine.frames import Place
from postwright.model.work import QueueKey
from postwright.policy.settings import Rate
from postwright.store.spool import DEFERRED, SETTLED, Mark
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay, vmta

MINUTE, HOUR = 60.0, 3600.0
ME = "me@sender.example"
RETRY = domain("*", retry_after=(MINUTE,))


def owned(world: World, shard: int, count: int = 1) -> list[str]:
    """Names of domains whose queues live in that shard."""
    names = (f"d{number}.example" for number in range(1000))
    mine = (name for name in names if world.node.sharing.owner(QueueKey(name, "{default}")) == shard)
    return [next(mine) for _ in range(count)]


def test_the_owner_delivers_and_the_accepting_spool_stays_the_truth() -> None:
    with World(relay(RETRY), shards=2) as world:
        (name,) = owned(world, 1)
        mx = world.domain(name)
        taken = world.submit(ME, [f"you@{name}"], shard=0)
        assert world.spools[0].live_recipients(taken.id) == (0,)
        world.run_until_empty()
        assert mx.recipients == [f"you@{name}"]
        assert [node.counters.traffic.delivered for node in world.nodes] == [0, 1]
        assert [node.counters.traffic.messages_in for node in world.nodes] == [1, 0]
        assert not list(world.spools[1].live())
        assert world.fates() == {("d", f"you@{name}"): 1}


def test_recipients_of_one_message_go_to_the_shards_of_their_queues() -> None:
    with World(relay(RETRY), shards=3) as world:
        names = [owned(world, shard)[0] for shard in range(3)]
        receivers = [world.domain(name) for name in names]
        world.submit(ME, [f"you@{name}" for name in names], shard=1)
        world.run_until_empty()
        assert [receiver.recipients for receiver in receivers] == [[f"you@{name}"] for name in names]
        assert [node.counters.traffic.delivered for node in world.nodes] == [1, 1, 1]


def test_a_queue_has_one_owner_and_so_exact_limits() -> None:
    with World(relay(domain("*", max_smtp_out=2, max_msg_per_connection=1)), shards=3) as world:
        mx = world.domain("example.com", rules=["eod delay=5"])
        for number in range(12):
            world.submit(ME, [f"{number}@example.com"], shard=number % 3)
        world.run_until_empty(within=HOUR)
        assert mx.counts.most_open == 2
        assert len(mx.messages) == 12


def test_a_rate_is_exact_over_all_shards() -> None:
    with World(relay(domain("*", max_msg_rate=Rate(5, MINUTE))), shards=3) as world:
        mx = world.domain("example.com")
        for number in range(45):
            world.submit(ME, [f"{number}@example.com"], shard=number % 3)
        world.run_until_empty(within=HOUR)
        times = [message.at for message in mx.messages]
        assert max(sum(1 for other in times if at <= other < at + MINUTE - 1) for at in times) <= 5


def test_a_virtual_mta_with_a_limit_is_exact_over_all_shards_and_queues() -> None:
    with World(relay(RETRY, vmta("small", "192.0.2.9", max_smtp_out=2)), shards=2) as world:
        names = owned(world, 0, 3) + owned(world, 1, 3)
        receivers = [world.domain(name, rules=["eod delay=5"]) for name in names]
        for number, name in enumerate(names):
            world.submit(ME, [f"you@{name}"], headers={"x-virtual-mta": "small"}, shard=number % 2)
        most = 0
        while any(spool.status().live for spool in world.spools):
            world.advance(0.25)
            most = max(most, sum(receiver.counts.open for receiver in receivers))
        assert most == 2


def test_an_owner_that_dies_is_handed_everything_again() -> None:
    with World(relay(RETRY), shards=2) as world:
        (name,) = owned(world, 1)
        mx = world.domain(name, rules=["rcpt first=5 450 4.2.0 later"])
        for number in range(5):
            world.submit(ME, [f"{number}@{name}"], shard=0)
        world.advance(10)
        world.crash(1)
        world.submit(ME, [f"late@{name}"], shard=0)  # nobody is there to take it over
        world.advance(10)
        world.begin(1)
        world.advance(1)
        assert mx.recipients == [f"late@{name}"]
        world.run_until_empty(within=2 * MINUTE)
        assert sorted(mx.recipients) == sorted([f"{number}@{name}" for number in range(5)] + [f"late@{name}"])
        assert set(world.fates().values()) == {1}


def test_steps_of_a_recipient_survive_the_death_of_the_owner() -> None:
    with World(relay(domain("*", retry_after=(MINUTE, HOUR))), shards=2) as world:
        (name,) = owned(world, 1)
        mx = world.domain(name, rules=["rcpt 450 4.2.0 later"])
        world.submit(ME, [f"you@{name}"], shard=0)
        world.advance(2 * MINUTE)
        world.crash(1)
        world.begin(1)
        world.advance(2 * HOUR)
        assert mx.times == [0, MINUTE, MINUTE + HOUR, MINUTE + 2 * HOUR]


def test_an_accepting_shard_that_dies_gets_no_copy_sent_of_what_is_in_flight() -> None:
    with World(relay(RETRY), shards=2) as world:
        (name,) = owned(world, 1)
        mx = world.domain(name, rules=["eod delay=30"])
        world.submit(ME, [f"you@{name}"], shard=0)
        world.advance(5)
        world.crash(0)
        world.advance(5)
        world.begin(0)
        world.run_until_empty(within=HOUR)
        world.advance(HOUR)
        assert mx.recipients == [f"you@{name}"]
        assert world.fates() == {("d", f"you@{name}"): 1}


def test_nor_when_the_lease_ends_while_it_is_away() -> None:
    with World(relay(RETRY), shards=2) as world:
        (name,) = owned(world, 1)
        mx = world.domain(name, rules=["eod delay=30"])
        world.submit(ME, [f"you@{name}"], shard=0)
        world.advance(5)
        world.crash(0)
        world.advance(60)
        assert mx.recipients == [f"you@{name}"]
        world.begin(0)
        world.run_until_empty(within=HOUR)
        world.advance(HOUR)
        assert mx.recipients == [f"you@{name}"]
        assert world.fates() == {("d", f"you@{name}"): 1}


def test_what_was_deferred_in_flight_is_tried_once_a_step_and_not_twice() -> None:
    for away in (5.0, 45.0):  # back before the lease ends, back after it
        with World(relay(domain("*", retry_after=(HOUR,))), shards=2) as world:
            (name,) = owned(world, 1)
            mx = world.domain(name, rules=["eod delay=30 451 4.3.0 later"])
            world.submit(ME, [f"a@{name}", f"b@{name}"], shard=0)
            world.advance(2)
            world.crash(0)
            world.advance(away)
            world.begin(0)
            world.advance(3 * HOUR + 5 * MINUTE)
            assert len(world.of("t")) == 2 * 4
            assert mx.times[1:] == [HOUR + 30, 2 * (HOUR + 30), 3 * (HOUR + 30)]
            assert mx.counts.acts["eod", "reply"] == 4


def test_outcomes_that_were_stored_and_not_acknowledged_are_accounted_for_once() -> None:
    with World(relay(RETRY), shards=2, sync=1.0) as world:
        (name,) = owned(world, 1)
        mx = world.domain(name)
        world.submit(ME, [f"you@{name}"], shard=0)
        world.run_until(lambda: bool(world.of("d")))  # on disk; the owner is told in the next turn of the loop
        world.crash(0)
        world.begin(0)
        world.advance(MINUTE)
        assert mx.recipients == [f"you@{name}"]
        assert world.fates() == {("d", f"you@{name}"): 1}


def test_of_outcomes_that_come_again_only_the_news_is_stored() -> None:
    with World(relay(RETRY), shards=2) as world:
        (name,) = owned(world, 1)
        world.domain(name, rules=["rcpt:late@* 450 4.2.0 later"])
        taken = world.submit(ME, [f"you@{name}", f"late@{name}"], shard=0)
        world.advance(1)
        records = [record for record in world.records if record.type in ("d", "t")]
        delivered, deferred = (tuple(r for r in records if r.type == kind) for kind in "dt")
        again = [
            Mark(taken.id, (0,), SETTLED, records=delivered),
            Mark(taken.id, (1,), DEFERRED, 0.0, 1, 0.0, deferred),
            Mark(taken.id, (0, 1), SETTLED, records=(*delivered, replace(deferred[0], type="b"))),
        ]
        stored: list[bool] = []
        world.run(_store(world, again, stored))
        world.advance(1)
        assert stored == [True]
        assert world.fates() == {("d", f"you@{name}"): 1, ("b", f"late@{name}"): 1}
        assert len(world.of("t")) == 1


async def _store(world: World, marks: list[Mark], stored: list[bool]) -> None:
    world.node.sharing.store_outcomes(1, marks, lambda: stored.append(True))


def test_outcomes_that_were_not_stored_are_sent_again() -> None:
    with World(relay(RETRY), shards=2, sync=1.0) as world:
        (name,) = owned(world, 1)
        mx = world.domain(name)
        world.submit(ME, [f"you@{name}"], shard=0)
        world.run_until(lambda: bool(mx.messages))
        world.advance(0.5)
        world.crash(0)  # with the mark in memory only
        world.begin(0)
        world.run_until_empty(within=MINUTE)
        world.advance(HOUR)
        assert mx.recipients == [f"you@{name}"]
        assert world.fates() == {("d", f"you@{name}"): 1}


def test_a_reference_that_has_moved_is_handed_over_anew_for_its_recipients_only() -> None:
    with World(relay(RETRY), shards=2) as world:
        one, two = owned(world, 1, 2)
        receivers = [world.domain(name, rules=["rcpt first=1 450 4.2.0 later"]) for name in (one, two)]
        taken = world.submit(ME, [f"you@{one}", f"you@{two}"], shard=0)
        world.advance(10)
        world.spools[0].move(taken.id)
        world.run_until_empty(within=5 * MINUTE)
        world.advance(HOUR)
        assert [receiver.recipients for receiver in receivers] == [[f"you@{one}"], [f"you@{two}"]]
        assert [receiver.times for receiver in receivers] == [[0, MINUTE]] * 2
        assert not [line for line in world.log if line.level == "error"]


def test_what_cannot_be_read_waits_and_is_said_and_is_not_forgotten() -> None:
    for shards, shard in ((1, 0), (2, 1)):
        with World(relay(RETRY), shards=shards) as world:
            (name,) = owned(world, shard)
            mx = world.domain(name)
            world.failing.add(name)  # nothing leaves before the damage
            taken = world.submit(ME, [f"you@{name}"], shard=0)
            world.spools[0].damaged.add(taken.id)
            world.failing.clear()
            world.advance(2 * HOUR)
            assert not mx.messages
            assert [line for line in world.log if line.level == "error"]
            world.spools[0].damaged.clear()
            world.run_until_empty(within=HOUR)
            assert mx.recipients == [f"you@{name}"]


def test_a_place_that_is_lost_for_good_is_not_asked_for_in_a_circle() -> None:
    with World(relay(RETRY), shards=2) as world:
        (name,) = owned(world, 1)
        world.domain(name, rules=["rcpt 450 4.2.0 later"])
        taken = world.submit(ME, [f"you@{name}"], shard=0)
        ref = world.spools[0].ref(taken.id)
        assert ref is not None
        del world.spools[0]._places[ref]  # the owner cannot find it, the accepting shard says it is there
        world.advance(HOUR + 10)
        assert len([line for line in world.log if line.event == "a message waits, another shard cannot find it"]) in range(5, 8)


def test_a_reload_that_gives_a_queue_to_another_shard_takes_the_mail_along() -> None:
    free, limited = vmta("v", "192.0.2.9"), vmta("v", "192.0.2.9", max_smtp_out=1)
    with World(relay(RETRY, free), shards=2) as world:
        sharing = world.node.sharing
        world_after = World(relay(RETRY, limited), shards=2)
        with world_after:
            target = world_after.node.sharing.owner(QueueKey("x.example", "v"))
        name = next(n for n in (f"d{i}.example" for i in range(99)) if sharing.owner(QueueKey(n, "v")) != target)
        mx = world.domain(name, rules=["rcpt first=4 450 4.2.0 later"])
        for number in range(4):
            world.submit(ME, [f"{number}@{name}"], headers={"x-virtual-mta": "v"}, shard=number % 2)
        world.advance(10)
        world.reload(relay(RETRY, limited))
        world.run_until_empty(within=3 * MINUTE)
        assert sorted(mx.recipients) == [f"{number}@{name}" for number in range(4)]
        assert [node.counters.traffic.delivered for node in world.nodes][target] == 4
        assert set(world.fates().values()) == {1}


def test_recipients_settled_meanwhile_are_not_handed_over() -> None:
    with World(relay(RETRY), shards=2) as world:
        (name,) = owned(world, 1)
        world.domain(name)
        taken = world.submit(ME, [f"you@{name}"], shard=0)
        ref = world.spools[0].ref(taken.id)
        assert ref is not None
        world.run_until_empty()
        world.node.sharing.stale(1, [Place(taken.id, ref, (0,))])
        world.advance(MINUTE)
        assert world.nodes[1].scheduler.recipients == 0


def test_a_reload_amid_a_handing_over_forgets_nothing_and_doubles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.engine.sharing.BATCH", 1)
    with World(relay(domain("*", retry_after=(HOUR,))), shards=2) as world:
        (name,) = owned(world, 0)
        world.domain(name, rules=["rcpt 450 4.2.0 later"])
        taken = [world.submit(ME, [f"{number}@{name}"], shard=0).id for number in range(6)]
        world.advance(10)
        node, key = world.node, QueueKey(name, "{default}")
        handed: list[int] = []
        monkeypatch.setattr(node.exchange, "hand_over", lambda shard, entry: handed.append(entry.message_id))

        async def amid() -> None:
            node.sharing.hand_again(1)
            for _ in range(4):
                await asyncio.sleep(0)  # some are passed by, as not of that shard
            node.sharing._owners[key] = 1
            node.sharing.move(node.scheduler.remove(lambda *_: True))
            assert 0 < len(handed) < 6
            await asyncio.sleep(1)

        world.run(amid())
        assert sorted(handed) == sorted(taken)


def test_a_shard_that_comes_back_twice_in_a_moment_is_handed_everything_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.engine.sharing.BATCH", 1)
    with World(relay(domain("*", retry_after=(HOUR,))), shards=2) as world:
        (name,) = owned(world, 1)
        world.domain(name, rules=["rcpt 450 4.2.0 later"])
        taken = {world.submit(ME, [f"{number}@{name}"], shard=0).id for number in range(5)}
        world.advance(10)
        handed: list[int] = []
        monkeypatch.setattr(world.node.exchange, "hand_over", lambda shard, entry: handed.append(entry.message_id))

        async def twice(turns: int) -> None:
            world.node.sharing.hand_again(1)
            for _ in range(turns):
                await asyncio.sleep(0)
            handed.clear()
            world.node.sharing.hand_again(1)
            await asyncio.sleep(1)

        for turns in range(9):
            world.run(twice(turns))
            assert sorted(handed) == sorted(taken)
        assert not [line for line in world.log if line.level == "error"]
        assert not world.node.sharing._handing
