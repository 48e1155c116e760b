"""Rules of `smtp-pattern-list`: which one a reply fits, and what it makes of the recipients' fates."""

from __future__ import annotations

import pytest

from postwright.model.outcome import Failure, Kind, Site, Stage, TransactionResult
from postwright.model.reply import Reply
from postwright.policy.feedback import Feedback, Heard, amend, bounce_of, compiled, replies_of
from postwright.policy.list_settings import Origin, ReplyAction, ReplyRule
from postwright.policy.trouble import judge

OK = Reply(250, "2.1.5", ("ok",))
TAKEN = Reply(250, "2.6.0", ("queued",))
LATER = Reply(451, "4.3.0", ("later",))
NEVER = Reply(550, "5.7.1", ("never",))
D, T, P, U = Kind.DELIVERED, Kind.TRANSIENT, Kind.PERMANENT, Kind.UNTOUCHED


def rules(*patterns: str) -> list[ReplyRule]:
    return [ReplyRule(f"/{pattern}/", ReplyAction(mode="backoff"), Origin("f", number)) for number, pattern in enumerate(patterns)]


FITS = [
    (Reply(421, "4.7.0", ("[TSS04] Messages deferred",)), ("^421 4.7.0 .tss04",), 0),
    (Reply(421, "", ("one", "two")), ("^421 one two$",), 0),
    (Reply(421, "", ("x y",)), ("z", "y", "x"), 1),
    (Reply(421, "", ("RATE",)), ("(?-i)rate", "rate"), 1),
    (Reply(250, "2.0.0", ("ok",)), ("^2",), 0),
    (Reply(550, "", ("a/b",)), ("a\\/b",), 0),
    (Reply(550, "", ("bo\u00eete pleine",)), ("bo\u00eete",), 0),
    (Reply(550, "", ("\udcff odd octets",)), ("odd octets",), 0),
    (Reply(550, "", ("no",)), ("yes",), None),
]


@pytest.mark.parametrize(("reply", "patterns", "number"), FITS)
def test_the_first_rule_that_fits(reply: Reply, patterns: tuple[str, ...], number: int | None) -> None:
    rule = Feedback(rules(*patterns)).find(reply)
    assert (None if rule is None else rule.origin.line) == number


def test_every_reply_is_heard_in_its_order_and_equal_ones_once() -> None:
    result = TransactionResult([LATER, LATER, NEVER], mail=OK, final=TAKEN, failure=Failure(Stage.QUIT, Reply(421, "", ("bye",))))
    heard = Feedback(rules("later", "never", "bye", "queued")).listen(replies_of(result))
    assert [one.rule.origin.line for one in heard] == [0, 1, 3, 2]


def test_a_list_is_compiled_once_and_an_empty_one_is_none() -> None:
    assert compiled(tuple(rules("a"))) is compiled(tuple(rules("a")))
    assert compiled(()) is None


def heard(reply: Reply, **action: bool) -> list[Heard]:
    return [Heard(ReplyRule("/x/", ReplyAction(**action)), reply)]


RCPT_LATER = TransactionResult([OK, LATER], mail=OK, final=TAKEN)
MAIL_LATER = TransactionResult([None, None], mail=LATER, failure=Failure(Stage.MAIL, LATER))
END_LATER = TransactionResult([OK, NEVER], mail=OK, final=LATER, failure=Failure(Stage.END_OF_DATA, LATER))
END_NEVER = TransactionResult([OK, OK], mail=OK, final=NEVER, failure=Failure(Stage.END_OF_DATA, NEVER))

FATES = [
    # bounce-rcpt: a 4xx to RCPT, and nothing else
    (RCPT_LATER, heard(LATER, bounce_rcpt=True), False, [D, P]),
    (MAIL_LATER, heard(LATER, bounce_rcpt=True), False, [T, T]),
    (END_LATER, heard(LATER, bounce_rcpt=True), False, [T, P]),
    # bounce-queue: those that the reply was about, too
    (MAIL_LATER, heard(LATER, bounce_queue=True), False, [P, P]),
    (RCPT_LATER, heard(LATER, bounce_queue=True), False, [D, P]),
    (RCPT_LATER, heard(TAKEN, bounce_queue=True), False, [D, T]),
    # skip-mx: what was refused by that reply is for the next host, if there is one
    (END_LATER, heard(LATER, skip_mx=True), True, [U, P]),
    (END_NEVER, heard(NEVER, skip_mx=True), True, [U, U]),
    (END_NEVER, heard(NEVER, skip_mx=True), False, [P, P]),
    (RCPT_LATER, heard(LATER, skip_mx=True), True, [D, U]),
    # these are for the queue alone
    (RCPT_LATER, heard(LATER, defer_queue=True), True, [D, T]),
    (END_NEVER, heard(NEVER, disable_source_ip=True), True, [P, P]),
]


@pytest.mark.parametrize(("result", "what", "more_hosts", "kinds"), FATES)
def test_fates(result: TransactionResult, what: list[Heard], more_hosts: bool, kinds: list[Kind]) -> None:
    judgement = amend(judge(result, more_hosts=more_hosts), result, what, more_hosts=more_hosts)
    assert [fate.kind for fate in judgement.dispositions] == kinds
    assert all(fate.status.startswith("5") for fate in judgement.dispositions if fate.kind is P)
    skips = more_hosts and what[0].rule.action.skip_mx
    assert (judgement.site is Site.HOST_BUSY) == skips
    assert judgement.keep_session is not skips


def test_a_queue_bounces_with_the_words_of_the_reply_and_for_good() -> None:
    fate = bounce_of(Reply(451, "4.7.1", ("blocked",)))
    assert (fate.kind, fate.status, fate.diagnostic) == (P, "5.7.1", "smtp;451 4.7.1 blocked")
