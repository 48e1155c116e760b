"""Stories of limits: they hold at every moment of simulated hours, and mail flows all the same."""

from __future__ import annotations

import pytest

from postwright.engine import intake, worker
from postwright.policy.settings import Rate
from postwright.testing.sink_records import Extensions
from postwright.testing.world import World
from postwright.testing.world_settings import domain, pool, relay, vmta

MINUTE, HOUR = 60.0, 3600.0
ME = "me@sender.example"


def to(count: int, name: str = "example.com") -> list[str]:
    return [f"{number}@{name}" for number in range(count)]


def most_in_any(times: list[float], interval: float) -> int:
    """The most events in any window of that length, wherever it begins."""
    return max(sum(1 for other in times if at <= other < at + interval) for at in times)


@pytest.mark.directive("max-msg-per-connection")
def test_messages_per_connection() -> None:
    with World(relay(domain("*", max_msg_per_connection=3, max_smtp_out=1))) as world:
        mx = world.domain("example.com")
        for address in to(10):
            world.submit(ME, [address])
        world.run_until_empty(within=MINUTE)
        assert [connection.messages for connection in mx.connections] == [3, 3, 3, 1]


@pytest.mark.directive("max-rcpt-per-message")
def test_recipients_per_message_are_split_into_transactions() -> None:
    with World(relay(domain("*", max_rcpt_per_message=4))) as world:
        mx = world.domain("example.com")
        world.submit(ME, to(10))
        world.run_until_empty(within=MINUTE)
        assert sorted(len(message.recipients) for message in mx.messages) == [2, 4, 4]
        assert sorted(mx.recipients) == to(10)


def test_connections_of_a_queue() -> None:
    with World(relay(domain("*", max_smtp_out=3, max_msg_per_connection=1))) as world:
        mx = world.domain("example.com", rules=["eod delay=10"])
        for address in to(12):
            world.submit(ME, [address])
        world.run_until_empty(within=HOUR)
        assert mx.counts.most_open == 3
        assert sorted(mx.recipients) == sorted(to(12))


def test_connections_of_a_virtual_mta_over_all_its_queues() -> None:
    with World(relay(domain("*", max_smtp_out=20), vmta("small", "192.0.2.9", max_smtp_out=2))) as world:
        names = [f"d{number}.example" for number in range(6)]
        receivers = [world.domain(name, rules=["eod delay=10"]) for name in names]
        for name in names:
            world.submit(ME, to(2, name), headers={"x-virtual-mta": "small"})
        open_at_once = []
        while world.node.scheduler.recipients:
            world.advance(0.5)
            open_at_once.append(sum(receiver.counts.open for receiver in receivers))
        assert max(open_at_once) == 2
        assert sum(len(receiver.recipients) for receiver in receivers) == 12


@pytest.mark.directive("max-msg-rate")
def test_a_message_rate_holds_for_every_window() -> None:
    with World(relay(domain("*", max_msg_rate=Rate(10, MINUTE), max_smtp_out=5))) as world:
        mx = world.domain("example.com")
        for start in range(0, 300, 30):
            world.submit(ME, [f"{number}@example.com" for number in range(start, start + 30)])
        ended = world.run_until_empty(within=3 * HOUR)
        times = [message.at for message in mx.messages for _ in message.recipients]
        assert len(times) == 300
        assert most_in_any(times, MINUTE - 1) <= 10  # a second for the way from the queue to the end of data
        assert ended < 300 / 10 * MINUTE * 1.1  # and it is used, too


def test_a_message_rate_counts_what_fails() -> None:
    with World(relay(domain("*", max_msg_rate=Rate(2, MINUTE), retry_after=(10 * HOUR,)))) as world:
        world.domain("example.com", rules=["rcpt 450 4.2.0 later"])
        world.submit(ME, to(20))
        world.advance(5 * MINUTE)
        assert len(world.of("t")) in range(9, 13)


