"""Certificates in plain values, out of whatever a server may show; names matched as RFC 9525 has it."""

from __future__ import annotations

import ssl

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from postwright.net.tls_look import cert_facts, name_matches, public_key
from postwright.testing.certificate import self_signed_pem


def der_of(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


def test_a_certificate() -> None:
    ca = trustme.CA(organization_name="Example Authority")
    leaf = ca.issue_cert("mx.example", "*.mx.example", "127.0.0.1", "::1", common_name="mx\x1b[31m", key_type=trustme.KeyType.RSA)
    facts = cert_facts(der_of(leaf.cert_chain_pems[0].bytes()))
    assert set(facts.names) == {"mx.example", "*.mx.example", "127.0.0.1", "::1"}
    assert facts.subject.startswith("mx?[31m")
    assert "Example Authority" in facts.issuer
    assert facts.key == "RSA 2048"
    assert not facts.self_signed
    assert facts.not_before < facts.not_after
    assert (len(facts.sha256), facts.problem) == (64, "")


def test_one_that_vouches_for_itself() -> None:
    facts = cert_facts(der_of(self_signed_pem(["a.example"])[0]))
    assert facts.self_signed
    assert facts.key == "ECDSA secp256r1"


@given(st.binary(max_size=200))
def test_what_is_none(der: bytes) -> None:
    facts = cert_facts(der)
    assert facts.problem.startswith("unreadable certificate")
    assert public_key(der) == b""


@given(at=st.integers(0, 10_000), octet=st.integers(0, 255))
def test_one_that_was_damaged(at: int, octet: int) -> None:
    whole = bytearray(DAMAGED)
    whole[at % len(whole)] = octet
    facts = cert_facts(bytes(whole))
    assert (facts.subject + facts.issuer + "".join(facts.names)).isprintable()


DAMAGED = der_of(self_signed_pem(["a.example"])[0])

NAMES = ("mx.example", "*.pool.example", "192.0.2.1", "2001:db8::1")
MATCHES = {
    "mx.example": True,
    "MX.Example.": True,
    "a.pool.example": True,
    "pool.example": False,
    "a.b.pool.example": False,
    "other.example": False,
    "192.0.2.1": True,
    "192.0.2.2": False,
    "2001:db8:0::1": True,
    "example": False,
}


@pytest.mark.parametrize("host", MATCHES)
def test_names(host: str) -> None:
    assert name_matches(NAMES, host) is MATCHES[host]
