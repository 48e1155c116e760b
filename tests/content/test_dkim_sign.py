"""Making a field: which names it has, how it is folded, what an identity looks like in it; keys and wishes as texts."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tests.content.dkim_vectors import ED25519_SECRET, KEYS, RFC8463
from tests.content.test_dkim_verify import NOW, RECORD, mail_of, verdicts

from postwright.content import dkim_options
from postwright.content.dkim_key import KeyProblem, SigningKey, private_key
from postwright.content.dkim_sign import NAMES, NAMES_MOST, Style, quoted, signature_field, wanted_fields
from postwright.model.envelope import DkimWish
from postwright.wire.body import scan

KEY = SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(base64.b64decode(ED25519_SECRET)))
FORMATS = {
    "PKCS#8": serialization.PrivateFormat.PKCS8,
    "PKCS#1": serialization.PrivateFormat.TraditionalOpenSSL,
}


def pem(key: object, form: str = "PKCS#8", password: bytes = b"") -> bytes:
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, FORMATS[form], locked)  # type: ignore[attr-defined, no-any-return]


def field(content: bytes, style: Style | None = None, identity: str = "") -> bytes:
    return signature_field(mail_of(content), KEY, "s", "a.example", identity, style or Style(), NOW)


def test_the_message_of_rfc_8463_is_signed_with_its_key() -> None:
    assert KEY.record().encode().endswith(KEYS["brisbane._domainkey.football.example.com"].split(b"p=")[1])
    assert KEY.record().startswith("v=DKIM1; k=ed25519; p=")
    content = RFC8463[RFC8463.index(b"From:") :]
    made = signature_field(mail_of(content), KEY, "brisbane", "football.example.com", "@football.example.com", Style(timestamp=True), NOW)
    (verdict,) = verdicts(made + content)
    assert (verdict.result, verdict.bits) == ("pass", 256)
    assert b"\r\n\tbh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n" in made, "the body hash that the RFC prints"


def test_no_line_is_long_and_every_line_goes_on() -> None:
    names = b"".join([b"X-%s-%d: x\r\n" % (b"n" * 20, number) for number in range(40)])
    made = field(names + b"From: a\r\n\r\n", Style(wanted=lambda name: True), "joe@a.example")
    lines = made.removesuffix(b"\r\n").split(b"\r\n")
    assert max(map(len, lines)) <= 78
    assert all(line.startswith(b"\t") for line in lines[1:])
    assert verdicts(made + names + b"From: a\r\n\r\n", RECORD)[0].result == "pass"


def test_from_is_always_signed_and_no_more_than_so_many_names() -> None:
    mail = mail_of(b"To: a\r\n\r\n")
    assert wanted_fields(mail.fields, Style()) == (mail.fields, [b"from"])
    many = mail_of(b"From: a\r\n" + b"To: x\r\n" * (NAMES_MOST + 5) + b"\r\n")
    found, more = wanted_fields(many.fields, Style())
    assert (len(found), more) == (NAMES_MOST, [b"from"])
    assert wanted_fields(mail.fields, Style(never_added=(b"from", b"to")))[1] == [b"from", b"to"]
    assert {b"from", b"subject", b"list-unsubscribe-post"} <= NAMES
    assert b"received" not in NAMES


@pytest.mark.parametrize(
    ("identity", "shown"),
    [
        ("joe@a.example", "joe@a.example"),
        ('"joe doe"@a.example', '"joe=20doe"@a.example'),
        ("a=b;c@a.example", "a=3Db=3Bc@a.example"),
        ("jö@a.example", "j=C3=B6@a.example"),
        ("@a.example", "@a.example"),
    ],
)
def test_identities(identity: str, shown: str) -> None:
    assert quoted(identity) == shown
    assert verdicts(field(b"From: a\r\n\r\n", identity=identity) + b"From: a\r\n\r\n", RECORD)[0].result == "pass"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("bits", [1024, 2048])
def test_rsa_keys(form: str, bits: int) -> None:
    key = private_key(b"a note\n" + pem(rsa.generate_private_key(65537, bits), form) + b"another\n")
    assert (key.kind, key.bits, key.dear) == ("rsa", bits, bits > 1024)
    assert private_key(key.pem()).public == key.public
    made = signature_field(mail_of(b"From: a\r\n\r\n"), key, "s", "a.example", "", Style(), NOW)
    assert verdicts(made + b"From: a\r\n\r\n", key.record().encode())[0].result == "pass"
    assert repr(key) == f"SigningKey(rsa, {bits} bits)"


def test_rsa_sha1_is_made_when_asked_for_and_accepted_by_nobody() -> None:
    key = SigningKey(rsa.generate_private_key(65537, 1024))
    made = signature_field(mail_of(b"From: a\r\n\r\n"), key, "s", "a.example", "", Style(digest="sha1"), NOW)
    assert b"a=rsa-sha1;" in made
    assert verdicts(made + b"From: a\r\n\r\n", key.record().encode())[0].result == "policy"


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "no private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "cannot be read"),
        (b"x" * 70000, "too large"),
        (pem(rsa.generate_private_key(65537, 1024), password=b"secret"), "password"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "neither RSA nor Ed25519"),
    ],
)
def test_what_is_no_key(octets: bytes, said: str) -> None:
    with pytest.raises(KeyProblem, match=said):
        private_key(octets)


def test_a_key_whose_halves_do_not_fit() -> None:
    made = [rsa.generate_private_key(65537, 1024).private_numbers() for _ in range(2)]
    other, numbers = sorted(made, key=lambda one: one.public_numbers.n)  # an exponent must be below the modulus
    wrong = rsa.RSAPrivateNumbers(numbers.p, numbers.q, other.d, other.dmp1, other.dmq1, numbers.iqmp, numbers.public_numbers)
    key = wrong.private_key(unsafe_skip_rsa_key_validation=True)
    with pytest.raises(KeyProblem):
        private_key(pem(key))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("s=sel; d=a.example; i=joe@a.example; q=dns/txt; key-list=Mine", ["sel", "a.example", "joe@a.example", "dns/txt", "Mine"]),
        (" S = sel ;; x=1; d", ["sel", "", "", "", ""]),
        ("s=a; s=b", ["a", "", "", "", ""]),
        ("s=a b; d=a\tb; q=x y; i=joe doe@a", ["", "", "", "", ""]),
        ("s=d=x; d=-a; i=j\xf6@a", ["", "", "", "", ""]),
        ("", ["", "", "", "", ""]),
    ],
)
def test_wishes(text: str, found: list[str]) -> None:
    said = dkim_options.options(text)
    assert [said.get(name, "") for name in ("selector", "domain", "identity", "query", "key_list")] == found


def test_wishes_out_of_a_header() -> None:
    content = b"X-DKIM-Key: k\r\nx-dkim-options: s=1\r\n  ; d=2\r\nX-DKIM-Options: s=3\r\n\r\nX-DKIM-Key: body\r\n"
    size = scan(content).header_size
    assert dkim_options.wish(content, size, options=True, key=True) == DkimWish("s=1  ; d=2", "k")
    assert dkim_options.wish(content, size, options=False, key=True) == DkimWish("", "k")
    assert dkim_options.wish(content, size, options=False, key=False) is None
    assert "secret" not in repr(DkimWish("s=1", "secret"))


def test_keys_as_texts() -> None:
    text = KEY.pem().decode()
    for one in (text, text.replace("\n", "\r\n "), text.replace("\n", " "), "".join(text.splitlines()[1:-1])):
        made = dkim_options.key(one)
        assert made is not None
        assert made.public == KEY.public
    assert dkim_options.key("nothing") is None
