"""sslyze, which other people wrote to find fault with TLS servers, finds the defaults compliant with Mozilla's intermediate profile.

The profile is the one in sslyze's own package; nothing is fetched. A relay whose operator allows more is told to be not compliant: so the
scan is known to look.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.interop.peers import Needs, StartRelay

from postwright.net import openssl
from postwright.testing.sockets import free_port

pytestmark = [pytest.mark.system, pytest.mark.needs("sslyze")]


NOW = datetime.now(UTC)


def signed(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, by: ec.EllipticCurvePrivateKey, *more: tuple[x509.ExtensionType, bool]
) -> bytes:
    """A certificate as PEM, for 90 days, with the extensions that the Web's rules (which sslyze goes by) ask for."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(days=90))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    for extension, critical in more:
        builder = builder.add_extension(extension, critical)
    return builder.sign(by, SHA256()).public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate as an authority gives it, with its key; and the authority's own. (trustme's are not as RFC 5280 wants them.)"""
    folder = tmp_path_factory.mktemp("issued")
    root, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    may_sign = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    (folder / "ca.pem").write_bytes(signed("Root", root, "Root", root, (x509.BasicConstraints(True, None), True), (may_sign, True)))
    names = x509.SubjectAlternativeName([x509.DNSName("relay.example"), x509.IPAddress(ip_address("127.0.0.1"))])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    leaf = signed("relay.example", key, "Root", root, (names, False), (usage, False), (x509.BasicConstraints(False, None), True))
    (folder / "relay.pem").write_bytes(leaf + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "relay.pem", folder / "ca.pem"


def rules(certificate: Path, port: int, more: str = "") -> str:
    return f"""
smtp-server-tls-certificate {certificate}
{more}
<smtp-listener 127.0.0.1:{port}>
    immediate-tls yes
</smtp-listener>
<source 127.0.0.1/32>
    allow-starttls yes
</source>
"""


async def scan(program: Path, port: int, report: Path, *words: str) -> tuple[int, str, dict[str, Any]]:
    """Exit status (0: compliant), what it says, and its report."""
    command = [str(program), "--mozilla_config=intermediate", f"--json_out={report}", *words, f"127.0.0.1:{port}"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    async with asyncio.timeout(90):
        said, _ = await process.communicate()
    [result] = json.loads(report.read_text())["server_scan_results"]
    assert result["connectivity_status"] == "COMPLETED", said.decode()
    return process.returncode or 0, said.decode(), result["scan_result"]


def accepted(found: dict[str, Any], version: str) -> set[str]:
    return {suite["cipher_suite"]["name"] for suite in found[f"{version}_cipher_suites"]["result"]["accepted_cipher_suites"]}


async def test_the_defaults_are_mozillas_intermediate(
    needs: Needs, start_relay: StartRelay, issued: tuple[Path, Path], tmp_path: Path
) -> None:
    if openssl.missing():
        pytest.skip(openssl.missing())
    smtps = free_port()
    trust = f"--certinfo_ca_file={issued[1]}"
    relay = await start_relay(rules(issued[0], smtps))
    scans = await asyncio.gather(
        scan(needs("sslyze"), relay.port, tmp_path / "starttls.json", "--starttls=smtp", trust),
        scan(needs("sslyze"), smtps, tmp_path / "smtps.json", trust),
    )
    for status, said, found in scans:
        assert status == 0, said
        assert "OK - Compliant" in said
        assert not accepted(found, "tls_1_0") | accepted(found, "tls_1_1") | accepted(found, "ssl_3_0")
        assert accepted(found, "tls_1_2")
        assert accepted(found, "tls_1_3") == {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
        assert not found["session_renegotiation"]["result"]["is_vulnerable_to_client_renegotiation_dos"]
        assert not found["tls_compression"]["result"]["supports_compression"]


async def test_it_sees_what_an_operator_has_opened(
    needs: Needs, start_relay: StartRelay, issued: tuple[Path, Path], tmp_path: Path
) -> None:
    relay = await start_relay(rules(issued[0], free_port(), "smtp-server-tls-allow-tlsv1 yes"))
    status, said, found = await scan(needs("sslyze"), relay.port, tmp_path / "old.json", "--starttls=smtp")
    assert status == 1, said
    assert accepted(found, "tls_1_0")