@pytest.mark.directive("max-connect-rate")
def test_a_connect_rate_holds() -> None:
    with World(relay(domain("*", max_connect_rate=Rate(3, MINUTE), max_msg_per_connection=1))) as world:
        mx = world.domain("example.com")
        for address in to(12):
            world.submit(ME, [address])
        world.run_until_empty(within=HOUR)
        assert most_in_any([attempt.at for attempt in mx.attempts], MINUTE - 0.1) <= 3


def test_queues_of_one_domain_by_virtual_mta_are_apart() -> None:
    with World(relay(domain("*", max_smtp_out=1), vmta("a", "192.0.2.10"), vmta("b", "192.0.2.11"))) as world:
        mx = world.domain("example.com", rules=["eod delay=30"])
        for number in range(4):
            world.submit(ME, [f"{number}@example.com"], headers={"x-virtual-mta": "ab"[number % 2]})
        world.advance(5)
        assert mx.counts.open == 2
        assert {attempt.source for attempt in mx.attempts} == {"192.0.2.10", "192.0.2.11"}
        world.run_until_empty(within=HOUR)
        assert {(r.vmta, r.queue) for r in world.of("d")} == {("a", "example.com/a"), ("b", "example.com/b")}


@pytest.mark.directive("virtual-mta")
def test_members_of_a_pool_take_turns() -> None:
    members = [vmta(name, f"192.0.2.{10 + at}") for at, name in enumerate("abc")]
    with World(relay(domain("*"), *members, pool("all", "a", "b", "c"))) as world:
        world.domain("example.com")
        for number in range(9):
            world.submit(ME, [f"{number}@example.com"], headers={"x-virtual-mta": "ALL"})
        world.run_until_empty(within=MINUTE)
        assert sorted(r.vmta for r in world.of("d")) == sorted("abc" * 3)
        assert {r.vmta_pool for r in world.records} == {"all"}
        assert {r.vmta for r in world.of("r")} == {"all"}


def test_an_address_of_each_family_for_hosts_of_each_family() -> None:
    both = vmta("both", "192.0.2.10")
    six = type(both.smtp_source_host[0])("2001:db8::10", "six.relay.example")
    four = type(both.smtp_source_host[0])("192.0.2.10", "four.relay.example")
    settings = relay(domain("*"), type(both)("both", smtp_source_host=(four, six)))
    with World(settings) as world:
        mx = world.domain("example.com")
        other = world.domain("six.example")
        world.receivers["2001:db8::25"] = other
        world.zone["mx.six.example"] = {"AAAA": ["2001:db8::25"]}
        world.submit(ME, ["a@example.com", "b@six.example"], headers={"x-virtual-mta": "both"})
        world.run_until_empty(within=MINUTE)
        assert [(a.source, a.name) for a in mx.attempts] == [("192.0.2.10", "four.relay.example")]
        assert [(a.source, a.name) for a in other.attempts] == [("2001:db8::10", "six.relay.example")]


@pytest.mark.directive("smtp-source-host")
def test_several_source_hosts_take_turns() -> None:
    one = vmta("many", "192.0.2.0")
    rules = tuple(type(one.smtp_source_host[0])(f"192.0.2.{10 + at}", f"h{at}.relay.example") for at in range(3))
    with World(relay(domain("*", max_msg_per_connection=1, max_smtp_out=1), type(one)("many", smtp_source_host=rules))) as world:
        mx = world.domain("example.com")
        for address in to(6):
            world.submit(ME, [address], headers={"x-virtual-mta": "many"})
        world.run_until_empty(within=HOUR)
        assert [attempt.source for attempt in mx.attempts] == ["192.0.2.10", "192.0.2.11", "192.0.2.12"] * 2


