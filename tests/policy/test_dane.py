"""TLSA records read, and held against certificates (RFC 6698, RFC 7672)."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.policy.dane import Tlsa, matches, read_tlsa

LEAF, AUTHORITY = (b"leaf certificate", b"leaf key"), (b"authority certificate", b"authority key")
CHAIN = [LEAF, AUTHORITY]


def sha256(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


def test_read() -> None:
    assert read_tlsa("3 1 1 ABcd 01") == Tlsa(3, 1, 1, bytes.fromhex("abcd01"))
    assert read_tlsa("2 0 0 00") == Tlsa(2, 0, 0, b"\0")


@pytest.mark.parametrize("text", ["", "3 1 1", "3 1 1 xy", "3 1 1 abc", "300 1 1 ab", "a 1 1 ab", "² 1 1 ab", "3 -1 1 ab"])
def test_what_is_none(text: str) -> None:
    assert read_tlsa(text) is None


MATCHES = [
    (Tlsa(3, 1, 1, sha256(LEAF[1])), True),
    (Tlsa(3, 0, 1, sha256(LEAF[0])), True),
    (Tlsa(3, 1, 0, LEAF[1]), True),
    (Tlsa(3, 1, 2, hashlib.sha512(LEAF[1]).digest()), True),
    (Tlsa(3, 1, 1, sha256(AUTHORITY[1])), False),  # an end entity is the first or nobody
    (Tlsa(2, 1, 1, sha256(AUTHORITY[1])), True),
    (Tlsa(2, 0, 1, sha256(b"other")), False),
    (Tlsa(1, 1, 1, sha256(LEAF[1])), False),  # RFC 7672 section 3.1.3
    (Tlsa(3, 2, 1, sha256(LEAF[1])), False),
    (Tlsa(3, 1, 9, LEAF[1]), False),
]


@pytest.mark.parametrize(("record", "right"), MATCHES)
def test_matches(record: Tlsa, right: bool) -> None:
    assert matches(record, CHAIN) is right
    assert not matches(record, [])


def test_text_is_short() -> None:
    assert Tlsa(3, 1, 1, b"\xab").text == "3 1 1 ab"
    assert Tlsa(3, 1, 1, bytes(32)).text == "3 1 1 0000000000000000…"


@given(st.text(max_size=60))
def test_strangers(text: str) -> None:
    for record in (read_tlsa(text), read_tlsa("3 1 1 " + text)):
        assert record is None or isinstance(record.data, bytes)
