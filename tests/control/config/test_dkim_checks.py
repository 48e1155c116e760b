"""Key files of `domain-key`: what cannot sign is told at its line, with the command that helps."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from postwright.control.config import loads

PEM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
PLAIN = serialization.NoEncryption()


def _pem(name: str) -> bytes:
    if name == "ec":
        return ec.generate_private_key(ec.SECP256R1()).private_bytes(*PEM, PLAIN)
    if name == "ed25519":
        return ed25519.Ed25519PrivateKey.generate().private_bytes(*PEM, PLAIN)
    protection = serialization.BestAvailableEncryption(b"x") if name == "locked" else PLAIN
    return rsa.generate_private_key(65537, 1024).private_bytes(*PEM, protection)


def problems(folder: Path, octets: bytes, more: str = "", mode: int = 0o600) -> list[tuple[str, str]]:
    file = folder / "key.pem"
    file.write_bytes(octets)
    file.chmod(mode)
    text = f"host-name relay.example\npostmaster you@relay.example\n{more}\ndomain-key s, a.example, {file}\n"
    found = loads(text, "config", folder=folder).problems
    return [(problem.level, problem.message.replace(f"{folder}/", "")) for problem in found if "domain-key" in problem.message]


@pytest.mark.directive("domain-key")
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("rsa", []),
        ("ec", [("error", "domain-key: key.pem holds a key that is neither RSA nor Ed25519")]),
        ("locked", [("error", "domain-key: key.pem is protected by a password; keys that sign have none")]),
        ("ed25519", [("warning", "domain-key: nothing signs with this Ed25519 key")]),
    ],
)
def test_what_a_file_holds(tmp_path: Path, kind: str, said: list[tuple[str, str]]) -> None:
    assert problems(tmp_path, _pem(kind)) == said


@pytest.mark.directive("dkim-algorithm", "second-dkim-algorithm")
@pytest.mark.parametrize("twin", ["dkim-", "second-dkim-"])
def test_sha1_is_obeyed_and_its_worth_is_told(twin: str) -> None:
    text = f"host-name a.example\npostmaster a@a.example\nlog-file x\n<domain *>\n{twin}algorithm {{}}\n</domain>\n"
    found = [(one.level, one.line, one.message) for one in loads(text.format("rsa-sha1"), "config", offline=True).problems]
    assert found == [("warning", 5, f"{twin}algorithm: no verifier accepts rsa-sha1 any more (RFC 8301)")]
    assert loads(text.format("rsa-sha256"), "config", offline=True).problems == ()


@pytest.mark.directive("arc-seal")
def test_seals_of_what_nobody_looked_at() -> None:
    head = "host-name a.example\npostmaster a@a.example\nlog-file x\n"
    seals, key = "<domain *>\narc-seal yes\n</domain>\n", "domain-key s, a.example, s.pem\n"
    looks = "<source 0/0>\ncheck-arc-inbound yes\n</source>\n"
    unwanted = looks + seals.replace("yes", "no")
    found = {}
    for name, text in {"neither": seals, "no key": seals + looks, "both": seals + looks + key, "no": unwanted}.items():
        problems = loads(head + text, "config", offline=True).problems
        found[name] = [(one.line, one.message) for one in problems if one.message.startswith("arc-seal")]
    blind = (5, "arc-seal: nothing will be sealed: no source looks at the chain of what comes in")
    keyless = (5, "arc-seal: nothing will be sealed: there is no domain-key")
    assert found == {"neither": [blind], "no key": [keyless], "both": [], "no": []}


def test_other_files(tmp_path: Path) -> None:
    assert problems(tmp_path, b"hello") == [("error", "domain-key: key.pem holds no private key in PEM form")]
    torn = _pem("rsa").replace(b"\nM", b"\nA", 1)
    assert problems(tmp_path, torn) == [("error", "domain-key: key.pem holds a private key that cannot be read")]
    assert problems(tmp_path, b"x" * 70000) == [("error", "domain-key: key.pem is too large for a key")]
    said = problems(tmp_path, _pem("rsa"), mode=0o644)
    assert said == [("warning", "domain-key: key.pem can be read by everybody on this machine, and who has it can sign as you")]
    wanted = "<domain *>\ndkim-sign yes\ndkim-algorithm ed25519-sha256\n</domain>"
    assert problems(tmp_path, _pem("ed25519"), wanted) == []
