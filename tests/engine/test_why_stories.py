"""Stories of `why`: the binding limit with its origin, and an estimate of the time that is right within a quarter. Times are simulated."""

from __future__ import annotations

import pytest

from postwright.engine.why import Why, wanted
from postwright.engine.why_lines import why_lines
from postwright.model.message import format_id
from postwright.model.outcome import Fault
from postwright.policy.settings import Assignment, DomainBlock, Origin, Rate, ReplyAction, ReplyRule
from postwright.testing.world import World
from postwright.testing.world_orders import WorldOrders
from postwright.testing.world_settings import ANYBODY, domain, relay, source, vmta

MINUTE, HOUR = 60.0, 3600.0
ME = "me@sender.example"


def written(pattern: str, **values: object) -> DomainBlock:
    """A `<domain>` of lines 1, 2, ... of a file."""
    lines = {name: Assignment(value, Origin("relay.conf", number)) for number, (name, value) in enumerate(values.items(), 1)}
    return DomainBlock(pattern, lines)


def send(w: World, count: int, name: str = "example.com") -> None:
    for number in range(count):
        w.submit(ME, [f"u{number}@{name}"])


def why(w: World, what: str = "example.com") -> Why:
    [found] = [one for node in w.nodes for one in wanted(node, what)]
    return found


def took(w: World, name: str = "example.com", within: float = 10 * HOUR) -> float:
    """Seconds until nothing of that domain waits any more."""
    begun = w.now
    while any(queue.recipients for node in w.nodes for key, queue in node.scheduler.queues.items() if key.domain == name):
        w.advance(1.0)
        assert w.now - begun < within
    return w.now - begun


def right(found: Why, real: float) -> bool:
    return found.seconds is not None and abs(found.seconds - real) <= 0.25 * max(real, 4.0)


def test_a_message_rate() -> None:
    with World(relay(domain("*"), written("example.com", max_smtp_out=5, max_msg_rate=Rate(60, MINUTE)))) as w:
        w.domain("example.com")
        send(w, 400)
        w.advance(90)
        found = why(w)
        assert (found.reason, found.origin) == ("MESSAGE_RATE", "max-msg-rate (relay.conf:2)")
        assert found.because == "max-msg-rate is reached"
        limit = next(one for one in found.limits if one.reason == "max-msg-rate is reached")
        assert (limit.used, limit.limit) == (60, 60)
        assert limit.until is not None
        assert right(found, took(w))


def test_connections_to_a_slow_receiver() -> None:
    with World(relay(domain("*"), written("example.com", max_smtp_out=2))) as w:
        w.domain("example.com", rules=["eod delay=2"])
        send(w, 300)
        w.advance(60)
        found = why(w)
        assert (found.reason, found.origin) == ("QUEUE_CONNECTIONS", "max-smtp-out (relay.conf:1)")
        assert right(found, took(w))


def test_a_wave_of_retries() -> None:
    with World(relay(written("*", retry_after=(30 * MINUTE,)))) as w:
        w.domain("example.com", rules=["rcpt first=50 451 later"])
        send(w, 50)
        w.advance(MINUTE)
        found = why(w)
        assert (found.reason, found.scheduled) == ("RECIPIENT_RETRY", 50)
        assert found.because == "retries of recipients"
        assert right(found, took(w))


def test_a_site_that_is_down() -> None:
    with World(relay(written("*", retry_after=(20 * MINUTE,)))) as w:
        mx = w.domain("example.com")
        mx.down = Fault.REFUSED
        send(w, 10)
        w.advance(MINUTE)
        mx.down = None
        found = why(w)
        assert (found.reason, found.origin, found.step) == ("QUEUE_RETRY", "retry-after (relay.conf:1)", 1)
        assert "connection refused" in found.last_error
        assert right(found, took(w))


def test_a_rate_of_the_virtual_mta_that_two_queues_share() -> None:
    by_m = source(ANYBODY, always_allow_relaying=True, default_virtual_mta="m")
    with World(relay(domain("*"), vmta("m", "192.0.2.10", max_smtp_msg_rate=Rate(60, MINUTE)), by_m)) as w:
        for name in ("example.com", "other.example"):
            w.domain(name)
        for number in range(150):
            w.submit(ME, [f"u{number}@example.com"])
            w.submit(ME, [f"u{number}@other.example"])
        w.advance(70)
        found = why(w)
        assert (found.reason, found.origin) == ("VMTA_MESSAGE_RATE", "<virtual-mta m> max-smtp-msg-rate")
        assert right(found, took(w))