def test_a_reload_raises_a_limit_at_once() -> None:
    slow = relay(domain("*", max_msg_rate=Rate(1, HOUR)))
    with World(slow) as world:
        mx = world.domain("example.com")
        for address in to(5):
            world.submit(ME, [address])
        world.advance(MINUTE)
        assert len(mx.messages) == 1
        world.reload(relay(domain("*")))
        world.run_until_empty(within=MINUTE)
        assert sorted(mx.recipients) == to(5)


def test_extra_connections_that_are_refused_do_not_stop_those_that_work() -> None:
    with World(relay(domain("*", max_smtp_out=5, retry_after=(HOUR,)))) as world:
        mx = world.domain("example.com", rules=["connect first=1 220", "connect 421 4.7.0 one is enough", "eod delay=1"])
        for address in to(30):
            world.submit(ME, [address])
        assert world.run_until_empty(within=3 * HOUR) < 5 * MINUTE
        assert len(mx.recipients) == 30


def test_a_reload_lowers_a_limit_though_connections_are_busy() -> None:
    slow = ["data delay=60"]
    with World(relay(domain("*", max_smtp_out=4))) as world:
        mx = world.domain("example.com", rules=slow)
        for address in to(40):
            world.submit(ME, [address])
        world.advance(90)
        assert len(world.node.delivery.crew.workers) == 4
        world.reload(relay(domain("*", max_smtp_out=1)))
        world.advance(3 * MINUTE)
        assert len(world.node.delivery.crew.workers) == 1
        world.run_until_empty(within=3 * HOUR)
        assert sorted(mx.recipients) == sorted(to(40))


def test_a_rate_of_nothing_holds_mail_and_does_not_spin() -> None:
    with World(relay(domain("*", max_msg_rate=Rate(0, HOUR)))) as world:
        mx = world.domain("example.com")
        world.submit(ME, ["you@example.com"])
        turns = 0
        pump = world.node._pump

        def counted() -> None:
            nonlocal turns
            turns += 1
            if turns < 100:
                pump()

        world.node._pump = counted  # type: ignore[method-assign]
        world.advance(HOUR)
        assert turns < 100
        assert not mx.messages
        world.reload(relay(domain("*")))
        world.run_until_empty(within=MINUTE)
        assert mx.recipients == ["you@example.com"]


def test_a_reload_to_another_rate_forgets_nothing() -> None:
    with World(relay(domain("*", max_msg_rate=Rate(10, HOUR)))) as world:
        mx = world.domain("example.com")
        for address in to(40):
            world.submit(ME, [address])
        world.advance(MINUTE)
        assert len(mx.messages) == 10
        world.reload(relay(domain("*", max_msg_rate=Rate(12, HOUR))))
        world.advance(MINUTE)
        assert len(mx.messages) == 12


def test_recipients_of_a_message_have_a_bound_where_the_configuration_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "RECIPIENTS_MOST", 3)
    with World(relay()) as world:
        mx = world.domain("example.com")
        submission = world.submit(ME, to(4))
        assert [reply.code for reply in submission.rcpt if reply is not None] == [250, 250, 250, 452]
        world.run_until_empty(within=MINUTE)
        assert mx.recipients == to(3)


def test_a_content_too_large_to_be_converted_bounces(monkeypatch: pytest.MonkeyPatch) -> None:
    with World(relay(domain("*"))) as world:
        mx = world.domain("example.com", extensions=Extensions(eightbitmime=False))
        world.domain("sender.example")
        head = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        monkeypatch.setattr(worker, "CONVERTED_MOST", 2000)
        world.submit(ME, ["small@example.com"], head + "Grüße\r\n", body="8BITMIME")
        world.submit(ME, ["large@example.com"], head + "Grüße\r\n" * 250, body="8BITMIME")
        world.run_until_empty(within=MINUTE)
        assert mx.recipients == ["small@example.com"]
        assert [(record.rcpt, record.dsn_status) for record in world.of("b") if record.orig] == [("large@example.com", "5.6.3")]
