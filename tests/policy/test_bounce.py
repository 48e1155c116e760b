"""Bounce categories of reply texts as real systems write them, of bare status codes, and of anything at all."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.policy.bounce_pack import category

CATEGORIES = {
    "bad-configuration",
    "bad-connection",
    "bad-domain",
    "bad-mailbox",
    "content-related",
    "inactive-mailbox",
    "invalid-sender",
    "message-expired",
    "no-answer-from-host",
    "other",
    "policy-related",
    "protocol-errors",
    "quota-issues",
    "relaying-issues",
    "routing-errors",
    "spam-related",
    "virus-related",
}


@pytest.mark.parametrize(
    ("status", "diagnostic", "expected"),
    [
        ("5.1.1", "smtp;550 5.1.1 <x@y.example>: Recipient address rejected: User unknown in virtual mailbox table", "bad-mailbox"),
        ("5.0.0", "smtp;550 No such user here", "bad-mailbox"),
        ("5.0.0", "smtp;554 delivery error: dd This user doesn't have a y.example account (x@y.example)", "bad-mailbox"),
        ("5.5.0", "smtp;550 Requested action not taken: mailbox unavailable", "bad-mailbox"),
        ("5.4.1", "smtp;550 5.4.1 [x@y.example]: Recipient address rejected: Access denied", "bad-mailbox"),
        ("5.1.1", "smtp;550 5.1.1 Recipient address rejected: Domain not found", "bad-domain"),
        ("5.4.4", "smtp;550 5.4.4 Invalid domain", "bad-domain"),
        ("5.1.10", "x-pmta;the domain accepts no mail (null MX)", "bad-domain"),
        ("5.1.2", "x-pmta;the domain does not exist", "bad-domain"),
        ("5.2.2", "smtp;552 5.2.2 Over quota", "quota-issues"),
        ("5.0.0", "smtp;550 mailbox for x@y.example is full", "quota-issues"),
        ("5.2.1", "smtp;550 5.2.1 The email account that you tried to reach is disabled", "inactive-mailbox"),
        ("5.7.1", "smtp;550 5.7.1 Unable to relay", "relaying-issues"),
        ("5.7.1", "smtp;554 5.7.1 <x@y.example>: Relay access denied", "relaying-issues"),
        ("5.1.8", "smtp;553 5.1.8 <a@b.example>... Domain of sender address a@b.example does not exist", "invalid-sender"),
        ("5.7.1", "smtp;554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "spam-related"),
        ("5.7.1", "smtp;550 5.7.1 Message content rejected, UBE, id=1", "spam-related"),
        (
            "5.7.1",
            "smtp;550 5.7.1 very low reputation of the sending domain. To protect our users from spam it has been blocked",
            "policy-related",
        ),
        ("5.7.26", "smtp;550 5.7.26 Unauthenticated email is not accepted due to domain's DMARC policy", "policy-related"),
        ("5.0.0", "smtp;550 Connections not accepted. Fix reverse DNS for 192.0.2.1", "policy-related"),
        ("5.0.0", "smtp;552 Too many recipients", "policy-related"),
        ("5.6.0", "smtp;554 5.6.0 Message contains a virus: Eicar", "virus-related"),
        ("5.3.4", "smtp;552 5.3.4 Message size exceeds fixed maximum message size", "content-related"),
        ("5.7.1", "smtp;550 5.7.1 This message is not RFC 5322 compliant. To reduce spam it was blocked", "content-related"),
        ("5.5.2", "smtp;500 5.5.2 Syntax error", "protocol-errors"),
        ("5.5.1", "smtp;503 Bad sequence of commands", "protocol-errors"),
        ("4.4.7", "x-pmta;message expired: could not be delivered within bounce-after", "message-expired"),
        ("4.4.7", "x-pmta;message expired: could not; last error: smtp;450 4.7.1 blacklisted", "message-expired"),
        ("4.4.1", "x-pmta;connection refused", "no-answer-from-host"),
        ("5.0.0", "smtp;554 rejected", "policy-related"),
        ("5.1.1", "smtp;554 rejected", "bad-mailbox"),
        ("5.3.5", "x-pmta;there is no virtual MTA m1", "bad-configuration"),
        ("5.4.6", "x-pmta;mail for this domain loops back to this relay", "routing-errors"),
        ("5.1.1", "", "bad-mailbox"),
        ("5.2.2", "", "quota-issues"),
        ("5.4.2", "", "bad-connection"),
        ("5.6.3", "", "content-related"),
        ("5.7.13", "", "policy-related"),
        ("5.10.1", "", "other"),
        ("", "", "other"),
        ("5.0.0", "smtp;550 $B%f!<%6!<(B", "other"),
    ],
)
def test_category(status: str, diagnostic: str, expected: str) -> None:
    assert category(status, diagnostic) == expected
    assert category(status, diagnostic.upper()) == expected


def test_only_the_beginning_counts() -> None:
    """Of what is left without addresses and links: words that nobody has said before cost much more than others."""
    assert category("5.0.0", "x" * 980 + " no such user") == "bad-mailbox"
    assert category("5.0.0", "x" * 990 + " no such user") == "other"
    assert category("5.0.0", f"see https://far.example/{'x' * 1200} no such user") == "bad-mailbox"


@given(st.text(max_size=8), st.text(max_size=200))
def test_any_text_has_a_category(status: str, diagnostic: str) -> None:
    assert category(status, diagnostic) in CATEGORIES


@pytest.mark.parametrize("text", ["user" * 250, "no such " * 120, "exceed " * 140, "\ud800" * 900, "(" * 1000])
def test_no_text_takes_long(text: str) -> None:
    """A backtracking engine would need seconds for some; a hundred of these take a linear one a few milliseconds."""
    begin = time.process_time()
    for number in range(100):
        category("5.0.0", f"{number}{text}")
    assert time.process_time() - begin < 1.0
