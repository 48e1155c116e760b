"""Stories of `why` over limits that are not a queue's own, and of what a person asks at three in the morning: lines of virtual MTAs, pools,
hosts and the relay; disabled addresses; a message among many; a name with a slip; a pace that has changed. Times are simulated."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from postwright.engine import frames as f
from postwright.engine.node import Node
from postwright.engine.queue_commands import QUEUE_COMMANDS
from postwright.engine.queue_verbs import QUEUE_VERBS
from postwright.engine.status import RelayStatus, ShardStatus, Traffic, status_lines
from postwright.engine.why import Why, queues_of
from postwright.engine.why_lines import why_lines
from postwright.model.message import format_id
from postwright.policy.settings import Origin, PoolSettings, Rate, ReplyAction, ReplyRule, SourceHostRule, VmtaSettings
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, relay, source, vmta

MINUTE, HOUR = 60.0, 3600.0
ME = "me@sender.example"
BY_M = source(ANYBODY, always_allow_relaying=True, default_virtual_mta="m")
LINES = {
    ("virtual-mta m", "max_smtp_msg_rate"): Origin("relay.conf", 12),
    ("virtual-mta-pool p", "max_smtp_out"): Origin("relay.conf", 20),
    ("", "total_max_smtp_out"): Origin("relay.conf", 3),
    ("", "mx_connection_limit mx*.example.com"): Origin("relay.conf", 4),
    ("", "ip_connection_limit 198.51.0.0/24"): Origin("relay.conf", 5),
}


class Supervisor:
    """Asks the nodes of a world, as the supervisor asks its shards; `asked` are the verbs and arguments."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]:
        arguments = msgspec.json.decode(argument, type=dict[str, str])
        self.asked.append((verb, arguments))
        nodes: list[Any] = self.world.nodes
        return [f.Answer(0, number, body=QUEUE_VERBS[verb](node, arguments)) for number, node in enumerate(nodes)]

    def why(self, what: str) -> f.Told:
        told: f.Told = self.world.run(_awaited(QUEUE_COMMANDS["why"](self, {"queue": what})))
        return told

    def found(self, what: str) -> list[Why]:
        told = self.why(what)
        return msgspec.json.decode(told.body, type=list[Why]) if told.body else []


async def _awaited(work: Any) -> Any:
    return await asyncio.ensure_future(work)


def send(w: World, count: int, name: str = "example.com", shards: int = 1) -> None:
    for number in range(count):
        w.submit(ME, [f"u{number}@{name}"], shard=number % shards)


# -- lines ------------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [1, 2])
def test_a_rate_of_a_virtual_mta_over_shards(shards: int) -> None:
    """Mail for two domains comes in at both shards; the queues of a virtual MTA with a limit live in one, which tells the whole of it."""
    settings = relay(domain("*"), vmta("m", "192.0.2.10", max_smtp_msg_rate=Rate(60, MINUTE)), BY_M, lines=LINES)
    with World(settings, shards=shards) as w:
        for name in ("example.com", "other.example"):
            w.domain(name)
            send(w, 100, name, shards)
        w.advance(70)
        [found] = Supervisor(w).found("example.com")
        assert (found.reason, found.origin) == ("VMTA_MESSAGE_RATE", "<virtual-mta m> max-smtp-msg-rate (relay.conf:12)")
        [limit] = [one for one in found.limits if one.until is not None]
        assert (limit.used, limit.limit) == (60, 60)
        begun = w.now
        w.run_until(
            lambda: not any(q.recipients for node in w.nodes for key, q in node.scheduler.queues.items() if key.domain == "example.com")
        )
        real = w.now - begun
        assert found.seconds is not None
        assert abs(found.seconds - real) <= 0.25 * real


def test_connections_of_a_pool() -> None:
    pools = PoolSettings("p", ("m",), max_smtp_out=2)
    settings = relay(domain("*"), vmta("m", "192.0.2.10", pools=("p",)), pools, BY_M, lines=LINES)
    with World(settings) as w:
        w.domain("example.com", rules=["eod delay=5"])
        send(w, 20)
        w.advance(MINUTE / 3)
        [found] = Supervisor(w).found("example.com")
        assert (found.reason, found.origin) == ("VMTA_CONNECTIONS", "<virtual-mta-pool p> max-smtp-out (relay.conf:20)")


