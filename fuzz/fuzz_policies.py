"""Fuzzes what reads the policies of strangers: SPF records with whatever the DNS answers to them, DMARC records, Authentication-Results.

Nothing may be raised. Beside that: SPF asks no more than it may, every result is one of the RFCs, and no field is ours that says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final, TypeVar

import common

from postwright.content.arc_seal import own_results
from postwright.content.authres import Result, field, is_from
from postwright.content.dkim_canon import Mail
from postwright.policy import dmarc
from postwright.policy.dmarc_record import parse
from postwright.policy.spf import MAX_LOOKUPS, Ask, Question, Steps, check

T = TypeVar("T")

SPF: Final = {"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"}
DMARC: Final = {"none", "pass", "fail", "temperror", "permerror"}
SEEDS: Final = (
    b"v=spf1 a mx ptr include:b.example exists:%{i}.%{d}.c.example ip4:192.0.2.0/24 ip6:2001:db8::/32 -all\nv=spf1 redirect=d.example",
    b"v=spf1 exp=e.example ?all\nwhy %{s} %{p} %{t} %{h} %{c}\n192.0.2.1\nhost.example",
    b"v=DMARC1; p=reject; sp=none; adkim=s; aspf=r; pct=50; rua=mailto:a@b.example; psd=n",
    b'us.example; spf=pass (c (d)) smtp.mailfrom=a@b; dkim=fail reason="x;y"',
    b'(us) "us.example" 1; none',
)


def _answer(ask: Ask, lines: Sequence[str]) -> tuple[str, ...] | None:
    """Whatever stands in the data, chosen by the question."""
    chosen = len(ask.name) % (len(lines) + 1)
    if chosen == len(lines):
        return None
    if ask.kind in ("A", "AAAA"):
        return ("192.0.2.77",) if ask.kind == "A" and len(lines[chosen]) % 2 else ()
    return tuple(lines[chosen : chosen + 3])


def _driven(steps: Steps[T], lines: Sequence[str]) -> tuple[T, int]:
    """What an evaluation comes to, and how much it has asked."""
    asked = 0
    try:
        batch = next(steps)
        while True:
            asked += len(batch)
            batch = steps.send([_answer(ask, lines) for ask in batch])
    except StopIteration as end:
        found: T = end.value
        return found, asked


def _spf(lines: Sequence[str]) -> None:
    found, asked = _driven(check(Question(ip_address("192.0.2.77"), lines[-1][:60] + "@a.example", lines[0][:60])), lines)
    assert found.result in SPF
    assert asked <= MAX_LOOKUPS


def _dmarc(lines: Sequence[str]) -> None:
    parse(lines[0])
    claims = dmarc.Claims("b.a.example", tuple(lines[:12]))
    for organizational in (None, lambda domain: ".".join(domain.split(".")[-2:])):
        found, asked = _driven(dmarc.check(lines[0][:60] + ".a.example", claims, organizational), lines)
        assert found.result in DMARC
        assert asked <= dmarc.MAX_LOOKUPS


def fuzz_one(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    lines = text.split("\n")
    _spf(lines)
    _dmarc(lines)
    ours = is_from(data, "us.example")
    assert not ours or b"us.example" in data.lower()
    flat = data.replace(b"\r", b" ").replace(b"\n", b" ")
    assert own_results(Mail(b"Authentication-Results: " + flat + b"\r\n\r\n", b""), "us.example")
    told = field("us.example", [Result(text[:9], text[9:20], ((text[:12], text[5:90]),), (text,))])
    assert told.endswith(b"\r\n")


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
