"""What accounting files want to know: the queues of a `queue-filter`, and which header fields have to be kept."""

from __future__ import annotations

import pytest

from postwright.policy import acct
from postwright.policy.acct import QueueFilter, arf_wanted, headers_wanted
from postwright.policy.settings import AcctFileSettings

# the example of the vendor's guide
GUIDE = ("a.com/vmta1", "![*.]b.com/*", "*.c.com/vmta2", "!*/vmta3", "*/vmta4")


@pytest.mark.parametrize(
    ("queue", "wanted"),
    [
        ("a.com/vmta1", True),
        ("A.COM/VMTA1", True),
        ("a.com/vmta2", False),
        ("b.com/vmta4", False),
        ("x.b.com/vmta4", False),
        ("x.c.com/vmta2", True),
        ("c.com/vmta2", False),
        ("d.com/vmta3", False),
        ("d.com/vmta4", True),
        ("hotmail.rollup/vmta4", True),
        ("{bounce}/vmta4", True),
        ("d.com/other", False),
    ],
)
def test_the_first_that_fits_decides(queue: str, wanted: bool) -> None:
    verdict = QueueFilter(GUIDE)
    assert verdict(queue) is wanted
    assert verdict(queue) is wanted  # remembered


def test_a_name_alone_is_the_default_virtual_mtas() -> None:
    assert QueueFilter(("a.com",))("a.com/{default}")
    assert not QueueFilter(("a.com",))("a.com/v")


def test_verdicts_are_remembered_of_some_queues_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acct, "REMEMBERED", 3)
    verdict = QueueFilter(("*/*",))
    assert all(verdict(f"d{number}.example/v") for number in range(10))
    assert len(verdict._known) <= 3


def test_no_pattern() -> None:
    with pytest.raises(ValueError, match="domain"):
        QueueFilter(("a..b/*",))


@pytest.mark.parametrize(
    ("file", "headers", "arf"),
    [
        (AcctFileSettings("a.csv"), set(), set()),
        (AcctFileSettings("a.csv", ("d", "b"), {"d": ("*", "header_X-A"), "b": ("header_x-a", "header_B")}), {"x-a", "b"}, set()),
        (AcctFileSettings("a.csv", ("b",), {"d": ("header_X-A",)}), set(), set()),  # of records that it does not have
        (AcctFileSettings("a.csv", ("d",), {"d": ("header_X-A", "!HEADER_x-a")}), set(), set()),
        (AcctFileSettings("a.csv", ("d",), map_header_to_field=(("d", "header_X-M", "rcpt"), ("b", "header_N", "rcpt"))), {"x-m"}, set()),
        (AcctFileSettings("a.csv", ("f",), {"f": ("*", "arf_Source-IP")}), set(), {"source-ip"}),
        (AcctFileSettings("a.csv", ("f",)), set(), set()),
    ],
)
def test_fields_that_some_file_asks_for(file: AcctFileSettings, headers: set[str], arf: set[str]) -> None:
    assert headers_wanted([file]) == headers
    assert arf_wanted([file]) == arf


def test_feedback_reports_want_four_by_default() -> None:
    file = AcctFileSettings("f.csv", ("f",))
    assert headers_wanted([file], ("f",)) == {"from", "return-path", "x-job", "subject"}


@pytest.mark.directive("record-fields", "map-header-to-field")
def test_a_private_key_is_looked_up_for_nobody() -> None:
    file = AcctFileSettings(
        "a.csv",
        records=("d",),
        record_fields={"d": ("rcpt", "header_X-DKIM-Key", "header_Subject")},
        map_header_to_field=(("d", "header_x-dkim-key", "userString"),),
    )
    assert headers_wanted((file,)) == {"subject"}
