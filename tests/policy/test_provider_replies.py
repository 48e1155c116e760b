"""Replies as the large providers and mail servers write them: each has the category that PowerMTA's users would look for it under."""

from __future__ import annotations

from tests.policy.provider_replies import replies

from postwright.engine.classify import sort_reply
from postwright.policy.bounce_pack import shipped


def test_replies_of_providers() -> None:
    sorted_ones = [(right, said, sort_reply(shipped(), said, host).category) for right, host, said in replies()]
    assert [(said, found, right) for right, said, found in sorted_ones if found not in right] == []


def test_nobody_is_suppressed_who_may_be_there() -> None:
    hard = {said for _, host, said in replies() if sort_reply(shipped(), said, host).hard}
    final = {said for right, _, said in replies() if right & {"bad-mailbox", "bad-domain"} and not said.startswith("4")}
    assert hard == final
