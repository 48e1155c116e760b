"""Replies and mails sorted as the relay sorts them: our samples in seven languages, and the outside corpus of real bounces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.content.bounce_samples import LETTERS, SAMPLES, letter, mail

from postwright.content.reports import Complaint, StatusReport, read
from postwright.engine.classify import rules_of, sort_mail, sort_reply
from postwright.policy.bounce_pack import shipped


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name: str) -> None:
    sample = SAMPLES[name]
    found = sort_mail(shipped(), mail(sample))
    assert (found.kind, found.form) == ("status-report", sample.form)
    assert [(one.address, one.sorted.category) for one in found.recipients] == list(sample.expected)


def test_hard_is_who_is_not_there() -> None:
    assert sort_reply(shipped(), "550 5.1.1 no such user").hard
    assert sort_reply(shipped(), "550 5.1.2 the domain does not exist").hard
    assert not sort_reply(shipped(), "552 5.2.2 mailbox full").hard
    assert not sort_reply(shipped(), "450 4.1.1 no such user yet").hard


def test_mails_that_are_no_bounces() -> None:
    for one in LETTERS:
        assert sort_mail(shipped(), letter(*one)).kind == "nothing"
    answer = b"From: ann@far.example\nSubject: Out of office\n\nback on Monday\n"
    assert sort_mail(shipped(), answer).kind == "auto-reply"


def test_a_status_from_a_bare_reply() -> None:
    assert sort_reply(shipped(), "550 no such user").status == "5.0.0"
    assert sort_reply(shipped(), "smtp;451 4.3.0 try again").status == "4.3.0"
    assert sort_reply(shipped(), "").category == "other"


def test_rules_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('version = "mine"\n[[rule]]\nname = "all"\ncategory = "house-rules"\ntext = ["go away"]\n')
    assert sort_reply(rules_of(None, str(file)), "550 go away").category == "house-rules"
    file.write_text('version = "mine"\n[[rule]]\nname = "odd"\ncategory = "x"\ntext = ["(?=a)"]\n')
    with pytest.raises(ValueError, match=r"mine.toml: rule odd: RE2 does not take /\(\?=a\)/"):
        rules_of(None, str(file))


# -- the outside judge ------------------------------------------------------------------------

# Its reasons, and the categories that each may have (the corpus' README; the last two lines are of reasons that it does not map).
ALLOWED: dict[str, frozenset[str]] = {
    reason: frozenset(categories.split())
    for reasons, categories in (
        ("userunknown hasmoved", "bad-mailbox"),
        ("hostunknown", "bad-domain"),
        ("mailboxfull", "quota-issues"),
        ("suspend", "inactive-mailbox"),
        ("expired", "message-expired no-answer-from-host"),
        ("networkerror", "no-answer-from-host bad-connection"),
        ("notaccept", "routing-errors bad-domain"),
        ("norelaying", "relaying-issues"),
        ("rejected requireptr badreputation policyviolation authfailure speeding toomanyconn", "policy-related"),
        ("filtered", "policy-related bad-mailbox"),
        ("blocked", "policy-related spam-related"),
        ("spamdetected", "spam-related"),
        ("virusdetected", "virus-related"),
        ("mesgtoobig contenterror notcompliantrfc", "content-related"),
        ("syntaxerror", "protocol-errors"),
        ("systemerror systemfull mailererror", "bad-configuration other"),
        ("exceedlimit", "content-related"),
        ("securityerror", "policy-related"),
    )
    for reason in reasons.split()
}

# Where we differ, and why.
DIFFERENT = {
    # PowerMTA has a category for a sender that is refused, and its users look for it there: 5.1.7, 5.1.8 and "sender rejected".
    "lhost-exim-36.eml": "invalid-sender",
    "lhost-exim-50.eml": "invalid-sender",
    "lhost-postfix-10.eml": "invalid-sender",
    "lhost-sendmail-04.eml": "invalid-sender",
    "lhost-yahoo-12.eml": "invalid-sender",
    # Loops are routing errors (5.4.6), and a domain that the DNS says is none is a bad domain.
    "lhost-sendmail-20.eml": "routing-errors",
    "rfc3464-40.eml": "routing-errors",
    "lhost-gsuite-04.eml": "bad-domain",
    "lhost-x3-02.eml": "routing-errors",
    # Exchange Online's answer for a recipient that it does not know (5.4.1, "access denied"), whatever this one was for.
    "lhost-mfilter-04.eml": "bad-mailbox",
    # The reply says that the user is unknown; that the account was suspended, or the sender refused, it does not say.
    "lhost-ezweb-02.eml": "bad-mailbox",
    "rhost-nttdocomo-02.eml": "bad-mailbox",
    # "501 Invalid domain name" was about our own name.
    "lhost-qmail-04.eml": "bad-domain",
}
# Two mails in one file; a mail has one header.
TWO_MAILS = {"rfc3464-28.eml"}


@pytest.fixture
def corpus(shared: Path) -> list[tuple[str, list[dict[str, Any]], bytes]]:
    folder = shared / "suites" / "bounces"
    expected = json.loads((folder / "expected.json").read_text())
    return [(name, rows, (folder / "mails" / name).read_bytes()) for name, rows in sorted(expected.items())]


def test_the_corpus(corpus: list[tuple[str, list[dict[str, Any]], bytes]]) -> None:
    counted = {"named": 0, "all": 0}
    wrong: dict[str, str] = {}
    for name, rows, content in corpus:
        if rows[0]["reason"] in ("feedback", "vacation"):
            continue
        found = sort_mail(shipped(), content)
        assert found.kind == "status-report", name
        counted["all"] += len(rows)
        counted["named"] += len(found.recipients)
        assert len(found.recipients) == len(rows) or name in TWO_MAILS
        for row, one in zip(rows, found.recipients, strict=name not in TWO_MAILS):
            allowed = ALLOWED.get(row["reason"])
            if row["reason"] == "userunknown":
                assert one.sorted.hard == row["hard"], name
            if allowed is not None and one.sorted.category not in allowed:
                wrong[name] = one.sorted.category
    assert wrong == DIFFERENT
    assert counted == {"named": 275, "all": 276}


def test_complaints_and_answers_of_the_corpus(corpus: list[tuple[str, list[dict[str, Any]], bytes]]) -> None:
    for name, rows, content in corpus:
        reading = read(content)
        match rows[0]["reason"]:
            case "feedback":
                assert isinstance(reading, Complaint), name
                assert reading.feedback_type == rows[0]["feedbacktype"], name
                assert len(reading.recipients) in (0, len(rows)), name
            case "vacation":
                assert sort_mail(shipped(), content).kind == "auto-reply", name
            case "delivered":
                assert isinstance(reading, StatusReport)
                assert {one.action for one in reading.recipients} == {"delivered"}


def test_the_share_that_no_rule_sorts(corpus: list[tuple[str, list[dict[str, Any]], bytes]]) -> None:
    """A well-known open rule set leaves 47 % of these replies without a category."""
    sorted_ones = [
        one.sorted
        for _, rows, content in corpus
        if rows[0]["reason"] not in ("feedback", "vacation", "delivered", "undefined")
        for one in sort_mail(shipped(), content).recipients
    ]
    assert len([one for one in sorted_ones if not one.rule]) == 0, [one for one in sorted_ones if not one.rule]
