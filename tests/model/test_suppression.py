"""Entries of the suppression store: what people write, and by which keys an address is looked up."""

from __future__ import annotations

import hashlib

import pytest

from postwright.model.address import Address, parse_mailbox
from postwright.model.suppression import digest_key, keys_of, mailbox_key, parse_key, parse_scope, scopes_of

SHA = hashlib.sha256(b"bob@example.com").hexdigest()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Bob@Example.COM", "bob@example.com"),
        (" bob@example.com\n", "bob@example.com"),
        ("почта@пример.рф", "почта@xn--e1afmkfd.xn--p1ai"),
        ('"odd local"@example.com', '"odd local"@example.com'),
        ("@Example.com", "@example.com"),
        ("@*.Example.com", "@*.example.com"),
        (SHA, f"sha256:{SHA}"),
        (SHA.upper(), f"sha256:{SHA}"),
        (f"SHA256:{SHA}", f"sha256:{SHA}"),
        ("0" * 32, f"md5:{'0' * 32}"),
        ("0" * 40, f"sha1:{'0' * 40}"),
    ],
)
def test_what_people_write(text: str, key: str) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bob", "a domain is written @bob"),
        ("", "a domain is written @example.com"),
        ("example.com", "a domain is written @example.com"),
        ("a b@example.com", "local part"),
        ("@exa mple", "domain"),
        ("sha256:12", "64 hexadecimal digits"),
    ],
)
def test_what_is_none_says_what_would_be(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_key(text)


def test_an_address_is_held_by_itself_its_domain_those_above_and_its_digests() -> None:
    keys = keys_of(parse_mailbox("Bob@Mail.example.com"), ("md5", "sha256"))
    mailbox = "bob@mail.example.com"
    assert keys[:2] == [mailbox, "@mail.example.com"]
    assert set(keys[2:]) == {digest_key(mailbox, "md5"), digest_key(mailbox, "sha256"), "@*.example.com", "@*.com"}
    assert digest_key("bob@example.com", "sha256") == f"sha256:{SHA}"


def test_every_key_of_an_address_can_be_written_by_a_person() -> None:
    address = parse_mailbox("bob@a.b.example.com")
    assert [parse_key(key) for key in keys_of(address, ("sha1",))] == keys_of(address, ("sha1",))


def test_scopes() -> None:
    assert scopes_of("", "") == [""]
    assert scopes_of("shop", "news") == ["", "user:shop", "job:news"]
    assert [parse_scope(text) for text in ("global", "", "user:a b", "job:x")] == ["", "", "user:a b", "job:x"]
    for bad in ("user:", "shop", "team:x"):
        with pytest.raises(ValueError, match="global, user:NAME or job:NAME"):
            parse_scope(bad)


def test_a_mailbox_without_a_domain_has_a_key_too() -> None:
    assert mailbox_key(Address("Postmaster", "")) == "postmaster@"
