"""Which key signs: order, parents, wildcards, types, and what a message may ask for."""

from __future__ import annotations

import pytest

from postwright.policy.dkim_keys import Chosen, Identity, KeyRing, KeyRings, Options, choose, choose_as_told, identities, identity
from postwright.policy.resolve import Resolved
from postwright.policy.settings import DomainKey, PoolSettings, Settings, VmtaSettings

ALL = [
    DomainKey("s1", "a.example", "a.pem"),
    DomainKey("s2", "b.a.example", "b.pem"),
    DomainKey("s3", "*", "all.ed25519"),
    DomainKey("s4", "*", "all.pem"),
    DomainKey("s5", "c.example", "never-reached.pem"),
]


def rsa(key: DomainKey) -> bool:
    return key.file.endswith(".pem")


def who(*texts: str) -> list[Identity]:
    return [found for found in map(identity, texts) if found is not None]


@pytest.mark.parametrize(
    ("text", "selector", "domain"),
    [
        ("joe@a.example", "s1", "a.example"),
        ("joe@A.Example", "s1", "a.example"),
        ("joe@b.a.example", "s1", "a.example"),  # the first in order, not the narrowest
        ("@x.y.a.example", "s1", "a.example"),
        ("joe@xa.example", "s4", "xa.example"),
        ("joe@c.example", "s4", "c.example"),
        ("joe@bücher.example", "s4", "xn--bcher-kva.example"),
    ],
)
def test_the_first_that_fits(text: str, selector: str, domain: str) -> None:
    found = choose([KeyRing(ALL)], who(text), rsa)
    assert found is not None
    assert (found.key.selector, found.domain) == (selector, domain)
    assert found.identity.rpartition("@")[0] == text.rpartition("@")[0]


def test_patterns_sign_as_the_domain_itself() -> None:
    ring = KeyRing([DomainKey("below", "*.a.example", "x.pem"), DomainKey("both", "[*.]b.example", "x.pem")])
    found = [choose([ring], who(text), rsa) for text in ("@n.a.example", "@a.example", "@b.example", "@n.b.example")]
    assert [(one.key.selector, one.domain) if one else None for one in found] == [
        ("below", "n.a.example"),
        None,
        ("both", "b.example"),
        ("both", "n.b.example"),
    ]


def test_a_key_of_another_type_is_stepped_over() -> None:
    found = choose([KeyRing(ALL)], who("@z.example"), lambda key: not rsa(key))
    assert found == Chosen(ALL[2], "z.example", "@z.example")
    assert choose([KeyRing(ALL[:2])], who("@a.example"), lambda key: not rsa(key)) is None


def test_vmta_then_pools_then_everywhere() -> None:
    keys = {name: DomainKey(name, "a.example", f"{name}.pem") for name in ("vmta", "pool1", "pool2", "global")}
    settings = Settings(
        domain_keys=(keys["global"],),
        vmtas={
            "m": VmtaSettings("M", domain_keys=(keys["vmta"],), pools=("P1", "P2")),
            "n": VmtaSettings("N", pools=("P1", "P2")),
            "o": VmtaSettings("O", pools=("P2",)),
            "p": VmtaSettings("P"),
        },
        pools={"p1": PoolSettings("P1", domain_keys=(keys["pool1"],)), "p2": PoolSettings("P2", domain_keys=(keys["pool2"],))},
    )
    resolved, rings = Resolved(settings), KeyRings(settings)
    found = [choose(rings.of(resolved, name), who("@a.example"), rsa) for name in ("M", "n", "O", "p", "{default}")]
    assert [one.key.selector if one else "" for one in found] == ["vmta", "pool1", "pool2", "global", "global"]
    assert choose(rings.of(resolved, "M"), who("@a.example"), lambda key: key.selector == "global") == Chosen(
        keys["global"], "a.example", "@a.example"
    )


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("sender-or-from", ["list@l.example", "joe@a.example"]),
        ("strict-from", ["joe@a.example"]),
        ("@d.example", ["@d.example"]),
        ("me@d.example", ["me@d.example"]),
        ("", []),
        ("nonsense", []),
        ("x@[192.0.2.1]", []),
    ],
)
def test_in_whose_name(wanted: str, expected: list[str]) -> None:
    assert [one.text for one in identities(wanted, ["list@l.example"], ["joe@a.example", "eve@e.example"])] == expected


def test_sender_without_a_key_gives_way_to_from() -> None:
    ring = KeyRing(ALL[:1])
    found = choose([ring], identities("sender-or-from", ["list@l.example"], ["joe@a.example"]), rsa)
    assert found == Chosen(ALL[0], "a.example", "joe@a.example")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(), ("s1", "a.example", "joe@a.example")),
        (Options(selector="s2"), None),
        (Options(selector="s4"), ("s4", "a.example", "joe@a.example")),
        (Options(domain="b.a.example"), ("s2", "b.a.example", "@b.a.example")),
        (Options(domain="b.a.example", selector="s2"), ("s2", "b.a.example", "@b.a.example")),
        (Options(domain="z.example"), ("s4", "z.example", "@z.example")),
        (Options(domain="not a domain"), None),
        (Options(identity="eve@b.a.example"), ("s1", "a.example", "eve@b.a.example")),
        (Options(identity="eve@b.a.example", domain="a.example"), ("s1", "a.example", "eve@b.a.example")),
        (Options(identity="eve@e.example", domain="a.example"), ("s1", "a.example", "@a.example")),
    ],
)
def test_what_a_message_asks_for(options: Options, expected: tuple[str, str, str] | None) -> None:
    found = choose_as_told([KeyRing(ALL)], who("joe@a.example"), options, rsa)
    assert (None if found is None else (found.key.selector, found.domain, found.identity)) == expected


def test_lists_by_name() -> None:
    settings = Settings(domain_key_lists={"mine": (ALL[1],)})
    rings = KeyRings(settings)
    assert choose(rings.named("MINE"), who("@b.a.example"), rsa) == Chosen(ALL[1], "b.a.example", "@b.a.example")
    assert rings.named("yours") == ()