@pytest.mark.parametrize("shards", [1, 2])
def test_connections_of_the_relay(shards: int) -> None:
    settings = relay(domain("*"), general={"total_max_smtp_out": 2}, lines=LINES)
    with World(settings, shards=shards) as w:
        w.domain("example.com", rules=["eod delay=5"])
        send(w, 30, shards=shards)
        w.advance(MINUTE / 3)
        [found] = Supervisor(w).found("example.com")
        assert (found.reason, found.origin) == ("TOTAL_CONNECTIONS", "total-max-smtp-out (relay.conf:3)")


@pytest.mark.parametrize(
    ("limits", "reason", "origin", "where"),
    [
        (
            {"mx_connection_limit": (("mx*.example.com", 2),)},
            "MX_CONNECTIONS",
            "mx-connection-limit mx*.example.com (relay.conf:4)",
            "at mx.example.com",
        ),
        (
            {"ip_connection_limit": (("198.51.0.0/24", 2),)},
            "IP_CONNECTIONS",
            "ip-connection-limit 198.51.0.0/24 (relay.conf:5)",
            "at 198.51.0.2",
        ),
    ],
)
def test_connections_to_a_host(limits: dict[str, Any], reason: str, origin: str, where: str) -> None:
    with World(relay(domain("*"), lines=LINES, **limits)) as w:
        w.domain("example.com", rules=["eod delay=5"])
        send(w, 20)
        w.advance(MINUTE / 3)
        [found] = Supervisor(w).found("example.com")
        assert (found.reason, found.origin) == (reason, origin)
        assert any(line.startswith(f"  * 2 of 2 {where}: {origin}") for line in why_lines(found, w.clock.now()))


def test_how_close_a_host_is_that_holds_nothing_up() -> None:
    limits: dict[str, Any] = {"mx_connection_limit": (("mx*.example.com", 9),), "ip_connection_limit": (("198.51.0.0/24", 8),)}
    with World(relay(domain("*", max_smtp_out=2), lines=LINES, **limits)) as w:
        w.domain("example.com", rules=["eod delay=5"])
        send(w, 20)
        w.advance(MINUTE / 3)
        [found] = Supervisor(w).found("example.com")
        assert found.reason == "QUEUE_CONNECTIONS"
        rows = {line.strip() for line in why_lines(found, w.clock.now())}
        assert "2 of 9 at mx.example.com: mx-connection-limit mx*.example.com (relay.conf:4)" in rows
        assert "2 of 8 at 198.51.0.2: ip-connection-limit 198.51.0.0/24 (relay.conf:5)" in rows


# -- disabled addresses -------------------------------------------------------------------------


def blocked(after: float | None) -> World:
    both = VmtaSettings("m", smtp_source_host=(SourceHostRule("192.0.2.10", "one.example"), SourceHostRule("192.0.2.11", "two.example")))
    rules = {"l": (ReplyRule("/blocked/", ReplyAction(disable_source_ip=True, reenable_after=after), Origin("relay.conf", 77)),)}
    made = World(relay(domain("*", smtp_pattern_list="l", max_smtp_out=1), both, BY_M, smtp_pattern_lists=rules))
    made.domain("example.com", rules=["connect:192.0.2.10 421 4.7.0 blocked", "eod delay=30"])
    return made


@pytest.mark.parametrize(("after", "until"), [(HOUR, "in 59"), (None, "until something ends it")])
def test_disabled_addresses_are_listed_with_the_reason(after: float | None, until: str) -> None:
    with blocked(after) as w:
        send(w, 5)
        w.advance(MINUTE)
        [found] = Supervisor(w).found("example.com")
        assert [one.address for one in found.disabled] == ["192.0.2.10"]
        [line] = [line for line in why_lines(found, w.clock.now()) if line.startswith("  disabled")]
        assert line.startswith("  disabled       192.0.2.10, ")
        assert until in line
        assert line.endswith(", by relay.conf:77: 421 4.7.0 blocked")


