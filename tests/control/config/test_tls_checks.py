"""Certificates are judged at the line that names them, before anybody connects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat, load_pem_private_key

from postwright.control.config import loads
from postwright.engine import tls_context

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def leaf(ca: trustme.CA) -> trustme.LeafCert:
    return ca.issue_cert("relay.example")


def told(text: str, folder: Path, *, offline: bool = False, tolerant: bool = False) -> list[tuple[str, int, str]]:
    result = loads(f"log-file x\n{text}", "config", folder=folder, offline=offline, tolerant=tolerant)
    assert (result.settings is None) == any(problem.level == "error" for problem in result.problems)
    return [(p.level, p.line - 1, p.message.replace(f"{folder}/", "")) for p in result.problems if p.line]


def pem(leaf: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in leaf.cert_chain_pems) + leaf.private_key_pem.bytes()


def encrypted(leaf: trustme.LeafCert, password: bytes) -> bytes:
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    return leaf.cert_chain_pems[0].bytes() + locked


def test_a_sound_certificate_is_no_problem(leaf: trustme.LeafCert, tmp_path: Path) -> None:
    (tmp_path / "relay.pem").write_bytes(pem(leaf))
    assert told("smtp-server-tls-certificate relay.pem", tmp_path) == []


def test_what_cannot_be_used_is_an_error_in_words(ca: trustme.CA, leaf: trustme.LeafCert, tmp_path: Path) -> None:
    other = ca.issue_cert("other.example")
    cases = {
        "": "x.pem holds no certificate in PEM form, or a broken one",
        leaf.cert_chain_pems[0].bytes(): "x.pem holds no private key (certificate, chain and key stand in one file)",
        leaf.cert_chain_pems[0].bytes() + other.private_key_pem.bytes(): "the key in x.pem does not belong to its first certificate "
        "(the server's own comes first, then those that signed it)",
        ca.cert_pem.bytes() + pem(leaf): "the key in x.pem does not belong to its first certificate "
        "(the server's own comes first, then those that signed it)",
        encrypted(leaf, b"secret"): "there is no password for the encrypted key in x.pem",
    }
    for data, message in cases.items():
        (tmp_path / "x.pem").write_bytes(data.encode() if isinstance(data, str) else data)
        assert told("smtp-server-tls-certificate x.pem", tmp_path) == [("error", 1, f"smtp-server-tls-certificate: {message}")]


def test_the_password_is_tried_and_never_shown(leaf: trustme.LeafCert, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_bytes(encrypted(leaf, b"right"))
    assert told("smtp-server-tls-certificate x.pem right", tmp_path) == []
    text = "smtp-server-tls-certificate x.pem wrong-one"
    assert told(text, tmp_path) == [("error", 1, "smtp-server-tls-certificate: the password does not open the key in x.pem")]
    assert "wrong-one" not in "".join(problem.render() for problem in loads(text, folder=tmp_path).problems)


@pytest.mark.parametrize(
    ("begin", "end", "wanted"),
    [
        (-90, -2, "the certificate in x.pem expired on {end}"),
        (-80, 9.9, "the certificate in x.pem expires on {end}, in 10 days"),
        (3, 90, "the certificate in x.pem is valid from {begin} only"),
        (-1, 15, ""),
    ],
    ids=["over", "soon", "early", "well"],
)
def test_its_time(ca: trustme.CA, tmp_path: Path, begin: float, end: float, wanted: str) -> None:
    first, last = NOW + timedelta(days=begin), NOW + timedelta(days=end)
    (tmp_path / "x.pem").write_bytes(pem(ca.issue_cert("relay.example", not_before=first, not_after=last)))
    shown = wanted.format(begin=first.strftime("%Y-%m-%d"), end=last.strftime("%Y-%m-%d"))
    expected = [("warning", 1, f"smtp-server-tls-certificate: {shown}")] if wanted else []
    assert told("smtp-server-tls-certificate x.pem", tmp_path) == expected


def test_a_chain_out_of_order(ca: trustme.CA, tmp_path: Path) -> None:
    middle = ca.create_child_ca()
    leaf = middle.issue_cert("relay.example")
    good = pem(leaf)
    (tmp_path / "good.pem").write_bytes(good)
    (tmp_path / "bad.pem").write_bytes(leaf.cert_chain_pems[0].bytes() + ca.cert_pem.bytes() + good)
    assert told("smtp-server-tls-certificate good.pem", tmp_path) == []
    message = "smtp-server-tls-certificate: certificate 2 in bad.pem has not signed certificate 1"
    assert told("smtp-server-tls-certificate bad.pem", tmp_path) == [("warning", 1, message)]


def test_all_places_that_name_one(leaf: trustme.LeafCert, tmp_path: Path) -> None:
    (tmp_path / "good.pem").write_bytes(pem(leaf))
    (tmp_path / "bad.pem").write_text("nothing")
    problem = "bad.pem holds no certificate in PEM form, or a broken one"
    text = """\
