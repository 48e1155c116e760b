"""Who may speak, log in and relay: tables, and the usual configuration that promises three things at once."""

from __future__ import annotations

import pytest

from postwright.model.address import Address, parse_mailbox
from postwright.policy.access import DENIED, LOGIN_FIRST, ROUTED, AccessRules
from postwright.policy.patterns import AddressPatterns, DomainPatterns, expression, network
from postwright.policy.settings import SourceSettings

RULES = AccessRules(
    ("some.domain.example", "*.below.example", "[*.]both.example", "[10/8]", "[2001:db8::/32]", "d\u00f6ner.example"),
    ("bounce@bounce.sender1.example", r"/@foo(bar)?\.example$/", "/^(?-i)Exact@case\\.example$/"),
    ("mail10.sender1.example", "second.sender1.example"),
)


def address(text: str) -> Address:
    return Address("postmaster", "") if text == "postmaster" else parse_mailbox(text, smtputf8=True)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("a@some.domain.example", True),
        ("a@SOME.Domain.Example", True),
        ("a@sub.some.domain.example", False),
        ("a@below.example", False),
        ("a@x.below.example", True),
        ("a@x.y.below.example", True),
        ("a@notbelow.example", False),
        ("a@both.example", True),
        ("a@x.both.example", True),
        ("a@xboth.example", False),
        ("a@[10.1.2.3]", True),
        ("a@[11.1.2.3]", False),
        ("a@[IPv6:2001:db8::7]", True),
        ("a@[IPv6:2001:db9::7]", False),
        ("a@d\u00f6ner.example", True),
        ("a@xn--dner-5qa.example", True),
        ("bounce@bounce.sender1.example", True),
        ("BOUNCE@bounce.sender1.EXAMPLE", True),
        ("other@bounce.sender1.example", False),
        ("a@foo.example", True),
        ("a@FOOBAR.example", True),
        ("a@foobarbar.example", False),
        ("a@foo.example.evil.example", False),
        ('"a@foo.example"@evil.example', False),
        ('"quoted"@foo.example', True),
        ('"a@b"@foo.example', False),
        ("Exact@case.example", True),
        ("exact@case.example", False),
        ("a@mail10.sender1.example", True),
        ("a@second.sender1.example", True),
        ("postmaster", True),
        ("a@elsewhere.example", False),
    ],
)
def test_strangers(text: str, taken: bool) -> None:
    """The same recipients are taken from a stranger with and without `require-auth`; the refusal tells them apart."""
    to = address(text)
    assert RULES.on_rcpt(to, SourceSettings(), False) == (None if taken else DENIED)
    assert RULES.on_rcpt(to, SourceSettings(require_auth=True), False) == (None if taken else LOGIN_FIRST)


@pytest.mark.parametrize("local", ["user%elsewhere.example", "elsewhere.example!user", '"user@elsewhere.example"', '"a %b"'])
@pytest.mark.parametrize("domain", ["some.domain.example", "mail10.sender1.example"])
def test_no_route_through_us_to_a_host_that_trusts_us(local: str, domain: str) -> None:
    to = address(f"{local}@{domain}")
    assert RULES.on_rcpt(to, SourceSettings(), False) == ROUTED
    assert RULES.on_rcpt(to, SourceSettings(always_allow_relaying=True), False) is None
    assert RULES.on_rcpt(to, SourceSettings(), True) is None


def test_an_address_with_a_route_may_be_listed_as_it_stands() -> None:
    listed = AccessRules(("b.example",), ("user%elsewhere@b.example",), ())
    assert listed.on_rcpt(address("user%elsewhere@b.example"), SourceSettings(), False) is None
    assert listed.on_rcpt(address("user%other@b.example"), SourceSettings(), False) == ROUTED