def test_backoff_mode_has_limits_of_its_own() -> None:
    rules = {"l": (ReplyRule("/slow down/", ReplyAction(mode="backoff"), Origin("relay.conf", 77)),)}
    block = written("*", smtp_pattern_list="l", max_msg_rate=Rate(6000, MINUTE), backoff_max_msg_rate=Rate(30, MINUTE))
    with World(relay(block, smtp_pattern_lists=rules)) as w:
        w.domain("example.com", rules=["eod:u0@* first=1 421 slow down"])
        send(w, 200)
        w.advance(90)
        found = why(w)
        assert (found.mode, found.mode_reason, found.origin) == ("backoff", "relay.conf:77", "backoff-max-msg-rate (relay.conf:3)")
        assert right(found, took(w))


@pytest.mark.parametrize(("after", "seconds"), [(30 * MINUTE, 30 * MINUTE), (None, None)])
def test_an_address_that_is_disabled(after: float | None, seconds: float | None) -> None:
    rules = {"l": (ReplyRule("/blocked/", ReplyAction(disable_source_ip=True, reenable_after=after), Origin("relay.conf", 77)),)}
    by_m = source(ANYBODY, always_allow_relaying=True, default_virtual_mta="m")
    everywhere = domain("*", smtp_pattern_list="l", retry_after=(MINUTE,))
    with World(relay(everywhere, vmta("m", "192.0.2.10"), by_m, smtp_pattern_lists=rules)) as w:
        w.domain("example.com", rules=["connect first=1 421 blocked"])
        send(w, 3)
        w.advance(10 * MINUTE)
        found = why(w)
        assert found.reason == "SOURCES_DISABLED"
        never = "every source address of the queue is disabled"
        assert found.because == (never if seconds is None else "the queue waits for its next retry")
        assert found.seconds is None if seconds is None else right(found, took(w))


def test_paused_is_for_ever_and_says_so() -> None:
    with World(relay(domain("*", max_smtp_out=1))) as w:
        w.domain("example.com", rules=["eod delay=10"])
        send(w, 5)
        w.advance(1)
        [queue] = [queue for queue in w.node.scheduler.queues.values() if queue.recipients]
        w.node.scheduler.pause(queue, True)
        found = why(w)
        assert (found.reason, found.seconds, found.because) == ("SUSPENDED", None, "suspended: an operator has paused the queue")


def test_who_has_paused_it_until_when_and_why_and_which_jobs() -> None:
    with World(relay(domain("*", max_smtp_out=1), source(ANYBODY, always_allow_relaying=True, process_x_job=True))) as w:
        w.domain("example.com")
        orders = WorldOrders(w)
        begun = w.clock.now()
        orders.give("order-pause", queue="*", reason="a \x1b[31mtest", **{"for": "1h"})
        orders.give("order-pause", job="spring")
        for number in range(3):
            w.submit(ME, [f"u{number}@example.com"], headers={"x-job": "spring" if number else "other"})
        found = why(w)
        assert (found.reason, found.until) == ("SUSPENDED", begun + 3600.0)
        assert found.origin.startswith("queue */* paused since ")
        assert found.origin.endswith(r" by tester: a \x1b[31mtest")
        assert (found.held, [line.partition(" since")[0] for line in found.held_by]) == (2, ["job spring paused"])
        lines = "\n".join(why_lines(found, w.clock.now()))
        assert "of paused jobs 2" in lines
        orders.give("order-resume", queue="*")
        w.advance(60)
        assert (why(w).reason, why(w).until) == ("JOB_SUSPENDED", None)


@pytest.mark.parametrize("shards", [1, 2])
def test_a_message_an_address_and_what_there_is_not(shards: int) -> None:
    with World(relay(domain("*", retry_after=(HOUR,))), shards=shards) as w:
        for name in ("example.com", "example.org"):
            w.domain(name, rules=["rcpt 451 later"])
        w.submit(ME, ["u@example.com", "u@example.org"])
        w.advance(5)
        [number] = {record.message_id for record in w.of("t")}
        both = [one for node in w.nodes for one in wanted(node, format_id(number))]
        assert {one.queue for one in both} == {"example.com/{default}", "example.org/{default}"}
        assert {one.attempts for one in both} == {1}
        assert why(w, "u@example.com").queue == "example.com/{default}"
        assert why(w, "EXAMPLE.com/{default}").queue == "example.com/{default}"
        assert [one for node in w.nodes for one in wanted(node, "nowhere.example")] == []


def test_the_words_for_a_person() -> None:
    with World(relay(domain("*"), written("example.com", max_smtp_out=5, max_msg_rate=Rate(60, MINUTE)))) as w:
        w.domain("example.com")
        send(w, 200)
        w.advance(90)
        lines = list(why_lines(why(w), w.clock.now()))
        assert lines[0] == "example.com/{default}: max-msg-rate is reached"
        assert lines[1] == "  said by        max-msg-rate (relay.conf:2)"
        assert any(line.startswith("  drained in     about ") and line.endswith("(max-msg-rate is reached)") for line in lines)
        assert any(line.startswith("  * 60 of 60: max-msg-rate (relay.conf:2), ") for line in lines)
