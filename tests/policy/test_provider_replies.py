"""Replies as the large providers, the mail servers and people write them: each has the category that PowerMTA's users would look under."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.policy import plain_replies, provider_replies

from postwright.engine.classify import sort_reply
from postwright.policy.bounce_pack import shipped

_BOTH = pytest.mark.parametrize("replies", [provider_replies.replies, plain_replies.replies], ids=["providers", "plain"])
Replies = Callable[[], list[tuple[frozenset[str], str, str]]]
_MAY_BE_HARD = frozenset({"bad-mailbox", "bad-domain"})


@_BOTH
def test_categories(replies: Replies) -> None:
    sorted_ones = [(right, said, sort_reply(shipped(), said, host).category) for right, host, said in replies()]
    assert [(said, found, right) for right, said, found in sorted_ones if found not in right] == []


@_BOTH
def test_hard_is_who_is_not_there_and_nobody_else(replies: Replies) -> None:
    hard = {said for _, host, said in replies() if sort_reply(shipped(), said, host).hard}
    assert all(right & _MAY_BE_HARD for right, _, said in replies() if said in hard)
    assert hard >= {said for right, _, said in replies() if right <= _MAY_BE_HARD and said.startswith("5")}


def test_what_we_miss_is_still_missed() -> None:
    assert [said for said in plain_replies.MISSED if sort_reply(shipped(), said).category == "policy-related"] == []