smtp-server-tls-certificate good.pem
smtp-server-tls-sni-certificate bad.pem
smtp-server-tls-ca-file bad.pem
<smtp-listener 127.0.0.1:25>
    tls-certificate bad.pem
    tls-sni-certificate bad.pem
    tls-ca-file bad.pem
</smtp-listener>
<smtp-user anna>
    authentication-method certificate
    tls-certificate bad.pem
</smtp-user>
"""
    named = {2: "smtp-server-tls-sni-certificate", 3: "smtp-server-tls-ca-file", 5: "tls-certificate", 6: "tls-sni-certificate"}
    named |= {7: "tls-ca-file", 11: "tls-certificate"}
    assert told(text, tmp_path) == [("error", line, f"{name}: {problem}") for line, name in sorted(named.items())]
    assert told(text, tmp_path, offline=True) == []


def test_a_user_needs_no_key(leaf: trustme.LeafCert, tmp_path: Path) -> None:
    (tmp_path / "anna.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    assert told("<smtp-user anna>\nauthentication-method certificate\ntls-certificate anna.pem\n</smtp-user>", tmp_path) == []


def test_a_file_that_is_not_there_is_told_once(tmp_path: Path) -> None:
    assert told("smtp-server-tls-certificate x.pem", tmp_path) == [("error", 1, "smtp-server-tls-certificate: there is no file x.pem")]


def test_tls_from_the_first_octet_wants_a_certificate(tmp_path: Path) -> None:
    text = "<smtp-listener 127.0.0.1:465>\nimmediate-tls yes\n</smtp-listener>"
    assert told(text, tmp_path) == [("error", 2, "immediate-tls: TLS from the first octet wants a certificate")]


def test_some_version_must_be_left(leaf: trustme.LeafCert, tmp_path: Path) -> None:
    (tmp_path / "good.pem").write_bytes(pem(leaf))
    text = "smtp-listener 127.0.0.1:25\nsmtp-server-tls-certificate good.pem\nsmtp-server-tls-allow-tlsv1.2 no\n"
    assert told(text, tmp_path) == []
    text += "smtp-server-tls-allow-tlsv1.3 no\n"
    assert told(text, tmp_path) == [("error", 4, "smtp-server-tls-allow-tlsv1.3: no version of TLS is allowed any more")]


def test_suites_of_tls_1_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "smtp-server-tls-v1.3-ciphersuites"
    assert told(f"{name} TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256", tmp_path) == []
    assert told(f"{name} AES128-SHA", tmp_path) == [("error", 1, f"{name}: `AES128-SHA` is no cipher suite of TLS 1.3")]
    monkeypatch.setattr(tls_context.openssl, "missing", lambda: "it is another Python")
    message = f"{name}: OpenSSL's suites are used, as it is another Python"
    assert told(f"{name} TLS_AES_128_GCM_SHA256", tmp_path) == [("warning", 1, message)]


@pytest.mark.parametrize(("ciphers", "named"), [("ALL:aNULL:@SECLEVEL=0", "ADH-AES256"), ("AES128-SHA:eNULL:@SECLEVEL=0", "NULL-SHA")])
def test_suites_that_protect_nobody_are_told(tmp_path: Path, ciphers: str, named: str) -> None:
    [(level, line, message)] = told(f"smtp-server-tls-ciphers {ciphers}", tmp_path)
    assert (level, line) == ("warning", 1)
    assert named in message
    assert "protect nobody" in message


@pytest.mark.parametrize("ciphers", ["HIGH:!ADH:@STRENGTH", "ECDHE+AESGCM", "AES128-SHA"])
def test_others_are_the_operators_own_affair(tmp_path: Path, ciphers: str) -> None:
    assert told(f"smtp-server-tls-ciphers {ciphers}", tmp_path) == []
