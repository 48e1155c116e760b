"""Stories of the limits that queues, shards and source addresses share: never exceeded, and used."""

from __future__ import annotations

import pytest

from postwright.model.work import QueueKey, WaitReason
from postwright.policy.settings import Rate, SourceHostRule, VmtaSettings
from postwright.testing.sink_records import Extensions
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay, vmta

MINUTE, HOUR = 60.0, 3600.0
ME = "me@sender.example"
ONE_EACH = {"max_msg_per_connection": 1, "max_smtp_out": 20}


def to(count: int, name: str = "example.com") -> list[str]:
    return [f"{number}@{name}" for number in range(count)]


def many(count: int = 2, **directives: object) -> VmtaSettings:
    """A virtual MTA with so many source addresses."""
    rules = tuple(SourceHostRule(f"192.0.2.{10 + at}", f"h{at}.relay.example") for at in range(count))
    return VmtaSettings("many", smtp_source_host=rules, **directives)  # type: ignore[arg-type]


def submit(world: World, count: int, name: str = "example.com", by: str = "", content: bytes = b"") -> None:
    for number in range(count):
        headers = {"x-virtual-mta": by} if by else {}
        world.submit(ME, [f"{number}@{name}"], content, headers=headers, shard=number % len(world.nodes))


def most_in_any(times: list[float], interval: float) -> int:
    return max(sum(1 for other in times if at <= other < at + interval) for at in times)


@pytest.mark.directive("source-ip-max-smtp-out", "max-smtp-out-per-source-ip")
@pytest.mark.parametrize(
    "limit", [{"source_ip_max_smtp_out": (("192.0.2.0/24", 5), ("192.0.2.10/32", 1))}, {"max_smtp_out_per_source_ip": 2}]
)
def test_connections_of_a_source_address(limit: dict[str, object]) -> None:
    with World(relay(domain("*", **ONE_EACH, **limit), many())) as world:
        mx = world.domain("example.com", rules=["eod delay=10"])
        submit(world, 30, by="many")
        most = {"192.0.2.10": 0, "192.0.2.11": 0}
        while world.node.scheduler.recipients:
            world.advance(1)
            open_now = [worker.source for worker in world.node.delivery.crew.workers]
            most = {source: max(number, open_now.count(source)) for source, number in most.items()}
        assert len(mx.recipients) == 30
        assert most == ({"192.0.2.10": 1, "192.0.2.11": 5} if "source_ip_max_smtp_out" in limit else dict.fromkeys(most, 2))


@pytest.mark.directive("source-ip-max-connect-rate")
def test_connects_of_a_source_address() -> None:
    with World(relay(domain("*", **ONE_EACH, source_ip_max_connect_rate=(("192.0.2.10/32", Rate(2, MINUTE)),)), many())) as world:
        mx = world.domain("example.com", rules=["eod delay=20"])
        submit(world, 60, by="many")
        world.run_until_empty(within=2 * HOUR)
        times = [attempt.at for attempt in mx.attempts if attempt.source == "192.0.2.10"]
        assert most_in_any(times, MINUTE - 0.1) == 2


@pytest.mark.directive("source-ip-max-msg-rate")
def test_messages_of_a_source_address_and_the_other_goes_on() -> None:
    with World(relay(domain("*", source_ip_max_msg_rate=(("192.0.2.10/32", Rate(6, HOUR)),), max_smtp_out=4), many())) as world:
        mx = world.domain("example.com", rules=["eod delay=1"])
        submit(world, 100, by="many")
        world.run_until_empty(within=HOUR)
        by = [record.dlv_source_ip for record in world.of("d")]
        assert (by.count("192.0.2.10"), by.count("192.0.2.11")) == (6, 94)
        assert len(mx.recipients) == 100


