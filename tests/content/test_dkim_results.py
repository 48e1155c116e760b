"""What Authentication-Results say about signatures, read by nobody's parser but line for line."""

from __future__ import annotations

from tests.content.dkim_vectors import KEYS, RFC6376, RFC8463
from tests.content.test_dkim_verify import NOW, RECORD, mail_of, signed

from postwright.content.authres import field
from postwright.content.dkim_results import results
from postwright.content.dkim_verify import Answer, Verdict, candidates, judge


def told(content: bytes, *records: bytes, traces: tuple[str, ...] = ()) -> str:
    mail = mail_of(content)
    verdicts = []
    for candidate in candidates(mail, NOW):
        name = candidate.signature.key_name if candidate.signature is not None else ""
        verdicts.append(judge(mail, candidate, Answer(records or (KEYS[name],))))
    return field("us.example", results(verdicts, traces)).replace(b"\r\n\t", b" ").decode().removesuffix("\r\n")


def test_the_signatures_of_the_rfcs() -> None:
    assert told(RFC6376) == (
        "Authentication-Results: us.example; dkim=pass (1024-bit key) header.d=example.com header.i=joe@football.example.com "
        "header.s=brisbane header.a=rsa-sha256 header.b=AuUoFEfD"
    )
    both = told(RFC8463, traces=("TXT x: 1 record",))
    assert both.count("dkim=pass") == 2
    assert "dkim=pass (256-bit key) (TXT x: 1 record) header.d=football.example.com header.i=@football.example.com" in both
    assert 'header.b="/gCrinpc"; dkim=pass (1024-bit key) header.d=' in both


def test_no_signatures_and_bad_ones() -> None:
    assert told(b"From: a\r\n\r\n", RECORD) == "Authentication-Results: us.example; dkim=none (no signatures)"
    assert told(signed().replace(b"v=1", b"v=2"), RECORD) == "Authentication-Results: us.example; dkim=neutral (v= is not 1)"
    assert "dkim=pass (256-bit key) (test mode) header.d=a.example header.i=@a.example" in told(signed(), RECORD + b"; t=y")


def test_a_sender_cannot_write_into_our_field() -> None:
    forged = signed().replace(b"v=1;", b'v=1; i="x; dmarc=pass (y"@a.example;', 1)
    (verdict,) = [judge(mail_of(forged), c, Answer((RECORD,))) for c in candidates(mail_of(forged), NOW)]
    text = field("us.example", results([verdict, Verdict("fail", "nothing")]))
    assert b"dmarc" not in text
