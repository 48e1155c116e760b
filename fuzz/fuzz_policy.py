"""Fuzzes the decisions that are made on a peer's words: what a reply means, its category, its report; and hosts and domains as texts.

Nothing may raise but ValueError from `parse_hosts`; every reply has one meaning, on one line, within its bounds.
"""

from __future__ import annotations

from typing import Final

import common

from postwright.model.outcome import Failure, Fault, Kind, Stage, TransactionResult
from postwright.policy import mx
from postwright.policy.bounce_pack import category
from postwright.policy.patterns import DomainPatterns
from postwright.policy.resolve import Resolved
from postwright.policy.settings import Assignment, DomainBlock, Origin, Settings
from postwright.policy.trouble import DIAGNOSTIC_MOST, Rules, judge, judge_hosts
from postwright.wire.replies import ReplyParser

STAGES: Final = tuple(Stage)
FAULTS: Final = tuple(Fault)
CLASSES: Final = {Kind.DELIVERED: "2", Kind.TRANSIENT: "4", Kind.PERMANENT: "5", Kind.UNTOUCHED: "4"}
PATTERNS: Final = ("*.example", "[*.]b.example", "[10/8]", "[2001:db8::/32]", "a.example")
RESOLVED: Final = Resolved(Settings(domains=tuple(DomainBlock(p, {"max_smtp_out": Assignment(1, Origin())}) for p in PATTERNS)))
DOMAINS: Final = DomainPatterns(PATTERNS)

SEEDS: Final = (
    b"250 2.1.0 ok\r\n550 5.1.1 <x@y.example>: Recipient address rejected: User unknown\r\n451 4.7.1 greylisted\r\n",
    b"421 4.3.2 closing\r\n354 go\r\n250-2.6.0 queued\r\n250 2.6.0 as 1\r\n",
    b"550-5.7.1 spam blacklisted by zen.spamhaus.org\r\n550-5.7.1 mailbox is full\r\n550 5.7.1 see http://x.example/?q=1\r\n",
    b"552 too big\r\n553 no\r\n554 5.4.14 hop count exceeded\r\n501 5.1.3 bad domain\r\n",
    b"a.example,b.example:26;[192.0.2.1]:2525;lookup-mx:c.example;[IPv6:2001:db8::1]",
    b"[10.1.2.3]",
    b"x.b.example",
)


def _replies(data: bytes) -> None:
    replies = ReplyParser().feed(data)
    flags = len(data)
    rules = Rules(*[bool(flags >> bit & 1) for bit in range(5)])
    stage = STAGES[flags % len(STAGES)]
    for reply in replies:
        failure = Failure(stage, reply if flags % 3 else None, FAULTS[flags % len(FAULTS)], reply.text)
        result = TransactionResult([reply, None, replies[0]], mail=replies[0], final=replies[-1], failure=failure if flags % 5 else None)
        for judgement in (judge(result, rules, more_hosts=bool(flags & 1)), judge_hosts([failure], rules)):
            for disposition in judgement.dispositions:
                assert disposition.status.startswith(CLASSES[disposition.kind])
                assert len(disposition.diagnostic) <= DIAGNOSTIC_MOST + 100
                assert "\r" not in disposition.diagnostic
                assert "\n" not in disposition.diagnostic
                assert category(disposition.status, disposition.diagnostic)
        assert len(judge(result, rules).dispositions) == len(result.rcpt)


def _texts(text: str) -> None:
    try:
        specs = mx.parse_hosts(text, 25)
    except ValueError:
        specs = ()
    assert all(spec.name and 0 < spec.port < 1 << 16 for spec in specs)
    mx.hosts_answer(specs)
    RESOLVED.queue(text, text)
    category(text[:8], text)


def fuzz_one(data: bytes) -> None:
    _replies(data)
    text = data.decode("utf-8", "replace")
    _texts(text)
    # `matches` is asked for domains that `model.address` has accepted; that is not any text.
    if not text.startswith("["):
        DOMAINS.matches(text)


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
