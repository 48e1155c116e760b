"""`<acct-file>` as text: which fields, queues, headers and policies it may name, and what is said of a slip."""

from __future__ import annotations

import pytest
from tests.control.config.conftest import Found, Good

from postwright.model.privacy import Privacy

SECRET = "the value is not what this directive takes"


def block(line: str) -> str:
    return f"<acct-file a.csv>\n{line}\n</acct-file>\n"


@pytest.mark.directive("privacy-policy")
@pytest.mark.parametrize(
    ("line", "policy"),
    [
        ("", None),
        ("privacy-policy retain", None),
        ("privacy-policy redact", Privacy("redact", "...")),
        ('privacy-policy REDACT "X Y"', Privacy("redact", "X Y")),
        ('privacy-policy siphash "secret"', Privacy("siphash", "", b"secret")),
        ("privacy-policy siphash-hexkey 1234abCD", Privacy("siphash", "", b"\x124\xab\xcd")),
        ("privacy-policy hmac-sha256 secret", Privacy("hmac-sha256", "", b"secret")),
        ("privacy-policy hmac-sha256-hexkey 00", Privacy("hmac-sha256", "", b"\0")),
    ],
)
def test_policies(good: Good, line: str, policy: Privacy | None) -> None:
    assert good(block(line)).acct_files[0].privacy_policy == policy


@pytest.mark.parametrize(
    ("line", "said"),
    [
        # the line holds a secret: nothing of it is repeated
        ("privacy-policy hide", SECRET),
        ("privacy-policy siphash", SECRET),
        ("privacy-policy siphash seventeen-letters", SECRET),
        ("privacy-policy siphash-hexkey 12345", SECRET),
        ("privacy-policy retain x", SECRET),
        ("map-header-to-field tq header_x rcpt", "a record of a queue (tq) has no message"),
        ("map-header-to-field d x-foo rcpt", "`x-foo` is no header"),
        ("map-header-to-field d header_ rcpt", "`header_` is no header"),
        ("map-header-to-field d header_x *", "no single field"),
        ("map-header-to-field d header_x !rcpt", "no single field"),
        ("map-header-to-field d header_x type", "no single field"),
        ("map-header-to-field d header_x rcptto", "`rcptto` is no field of accounting records"),
        ("map-header-to-field d header_X-DKIM-Key userString", "`header_X-DKIM-Key` holds a private key"),
        ("record-fields d *,header_x-dkim-key", "`header_x-dkim-key` holds a private key"),
        ("record-fields d *,dsnDaig", "`dsnDaig` is no field of accounting records"),
        ("queue-filter {bounceProcessor}/*", "is a queue of the relay's own"),
        ("queue-filter a.com/", "no virtual MTA behind the slash"),
        ("queue-filter a..com", "no pattern of domains"),
    ],
)
def test_slips(found: Found, line: str, said: str) -> None:
    [(level, number, message)] = found(block(line))
    assert (level, number) == ("error", 2)
    assert said in message
    assert "letters" not in message


@pytest.mark.directive("queue-filter", "map-header-to-field", "count-moved-records")
def test_the_examples_of_the_vendors_guide(good: Good) -> None:
    lines = (
        "queue-filter a.com/vmta1,![*.]b.com/*,*.c.com/vmta2,!*/vmta3,*/vmta4\nmap-header-to-field b header_x-foo rcpt\n"
        "map-header-to-field delivery header_x-bar rcpt\ncount-moved-records yes\nrecords d, received\n"
        "record-fields f *, header_subject, arf_Source-IP, !USERAGENT"
    )
    [file] = good(block(lines)).acct_files
    assert file.queue_filter == ("a.com/vmta1", "![*.]b.com/*", "*.c.com/vmta2", "!*/vmta3", "*/vmta4")
    assert file.map_header_to_field == (("b", "header_x-foo", "rcpt"), ("d", "header_x-bar", "rcpt"))
    assert (file.count_moved_records, file.records) == (True, ("d", "r"))
    assert file.record_fields == {"f": ("*", "header_subject", "arf_Source-IP", "!USERAGENT")}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("privacy-policy hmac-sha256 short", "the key has 5 octets"),
        ("privacy-policy hmac-sha256 " + "k" * 32, ""),
        ("privacy-policy siphash short", ""),
        ("queue-filter !a.example/*,!b.example/*", "no d, b, t or tq is written"),
        ("queue-filter !a.example/*,*/*", ""),
        ("record-fields d *,TIMEFIRSTATTEMPT", "timeFirstAttempt stays empty"),
    ],
)
def test_what_is_allowed_and_not_meant(found: Found, lines: str, said: str) -> None:
    problems = [(level, message) for level, _, message in found(block(lines)) if level == "warning"]
    assert len(problems) == bool(said)
    assert all(said in message and "short" not in message for _, message in problems)
    assert found("track-time-first-attempt yes\n" + block("record-fields d *,timeFirstAttempt")) == []