@pytest.mark.parametrize(("after", "until"), [(HOUR, "UTC"), (None, "somebody ends it")])
def test_disabled_addresses_are_in_the_status(after: float | None, until: str) -> None:
    with blocked(after) as w:
        assert w.node.disabled.listed() == ([], 0)
        send(w, 5)
        w.advance(MINUTE)
        disabled, count = w.node.disabled.listed()
        lines = status_lines(status(disabled=disabled, disabled_count=count + 1))
        assert lines[-3].split()[:4] == ["Disabled", "source", "address", "queue"]
        assert lines[-2].split()[:2] == ["192.0.2.10", "example.com/m"]
        assert lines[-2].endswith(until)
        assert lines[-1] == "  and 1 more"
        w.advance(2 * HOUR)
        assert len(w.node.disabled.listed()[0]) == (0 if after is not None else 1)


def status(**fields: Any) -> RelayStatus:
    shard = ShardStatus(0, 1, 0.0, 0, 0, 0, 0, 0, 0, Traffic(), 0, 0, 0, [], **fields)
    return RelayStatus("1", 100.0, 0.0, [1], [shard])


def test_a_status_without_disabled_addresses_does_not_speak_of_any() -> None:
    assert not any("Disabled" in line for line in status_lines(status()))


def test_octets_are_told_as_they_are_written() -> None:
    with World(relay(domain("*", max_data_volume_rate=Rate(50 << 20, HOUR), max_smtp_out=1))) as w:
        w.domain("example.com", rules=["eod delay=60"])
        send(w, 3)
        w.advance(1)
        [found] = Supervisor(w).found("example.com")
        assert [line for line in why_lines(found, 0.0) if " of 50M: max-data-volume-rate" in line] != []


# -- a message among many -------------------------------------------------------------------------


