"""Fuzzes what the tools read of strangers: pieces of logins, MTA-STS policies, TLSA records, certificates.

It may raise nothing, and every text that it gives must be fit for a terminal.
"""

from __future__ import annotations

from base64 import b64encode

import common

from postwright.net.tls_look import cert_facts
from postwright.policy.dane import read_tlsa
from postwright.policy.mta_sts import read_policy, record_id
from postwright.wire.sasl_explain import MAX_LINES, explain

SEEDS = (
    b"334 VXNlcm5hbWU6",
    b"AUTH LOGIN\nam9l\nc2VjcmV0",
    b"AUTH PLAIN AGpvZQBzZWNyZXQ=",
    b"eyJhbGciOiJSUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDB9.c2ln",
    b"NTLMSSP\0\x02\0\0\0\x0c\0\x0c\0\x30\0\0\0\x01\x02\0\0" + bytes(40),
    b"NTLMSSP\0\x03\0\0\0" + bytes(60),
    b"\x60\x10NTLMSSP\0\x01\0\0\0" + bytes(24),
    b"user=joe\x01auth=Bearer t\x01\x01",
    b"n,a=joe,\x01host=h\x01auth=Bearer t\x01\x01",
    b"r=abc,s=QSXC,i=4096",
    b"version: STSv1\nmode: enforce\nmx: *.a.example\nmax_age: 1\n",
    b"v=STSv1; id=1;",
    b"3 1 1 abcdef",
    b"<1896.697170952@postoffice.example>",
)


def _promises(text: str) -> None:
    policy = read_policy(text)
    assert policy.problem or policy.mode in ("enforce", "testing", "none")
    record_id([text])
    record = read_tlsa(text)
    assert record is None or record.text.isprintable()


def fuzz_one(data: bytes) -> None:
    _promises(data.decode("utf-8", "replace"))
    facts = cert_facts(data)
    assert f"{facts.subject}{facts.issuer}{facts.key}{facts.problem}".isprintable()
    for text in (data.decode("utf-8", "replace"), b64encode(data).decode(), f"334 {b64encode(data).decode()}"):
        found = explain(text, 1.7e9)
        assert len(found) <= MAX_LINES
        for one in found:
            assert one.kind.isprintable()
            assert all(row.text.isprintable() and row.label.isprintable() for row in one.rows)


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
