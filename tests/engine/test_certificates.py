"""Certificates that somebody else made: whatever is in them, they are read, or refused in words."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.tls_files import server

from postwright.engine import certificates
from postwright.engine.certificates import CertificateError
from postwright.engine.self_signed import self_signed_pem

DER = ssl.PEM_cert_to_DER_cert(self_signed_pem(["a.example", "b.example"])[0].decode())


def damaged(places: list[tuple[int, int]], cut: int) -> bytes:
    octets = bytearray(DER)
    for place, value in places:
        octets[place % len(octets)] = value
    return bytes(octets[: cut or None])


DAMAGE = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4)


@given(DAMAGE, st.sampled_from([0, 0, 0, 1, 40, 300]))
def test_the_name_of_a_client_is_always_a_text(places: list[tuple[int, int]], cut: int) -> None:
    name = certificates.client_name(damaged(places, cut))
    assert name.isprintable()
    assert len(name) <= certificates.LONGEST_NAME


def test_a_serial_number_that_is_none_is_no_trouble() -> None:
    """cryptography warns of it, and warnings are errors here."""
    number = x509.load_der_x509_certificate(DER).serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1)
    negative = DER.replace(serial, b"\x81" + serial[1:])
    assert negative != DER
    assert certificates.client_name(negative) == "a.example"
    assert len(certificates.client_key(negative)) == 32


def test_a_key_of_a_kind_that_nobody_knows_is_nobodys() -> None:
    p256 = bytes.fromhex("06082a8648ce3d030107")
    assert p256 in DER
    assert certificates.client_key(DER.replace(p256, p256[:-1] + b"\x63")) == b""
    assert certificates.client_key(b"no certificate") == b""


@given(DAMAGE)
def test_whom_a_certificate_is_of_is_always_asked_in_vain_or_known(places: list[tuple[int, int]]) -> None:
    assert len(certificates.client_key(damaged(places, 0))) in (0, 32)


@given(places=DAMAGE)
def test_a_damaged_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int]]) -> None:
    file = tmp_path_factory.getbasetemp() / "damaged.pem"
    file.write_text(ssl.DER_cert_to_PEM_cert(damaged(places, 0)))
    try:
        [found] = certificates.read(str(file)).certificates
    except CertificateError:
        return
    assert all(isinstance(name, str) for name in certificates.names(found))
    assert all(finding.message for finding in certificates.judge_trusted(str(file), 1.8e9))


def test_a_name_that_could_write_on_a_terminal(tmp_path: Path) -> None:
    file = server(trustme.CA(), tmp_path / "x.pem", "x@y.example", common_name="Anna\x1b[31m\nBob" + "x" * 50)
    der = certificates.read(file).certificates[0].public_bytes(certificates.Encoding.DER)
    assert certificates.client_name(der) == "Anna?[31m?Bob" + "x" * 50


def test_a_file_without_bound(tmp_path: Path) -> None:
    file = tmp_path / "huge.pem"
    with file.open("wb") as opened:
        opened.truncate(certificates.LARGEST + 1)
    with pytest.raises(CertificateError, match="holds no certificate"):
        certificates.read(str(file))


def test_only_a_certificate_without_other_names_goes_by_its_common_name() -> None:
    [found] = x509.load_pem_x509_certificates(self_signed_pem(["CN.example", "*.b.example"])[0])
    assert certificates.names(found) == ("cn.example", "*.b.example")
    assert certificates.common_name(found) == "CN.example"
