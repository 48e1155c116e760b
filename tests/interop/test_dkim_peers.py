"""Signatures of ours before verifiers that other people wrote, and theirs before ours: dkimpy, OpenDKIM, Mail::DKIM, mailauth.

Fifty messages in an ordinary run, a thousand in a soak, each as hard on blanks, folds and ends as SMTP lets a message be.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from tests.content.dkim_mails import message
from tests.content.test_dkim_verify import mail_of
from tests.interop import dkim_peers

from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_sign import Style, signature_field
from postwright.content.dkim_verify import Answer, candidates, judge

NOW = 1.79e9
FORMS = [(header, body) for header in ("simple", "relaxed") for body in ("simple", "relaxed")]
COUNTS = [50, pytest.param(1000, marks=pytest.mark.soak)]
RSA = rsa.generate_private_key(65537, 1024)
ED25519 = ed25519.Ed25519PrivateKey.generate()
KEYS = {"r": SigningKey(RSA), "e": SigningKey(ED25519)}
ZONE = {f"{selector}._domainkey.a.example": key.record().encode() for selector, key in KEYS.items()}


def styles(number: int, *, simple: bool = True) -> Style:
    """Another way to sign for each message; without `simple` the header is in the relaxed form always."""
    header, body = FORMS[number % 4]
    header = header if simple else "relaxed"
    never = (b"from", b"subject") if number % 3 == 0 else ()
    return Style(header, body, timestamp=number % 2 == 0, limit=number % 5 == 0, never_added=never)


def signed(number: int, selector: str, *, simple: bool = True) -> bytes:
    """As it comes to its receiver: what had no end has got one by SMTP."""
    content = message(number)
    field = signature_field(mail_of(content), KEYS[selector], selector, "a.example", "joe@a.example", styles(number, simple=simple), NOW)
    return arrived(field + content)


def arrived(content: bytes) -> bytes:
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def ours(content: bytes) -> list[str]:
    mail = mail_of(content)
    found = [judge(mail, c, Answer((ZONE[c.signature.key_name],) if c.signature else ())) for c in candidates(mail, NOW)]
    return [f"{verdict.result} {verdict.reason}".strip() for verdict in found]


def _milter_sees(content: bytes) -> bool:
    return all(re.match(rb"[^:]+: [^ \t\r]", field.raw) for field in mail_of(content).fields)


def key_file(folder: Path) -> str:
    file = folder / "r.pem"
    file.write_bytes(
        RSA.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    )
    file.chmod(0o600)
    return str(file)


@pytest.mark.parametrize("selector", ["r", "e"])
@pytest.mark.parametrize("count", COUNTS)
def test_dkimpy_verifies_ours(count: int, selector: str) -> None:
    assert [number for number in range(count) if not dkim_peers.dkimpy_verifies(signed(number, selector), ZONE)] == []


@pytest.mark.needs("opendkim")
@pytest.mark.parametrize("selector", ["r", "e"])
@pytest.mark.parametrize("count", COUNTS)
def test_opendkim_verifies_ours(count: int, selector: str, tmp_path: Path, needs: Callable[[str], Path]) -> None:
    # By the milter protocol a filter does not see the blanks behind a field's colon: a simple form it can check only where there is one.
    contents = [signed(number, selector, simple=_milter_sees(message(number))) for number in range(count)]
    assert any(b"c=simple" in content for content in contents)
    found = dkim_peers.opendkim_verifies(str(needs("opendkim")), contents, ZONE, tmp_path)
    assert [number for number, good in enumerate(found) if not good] == []


@pytest.mark.needs("mail-dkim")
@pytest.mark.parametrize("count", COUNTS)
def test_mail_dkim_verifies_ours(count: int, tmp_path: Path, needs: Callable[[str], Path]) -> None:
    contents = [signed(number, "r") for number in range(count)]
    found = dkim_peers.mail_dkim_verifies(str(needs("mail-dkim")), contents, ZONE, tmp_path)
    assert [(number, said) for number, said in enumerate(found) if said != ["rsa-sha256 pass"]] == []


@pytest.mark.parametrize("count", COUNTS)
def test_ours_verifies_dkimpys(count: int, tmp_path: Path) -> None:
    key = Path(key_file(tmp_path)).read_bytes()
    for number in range(count):
        content = arrived(message(number))
        forms = tuple(form.encode() for form in FORMS[number % 4])
        field = dkim.sign(content, b"r", b"a.example", key, canonicalize=forms, length=number % 5 == 0)
        assert ours(field + content) == ["pass"], number


@pytest.mark.needs("mail-dkim")
@pytest.mark.parametrize("count", COUNTS)
def test_ours_verifies_mail_dkims(count: int, tmp_path: Path, needs: Callable[[str], Path]) -> None:
    contents = [arrived(message(number)) for number in range(count)]
    key, program = key_file(tmp_path), str(needs("mail-dkim"))
    for number, (header, body) in enumerate(FORMS):
        part = contents[number::4]
        fields = dkim_peers.mail_dkim_signs(program, part, "r", "a.example", key, f"{header}/{body}", tmp_path)
        assert [at for at, (field, content) in enumerate(zip(fields, part, strict=True)) if ours(field + content) != ["pass"]] == []


@pytest.mark.needs("opendkim")
@pytest.mark.parametrize("count", COUNTS)
def test_ours_verifies_opendkims(count: int, tmp_path: Path, needs: Callable[[str], Path]) -> None:
    contents = [arrived(message(number)) for number in range(count)]
    key, program = key_file(tmp_path), str(needs("opendkim"))
    for header, body in FORMS:
        part = [content for content in contents if header == "relaxed" or _milter_sees(content)]
        fields = dkim_peers.opendkim_signs(program, part, "r", "a.example", key, f"{header}/{body}", tmp_path)
        assert [at for at, (field, content) in enumerate(zip(fields, part, strict=True)) if ours(field + content) != ["pass"]] == []


def test_a_change_is_seen_by_all(tmp_path: Path, needs: Callable[[str], Path]) -> None:
    """The verifiers really look: what was changed on its way does not pass any of them."""
    content = signed(1, "r").replace(b"joe@a.example>", b"eve@a.example>")
    assert ours(content) == ["fail signature did not verify"]
    assert not dkim_peers.dkimpy_verifies(content, ZONE)
    assert dkim_peers.opendkim_verifies(str(needs("opendkim")), [content], ZONE, tmp_path) == [False]
    assert dkim_peers.mail_dkim_verifies(str(needs("mail-dkim")), [content], ZONE, tmp_path) == [["rsa-sha256 fail"]]


@pytest.mark.needs("mailauth")
@pytest.mark.parametrize("count", COUNTS)
def test_mailauth_verifies_ours(count: int, tmp_path: Path, needs: Callable[[str], Path]) -> None:
    contents = [signed(number // 2, "re"[number % 2]) for number in range(2 * count)]
    found = dkim_peers.mailauth_sees(str(needs("mailauth")), contents, ZONE, tmp_path)
    assert [(number, results) for number, (results, _) in enumerate(found) if results != ["pass"]] == []


@pytest.mark.needs("mailauth")
@pytest.mark.parametrize("count", COUNTS)
def test_ours_verifies_mailauths(count: int, tmp_path: Path, needs: Callable[[str], Path]) -> None:
    contents = [arrived(message(number)) for number in range(count)]
    methods = [f"{header}/{body}" for header, body in FORMS]
    fields = dkim_peers.mailauth_signs(str(needs("mailauth")), contents, "r", "a.example", key_file(tmp_path), methods, tmp_path)
    assert {field.partition(b" c=")[2].partition(b";")[0].decode() for field in fields} == set(methods)
    assert [at for at, (field, content) in enumerate(zip(fields, contents, strict=True)) if ours(field + content) != ["pass"]] == []
