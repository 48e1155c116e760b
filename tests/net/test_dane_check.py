"""Paths to a trust anchor of DANE (RFC 7671 section 5.2), and chains that strangers made up."""

from __future__ import annotations

import hashlib
import time

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.outcome import TlsTrouble
from postwright.model.route import TlsDemand, TlsRule
from postwright.model.tlsa import Tlsa
from postwright.net.dane_check import judge_chain
from postwright.net.tls_look import public_key

NAMES = ("mx.example", "example")
Chain = list[tuple[bytes, bytes]]


def der(blob: trustme.Blob) -> tuple[bytes, bytes]:
    octets = x509.load_pem_x509_certificate(blob.bytes()).public_bytes(Encoding.DER)
    return octets, public_key(octets)


ROOT = trustme.CA()
MIDDLE = ROOT.create_child_ca()
LEAF = MIDDLE.issue_cert("mx.example")
LEAF_DER, MIDDLE_DER = (der(blob) for blob in LEAF.cert_chain_pems[:2])
ROOT_DER = der(ROOT.cert_pem)
STRANGE_DER = der(trustme.CA().cert_pem)


def anchor(certificate: tuple[bytes, bytes], selector: int = 0) -> Tlsa:
    return Tlsa(2, selector, 1, hashlib.sha256(certificate[selector]).digest())


@pytest.mark.parametrize(
    ("chain", "record", "trouble"),
    [
        ([LEAF_DER, MIDDLE_DER, ROOT_DER], anchor(ROOT_DER), None),
        ([LEAF_DER, MIDDLE_DER, ROOT_DER], anchor(MIDDLE_DER), None),  # any authority on the way may be the anchor
        ([LEAF_DER, MIDDLE_DER, ROOT_DER], anchor(MIDDLE_DER, 1), None),
        ([LEAF_DER, MIDDLE_DER], anchor(ROOT_DER), TlsTrouble.NO_MATCH),  # a digest alone is no certificate
        ([LEAF_DER, MIDDLE_DER], Tlsa(2, 0, 0, ROOT_DER[0]), None),  # in full it need not be sent
        ([LEAF_DER, ROOT_DER], anchor(ROOT_DER), TlsTrouble.UNTRUSTED),  # a link is missing
        ([LEAF_DER, MIDDLE_DER, STRANGE_DER], anchor(STRANGE_DER), TlsTrouble.UNTRUSTED),  # shown, and signed nothing
        ([LEAF_DER], Tlsa(2, 0, 0, b"no certificate"), TlsTrouble.OTHER),
        ([], anchor(ROOT_DER), TlsTrouble.NO_MATCH),
        ([MIDDLE_DER, LEAF_DER], Tlsa(3, 0, 1, hashlib.sha256(LEAF_DER[0]).digest()), TlsTrouble.NO_MATCH),  # the end entity is the first
    ],
)
def test_paths(chain: Chain, record: Tlsa, trouble: TlsTrouble | None) -> None:
    assert judge_chain(chain, TlsDemand(TlsRule.DANE, NAMES, (record,)), time.time()) is trouble


@pytest.mark.parametrize(("days", "trouble"), [(0, None), (365 * 2000, TlsTrouble.EXPIRED), (-365 * 50, TlsTrouble.EXPIRED)])
def test_dates_count_for_an_anchor(days: int, trouble: TlsTrouble | None) -> None:
    demand = TlsDemand(TlsRule.DANE, NAMES, (anchor(ROOT_DER),))
    assert judge_chain([LEAF_DER, MIDDLE_DER, ROOT_DER], demand, time.time() + days * 86400) is trouble


def test_a_leaf_is_no_authority() -> None:
    """Whoever has a certificate of the anchor's must not be able to make others of it."""
    other = ROOT.issue_cert("elsewhere.example")
    forger = der(other.cert_chain_pems[0])
    demand = TlsDemand(TlsRule.DANE, NAMES, (anchor(ROOT_DER),))
    assert judge_chain([LEAF_DER, forger, ROOT_DER], demand, time.time()) is TlsTrouble.UNTRUSTED


@given(st.lists(st.tuples(st.binary(max_size=60), st.binary(max_size=20)), max_size=4), st.sampled_from([0, 1]))
def test_strangers(chain: Chain, selector: int) -> None:
    records = tuple([Tlsa(2, selector, 0, pair[selector]) for pair in chain if pair[selector]])
    assert judge_chain(chain, TlsDemand(TlsRule.DANE, NAMES, records), time.time()) in (TlsTrouble.NO_MATCH, TlsTrouble.OTHER)
