"""Names of patterns that match nothing, and the blocks of a macro that share their settings."""

from __future__ import annotations

import pytest

from postwright.model.address import parse_mailbox
from postwright.model.errors import AddressError
from postwright.policy.access import AccessRules
from postwright.policy.patterns import pattern_name
from postwright.policy.resolve import Resolved
from postwright.policy.settings import Assignment, DomainBlock, Origin, Settings, SourceSettings


def test_a_name_with_an_underscore_does_no_harm() -> None:
    rules = AccessRules(("mail.YOUR_DOMAIN", "good.example"), ("me@your_domain.example",), ("mail.YOUR_DOMAIN",))
    assert rules.on_rcpt(parse_mailbox("a@good.example"), SourceSettings(), False) is None
    assert rules.on_rcpt(parse_mailbox("a@your-domain.example"), SourceSettings(), False) is not None


def test_what_is_no_name_still_is_none() -> None:
    for text in ("a b_c", "", "a..b", "_/"):
        with pytest.raises(AddressError):
            pattern_name(text)


def test_the_names_of_a_macro_share_their_settings() -> None:
    scope = {"max_smtp_out": Assignment(3, Origin("config", 1))}
    blocks = tuple(DomainBlock(f"d{n}.example", scope, by_macro=True) for n in range(3))
    again = DomainBlock("d2.example", {"retry_after": Assignment((1.0,), Origin())}, by_macro=True)
    resolved = Resolved(Settings(domains=(*blocks, again)))
    assert resolved.queue("d0.example", "{default}") is resolved.queue("d1.example", "{default}")
    merged = resolved.queue("d2.example", "{default}")
    assert (merged.max_smtp_out, merged.retry_after) == (3, (1.0,))
    assert list(scope) == ["max_smtp_out"]