@pytest.mark.directive("max-data-volume-rate", "source-ip-max-data-volume-rate", "max-smtp-data-volume-rate")
@pytest.mark.parametrize("where", ["queue", "source", "vmta"])
def test_octets_in_any_window(where: str) -> None:
    rate = Rate(20_000, MINUTE)
    own = {"queue": {"max_data_volume_rate": rate}, "source": {"source_ip_max_data_volume_rate": (("0.0.0.0/0", rate),)}}
    block = many(1, max_smtp_data_volume_rate=rate) if where == "vmta" else many(1)
    with World(relay(domain("*", **own.get(where, {})), block)) as world:
        mx = world.domain("example.com")
        submit(world, 60, by="many", content=b"x" * 70 + b"\r\n" * 1 + (b"y" * 78 + b"\r\n") * 20)
        ended = world.run_until_empty(within=3 * HOUR)
        size = max(record.dlv_size for record in world.of("d"))
        fit = 20_000 // size
        assert 5 < fit < 15
        assert most_in_any([message.at for message in mx.messages], MINUTE - 1) == fit
        assert ended < 60 / fit * MINUTE * 1.1


@pytest.mark.directive("max-data-volume-rate")
def test_a_content_larger_than_the_rate_goes_and_the_next_one_waits_for_longer() -> None:
    with World(relay(domain("*", max_data_volume_rate=Rate(1000, MINUTE)))) as world:
        mx = world.domain("example.com")
        submit(world, 2, content=(b"y" * 78 + b"\r\n") * 40)
        world.run_until_empty(within=HOUR)
        size = world.of("d")[0].dlv_size
        first, second = [message.at for message in mx.messages]
        assert first < 1
        assert size / 1000 * MINUTE <= second < size / 1000 * MINUTE + 5


@pytest.mark.directive("max-smtp-msg-rate")
def test_recipients_of_a_virtual_mta_over_queues_and_shards_and_every_queue_has_its_turn() -> None:
    with World(relay(domain("*"), vmta("slow", "192.0.2.9", max_smtp_msg_rate=Rate(6, MINUTE))), shards=2) as world:
        receivers = [world.domain(f"d{number}.example") for number in range(8)]
        for number in range(8):
            submit(world, 6, f"d{number}.example", by="slow")
        world.advance(4 * MINUTE)
        assert min(len(receiver.recipients) for receiver in receivers) >= 2, "by turns"
        ended = world.run_until_empty(within=HOUR)
        times = [message.at for receiver in receivers for message in receiver.messages]
        assert len(times) == 48
        assert most_in_any(times, MINUTE - 1) == 6
        assert ended < 48 / 6 * MINUTE * 1.05


@pytest.mark.directive("mx-connection-limit", "ip-connection-limit")
@pytest.mark.parametrize("limit", [{"mx_connection_limit": (("*.hosts.example", 2),)}, {"ip_connection_limit": (("198.51.0.0/16", 2),)}])
def test_connections_to_a_host_over_queues_and_shards(limit: dict[str, object]) -> None:
    with World(relay(domain("*", **ONE_EACH), **limit), shards=2) as world:
        mx = world.host("mx.hosts.example", rules=["eod delay=10"])
        for number in range(10):
            world.mx(f"d{number}.example", "mx.hosts.example")
            submit(world, 3, f"d{number}.example")
        world.advance(5)
        reasons = {world.nodes[at].scheduler.why(q, world.clock.now()) for at in (0, 1) for q in world.nodes[at].scheduler.queues.values()}
        assert reasons & {WaitReason.MX_CONNECTIONS, WaitReason.IP_CONNECTIONS}
        ended = world.run_until_empty(within=HOUR)
        assert mx.counts.most_open == 2
        assert len(mx.recipients) == 30
        assert ended < 30 / 2 * 10 * 1.1


