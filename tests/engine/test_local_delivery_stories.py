"""Queues that need no host, in simulated time: the transport is the story's own, and says what became of each recipient and when.

What holds for every queue has to hold for these: limits of what runs at a time, rates, pauses, retries, backoff, expiry, priorities.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from postwright.control.config import loads
from postwright.engine.tracing import TraceOptions
from postwright.engine.transports import PutOff, delivered, later
from postwright.engine.why import wanted
from postwright.model.message import Message
from postwright.model.outcome import Disposition
from postwright.model.work import QueueKey
from postwright.policy.settings import Rate, Settings
from postwright.testing.relay_process import plain_config
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay, vmta
from postwright.wire.client_states import Transaction

ME = "me@sender.example"
OK, LATER = delivered("taken"), later("4.3.0", "not now")
DOWN = later("4.4.1", "nobody answers")

Outcome = Disposition | PutOff


class Told:
    """A transport that does as it is told: `answer(recipient, count)`; each delivery takes `takes` seconds."""

    name = "file"
    reports = True

    def __init__(self, world: World, answer: Callable[[str, int], Outcome] = lambda to, count: OK, *, takes: float = 0.0) -> None:
        self.most: int | None = 1
        self.takes = takes
        self.calls: list[tuple[float, str]] = []
        self.running = self.busiest = 0
        self._world = world
        self._answer = answer

    async def deliver(self, message: Message, transaction: Transaction) -> list[Disposition] | PutOff:
        self.running += 1
        self.busiest = max(self.busiest, self.running)
        at, fates = round(self._world.now, 1), []
        await asyncio.sleep(self.takes)
        self.running -= 1
        for recipient in transaction.recipients:
            self.calls.append((at, recipient.address.text))
            outcome = self._answer(recipient.address.text, len(self.calls))
            if isinstance(outcome, PutOff):
                return outcome
            fates.append(outcome)
        return fates


def told(world: World, answer: Callable[[str, int], Outcome] = lambda to, count: OK, *, takes: float = 0.0) -> Told:
    """All queues with a type of their own get this one."""
    transport = Told(world, answer, takes=takes)
    for node in world.nodes:
        node._transports.make = lambda settings: transport  # type: ignore[method-assign]
        node._grounds = node._made_grounds(node.resolved)
    return transport


def file(**more: object) -> Settings:
    return relay(domain("*"), domain("x.example", type="file", file_destination="/nowhere", **more))


@pytest.mark.directive("type", "max-smtp-out")
def test_as_many_run_at_a_time_as_the_queue_may_have_connections() -> None:
    with World(file(max_smtp_out=3)) as world:
        transport = told(world, takes=1.0)
        world.submit(ME, [f"u{number}@x.example" for number in range(12)])
        world.run_until_empty()
        assert transport.busiest == 3
        assert world.now == pytest.approx(4.0, abs=0.1), "and not fewer"
        assert world.fates() == {("d", f"u{number}@x.example"): 1 for number in range(12)}


@pytest.mark.directive("type", "max-msg-rate")
def test_a_rate_holds() -> None:
    with World(file(max_msg_rate=Rate(2, 10.0))) as world:
        transport = told(world)
        for number in range(6):
            world.submit(ME, [f"u{number}@x.example"])
        world.run_until_empty()
        assert sorted(at for at, _ in transport.calls) == pytest.approx([0, 0, 10, 10, 20, 20], abs=0.6)


@pytest.mark.directive("type", "source-ip-max-smtp-out", "source-ip-max-msg-rate")
def test_no_source_address_is_used_and_none_holds_it_up() -> None:
    """Limits of addresses are said for all domains, as they mostly are."""
    limited = domain("*", source_ip_max_smtp_out=(("0.0.0.0/0", 1),), source_ip_max_msg_rate=(("0.0.0.0/0", Rate(1, 3600.0)),))
    with World(relay(limited, domain("x.example", type="file", file_destination="/nowhere"), vmta("m", "192.0.2.7"))) as world:
        transport = told(world, takes=1.0)
        for number in range(40):
            world.submit(ME, [f"u{number}@x.example"], headers={"x-virtual-mta": "m"})
        world.run_until_empty()
        assert len(transport.calls) == 40
        assert transport.busiest == 20
        assert world.now < 60


@pytest.mark.directive("type", "mx-connection-limit", "ip-connection-limit")
def test_no_host_is_used_and_none_holds_it_up() -> None:
    limits = {"mx_connection_limit": (("*", 1),), "ip_connection_limit": (("0.0.0.0/0", 1),)}
    with World(relay(domain("*"), domain("x.example", type="file", file_destination="/nowhere"), **limits)) as world:
        transport = told(world, takes=1.0)
        world.submit(ME, [f"u{number}@x.example" for number in range(40)])
        world.run_until_empty()
        assert (len(transport.calls), transport.busiest) == (40, 20)


@pytest.mark.directive("type", "max-smtp-msg-rate", "max-smtp-out")
def test_limits_of_the_virtual_mta_hold() -> None:
    one = vmta("m", "192.0.2.7", max_smtp_out=2, max_smtp_msg_rate=Rate(5, 10.0))
    with World(relay(domain("*"), domain("x.example", type="file", file_destination="/nowhere"), one)) as world:
        transport = told(world, takes=0.5)
        world.submit(ME, [f"u{number}@x.example" for number in range(20)], headers={"x-virtual-mta": "m"})
        world.run_until_empty()
        assert transport.busiest == 2
        assert max(sum(start <= at < start + 9.5 for at, _ in transport.calls) for start, _ in transport.calls) == 5
        assert world.now == pytest.approx(31, abs=2)


@pytest.mark.directive("type", "retry-after", "retry-recipients-after")
def test_a_recipient_that_fails_waits_alone() -> None:
    with World(file(retry_after=(60.0,))) as world:
        transport = told(world, lambda to, count: LATER if to.startswith("bad") and count < 3 else OK)
        world.submit(ME, ["bad@x.example", "good@x.example"])
        world.run_until_empty()
        assert [(round(at), to) for at, to in transport.calls] == [(0, "bad@x.example"), (0, "good@x.example"), (60, "bad@x.example")]
        assert [(record.rcpt, record.dlv_type, record.dsn_action) for record in world.of("t")] == [("bad@x.example", "file", "delayed")]
        assert {(record.rcpt, record.dsn_action) for record in world.of("d")} == {
            ("bad@x.example", "delivered"), ("good@x.example", "delivered"),
        }  # fmt: skip


@pytest.mark.directive("type", "retry-after", "http-delivery-url")
@pytest.mark.parametrize(("wait", "times"), [(None, [0, 60, 180, 300]), (30.0, [0, 30, 60, 90])])
def test_what_says_nothing_of_the_message_puts_the_queue_off(wait: float | None, times: list[int]) -> None:
    """One is tried each time, nobody's attempts are counted, and the wait is the server's if it names one."""
    with World(file(retry_after=(60.0, 120.0), max_smtp_out=1)) as world:
        transport = told(world, lambda to, count: PutOff(DOWN, wait) if count < 4 else OK)
        for number in range(3):
            world.submit(ME, [f"u{number}@x.example"])
        world.run_until_empty()
        assert [round(at) for at, _ in transport.calls[:4]] == times
        assert len(transport.calls) == 6
        assert not world.of("t")
        assert len(world.of("d")) == 3
        assert world.node.scheduler.recipients == 0


@pytest.mark.directive("type", "bounce-after")
def test_a_queue_that_is_put_off_for_too_long_bounces() -> None:
    with World(file(retry_after=(600.0,), bounce_after=3600.0)) as world:
        home = world.domain("sender.example")
        told(world, lambda to, count: PutOff(DOWN))
        world.submit(ME, ["you@x.example"])
        world.run_until_empty()
        [record] = world.of("b")
        assert (record.dsn_status, record.dsn_action) == ("4.4.7", "failed")
        assert "nobody answers" in record.dsn_diag
        assert world.now == pytest.approx(3600, abs=601)
        assert len(home.messages) == 1


@pytest.mark.directive("type")
def test_a_pause_holds_and_a_reload_takes_over() -> None:
    with World(file()) as world:
        transport = told(world)
        key = QueueKey("x.example", "{default}")
        world.submit(ME, ["first@x.example"])
        world.run_until_empty()
        transport.takes = 5.0
        for number in range(30):
            world.submit(ME, [f"u{number}@x.example"])
        world.advance(1)
        world.node.scheduler.queues[key].paused = True
        world.advance(100)
        assert len(transport.calls) < 31, "what was under way ended, and no more began"
        world.node.scheduler.queues[key].paused = False
        world.node.scheduler.retry_now(world.node.scheduler.queues[key], world.clock.now())
        mx = world.domain("x.example")
        world.reload(relay(domain("*")))
        world.run_until_empty()
        assert len(transport.calls) + len(mx.recipients) == 31
        assert mx.recipients


@pytest.mark.directive("backoff-max-smtp-out", "type")
def test_backoff_mode_has_its_own_limit() -> None:
    with World(file(max_smtp_out=4, backoff_max_smtp_out=1)) as world:
        transport = told(world, takes=1.0)
        world.submit(ME, [f"u{number}@x.example" for number in range(20)])
        world.advance(1.5)
        assert transport.running == 4
        queue = world.node.scheduler.queues[QueueKey("x.example", "{default}")]
        world.node.scheduler.back_off(queue, world.clock.now(), "a story")
        world.advance(2)
        assert transport.running == 1
        world.run_until_empty()
        assert len(world.of("d")) == 20


@pytest.mark.directive("queue-priority", "allow-priority-interruption", "type", "total-max-smtp-out")
@pytest.mark.parametrize("allows", [True, False])
def test_it_gives_way_to_a_queue_of_higher_priority(allows: bool) -> None:
    low = domain("x.example", type="file", file_destination="/nowhere", queue_priority=10, allow_priority_interruption=allows)
    high = domain("y.example", type="file", file_destination="/nowhere", queue_priority=90)
    with World(relay(domain("*"), low, high, general={"total_max_smtp_out": 1})) as world:
        transport = told(world, takes=1.0)
        world.submit(ME, [f"u{number}@x.example" for number in range(10)])
        world.advance(2.5)
        world.submit(ME, ["urgent@y.example"])
        world.run_until_empty()
        place = [to for _, to in transport.calls].index("urgent@y.example")
        assert place == (3 if allows else 10)


@pytest.mark.directive("type")
def test_a_crash_in_the_middle_does_again_only_what_it_was_about() -> None:
    with World(file(max_smtp_out=1)) as world:
        transport = told(world, takes=1.0)
        world.submit(ME, [f"u{number}@x.example" for number in range(5)])
        world.advance(2.5)
        world.crash()
        world.begin()
        again = told(world)
        world.run_until_empty()
        assert [to for _, to in transport.calls] == ["u0@x.example", "u1@x.example"]
        assert [to for _, to in again.calls] == ["u2@x.example", "u3@x.example", "u4@x.example"]
        assert world.fates() == {("d", f"u{number}@x.example"): 1 for number in range(5)}


def test_who_traces_it_is_told_that_there_is_no_session() -> None:
    with World(file()) as world:
        told(world)
        traces = world.node.delivery.crew.traces
        traces.begin("x.example/{default}", TraceOptions())
        world.submit(ME, ["you@x.example"])
        world.run_until_empty()
        told_of = traces.read("x.example/{default}")
        assert told_of is not None
        assert told_of.done
        assert "no connection: type file has none" in str(told_of.lines)


@pytest.mark.directive("max-smtp-out", "type")
def test_how_long_it_will_take_is_told_from_what_it_has_managed() -> None:
    with World(file(max_smtp_out=2)) as world:
        told(world, takes=1.0)
        world.submit(ME, [f"u{number}@x.example" for number in range(100)])
        world.advance(10.5)
        [found] = wanted(world.node, "x.example")
        assert found.connections == 2
        assert found.seconds == pytest.approx(40, rel=0.25)
        assert world.run_until_empty() == pytest.approx(50, abs=2)


# -- <domain local> -----------------------------------------------------------------------


def settings_of(text: str) -> Settings:
    result = loads(plain_config(2525).replace("host-name relay.example", "host-name relay.example\nhost-name other.example") + text)
    assert result.settings is not None, result.problems
    return result.settings


@pytest.mark.directive("host-name", "type", "postmaster")
def test_domain_local_is_all_our_names() -> None:
    settings = settings_of("""
<domain local>
    type file
    file-destination /nowhere
</domain>
""")
    with World(settings) as world:
        transport = told(world)
        assert world.submit(ME, ["a@relay.example", "b@other.example", "Postmaster@other.example"]).accepted, "for everybody"
        assert not world.submit(ME, ["c@far.example"]).accepted
        world.run_until_empty()
        assert sorted(to for _, to in transport.calls) == ["a@relay.example", "b@other.example", "postmaster@relay.example"]
        assert {record.dlv_type for record in world.of("d")} == {"file"}


@pytest.mark.directive("host-name", "type")
def test_our_own_names_go_by_the_dns_when_nothing_is_said() -> None:
    with World(settings_of("")) as world:
        behind = world.domain("other.example")
        world.submit(ME, ["b@other.example"])
        world.run_until_empty()
        assert behind.recipients == ["b@other.example"]
