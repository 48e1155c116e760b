"""Fuzzes what reads signatures, their keys and wishes about them: DKIM-Signature, key records, tag lists, x-dkim-options, key files.

Only `TagError` and `KeyProblem` may be raised, by those that say so. Beside that: a verdict is one of RFC 8601, its words and the field
that tells it are printable, canonical forms are what a second pass leaves alone, and what we sign verifies.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

import common
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postwright.content import dkim_options
from postwright.content.authres import field
from postwright.content.dkim_canon import Mail, header_fields, relaxed_body, relaxed_field, simple_body
from postwright.content.dkim_key import KeyProblem, SigningKey, private_key
from postwright.content.dkim_record import KeyRecord, key_record
from postwright.content.dkim_results import results
from postwright.content.dkim_sign import Style, signature_field
from postwright.content.dkim_tags import TagError, tags
from postwright.content.dkim_verify import Answer, candidates, judge
from postwright.wire.body import scan

KEY: Final = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
RECORD: Final = KEY.record().encode()
PEM: Final = b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(bytes(48)) + b"\n-----END PRIVATE KEY-----\n"
VERDICTS: Final = {"pass", "fail", "neutral", "policy", "temperror", "permerror"}
STYLES: Final = [Style(header, body, limit=True) for header in ("simple", "relaxed") for body in ("simple", "relaxed")]

SEEDS: Final = (
    b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/simple; d=a.example; s=s;\r\n\ti=joe@a.example; t=1; x=2; l=3; q=dns/txt;"
    b"\r\n\th=From:To:From; bh=AAAA;\r\n\tb=AAAA\r\n\tBBBB\r\nFrom: a\r\nTo : b\r\n\tc\r\n\r\nbody \t x\r\n \r\n",
    b"v=DKIM1; k=rsa; h=sha1:sha256; s=email:*; t=y:s; n=note; p=" + base64.b64encode(bytes(range(64))),
    RECORD,
    b"s=sel; d=a.example; i=joe@a.example; q=dns/txt; key-list=mine",
    PEM,
)


def _verifies_itself(mail: Mail, octets: bytes) -> None:
    for style in STYLES:
        made = signature_field(mail, KEY, "s", "a.example", "joe@a.example", style, 1.0)
        whole = made + octets
        again = Mail(whole[: len(made) + scan(octets).header_size], mail.body)
        verdict = judge(again, candidates(again, 1.0)[0], Answer((RECORD,)))
        assert verdict.result == "pass", verdict


def _judged(mail: Mail, record: bytes) -> None:
    verdicts = [judge(mail, candidate, Answer((record, RECORD))) for candidate in candidates(mail, 1.0)]
    for verdict in verdicts:
        assert verdict.result in VERDICTS
        assert verdict.reason.isascii()
        assert verdict.reason.isprintable() or not verdict.reason
    told = field("us.example", results(verdicts))
    assert told.endswith(b"\r\n")
    assert all(line.startswith(b"\t") for line in told[:-2].split(b"\r\n")[1:])


def _words(read: Callable[[bytes], object], allowed: type[Exception], data: bytes) -> str:
    """Why it was refused, "" if it was not."""
    try:
        read(data)
    except allowed as error:
        return str(error)
    return ""


def fuzz_one(data: bytes) -> None:
    size = scan(data).header_size
    mail = Mail(data[:size], data[size:])
    _judged(mail, data)
    assert relaxed_body(relaxed_body(data)) == relaxed_body(data)
    assert simple_body(simple_body(data)) == simple_body(data)
    for one in header_fields(data):
        if one.name:
            assert relaxed_field(header_fields(relaxed_field(one))[0]) == relaxed_field(one)
    if mail.fields and mail.fields[0].name.isalpha():
        _verifies_itself(mail, data)
    found = key_record(data)
    assert isinstance(found, KeyRecord) or found.reason.isprintable()
    assert _words(tags, TagError, data).isprintable()
    text = data.decode("utf-8", "replace")
    assert all(value and ";" not in value for value in dkim_options.options(text).values())
    dkim_options.key(text)
    assert _words(private_key, KeyProblem, data).isprintable()


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