@pytest.mark.directive("total-max-smtp-out")
def test_two_shards_share_the_total_and_use_it() -> None:
    with World(relay(domain("*", **ONE_EACH), general={"total_max_smtp_out": 4}), shards=2) as world:
        receivers = [world.domain(f"d{number}.example", rules=["eod delay=10"]) for number in range(6)]
        names = [f"d{number}.example" for number in range(6)]
        alone = next(name for name in names if world.node.sharing.owner(QueueKey(name, "{default}")) == 0)
        submit(world, 20, alone)
        world.advance(15)
        assert sum(receiver.counts.open for receiver in receivers) == 4, "one shard may have all of them"
        for name in names:
            submit(world, 10, name)
        most = 0
        begin = world.now
        while any(spool.status().live for spool in world.spools):
            world.advance(0.5)
            most = max(most, sum(receiver.counts.open for receiver in receivers))
        assert most == 4
        assert world.now - begin < 80 / 4 * 10 * 1.1


@pytest.mark.directive("queue-priority", "delivery-priority", "allow-priority-interruption")
@pytest.mark.parametrize("allowed", [True, False])
def test_a_queue_of_higher_priority_takes_a_place(allowed: bool) -> None:
    blocks = domain("*", allow_priority_interruption=allowed), domain("urgent.example", queue_priority=90)
    with World(relay(*blocks, general={"total_max_smtp_out": 1})) as world:
        slow = world.domain("bulk.example", rules=["eod delay=10"])
        urgent = world.domain("urgent.example")
        submit(world, 30, "bulk.example")
        world.advance(15)
        submit(world, 1, "urgent.example")
        world.run_until_empty(within=HOUR)
        assert (urgent.times[0] < 31) == allowed  # after the message that is being sent, and the one that was pipelined behind it
        assert len(slow.recipients) == 30
        assert set(world.fates().values()) == {1}


@pytest.mark.directive("allow-priority-interruption-during-transfer")
def test_at_once_where_that_is_allowed_and_nothing_is_counted_as_an_attempt() -> None:
    blocks = domain("*", allow_priority_interruption_during_transfer=True), domain("urgent.example", queue_priority=90)
    with World(relay(*blocks, general={"total_max_smtp_out": 1})) as world:
        slow = world.domain("bulk.example", rules=["rcpt delay=100"], extensions=Extensions(chunking=False))
        urgent = world.domain("urgent.example")
        submit(world, 1, "bulk.example")
        world.advance(15)
        submit(world, 1, "urgent.example")
        world.run_until_empty(within=HOUR)
        assert urgent.times[0] < 20
        assert len(slow.recipients) == 1
        assert not world.of("t")


@pytest.mark.directive("max-errors-per-connection")
@pytest.mark.parametrize("most", [2, None])
def test_a_connection_ends_after_so_many_refused_recipients(most: int | None) -> None:
    with World(relay(domain("*", max_smtp_out=1, max_errors_per_connection=most, ignore_pipelining=True))) as world:
        mx = world.domain("example.com", rules=["rcpt 550 5.1.1 no such user"])
        submit(world, 6)
        world.run_until(lambda: len(world.of("b")) >= 6, within=HOUR)
        assert len(mx.attempts) == (3 if most else 1)


def test_disabled_source_addresses_are_passed_over_and_a_queue_without_any_waits() -> None:
    with World(relay(domain("*", **ONE_EACH), many())) as world:
        mx = world.domain("example.com")
        submit(world, 1, by="many")
        world.advance(5)
        scheduler, now = world.node.scheduler, world.clock.now()
        world.submit(ME, ["late@example.com"], headers={"x-virtual-mta": "many", "x-job": "1"})
        world.advance(5)
        submit(world, 1, by="many")
        queue = scheduler.queues[QueueKey("example.com", "many")]
        assert scheduler.disable_source(queue, "192.0.2.10", now + HOUR)
        assert scheduler.disable_source(queue, "192.0.2.11", now + MINUTE)
        assert not scheduler.disable_source(queue, "192.0.2.99", now)
        world.advance(5)
        before = len(mx.recipients)
        submit(world, 5, by="many")
        world.advance(5)
        assert len(mx.recipients) == before
        assert scheduler.why(queue, world.clock.now()) is WaitReason.SOURCES_DISABLED
        world.advance(MINUTE)
        assert {attempt.source for attempt in mx.attempts if attempt.at > 30} == {"192.0.2.11"}
        world.run_until_empty(within=MINUTE)
