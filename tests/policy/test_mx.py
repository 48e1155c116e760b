"""From answers and settings to plans: hosts as they are written, order, families, and why there is no way."""

from __future__ import annotations

from typing import Any

import pytest

from postwright.model.route import Login, MxAnswer, MxHost, MxStatus, SessionOptions, SourceHost, Timeouts, TlsLevel
from postwright.policy import mx
from postwright.policy.mx import HostSpec
from postwright.policy.settings import DomainSettings

FOUR = SourceHost("192.0.2.1", "four.example")
FOUR_TOO = SourceHost("192.0.2.2", "too.example")
SIX = SourceHost("2001:db8::1", "six.example")
ANY = SourceHost("", "any.example")


def answer(*hosts: tuple[str, int, tuple[str, ...]], status: MxStatus = MxStatus.FOUND) -> MxAnswer:
    return MxAnswer(status, tuple(MxHost(name, preference, addresses=addresses) for name, preference, addresses in hosts))


def way(reply: MxAnswer, *sources: SourceHost, **more: Any) -> list[tuple[str, str]]:
    return [(route.host, route.address) for route in mx.plan(reply, SessionOptions(), sources, **more).routes]


# -- smtp-hosts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "specs"),
    [
        ("mx.example", [HostSpec("mx.example", 25, 0)]),
        ("MX.Example.", [HostSpec("mx.example", 25, 0)]),
        ("a.example:2525", [HostSpec("a.example", 2525, 0)]),
        ("[192.0.2.1]:26", [HostSpec("[192.0.2.1]", 26, 0)]),
        ("[IPv6:2001:db8::1]:26", [HostSpec("[ipv6:2001:db8::1]", 26, 0)]),
        ("[2001:db8::1]", [HostSpec("[2001:db8::1]", 25, 0)]),
        ("my_hub-1.internal", [HostSpec("my_hub-1.internal", 25, 0)]),
        ("bücher.example", [HostSpec("xn--bcher-kva.example", 25, 0)]),
        ("a,b", [HostSpec("a", 25, 0), HostSpec("b", 25, 0)]),
        ("a , b ; [192.0.2.1]:26;c", [HostSpec("a", 25, 0), HostSpec("b", 25, 0), HostSpec("[192.0.2.1]", 26, 1), HostSpec("c", 25, 2)]),
        ("lookup-mx:Other.example", [HostSpec("other.example", 25, 0, True)]),
        ("a;lookup-mx:b.example:26", [HostSpec("a", 25, 0), HostSpec("b.example", 26, 1, True)]),
    ],
)
@pytest.mark.directive("smtp-hosts", "route")
def test_hosts(text: str, specs: list[HostSpec]) -> None:
    assert mx.parse_hosts(text, 25) == tuple(specs)


@pytest.mark.parametrize(
    "text",
    [
        *["", " ; ,", "[192.0.2.1", "[]", ":25", ".", "a..b", "a b", "a@b", "x" * 300, "lookup-mx:"],
        *["a:0", "a:65536", "a:x", "a:25:26", "a:-1", "a:٣"],
        *["[mx.example]", "[192.0.2.300]", "[IPv6:x]"],
    ],
)
def test_not_hosts(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        mx.parse_hosts(text, 25)


def test_literals_bring_their_addresses() -> None:
    hosts = mx.hosts_answer(mx.parse_hosts("[192.0.2.1]:26,[IPv6:2001:db8::1];mx.example:27", 25))
    assert [(host.addresses, host.port) for host in hosts.hosts] == [(("192.0.2.1",), 26), (("2001:db8::1",), 25), ((), 27)]
    assert mx.as_host(HostSpec("192.0.2.1", 25, 0)).addresses == ("192.0.2.1",), "brackets may be left out, as people do"
    assert hosts.status is MxStatus.FOUND


# -- order -----------------------------------------------------------------------------------


def test_preference_then_addresses_as_they_come() -> None:
    reply = answer(("b", 20, ("192.0.2.20",)), ("a", 10, ("192.0.2.10", "2001:db8::10")))
    assert way(reply, ANY) == [("a", "192.0.2.10"), ("a", "2001:db8::10"), ("b", "192.0.2.20")]


def test_equal_hosts_take_turns_and_never_overtake_a_better_one() -> None:
    reply = answer(("best", 5, ("1.1.1.1",)), ("a", 10, ("2.2.2.2",)), ("b", 10, ("3.3.3.3",)), ("c", 10, ("4.4.4.4",)))
    seen = ["".join(host[0] for host, _ in way(reply, ANY, turn=turn)) for turn in range(4)]
    assert seen == ["babc", "bbca", "bcab", "babc"]


def test_sources_take_turns_with_every_host() -> None:
    reply = answer(("a", 10, ("2.2.2.2",)), ("b", 10, ("3.3.3.3",)))
    firsts = set()
    for turn in range(4):
        first = mx.plan(reply, SessionOptions(), (FOUR, FOUR_TOO), turn=turn).routes[0]
        firsts.add((first.host, first.source.name))
    assert len(firsts) == 4


def test_avoided_addresses_come_last_and_are_not_forgotten() -> None:
    reply = answer(("a", 10, ("2.2.2.2",)), ("b", 20, ("3.3.3.3",)))
    assert way(reply, ANY, avoid={"2.2.2.2"}) == [("b", "3.3.3.3"), ("a", "2.2.2.2")]


@pytest.mark.directive("mx-connection-attempts")
def test_mx_connection_attempts_is_the_most() -> None:
    assert way(answer(("a", 10, ("1.1.1.1", "2.2.2.2", "3.3.3.3"))), ANY, most=2) == [("a", "1.1.1.1"), ("a", "2.2.2.2")]


# -- families -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sources", "addresses"),
    [
        ((FOUR,), ["192.0.2.9"]),
        ((SIX,), ["2001:db8::9"]),
        ((FOUR, SIX), ["192.0.2.9", "2001:db8::9"]),
        ((ANY,), ["192.0.2.9", "2001:db8::9"]),
        ((), ["192.0.2.9", "2001:db8::9"]),
    ],
)
def test_a_source_reaches_its_own_family(sources: tuple[SourceHost, ...], addresses: list[str]) -> None:
    plan = mx.plan(answer(("a", 10, ("192.0.2.9", "2001:db8::9"))), SessionOptions(), sources)
    assert [route.address for route in plan.routes] == addresses
    for route in plan.routes:
        assert not route.source.address or (":" in route.source.address) == (":" in route.address)


