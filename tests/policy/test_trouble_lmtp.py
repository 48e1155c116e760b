"""Answers of LMTP to each recipient, with rules of smtp-pattern-list: one recipient's refusal is no other's."""

from __future__ import annotations

import pytest

from postwright.model.outcome import Kind, TransactionResult
from postwright.model.reply import Reply
from postwright.policy.feedback import amend, compiled, replies_of
from postwright.policy.settings import ReplyAction, ReplyRule
from postwright.policy.trouble import judge

TAKEN = Reply(250, "2.1.5", ("ok",))
OK, FULL = Reply(250, "2.0.0", ("stored",)), Reply(452, "4.2.2", ("mailbox full",))


@pytest.mark.parametrize("action", [ReplyAction(bounce_queue=True), ReplyAction(bounce_rcpt=True)])
def test_a_rule_is_about_the_recipient_whose_answer_it_fits(action: ReplyAction) -> None:
    result = TransactionResult([TAKEN, TAKEN, TAKEN], mail=TAKEN, final=OK, finals=[OK, FULL, OK])
    feedback = compiled((ReplyRule("mailbox full", action),))
    assert feedback is not None
    heard = feedback.listen(replies_of(result))
    assert [one.reply for one in heard] == [FULL]
    judgement = amend(judge(result), result, heard, more_hosts=False)
    assert [fate.kind for fate in judgement.dispositions] == [Kind.DELIVERED, Kind.PERMANENT, Kind.DELIVERED]
