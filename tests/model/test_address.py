"""Envelope addresses: the public isemail set where it is at hand, our own table, and properties."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postwright.model.address import NULL_PATH, Address, canonical_domain, parse_mailbox
from postwright.model.errors import AddressError

ACCEPTED_CATEGORIES = {"ISEMAIL_VALID_CATEGORY", "ISEMAIL_DNSWARN", "ISEMAIL_RFC5321"}


def accepts(text: str, smtputf8: bool = False) -> bool:
    try:
        parse_mailbox(text, smtputf8=smtputf8)
    except AddressError:
        return False
    return True


@pytest.mark.parametrize("smtputf8", [False, True])
def test_the_public_set_is_judged_as_its_rule_says(shared: Path, smtputf8: bool) -> None:
    wrong = []
    tests = list(ElementTree.parse(shared / "suites/addresses/isemail-tests.xml").iter("test"))
    for test in tests:
        text = "".join(chr(ord(c) - 0x2400) if 0x2400 <= ord(c) < 0x2420 else c for c in test.findtext("address") or "")
        wanted = test.findtext("category") in ACCEPTED_CATEGORIES
        if accepts(text, smtputf8) != wanted:
            wrong.append((test.get("id"), text, test.findtext("diagnosis")))
    assert len(tests) == 164
    assert wrong == []


GOOD = [
    # text, smtputf8, domain
    ("anna@example.com", False, "example.com"),
    ("Anna@EXAMPLE.Com", False, "example.com"),
    ("a.b.c@a-b.example", False, "a-b.example"),
    ("user-rcpt=example.org@bounces.example", False, "bounces.example"),
    ("o'neill+tag@example.com", False, "example.com"),
    ('"two words"@example.com', False, "example.com"),
    ('"a@b"@example.com', False, "example.com"),
    ('"<>"@example.com', False, "example.com"),
    ('"\\ "@example.com', False, "example.com"),
    ("x@[192.0.2.1]", False, "[192.0.2.1]"),
    ("x@[ipv6:2001:DB8::1]", False, "[IPv6:2001:db8::1]"),
    ("x@[IPv6:2001:db8:0:0:0:0:0:1]", False, "[IPv6:2001:db8::1]"),
    ("x@[IPv6:2001:db8::192.0.2.1]", False, "[IPv6:2001:db8::c000:201]"),
    ("x@localhost", False, "localhost"),
    ("x@xn--bcher-kva.example", False, "xn--bcher-kva.example"),
    ("x@XN--BCHER-KVA.example", False, "xn--bcher-kva.example"),
    ("x@" + "a" * 63 + ".example", False, "a" * 63 + ".example"),
    ("a" * 64 + "@example.com", False, "example.com"),
    ("x@bücher.example", True, "xn--bcher-kva.example"),
    ("x@BÜCHER.Example", True, "xn--bcher-kva.example"),
    ("用户@例子.example", True, "xn--fsqu00a.example"),
    ('"ü ü"@example.com', True, "example.com"),
    ("ü" * 32 + "@example.com", True, "example.com"),
    ("x@faß.example", True, "xn--fa-hia.example"),
]


@pytest.mark.parametrize(("text", "smtputf8", "domain"), GOOD)
def test_accepted(text: str, smtputf8: bool, domain: str) -> None:
    assert parse_mailbox(text, smtputf8=smtputf8) == Address(text, domain)


BAD = [
    # text, smtputf8, a word of the reason
    ("", False, "no domain"),
    ("anna", False, "no domain"),
    ("anna@", False, "no domain"),
    ("@example.com", False, "no local part"),
    ("a b@example.com", False, "local part"),
    ("a..b@example.com", False, "local part"),
    ("a@b@example.com", False, "local part"),
    ('"a"b@example.com', False, "local part"),
    ('"a\\"@example.com', False, "local part"),
    ('"a\tb"@example.com', False, "local part"),
    ("a\r\nRCPT@example.com", False, "local part"),
    ("a\0@example.com", False, "local part"),
    ("a@exa mple.com", False, "domain"),
    ("a@example.com\n", False, "domain"),
    ("a@example.com.", False, "domain"),
    ("a@-example.com", False, "domain"),
    ("a@example-.com", False, "domain"),
    ("a@ex_ample.com", False, "domain"),
    ("a@" + "b" * 64 + ".com", False, "label"),
    ("a" * 65 + "@example.com", False, "local part is too long"),
    ("a@" + "b." * 126 + "example", False, "address is too long"),
    ("ü" * 33 + "@example.com", True, "local part is too long"),
    ("a" * 60 + "@" + ("ü" * 20 + ".") * 9 + "example", True, "address is too long"),
    ("ü@example.com", False, "SMTPUTF8"),
    ("x@bücher.example", False, "SMTPUTF8"),
    ("\ud800@example.com", True, "Unicode"),
    ("x@\ud800.example", True, "Unicode"),
    ("x@ü" + "-" * 70 + ".example", True, "international domain"),
    ("x@\u2028.example", True, "international domain"),
    ("x@[300.0.2.1]", False, "literal"),
    ("x@[192.0.2.01]", False, "literal"),
    ("x@[192.0.2.1", False, "literal"),
    ("x@[IPv6:fe80::1%eth0]", False, "literal"),
    ("x@[IPv6:12345::]", False, "literal"),
    ("x@[tag:stuff]", False, "literal"),
    ("x@[192.0.2.¹]", True, "literal"),
    ("x@[]", False, "literal"),
]


@pytest.mark.parametrize(("text", "smtputf8", "why"), BAD)
def test_refused(text: str, smtputf8: bool, why: str) -> None:
    with pytest.raises(AddressError, match=why):
        parse_mailbox(text, smtputf8=smtputf8)


def test_domains_alone() -> None:
    assert canonical_domain("Example.COM") == "example.com"
    assert canonical_domain("BÜCHER.example") == "xn--bcher-kva.example"
    assert canonical_domain("[127.0.0.1]") == "[127.0.0.1]"
    with pytest.raises(AddressError, match="too long"):
        canonical_domain(".".join(["a" * 49] * 6))
    with pytest.raises(AddressError, match="too long"):
        canonical_domain("ü" * 300)
    with pytest.raises(AddressError, match="SMTPUTF8"):
        canonical_domain("ü.example", smtputf8=False)


def test_local_part_of_an_address() -> None:
    assert parse_mailbox('"a@b"@example.com').local == '"a@b"'
    assert NULL_PATH.local == ""
    assert Address("Postmaster", "").local == "Postmaster"


@given(st.text(max_size=300), st.booleans())
@example("x@" + "xn--" + "a" * 60, True)
def test_any_text_is_an_address_or_an_address_error(text: str, smtputf8: bool) -> None:
    try:
        address = parse_mailbox(text, smtputf8=smtputf8)
    except AddressError:
        return
    assert address.text == text
    assert address.domain.isascii()
    assert address.domain == canonical_domain(address.domain)
    assert not any(c in text for c in "\r\n\0")


@given(st.from_regex(r"[a-z0-9!#+.=-]{1,20}@[a-zA-Z0-9.-]{1,40}", fullmatch=True))
def test_the_domain_is_a_fixed_point(text: str) -> None:
    if accepts(text):
        address = parse_mailbox(text)
        assert parse_mailbox(f"{address.local}@{address.domain}").domain == address.domain == text.rpartition("@")[2].lower()
