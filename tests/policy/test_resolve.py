"""Which settings hold (powermta.md section 1.5): every rule of domains, virtual MTAs, pools and sources, with the line that won."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from postwright.policy.resolve import Resolved, resolved
from postwright.policy.settings import (
    Assignment,
    DomainBlock,
    GeneralSettings,
    Origin,
    PoolSettings,
    Rate,
    Settings,
    SourceBlock,
    UserSettings,
    VmtaSettings,
)


def block(pattern: str, line: int = 1, *, macro: bool = False, **values: Any) -> DomainBlock:
    return DomainBlock(pattern, {name: Assignment(value, Origin("config", line)) for name, value in values.items()}, macro)


def out(settings: Settings, domain: str, vmta: str = "{default}") -> int | None:
    return Resolved(settings).queue(domain, vmta).max_smtp_out


# -- domains ------------------------------------------------------------------------------

LADDER = [
    block("*", 1, max_smtp_out=1),
    block("[*.]com", 2, max_smtp_out=2),
    block("*.com", 3, max_smtp_out=3),
    block("[*.]example.com", 4, max_smtp_out=4),
    block("*.example.com", 5, max_smtp_out=5),
    block("[*.]mail.example.com", 6, max_smtp_out=6),
    block("mail.example.com", 7, macro=True, max_smtp_out=7),
    block("mail.example.com", 8, max_smtp_out=8),
]


@pytest.mark.parametrize("steps", range(1, len(LADDER) + 1))
def test_the_best_match_wins_wherever_it_stands(steps: int) -> None:
    blocks = LADDER[:steps]
    for seed in range(20):
        Random(seed).shuffle(blocks)
        assert out(Settings(domains=tuple(blocks)), "mail.example.com") == steps


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("*", ["a.example", "[192.0.2.1]", "local"], []),
        ("a.example", ["a.example"], ["b.a.example", "xa.example", "example"]),
        ("*.a.example", ["b.a.example", "c.b.a.example"], ["a.example", "xa.example"]),
        ("[*.]a.example", ["a.example", "b.a.example", "c.b.a.example"], ["xa.example", "example"]),
        ("[192.0.2.0/24]", ["[192.0.2.9]"], ["[192.0.3.9]", "192.0.2.9", "[IPv6:2001:db8::1]", "[nonsense]"]),
        ("[10/8]", ["[10.1.2.3]"], ["[11.1.2.3]"]),
        ("[ipv6:2001:db8::/32]", ["[IPv6:2001:db8::1]"], ["[IPv6:2001:db9::1]", "[192.0.2.1]"]),
        ("{bounce}", ["{bounce}"], ["bounce"]),
    ],
)
def test_patterns(pattern: str, matching: list[str], other: list[str]) -> None:
    settings = Settings(domains=(block(pattern, max_smtp_out=7),))
    assert {out(settings, name) for name in matching} == {7}
    assert {out(settings, name) for name in other} <= {20}


def test_each_directive_is_found_on_its_own() -> None:
    settings = Settings(
        domains=(
            block("*", 1, max_smtp_out=1, bounce_after=100.0, use_starttls=False),
            block("example.com", 2, max_smtp_out=2),
            block("*.example.com", 3, bounce_after=300.0),
        )
    )
    exact = Resolved(settings).queue("example.com", "x")
    assert (exact.max_smtp_out, exact.bounce_after, exact.use_starttls) == (2, 100.0, False)
    below = Resolved(settings).queue("a.example.com", "x")
    assert (below.max_smtp_out, below.bounce_after, below.use_starttls) == (1, 300.0, False)


def test_repeated_blocks_merge_and_the_later_line_wins() -> None:
    settings = Settings(domains=(block("a.example", 1, max_smtp_out=1, bounce_after=9.0), block("a.example", 2, max_smtp_out=2)))
    found = Resolved(settings).queue("a.example", "x")
    assert (found.max_smtp_out, found.bounce_after) == (2, 9.0)
    literals = Settings(domains=(block("[10/8]", 1, max_smtp_out=1), block("[10.0.0.0/8]", 2, max_smtp_out=2)))
    assert out(literals, "[10.0.0.1]") == 2


def test_a_narrower_literal_wins() -> None:
    settings = Settings(domains=(block("[10.1/16]", max_smtp_out=2), block("[10/8]", max_smtp_out=1), block("*", max_smtp_out=9)))
    assert out(settings, "[10.1.0.1]") == 2
    assert out(settings, "[10.2.0.1]") == 1


def test_a_cleared_value_is_not_an_absent_one() -> None:
    settings = Settings(domains=(block("*", smtp_hosts="hub.example"), block("a.example", smtp_hosts="")))
    assert Resolved(settings).queue("a.example", "x").smtp_hosts == ""
    assert Resolved(settings).queue("b.example", "x").smtp_hosts == "hub.example"


def test_backoff_twins_follow_the_value_that_won() -> None:
    fast, slow = Rate(100, 1.0), Rate(1, 1.0)
    settings = Settings(domains=(block("*", max_msg_rate=fast, backoff_max_connect_rate=slow), block("a.example", max_msg_rate=slow)))
    found = Resolved(settings).queue("a.example", "x")
    assert (found.backoff_max_msg_rate, found.backoff_max_connect_rate, found.max_connect_rate) == (slow, slow, None)


# -- virtual MTAs and pools -----------------------------------------------------------------------

OWN, POOL, GLOBAL = "own", "pool", "global"


@pytest.mark.parametrize(
    ("own", "pool", "everywhere", "precedence", "winner"),
    [
        ("a.example", "a.example", "a.example", "virtual-mta", OWN),
        ("*", "a.example", "a.example", "virtual-mta", OWN),
        (None, "*", "a.example", "virtual-mta", POOL),
        (None, None, "*", "virtual-mta", GLOBAL),
        ("b.example", None, "*", "virtual-mta", GLOBAL),
        ("*", "a.example", "[*.]example", "domain", POOL),
        ("*", "*", "a.example", "domain", GLOBAL),
        ("a.example", "a.example", "a.example", "domain", OWN),
        ("*", "*", "*", "domain", OWN),
        (None, "*.example", "[*.]example", "domain", POOL),
    ],
)
def test_who_wins(own: str | None, pool: str | None, everywhere: str | None, precedence: str, winner: str) -> None:
    def blocks(pattern: str | None, value: int) -> tuple[DomainBlock, ...]:
        return (block(pattern, max_smtp_out=value),) if pattern is not None else ()

    values = {OWN: 1, POOL: 2, GLOBAL: 3}
    settings = Settings(
        general=GeneralSettings(vmta_domain_precedence=precedence),
        domains=blocks(everywhere, 3),
        vmtas={"m1": VmtaSettings("M1", domains=blocks(own, 1), pools=("P",)), "m2": VmtaSettings("M2")},
        pools={"p": PoolSettings("P", ("M1",), domains=blocks(pool, 2))},
    )
    assert out(settings, "a.example", "m1") == values[winner]
    assert out(settings, "a.example", "M1") == values[winner], "names are found in any case"
    assert out(settings, "a.example", "m2") in (3, 20), "another virtual MTA has only what holds for all"


def test_names_of_virtual_mtas_and_pools_are_found_in_any_case() -> None:
    found = Resolved(Settings(vmtas={"m1": VmtaSettings("M1")}, pools={"p": PoolSettings("P")}))
    assert (found.vmta("m1"), found.vmta("M1"), found.pool("P")) == (VmtaSettings("M1"), VmtaSettings("M1"), PoolSettings("P"))
    assert found.vmta("m2") is None
    assert found.pool("q") is None


def test_a_pool_that_is_not_there_is_no_failure() -> None:
    assert out(Settings(vmtas={"m1": VmtaSettings("m1", pools=("gone",))}), "a.example", "m1") == 20


def test_queues_with_the_same_blocks_share_their_settings() -> None:
    found = Resolved(Settings(domains=(block("*", max_smtp_out=1), block("a.example", max_smtp_out=2))))
    assert found.queue("b.example", "x") is found.queue("c.example", "y")
    assert found.queue("a.example", "x") is not found.queue("b.example", "x")


# -- sources ----------------------------------------------------------------------------------------------


def source(network: str, name: str = "", **values: Any) -> SourceBlock:
    return SourceBlock(network, name, {key: Assignment(value, Origin("config", 1)) for key, value in values.items()})


SOURCES = Settings(
    sources=(
        source("192.0.2.1/32", max_message_size=32, require_auth=True),
        source("0.0.0.0/0", max_message_size=0, allow_auth=False, smtp_service=False),
        source("192.0.0.0/8", max_message_size=8),
        source("192.0.2.0/24", max_message_size=24, allow_starttls=True),
        source("2001:db8::/32", max_message_size=6),
        source("", "{auth}", max_message_size=100, allow_auth=True, jobid_prefix="auth"),
        source("", "Named", max_message_size=200, jobid_prefix="named"),
        source("", "named", hide_message_source=True),
        source("", "{pickup}", max_message_size=300),
        source("", "own", max_message_size=400),
    ),
    users={"anna": UserSettings("Anna", source="OWN"), "bert": UserSettings("bert"), "carl": UserSettings("carl", source="gone")},
)


@pytest.mark.parametrize(
    ("peer", "named", "user", "size"),
    [
        ("192.0.2.1", "", "", 32),
        ("192.0.2.2", "", "", 24),
        ("192.9.9.9", "", "", 8),
        ("10.0.0.1", "", "", 0),
        ("2001:db8::1", "", "", 6),
        ("2001:db9::1", "", "", None),
        ("192.0.2.1", "NAMED", "", 200),
        ("192.0.2.1", "nobody", "", 32),
        ("192.0.2.1", "", "bert", 100),
        ("192.0.2.1", "named", "bert", 100),
        ("192.0.2.1", "named", "ANNA", 400),
        ("192.0.2.1", "", "carl", 100),
        ("192.0.2.1", "", "stranger", 100),
        ("::ffff:192.0.2.1", "", "", 32),
    ],
)
def test_sources(peer: str, named: str, user: str, size: int | None) -> None:
    assert Resolved(SOURCES).source(peer, named, user).max_message_size == size


def test_sources_merge_from_wide_to_narrow_to_named() -> None:
    found = Resolved(SOURCES).source("192.0.2.1", "named", "bert")
    assert (found.smtp_service, found.allow_starttls, found.require_auth) == (False, True, True)
    assert (found.allow_auth, found.hide_message_source, found.jobid_prefix) == (True, True, "auth")


def test_a_source_by_name_alone() -> None:
    found = Resolved(SOURCES).named_source("{PICKUP}")
    assert (found.max_message_size, found.smtp_service) == (300, True)


def test_sources_are_remembered_but_not_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.policy.resolve.SOURCES_KEPT", 10)
    found = Resolved(SOURCES)
    first = found.source("192.0.2.2")
    for number in range(50):
        found.source(f"192.0.2.{number + 10}")
    assert len(found._sources) <= 10  # no other way to see its memory
    assert found.source("192.0.2.2") is first, "the settings themselves are shared"


# -- explained ------------------------------------------------------------------------------------------


def test_explain_names_the_line_that_won() -> None:
    settings = Settings(
        domains=(*LADDER, block("*", 20, bounce_after=5.0)),
        vmtas={"m1": VmtaSettings("m1", domains=(block("*", 30, bounce_after=6.0),))},
    )
    rows = {row.directive: row for row in Resolved(settings).explain_queue("mail.example.com", "m1")}
    assert (rows["max-smtp-out"].value, str(rows["max-smtp-out"].origin)) == (8, "config:8")
    assert (rows["bounce-after"].value, str(rows["bounce-after"].origin)) == (6.0, "config:30")
    assert (rows["retry-after"].value, str(rows["retry-after"].origin)) == ((600.0,), "default")
    assert list(rows) == sorted(rows)


def test_explain_source() -> None:
    rows = {row.directive: row for row in Resolved(SOURCES).explain_source("192.0.2.1")}
    assert rows["max-message-size"].value == 32
    assert str(rows["smtp-service"].origin) == "config:1"
    assert str(rows["max-message-hops"].origin) == "default"


def test_one_generation_is_resolved_once() -> None:
    first, second = Settings(epoch=1), Settings(epoch=2)
    assert resolved(first) is resolved(first)
    assert resolved(second) is not resolved(first)
    assert resolved(second).settings is second


def test_one_setting_has_one_name() -> None:
    """`route` and D `max-rcpt-per-transaction` are other spellings; explained under a name of their own they would show a default."""
    names = {row.directive for row in Resolved(Settings()).explain_queue("a.example", "x")}
    assert {"smtp-hosts", "max-rcpt-per-message"} <= names
    assert not {"route", "max-rcpt-per-transaction"} & names