def test_no_source_of_the_family_is_our_fault_and_transient() -> None:
    plan = mx.plan(answer(("a", 10, ("2001:db8::9",))), SessionOptions(), (FOUR,))
    assert (plan.routes, plan.status, plan.permanent) == ((), "4.4.4", False)
    assert "source address" in plan.error


# -- no way ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "status", "permanent", "words"),
    [
        (MxAnswer(MxStatus.NULL_MX), "5.1.10", True, "null MX"),
        (MxAnswer(MxStatus.NO_DOMAIN, detail="NXDOMAIN"), "5.1.2", True, "does not exist: NXDOMAIN"),
        (MxAnswer(MxStatus.NO_HOSTS), "5.4.4", True, "no host takes mail"),
        (MxAnswer(MxStatus.NO_HOSTS, detail="loop to self"), "5.4.6", True, "loop"),
        (MxAnswer(MxStatus.TEMPORARY, detail="SERVFAIL"), "4.4.3", False, "SERVFAIL"),
        (answer(("a", 10, ())), "4.4.4", False, "no host of the domain has an address"),
        (answer(), "4.4.4", False, "no host of the domain has an address"),
    ],
)
def test_why_there_is_no_way(reply: MxAnswer, status: str, permanent: bool, words: str) -> None:
    plan = mx.plan(reply, SessionOptions(), (ANY,))
    assert (plan.routes, plan.status, plan.permanent) == ((), status, permanent)
    assert words in plan.error


def test_the_domain_itself_is_a_host_like_others() -> None:
    assert way(answer(("example.com", 0, ("192.0.2.9",)), status=MxStatus.IMPLICIT), ANY) == [("example.com", "192.0.2.9")]


@pytest.mark.parametrize(
    ("status", "rule", "age"),
    [
        (MxStatus.NULL_MX, False, 0.0),
        (MxStatus.NO_DOMAIN, False, None),
        (MxStatus.NO_DOMAIN, True, 0.0),
        (MxStatus.NO_DOMAIN, 3600.0, 3600.0),
        (MxStatus.NO_DOMAIN, None, None),
        (MxStatus.NO_HOSTS, True, 0.0),
        (MxStatus.TEMPORARY, True, None),
    ],
)
@pytest.mark.directive("bounce-upon-no-mx")
def test_bounce_upon_no_mx(status: MxStatus, rule: bool | float | None, age: float | None) -> None:
    plan = mx.no_route(MxAnswer(status))
    assert mx.bounces_after(plan, DomainSettings(bounce_upon_no_mx=rule)) == age


def test_a_loop_bounces_whatever_the_rule() -> None:
    plan = mx.no_route(MxAnswer(MxStatus.NO_HOSTS, detail="loop to self"))
    assert mx.bounces_after(plan, DomainSettings(bounce_upon_no_mx=False)) == 0.0


# -- options of the session -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "level"),
    [
        ({}, TlsLevel.OPPORTUNISTIC),
        ({"use_starttls": False}, TlsLevel.NONE),
        ({"require_starttls": True}, TlsLevel.REQUIRED),
        ({"use_starttls": False, "require_starttls": True}, TlsLevel.REQUIRED),
    ],
)
@pytest.mark.directive("use-starttls", "require-starttls")
def test_tls(settings: dict[str, bool], level: TlsLevel) -> None:
    assert mx.session_options(DomainSettings(**settings)).tls is level  # type: ignore[arg-type]


@pytest.mark.directive("reuse-ssl-session")
@pytest.mark.directive(
    "connect-timeout",
    "smtp-greeting-timeout",
    "data-send-timeout",
    "smtp-data-termination-timeout",
    "smtp-multiple-line-response-timeout",
    "connection-idle-timeout",
)
def test_every_option_is_the_setting_of_its_name() -> None:
    settings = DomainSettings(
        ignore_8bitmime=True,
        ignore_chunking=True,
        ignore_pipelining=True,
        ignore_dsn=True,
        auth_username="me",
        auth_password="secret",
        use_unencrypted_plain_auth=True,
        connect_timeout=1.0,
        smtp_greeting_timeout=2.0,
        smtp_multiple_line_response_timeout=3.0,
        data_send_timeout=4.0,
        smtp_data_termination_timeout=5.0,
        connection_idle_timeout=6.0,
        reuse_ssl_session=True,
    )
    options = mx.session_options(settings)
    assert options.timeouts == Timeouts(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    login = Login("me", "secret", unencrypted=True, verify=False)
    assert options == SessionOptions(TlsLevel.OPPORTUNISTIC, True, True, True, True, login, resume=True, timeouts=options.timeouts)