def looked_at(w: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The queues whose entries are passed over from now on."""
    seen: list[str] = []
    for node in w.nodes:
        entries = node.scheduler.entries
        monkeypatch.setattr(node.scheduler, "entries", lambda queue, entries=entries: (seen.append(str(queue.key)), entries(queue))[1])
    return seen


@pytest.mark.parametrize("shards", [1, 2])
def test_a_message_is_looked_for_where_it_belongs(shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with World(relay(domain("*", retry_after=(HOUR,))), shards=shards) as w:
        for number in range(20):
            w.domain(f"d{number}.example", rules=["rcpt 451 later"])
            w.submit(ME, [f"u@d{number}.example"], shard=number % shards)
        wanted = w.submit(ME, ["u@d3.example", "u@d4.example"], shard=shards - 1)
        w.advance(5)
        seen = looked_at(w, monkeypatch)
        found = Supervisor(w).found(format_id(wanted.id))
        assert {one.queue for one in found} == {"d3.example/{default}", "d4.example/{default}"}
        assert {one.attempts for one in found} == {1}
        assert set(seen) == {"d3.example/{default}", "d4.example/{default}"}


def test_a_message_that_waits_elsewhere_is_found_all_the_same() -> None:
    """A reload has said otherwise where it belongs, and it has not moved yet."""
    with World(relay(domain("*", retry_after=(HOUR,)))) as w:
        w.domain("example.com", rules=["rcpt 451 later"])
        sent = w.submit(ME, ["u@example.com"])
        w.advance(5)
        w.node.where.apply(w.node.resolved.__class__(replace(w.settings, domains=(domain("example.com", queue_to="other.example"),))))
        assert queues_of(w.node, sent.id) == ["other.example/{default}"]
        [found] = Supervisor(w).found(format_id(sent.id))
        assert found.queue == "example.com/{default}"


def test_a_message_in_a_queue_that_stands_in() -> None:
    rules = {"l": (ReplyRule("/later/", ReplyAction(mode="backoff")),)}
    everywhere = domain("*", smtp_pattern_list="l", backoff_reroute_to_virtual_mta="M2", retry_after=(HOUR,), backoff_retry_after=(HOUR,))
    with World(relay(everywhere, vmta("m", "192.0.2.10"), vmta("M2", "192.0.2.11"), BY_M, smtp_pattern_lists=rules)) as w:
        w.domain("example.com", rules=["rcpt 451 later"])
        sent = w.submit(ME, ["u@example.com"])
        w.advance(5)
        supervisor = Supervisor(w)
        assert {one.queue for one in supervisor.found(format_id(sent.id))} == {"example.com/M2"}
        assert [verb for verb, _ in supervisor.asked] == ["queues-of-message", "why"]


# -- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("exmaple.com", "example.com/m"),
        ("example.co", "example.com/m"),
        ("xexample.com", "example.com/m"),
        ("example.com/n", "example.com/m"),
        ("joe@examplle.com", "example.com/m"),
        ("elsewhere.org", ""),
        ("x", ""),
        ("", ""),
    ],
)
def test_what_was_meant_by_a_name_that_there_is_not(asked: str, meant: str) -> None:
    with World(relay(domain("*", retry_after=(HOUR,)), vmta("m", "192.0.2.10"), BY_M)) as w:
        w.domain("example.com", rules=["rcpt 451 later"])
        send(w, 1)
        w.advance(5)
        told = Supervisor(w).why(asked)
        assert not told.ok
        assert told.lines[1:] == ([f"did you mean {meant}?"] if meant else [])


def test_a_domain_with_many_queues_is_asked_about_in_a_few_passes() -> None:
    """A domain may have a queue under each of a thousand virtual MTAs: a pass over all queues for each of them would hold up everything."""
    names = [f"m{number}" for number in range(8)]
    ways = [vmta(name, f"192.0.2.{number}", max_smtp_msg_rate=Rate(1, HOUR)) for number, name in enumerate(names, 10)]
    chosen = source(ANYBODY, always_allow_relaying=True, process_x_virtual_mta=True)
    with World(relay(domain("*", retry_after=(HOUR,)), *ways, chosen)) as w:
        w.domain("example.com", rules=["rcpt 451 later"])
        passes = []
        for name in names:
            w.submit(ME, ["you@example.com"], headers={"x-virtual-mta": name})
            w.advance(5)
            scheduler = w.node.scheduler
            own, counted = scheduler.queues, Passed(scheduler.queues)
            scheduler.queues = counted
            assert len(Supervisor(w).found("example.com")) == len(own)
            scheduler.queues = own
            passes.append(counted.passes)
        assert len(own) == len(names)
        assert len(set(passes)) == 1


class Passed(dict[Any, Any]):
    """Counts the passes over it."""

    passes = 0

    def values(self) -> Any:
        self.passes += 1
        return super().values()

    def items(self) -> Any:
        self.passes += 1
        return super().items()


# -- the pace ---------------------------------------------------------------------------------------


def drains_as_told(w: World) -> None:
    """What `why` says now of example.com is right within a quarter."""
    [found] = Supervisor(w).found("example.com")
    begun = w.now
    w.run_until_empty(within=HOUR)
    real = w.now - begun
    assert found.seconds is not None
    assert abs(found.seconds - real) <= 0.25 * real


def test_the_estimate_goes_by_the_last_minute() -> None:
    """A receiver that was fast for an hour and is slow now: what it did in that hour says nothing of the next."""
    with World(relay(domain("*", max_smtp_out=1, connection_idle_timeout=600.0))) as w:
        mx = w.domain("example.com")
        for _ in range(60):
            send(w, 20)
            w.advance(MINUTE)
        mx.set_rules(["eod delay=5"])
        send(w, 60)
        w.advance(90)
        drains_as_told(w)
        assert len(mx.attempts) == 1  # all of it by one connection


def test_a_first_look_at_a_slow_receiver() -> None:
    """After eight seconds, of a receiver that takes five for each message: one has come, and another is half through."""
    with World(relay(domain("*", max_smtp_out=2))) as w:
        w.domain("example.com", rules=["eod delay=5"])
        send(w, 100)
        w.advance(8)
        drains_as_told(w)


def test_connections_that_have_ended_count_for_the_pace() -> None:
    with World(relay(domain("*", max_smtp_out=2, max_msg_per_connection=1))) as w:
        w.domain("example.com", rules=["eod delay=4"])
        send(w, 120)
        w.advance(60)
        drains_as_told(w)


def test_nothing_is_remembered_of_who_has_been_quiet() -> None:
    with World(relay(domain("*"))) as w:
        w.domain("example.com")
        send(w, 10)
        w.advance(10 * MINUTE)
        paces = node_of(w).delivery.crew.paces
        assert not paces._seen
        assert not any(done for _, done in paces._done)
        assert not paces._looking


def node_of(w: World) -> Node:
    return w.node
