"""Stories of domains that share a queue: by what is written (queue-to), by their MX hosts (mx-rollup-list), and by what was discovered."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from postwright.engine.rollups import MOST_TIME
from postwright.model.work import QueueKey
from postwright.policy.settings import Rate, RollupRule
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay, vmta

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
ME = "me@sender.example"
LIST = (RollupRule("mx1.big.example", "big.rollup"), RollupRule("mx2.big.example", "big.rollup"))
RETRY = domain("*", retry_after=(MINUTE,))
NAMES = [f"d{number}.example" for number in range(8)]


def big(world: World, *names: str, rules: tuple[str, ...] = ()) -> tuple:  # type: ignore[type-arg]
    """A provider with two best hosts and a worse one, and domains that it takes mail for."""
    hosts = [world.host(f"mx{number}.big.example", rules) for number in (1, 2)]
    spare = world.host("spare.big.example")
    for name in names:
        at_provider(world, name)
    return (*hosts, spare)


def at_provider(world: World, name: str) -> None:
    world.zone[name] = {"MX": ["10 mx1.big.example", "10 mx2.big.example", "20 spare.big.example"]}


def queues(world: World, kind: str = "d") -> set[str]:
    return {record.queue for record in world.of(kind)}


@pytest.mark.directive("mx-rollup-list", "mx")
def test_domains_with_the_same_hosts_share_a_queue_and_its_limits() -> None:
    settings = relay(RETRY, domain("big.rollup", max_smtp_out=1, max_msg_rate=Rate(10, MINUTE)), mx_rollups=LIST)
    with World(settings) as world:
        hosts = big(world, *NAMES)
        for name in NAMES * 4:
            world.submit(ME, [f"you@{name}"])
        world.advance(2)
        assert len(world.of("d")) == 10
        world.run_until_empty(within=HOUR)
        assert queues(world) == {"big.rollup/{default}"}
        assert sum(host.counts.most_open for host in hosts[:2]) <= 2
        assert {record.rcpt.partition("@")[2] for record in world.of("d")} == set(NAMES)
        assert not hosts[2].attempts  # in the DNS, and not in the list


@pytest.mark.directive("mx-rollup-list")
def test_without_a_list_each_domain_has_its_own_queue() -> None:
    with World(relay(RETRY)) as world:
        big(world, "a.example", "b.example")
        for name in ("a.example", "b.example"):
            world.submit(ME, [f"you@{name}"])
        world.run_until_empty(within=HOUR)
        assert queues(world) == {"a.example/{default}", "b.example/{default}"}


@pytest.mark.directive("disable-mx-rollup")
def test_a_domain_may_stay_out_of_it() -> None:
    with World(relay(RETRY, domain("vip.example", disable_mx_rollup=True), mx_rollups=LIST)) as world:
        big(world, "a.example", "vip.example")
        for name in ("a.example", "vip.example"):
            world.submit(ME, [f"you@{name}"])
        world.run_until_empty(within=HOUR)
        assert queues(world) == {"big.rollup/{default}", "vip.example/{default}"}


def test_a_message_to_several_rolled_up_domains_leaves_in_one_transaction() -> None:
    with World(relay(RETRY, mx_rollups=LIST)) as world:
        hosts = big(world, "a.example", "b.example")
        for name in ("a.example", "b.example"):
            world.submit(ME, [f"first@{name}"])
        world.advance(5)
        world.submit(ME, ["you@a.example", "you@b.example"])
        world.run_until_empty(within=HOUR)
        assert ["you@a.example", "you@b.example"] in [list(m.recipients) for host in hosts for m in host.messages]


@pytest.mark.directive("mx-rollup-list")
def test_a_domain_whose_hosts_are_not_all_listed_hosts_is_left_alone() -> None:
    with World(relay(RETRY, mx_rollups=LIST)) as world:
        big(world)
        world.mx("half.example", "mx1.big.example")
        world.submit(ME, ["you@half.example"])
        world.run_until_empty(within=HOUR)
        assert queues(world) == {"half.example/{default}"}


@pytest.mark.directive("mx-rollup-list", "mx")
def test_a_pattern_goes_by_the_hosts_of_its_queue_or_by_addresses() -> None:
    wild = (RollupRule("*.wild.example", "wild.rollup"),)
    with World(relay(RETRY, domain("wild.rollup", smtp_hosts="in.wild.example"), mx_rollups=wild)) as world:
        inbound = world.host("in.wild.example")
        for name in ("a", "b"):
            world.domain(f"{name}.example", host=f"{name}.wild.example")
            world.submit(ME, [f"you@{name}.example"])
        world.run_until_empty(within=HOUR)
        assert queues(world) == {"wild.rollup/{default}"}
        assert len(inbound.messages) == 2
    by_ip = (RollupRule("*.wild.example", "wild.rollup", by_ip=True),)
    with World(relay(RETRY, mx_rollups=by_ip)) as world:
        one = world.domain("a.example", host="a.wild.example")
        world.zone["b.wild.example"] = dict(world.zone["a.wild.example"])  # another name for the same
        world.mx("b.example", "b.wild.example")
        other = world.domain("c.example", host="c.wild.example")
        for name in ("a", "b", "c"):
            world.submit(ME, [f"you@{name}.example"])
            world.advance(1)
        world.run_until_empty(within=HOUR)
        assert {(r.rcpt, r.queue) for r in world.of("d")} == {
            ("you@a.example", "wild.rollup/{default}"),
            ("you@b.example", "wild.rollup/{default}"),
            ("you@c.example", "c.example/{default}"),
        }
        assert [len(one.messages), len(other.messages)] == [2, 1]


@pytest.mark.directive("mx-rollup-discovered")
def test_domains_of_a_big_provider_are_found_without_a_list() -> None:
    for discovered, expected in (((), 2), (("big.example",), 1), (("other.example",), 2)):
        with World(relay(RETRY, general={"mx_rollup_discovered": discovered})) as world:
            big(world, "a.example", "b.example")
            for name in ("a.example", "b.example"):
                world.submit(ME, [f"you@{name}"])
            world.run_until_empty(within=HOUR)
            assert len(queues(world)) == expected
            assert ("mx1.big.example.rollup/{default}" in queues(world)) is (expected == 1)


def test_what_waits_moves_with_its_history() -> None:
    """The domain goes to the provider while its mail is being retried."""
    with World(relay(domain("*", retry_after=(MINUTE, HOUR)), mx_rollups=LIST)) as world:
        old = world.domain("a.example", rules=["rcpt 450 4.2.0 later"])
        hosts = big(world)
        world.submit(ME, ["you@a.example"])
        world.advance(5 * MINUTE)
        assert old.times == [0, MINUTE]
        at_provider(world, "a.example")
        world.node.resolver.clear()  # type: ignore[attr-defined]
        world.submit(ME, ["new@a.example"])
        world.advance(1)
        assert [m.recipients for host in hosts for m in host.messages] == [["new@a.example"]]
        (queue,) = (queue for queue in world.node.scheduler.queues.values() if queue.recipients)
        assert queue.key.domain == "big.rollup"
        (entry,) = world.node.scheduler.entries(queue)
        assert (entry.attempts, round(entry.due - world.clock.now() + world.now)) == (2, MINUTE + HOUR)
        world.run_until_empty(within=2 * HOUR)
        assert [round(m.at) for host in hosts for m in host.messages if m.recipients == ["you@a.example"]] == [MINUTE + HOUR]


def test_mail_leaves_the_shared_queue_when_its_domain_has_left_the_provider() -> None:
    with World(relay(domain("*", retry_after=(DAY,)), mx_rollups=LIST)) as world:
        big(world, "a.example", rules=("rcpt 450 4.2.0 later",))
        world.submit(ME, ["you@a.example"])
        world.advance(MINUTE)
        own = world.domain("a.example")
        world.run_until_empty(within=2 * DAY)
        assert own.recipients == ["you@a.example"]
        assert queues(world) == {"a.example/{default}"}
        assert MOST_TIME < DAY


@pytest.mark.parametrize("shards", [1, 2, 3])
def test_a_rollup_that_is_learnt_while_mail_of_all_shards_waits(shards: int) -> None:
    settings = relay(domain("*", retry_after=(MINUTE,)), domain("big.rollup", max_smtp_out=1), mx_rollups=LIST)
    with World(settings, shards=shards) as world:
        world.failing.update(NAMES)
        hosts = big(world, *NAMES, rules=("eod delay=1",))
        for number, name in enumerate(NAMES * 3):
            world.submit(ME, [f"u{number}@{name}"], shard=number % shards)
        world.advance(10)
        assert not world.of("d")
        world.failing.clear()
        world.run_until_empty(within=HOUR)
        assert set(world.fates().values()) == {1}
        assert sum(world.fates().values()) == 3 * len(NAMES)
        assert queues(world) == {"big.rollup/{default}"}
        assert sum(len(host.messages) for host in hosts) == 3 * len(NAMES)
        assert sum(host.counts.most_open for host in hosts) <= 2  # one at a time, by two hosts
        owner = world.node.sharing.owner(QueueKey("big.rollup", "{default}"))
        assert world.nodes[owner].counters.traffic.delivered == 3 * len(NAMES)


def test_new_mail_goes_to_the_shared_queue_at_once_in_all_shards() -> None:
    with World(relay(RETRY, mx_rollups=LIST), shards=3) as world:
        big(world, *NAMES)
        for name in NAMES:
            world.submit(ME, [f"first@{name}"])
        world.advance(5)
        assert [len(list(node.where.rollups.everything())) for node in world.nodes] == [len(NAMES)] * 3
        given = []
        for node in world.nodes:
            back = node.exchange.give_back
            node.exchange.give_back = lambda *frame, back=back: (given.append(frame), back(*frame))  # type: ignore[method-assign]
        for number, name in enumerate(NAMES):
            world.submit(ME, [f"second@{name}"], shard=number % 3)
        world.run_until_empty(within=MINUTE)
        assert not given
        assert queues(world) == {"big.rollup/{default}"}


@pytest.mark.parametrize("dies", ["owner", "keeper", "finder"])
def test_a_shard_that_dies_after_mail_has_moved_loses_none_of_it(dies: str) -> None:
    with World(relay(domain("*", retry_after=(MINUTE,)), mx_rollups=LIST), shards=3) as world:
        owner = world.node.sharing.owner(QueueKey("big.rollup", "{default}"))
        finder = (owner + 1) % 3
        name = next(n for n in map("e{}.example".format, range(99)) if world.node.sharing.owner(QueueKey(n, "{default}")) == finder)
        hosts = big(world, name, rules=("rcpt first=6 450 4.2.0 later",))
        keeper = (owner + 2) % 3
        for number in range(6):
            world.submit(ME, [f"u{number}@{name}"], shard=keeper)
        world.advance(10)
        assert world.nodes[owner].scheduler.recipients == 6
        for node in world.nodes:
            node.where.rollups.forget(name, float("inf"))  # what was known has passed, and nobody knows where the mail is
        shard = {"owner": owner, "keeper": keeper, "finder": finder}[dies]
        world.crash(shard)
        world.advance(1)
        world.begin(shard)
        world.run_until_empty(within=HOUR)
        assert set(world.fates().values()) == {1}
        assert sum(world.fates().values()) == 6
        assert sorted(r for host in hosts for r in host.recipients) == [f"u{number}@{name}" for number in range(6)]


def test_a_million_would_move_in_batches_and_nobody_is_held_up() -> None:
    settings = relay(domain("*", retry_after=(HOUR,)), domain("big.rollup", max_smtp_out=0), mx_rollups=LIST)
    with World(settings) as world:
        world.failing.add("a.example")
        big(world, "a.example")
        for number in range(1200):
            world.submit(ME, [f"u{number}@a.example"])
        turns: list[int] = []
        move = world.node.sharing.move
        world.node.sharing.move = lambda moved: (turns.append(len(moved)), move(moved))[1]  # type: ignore[method-assign]
        world.failing.clear()
        world.advance(2 * MINUTE)
        assert max(turns) <= 500
        assert sum(turns) == 1200
        waiting = {queue.key.domain: queue.recipients for queue in world.node.scheduler.queues.values() if queue.recipients}
        assert waiting == {"big.rollup": 1200}


@pytest.mark.directive("queue-to")
def test_domains_are_put_into_one_queue_by_name_and_sent_to_its_hosts() -> None:
    settings = relay(RETRY, domain("a.example", queue_to="both.example"), domain("b.example", queue_to="both.example"),
                     domain("both.example", max_msg_rate=Rate(4, MINUTE)))  # fmt: skip
    with World(settings, shards=2) as world:
        both = world.domain("both.example")
        for number in range(8):
            world.submit(ME, [f"u{number}@{'ab'[number % 2]}.example"], shard=number // 2 % 2)
        world.advance(30)
        assert len(both.messages) == 4
        world.run_until_empty(within=HOUR)
        assert queues(world) == {"both.example/{default}"}
        assert sorted(both.recipients) == [f"u{number}@{'ab'[number % 2]}.example" for number in range(8)]


@pytest.mark.directive("queue-to")
@pytest.mark.parametrize("shards", [1, 2])
def test_a_reload_that_adds_or_takes_away_queue_to_moves_what_waits(shards: int) -> None:
    plain = relay(domain("*", retry_after=(MINUTE,)))
    merged = replace(plain, domains=(*plain.domains, domain("a.example", queue_to="both.example")))
    for first, then, host in ((plain, merged, "both.example"), (merged, plain, "a.example")):
        with World(first, shards=shards) as world:
            receivers = {name: world.domain(name, rules=["rcpt 450 4.2.0 later"]) for name in ("a.example", "both.example")}
            for number in range(6):
                world.submit(ME, [f"u{number}@a.example"], shard=number % shards)
            world.advance(5)
            for receiver in receivers.values():
                receiver.set_rules([])
            world.reload(then)
            world.run_until_empty(within=HOUR)
            assert sorted(receivers[host].recipients) == [f"u{number}@a.example" for number in range(6)]
            assert set(world.fates().values()) == {1}
            [other] = [receiver for name, receiver in receivers.items() if name != host]
            assert max(other.times, default=0) < MINUTE, "nothing was tried there after the reload"


@pytest.mark.directive("retry-upon-new-mail")
def test_new_mail_wakes_a_queue_that_waits_to_be_tried_again() -> None:
    for wakes, tried in ((True, [0.0, 10.0]), (False, [0.0])):
        with World(relay(domain("*", retry_after=(HOUR,), max_smtp_out=1, retry_upon_new_mail=wakes))) as world:
            mx = world.domain("a.example", rules=["connect 421 4.3.2 later"])
            world.submit(ME, ["you@a.example"])
            world.advance(10)
            world.submit(ME, ["me@a.example"])
            world.advance(10)
            assert mx.times == tried


def test_a_rollup_is_for_each_virtual_mta_by_itself() -> None:
    with World(relay(RETRY, vmta("v", "192.0.2.10"), vmta("w", "192.0.2.11"), mx_rollups=LIST)) as world:
        hosts = big(world, "a.example")
        for name in "vw":
            world.submit(ME, ["you@a.example"], headers={"x-virtual-mta": name})
        world.run_until_empty(within=HOUR)
        assert queues(world) == {"big.rollup/v", "big.rollup/w"}
        assert {attempt.source for host in hosts for attempt in host.attempts} == {"192.0.2.10", "192.0.2.11"}


@pytest.mark.directive("mx-rollup-list", "reroute-to-virtual-mta")
def test_a_rollup_queue_knows_its_hosts_also_under_a_virtual_mta_that_other_mail_is_rerouted_to() -> None:
    settings = relay(RETRY, domain("other.example", reroute_to_virtual_mta="b"), vmta("b", "192.0.2.11"), mx_rollups=LIST)
    with World(settings) as world:
        hosts = big(world, "a.example")
        world.submit(ME, ["you@a.example"], headers={"x-virtual-mta": "b"})
        world.run_until_empty(within=10 * MINUTE)
        assert queues(world) == {"big.rollup/b"}
        assert [attempt.source for host in hosts for attempt in host.attempts] == ["192.0.2.11"]
