"""What a queue's settings come to, and that queues with the same settings share it."""

from __future__ import annotations

import gc
import weakref

import structlog

from postwright.engine.queue_state import Grounds, QueueState, limits, make
from postwright.model.route import SourceHost
from postwright.model.work import QueueKey
from postwright.policy.mx import HostSpec
from postwright.policy.resolve import Resolved
from postwright.policy.settings import Assignment, DomainBlock, GeneralSettings, Origin, Settings, SourceHostRule, VmtaSettings


def block(pattern: str, **values: object) -> DomainBlock:
    return DomainBlock(pattern, {name: Assignment(value, Origin()) for name, value in values.items()})


SETTINGS = Settings(
    general=GeneralSettings(host_name=("relay.example",)),
    domains=(block("*", connection_idle_timeout=30.0), block("b.example", smtp_hosts="hub.example:26", max_smtp_out=3)),
    vmtas={
        "m1": VmtaSettings("m1", smtp_source_host=(SourceHostRule("192.0.2.1", "one.example"),)),
        "m2": VmtaSettings("m2", host_name=("two.example",)),
        "m3": VmtaSettings("m3", smtp_source_host=(SourceHostRule("127.0.0.0/30", "three.example"),)),
    },
)


GROUNDS = Grounds(frozenset(("d",)), ("127.0.0.1", "127.0.0.2", "192.0.2.7"), structlog.get_logger())


def state(resolved: Resolved, domain: str, vmta: str) -> QueueState:
    key = QueueKey(domain, vmta)
    return make(resolved, key, limits(resolved, key), GROUNDS)


def test_what_it_comes_to() -> None:
    resolved = Resolved(SETTINGS)
    plain, hub = state(resolved, "a.example", "m1"), state(resolved, "b.example", "m1")
    assert plain.ways.sources == hub.ways.sources == (SourceHost("192.0.2.1", "one.example"),)
    assert (plain.ways.hosts, hub.ways.hosts) == ((), (HostSpec("hub.example", 26, 0),))
    assert (plain.context.limits.max_smtp_out, hub.context.limits.max_smtp_out) == (20, 3)
    assert hub.context.queue == "b.example/m1"
    assert hub.ways.linger == 30.0


def test_sources_by_virtual_mta() -> None:
    resolved = Resolved(SETTINGS)
    assert state(resolved, "a.example", "m2").ways.sources == (SourceHost("", "two.example"),)
    assert [source.address for source in state(resolved, "a.example", "m3").ways.sources] == ["127.0.0.1", "127.0.0.2"]
    assert state(resolved, "a.example", "{default}").ways.sources == (SourceHost("", "relay.example"),)
    assert not state(resolved, "a.example", "gone").ways.known_vmta


def test_the_same_settings_are_kept_once() -> None:
    resolved = Resolved(SETTINGS)
    first, second = state(resolved, "a.example", "m1"), state(resolved, "c.example", "m1")
    assert first.ways is second.ways
    assert first.ways is not state(resolved, "a.example", "m2").ways


def test_an_old_generation_is_let_go() -> None:
    resolved = Resolved(SETTINGS)
    state(resolved, "a.example", "m1")
    generation = weakref.ref(resolved)
    del resolved
    gc.collect()
    assert generation() is None
