"""The directives of fairness as text: what is read, what is refused and how that is said."""

from __future__ import annotations

import pytest

from postwright.control.config import loads
from postwright.policy.resolve import Resolved

TEXT = """
host-name relay.example
fair-share-weight vip-* 5
fair-share-weight "Big Job" 3
<pattern-list streams>
  rcpt-to /^reset@/ latency-class=URGENT,recipient-priority=80
  * virtual-mta=a,latency-class=bulk
</pattern-list>
<virtual-mta a>
  smtp-source-host 192.0.2.1 a.example
</virtual-mta>
<source 192.0.2.0/24>
  latency-class bulk
  pattern-list streams
</source>
<smtp-user ann>
  password secret
  latency-class urgent
  share-weight 7
</smtp-user>
<domain example.com>
  fair-share-by user
</domain>
"""


@pytest.mark.directive("fair-share-by", "fair-share-weight", "share-weight", "latency-class")
def test_what_is_written_is_what_holds() -> None:
    result = loads(TEXT)
    settings = result.settings
    assert settings is not None, [str(problem) for problem in result.problems]
    resolved = Resolved(settings)
    assert settings.general.fair_share_weight == (("vip-*", 5), ("Big Job", 3))
    assert [(rule.result.latency_class, rule.result.recipient_priority) for rule in settings.pattern_lists["streams"]] == [
        ("urgent", 80), ("bulk", None),
    ]  # fmt: skip
    assert (settings.users["ann"].latency_class, settings.users["ann"].share_weight) == ("urgent", 7)
    assert [resolved.source(peer, "", "").latency_class for peer in ("192.0.2.7", "198.51.100.7")] == ["bulk", "normal"]
    assert [resolved.queue(name, "a").fair_share_by for name in ("example.com", "example.org")] == ["user", "job"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("fair-share-weight vip", "the value behind it is missing"),
        ("fair-share-weight vip 0", "1"),
        ("fair-share-weight vip 1001", "1000"),
        ("<domain *>\nfair-share-by tenant\n</domain>", "none"),
        ("<source 192.0.2.0/24>\nlatency-class fast\n</source>", "urgent"),
        ("<pattern-list x>\n* latency-class=fast\n</pattern-list>", "`fast` is no latency class"),
        ("<pattern-list x>\n* latency-class=bulk,latency-class=urgent\n</pattern-list>", "latency-class stands here twice"),
    ],
)
def test_what_means_nothing_is_told(line: str, says: str) -> None:
    result = loads(f"host-name relay.example\n{line}\n")
    assert result.settings is None
    assert any(says in str(problem) for problem in result.problems), [str(problem) for problem in result.problems]