@pytest.mark.parametrize(
    ("relaying", "require_auth", "authenticated", "may"),
    [
        (None, False, False, False),
        (None, False, True, True),
        (None, True, False, False),
        (None, True, True, True),
        (False, False, False, False),
        (False, False, True, False),
        (False, True, True, False),
        (True, False, False, True),
        (True, False, True, True),
        (True, True, False, False),
        (True, True, True, True),
    ],
)
def test_who_may_relay(relaying: bool | None, require_auth: bool, authenticated: bool, may: bool) -> None:
    source = SourceSettings(always_allow_relaying=relaying, require_auth=require_auth)
    reply = RULES.on_rcpt(address("a@elsewhere.example"), source, authenticated)
    assert (reply is None) == may
    if reply is not None:
        assert (reply.code, reply.status) == (550, "5.7.1")
    assert RULES.on_rcpt(address("a@some.domain.example"), source, authenticated) is None


def test_bare_names_other_than_postmaster_are_not_ours() -> None:
    assert RULES.is_ours(Address("PostMaster", ""))
    assert not RULES.is_ours(Address("", ""))
    assert RULES.on_rcpt(Address("root", ""), SourceSettings(), False) == DENIED
    assert RULES.is_ours(address("a@second.sender1.example"))
    assert not RULES.is_ours(address("a@some.domain.example"))


def test_nothing_configured_relays_nothing() -> None:
    rules = AccessRules((), (), ())
    assert rules.on_rcpt(address("a@b.example"), SourceSettings(), False) == DENIED
    assert rules.on_rcpt(address("a@[192.0.2.1]"), SourceSettings(), False) == DENIED
    assert rules.on_rcpt(address("postmaster"), SourceSettings(), False) is None


def test_star_is_everything() -> None:
    rules = AccessRules(("*",), (), ())
    assert rules.on_rcpt(address("a@b.example"), SourceSettings(), False) is None
    assert rules.on_rcpt(address("a@[192.0.2.1]"), SourceSettings(), False) is None


@pytest.mark.parametrize(
    ("most", "declared", "code"),
    [(None, 10**12, None), (1000, 0, None), (1000, 1000, None), (1000, 1001, 552)],
)
def test_size_at_mail(most: int | None, declared: int, code: int | None) -> None:
    reply = RULES.on_mail(SourceSettings(max_message_size=most, require_auth=True), False, False, declared)
    assert (reply.code if reply else None) == code
    assert reply is None or reply.status == "5.3.4"


def test_greeting() -> None:
    assert RULES.greeting(SourceSettings()) is None
    refusal = RULES.greeting(SourceSettings(smtp_service=False))
    assert refusal is not None
    assert refusal.text == "521 mail10.sender1.example does not accept mail from you"
    nameless = AccessRules((), (), ()).greeting(SourceSettings(smtp_service=False))
    assert nameless is not None
    assert nameless.text == "521 this host does not accept mail from you"


@pytest.mark.parametrize("pattern", ["", "a b", "*.", "[*.]", "[10/99]", "[nonsense/8]", "x..y", "a@b.example"])
def test_domain_patterns_that_mean_nothing(pattern: str) -> None:
    with pytest.raises(ValueError):
        DomainPatterns((pattern,))


@pytest.mark.parametrize("pattern", ["", "nobody", "@b.example", "a@", "/(/", "/", "/(?<=a+)b/"])
def test_address_patterns_that_mean_nothing(pattern: str) -> None:
    with pytest.raises(ValueError):
        AddressPatterns((pattern,))


def test_expressions_beyond_re2_get_python_and_a_bound() -> None:
    twice = expression(r"^(.+)\.\1@")
    assert twice("ab.AB@c.example")
    assert not twice("ab.ac@c.example")
    assert not twice("a.a@" + "x" * 300)
    assert expression(r"^(?!no)")("yes@b.example")


def test_expressions_always_match_or_take_linear_time() -> None:
    assert expression("")("anything")
    assert not expression("(a+)+$")("a" * 200_000 + "b")
    assert expression(r"a\/b")("a/b")


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10/8", "10.0.0.0/8"),
        ("0/0", "0.0.0.0/0"),
        ("173.194/16", "173.194.0.0/16"),
        ("192.0.2.7/24", "192.0.2.0/24"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("::1", "::1/128"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_networks(text: str, canonical: str) -> None:
    assert str(network(text)) == canonical
