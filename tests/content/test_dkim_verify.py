"""Verifying: what the RFCs print, and a table of what makes a signature worthless."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.content.dkim_vectors import ED25519_SECRET, KEYS, RFC6376, RFC8463

from postwright.content.dkim_canon import Mail
from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_record import Unusable, key_record
from postwright.content.dkim_sign import Style, signature_field
from postwright.content.dkim_tags import TagError, tags
from postwright.content.dkim_verify import MOST, Answer, Verdict, candidates, judge
from postwright.wire.body import scan

NOW = 1.8e9
KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(base64.b64decode(ED25519_SECRET)))
RECORD = KEY.record().encode()
PLAIN = b"Received: x\r\nFrom: joe@a.example\r\nSubject: hello\r\n\r\nA body.\r\n"


def mail_of(content: bytes) -> Mail:
    size = scan(content).header_size
    return Mail(content[:size], content[size:])


def verdicts(content: bytes, *records: bytes, now: float = NOW, temporary: bool = False) -> list[Verdict]:
    mail = mail_of(content)
    found = []
    for candidate in candidates(mail, now):
        name = candidate.signature.key_name if candidate.signature is not None else ""
        answer = Answer(records or ((KEYS[name],) if name in KEYS else ()), temporary)
        found.append(judge(mail, candidate, answer))
    return found


def signed(content: bytes = PLAIN, style: Style | None = None, identity: str = "") -> bytes:
    return signature_field(mail_of(content), KEY, "s", "a.example", identity, style or Style(), NOW) + content


def test_the_message_of_rfc_6376() -> None:
    (verdict,) = verdicts(RFC6376)
    assert (verdict.result, verdict.bits) == ("pass", 1024)
    assert verdict.signature is not None
    assert verdict.signature.identity == "joe@football.example.com"


def test_the_message_of_rfc_8463_has_two_signatures() -> None:
    found = verdicts(RFC8463)
    assert [(v.result, v.signature.algorithm if v.signature else "") for v in found] == [("pass", "ed25519-sha256"), ("pass", "rsa-sha256")]


@pytest.mark.parametrize("content", [RFC6376, RFC8463], ids=["6376", "8463"])
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"dinner", b"supper", "signature did not verify"),
        (b"hungry", b"thirsty", "body hash did not verify"),
        (b"Joe.\r\n", b"Joe.\r\n\r\n", ""),
        (b"To: Suzie", b"X: y\r\nTo: Suzie", ""),
    ],
)
def test_what_is_changed_shows(content: bytes, old: bytes, new: bytes, reason: str) -> None:
    found = {(verdict.result, verdict.reason) for verdict in verdicts(content.replace(old, new))}
    assert found == {("fail" if reason else "pass", reason)}


def test_a_field_signed_once_more_cannot_be_added() -> None:
    for verdict in verdicts(b"Subject: forged\r\n" + RFC8463):
        assert (verdict.result, verdict.reason) == ("fail", "signature did not verify")
    assert verdicts(b"Subject: forged\r\n" + RFC6376)[0].result == "pass"  # signed once only: the one at the bottom counts


def _tag(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda content: content.replace(old, new, 1)


BAD_FIELDS = {
    "no version": (_tag(b"v=1; ", b""), "neutral", "v= is not 1"),
    "another version": (_tag(b"v=1;", b"v=2;"), "neutral", "v= is not 1"),
    "a tag twice": (_tag(b"v=1;", b"v=1; s=s;"), "neutral", "the tag s= stands twice"),
    "no domain": (_tag(b"d=a.example; ", b""), "neutral", "d= is missing"),
    "an empty domain": (_tag(b"d=a.example;", b"d=;"), "neutral", "d= is no domain"),
    "a long label": (_tag(b"d=a.example;", b"d=" + b"a" * 64 + b".example;"), "neutral", "d= is no domain"),
    "a selector with blanks": (_tag(b" s=s;", b" s=s s;"), "neutral", "s= is no domain"),
    "no base64": (_tag(b"bh=", b"bh=!"), "neutral", "bh= is no base64"),
    "an unknown form": (_tag(b"c=relaxed/relaxed", b"c=strict/relaxed"), "neutral", "c= is unknown"),
    "a number of words": (_tag(b"v=1;", b"v=1; t=now;"), "neutral", "t= is no number"),
    "backwards in time": (_tag(b"v=1;", b"v=1; t=9; x=9;"), "neutral", "x= is not behind t="),
    "somebody else's identity": (_tag(b"v=1;", b"v=1; i=@b.example;"), "neutral", "i= is not below d="),
    "an identity that only looks so": (_tag(b"v=1;", b"v=1; i=@xa.example;"), "neutral", "i= is not below d="),
    "no identity": (_tag(b"v=1;", b"v=1; i=joe;"), "neutral", "i= is no identity"),
    "a name that is none": (_tag(b"h=From", b"h=Fr om"), "neutral", "h= has what is no name of a field"),
    "an empty name": (_tag(b"h=From", b"h=:From"), "neutral", "a list in a tag has an empty item"),
    "no tags": (lambda content: b"DKIM-Signature: \r\n" + PLAIN, "neutral", "the tag list is empty"),
    "no From": (_tag(b"h=From", b"h=X"), "permerror", "From is not signed"),
    "another way to the key": (_tag(b"v=1;", b"v=1; q=http;"), "permerror", "unknown query method"),
    "an algorithm of tomorrow": (_tag(b"a=ed25519-sha256", b"a=ed448-sha512"), "permerror", "unknown algorithm"),
    "SHA-1": (_tag(b"a=ed25519-sha256", b"a=rsa-sha1"), "policy", "rsa-sha1 proves nothing (RFC 8301)"),
    "too late": (_tag(b"v=1;", b"v=1; x=1799999999;"), "fail", "signature expired"),
    "too long": (_tag(b"v=1;", b"v=1; z=" + b"x" * 16384 + b";"), "neutral", "the tag list is too long"),
    "l= beyond the end": (_tag(b"v=1;", b"v=1; l=10;"), "fail", "the body is shorter than was signed"),
    "no such signature": (_tag(b"\tb=", b"\tb=AAAA"), "fail", "signature did not verify"),
}


@pytest.mark.parametrize("case", BAD_FIELDS.values(), ids=BAD_FIELDS)
def test_fields_that_prove_nothing(case: tuple[Callable[[bytes], bytes], str, str]) -> None:
    change, result, reason = case
    (verdict,) = verdicts(change(signed()), RECORD)
    assert (verdict.result, verdict.reason) == (result, reason)


def test_unknown_tags_and_copies_of_fields_are_ignored() -> None:
    mail = mail_of(PLAIN)
    field = signature_field(mail, KEY, "s", "a.example", "", Style(query="dns/txt; n1=x; z=From:joe=40a|To:b"), NOW)
    (verdict,) = verdicts(field + PLAIN, RECORD)
    assert verdict.result == "pass"


_P = RECORD.split(b"p=")[1]
_EC = generate_private_key(SECP256R1()).public_key()
_OTHER = base64.b64encode(_EC.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
RECORDS = {
    "as it should be": (RECORD, "pass", ""),
    "with blanks": (b"v=DKIM1 ;\tk = ed25519 ; p=" + _P[:20] + b" \t" + _P[20:] + b";", "pass", ""),
    "for mail, by SHA-256": (RECORD + b"; s=email; h=sha1:SHA256; t=s; n=a note", "pass", ""),
    "no version": (RECORD.removeprefix(b"v=DKIM1; "), "pass", ""),
    "version later": (b"k=ed25519; v=DKIM1; p=" + _P, "permerror", "invalid key record: v= is not DKIM1, or not first"),
    "old version": (RECORD.replace(b"DKIM1", b"DKIM2"), "permerror", "invalid key record: v= is not DKIM1, or not first"),
    "revoked": (b"v=DKIM1; k=ed25519; p=", "permerror", "key revoked"),
    "no key": (b"v=DKIM1; k=ed25519", "permerror", "invalid key record: no p="),
    "no base64": (b"v=DKIM1; k=ed25519; p=%%%", "permerror", "invalid key record: p= is no base64"),
    "too short": (b"v=DKIM1; k=ed25519; p=AAAA", "permerror", "invalid key record: no Ed25519 key of 32 octets"),
    "another type": (KEYS["brisbane._domainkey.example.com"], "permerror", "the key is of another type"),
    "a type of tomorrow": (b"v=DKIM1; k=ed448; p=" + _P, "permerror", "unknown key type"),
    "no RSA key": (b"v=DKIM1; p=" + _P, "permerror", "invalid key record: no RSA key"),
    "an EC key": (b"v=DKIM1; p=" + _OTHER, "permerror", "invalid key record: no RSA key"),
    "not for mail": (RECORD + b"; s=tlsrpt", "permerror", "key is not for mail"),
    "another hash": (RECORD + b"; h=sha1", "permerror", "the key does not allow this hash"),
    "something else": (b"v=spf1 -all", "permerror", "invalid key record: v= is not DKIM1, or not first"),
    "no record": (b"hello", "permerror", "invalid key record: the tag list has a tag that is none"),
}


@pytest.mark.parametrize("case", RECORDS.values(), ids=RECORDS)
def test_key_records(case: tuple[bytes, str, str]) -> None:
    record, result, reason = case
    (verdict,) = verdicts(signed(), record)
    assert (verdict.result, verdict.reason) == (result, reason)


def test_a_short_rsa_key_is_not_accepted_though_it_would_verify() -> None:
    # 512 bits; the key of RFC 6376's predecessor days. cryptography refuses to make one, so it is given as it stands.
    short = (
        b"p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit"
        b"+CqvjWYzvQwECAwEAAQ=="
    )
    found = key_record(short)
    assert found == Unusable("insecure key: RSA of 512 bits", insecure=True)
    (verdict,) = verdicts(RFC6376, short)
    assert (verdict.result, verdict.reason) == ("policy", "insecure key: RSA of 512 bits")


def test_keys_that_are_tested_and_keys_for_one_domain() -> None:
    below = signed(identity="@sub.a.example")
    assert verdicts(below, RECORD)[0].result == "pass"
    assert verdicts(below, RECORD + b"; t=y:s")[0].reason == "the key is not for subdomains"
    assert verdicts(signed(), RECORD + b"; t=y:s")[0] == Verdict("pass", "", verdicts(signed(), RECORD)[0].signature, 256, testing=True)


def test_what_the_dns_says() -> None:
    assert (verdicts(signed(), temporary=True)[0].result, verdicts(signed())[0].result) == ("temperror", "permerror")
    assert verdicts(signed())[0].reason == "no key for signature"
    assert verdicts(signed(), b"v=spf1 -all", RECORD)[0].result == "pass"
    assert verdicts(signed(), b"a=1", b"a=2", b"a=3", RECORD)[0].result == "permerror"  # nobody has so many


def test_a_body_signed_in_part() -> None:
    content = signed(style=Style(limit=True))
    assert b"l=9;" in content
    (verdict,) = verdicts(content + b"Buy this!\r\n", RECORD)
    assert (verdict.result, verdict.reason, verdict.unsigned) == ("pass", "11 octets of the body are not signed", 11)


def test_so_many_signatures_are_looked_at_and_no_more() -> None:
    many = signature_field(mail_of(PLAIN), KEY, "s", "a.example", "", Style(), NOW) * (MOST + 5) + PLAIN
    assert [verdict.result for verdict in verdicts(many, RECORD)] == ["pass"] * MOST


@pytest.mark.parametrize("text", [b"", b";", b" ", b"a", b"=b", b"1=b", b"a=b;;c=d", b"a=b; a=c", b"a=\0", b"a-b=c", b"a=b;\x7f=c"])
def test_lists_of_tags_that_are_none(text: bytes) -> None:
    with pytest.raises(TagError) as raised:
        tags(text)
    assert str(raised.value).isprintable()


def test_lists_of_tags() -> None:
    assert tags(b" a = b ;\r\n\tc_1=\r\n d e ; F=;") == {"a": b"b", "c_1": b"d e", "F": b""}
    assert tags(b"d=b\xc3\xbccher.example") == {"d": b"b\xc3\xbccher.example"}


def test_international_domains_are_looked_up_as_a_labels() -> None:
    content = signed().replace(b"d=a.example; s=s;", b"d=b\xc3\xbccher.example; s=s;")
    (candidate,) = candidates(mail_of(content), NOW)
    assert candidate.signature is not None
    assert candidate.signature.key_name == "s._domainkey.xn--bcher-kva.example"
