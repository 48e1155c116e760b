"""What large providers want of a message: a table for each rule, and bounds for what is no message at all."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from postwright.content.date_field import seconds
from postwright.content.dkim_canon import Mail, header_fields
from postwright.content.dkim_sign import NAMES
from postwright.content.sender_rules import (
    FIELDS_MOST,
    NAME_MOST,
    RULES,
    SIZE_MOST,
    VALUE_MOST,
    Case,
    Cover,
    Finding,
    judge,
    mendable,
    outgrown,
)

NOW = 1_795_608_000.0  # Wed, 25 Nov 2026 12:00:00 +0000
DAY = 86_400.0
CASE = Case(NOW)
OURS = (Cover("sender.example", NAMES),)
GOOD = {
    "From": "Me <me@news.sender.example>",
    "To": "you@example.com",
    "Subject": "hello",
    "Date": "Wed, 25 Nov 2026 12:00:00 +0000",
    "Message-ID": "<1@sender.example>",
}
BULK = GOOD | {
    "List-Unsubscribe": "<mailto:u@sender.example>, <https://sender.example/u/1>",
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
}
SIGNATURE = "v=1; a=rsa-sha256; d={d}; s=s; h={h}; bh=AAAA; b=AAAA{more}"


def organization(domain: str) -> str:
    return ".".join(domain.split(".")[-2:])


def octets(fields: dict[str, str], *more: str) -> bytes:
    lines = [*[f"{name}: {value}" for name, value in fields.items()], *more]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


def findings(header: bytes, case: Case = CASE, ours: tuple[Cover, ...] | None = OURS) -> tuple[Finding, ...]:
    return judge(header_fields(header), case, ours, organization)


def broken(fields: dict[str, str], *more: str, case: Case = CASE, ours: tuple[Cover, ...] | None = OURS) -> list[str]:
    return [one.rule for one in findings(octets(fields, *more), case, ours)]


def without(*names: str, of: dict[str, str] = GOOD) -> dict[str, str]:
    return {name: value for name, value in of.items() if name not in names}


def test_a_good_message_breaks_no_rule() -> None:
    assert seconds(GOOD["Date"].encode()) == NOW
    assert broken(GOOD) == []
    assert broken(BULK, case=replace(CASE, bulk=True)) == []


# what is put in the place of good fields, further lines -> the rules that are broken
FIELDS: dict[str, tuple[dict[str, str], tuple[str, ...], list[str]]] = {
    "no From": (without("From"), (), ["from"]),
    "two From": (GOOD, ("From: me@news.sender.example",), ["from"]),
    "an empty From": (GOOD | {"From": "undisclosed"}, (), ["from"]),
    "a From of nobody's": (GOOD | {"From": "root@localhost"}, (), ["from"]),
    "a From that is no name": (GOOD | {"From": "me@sender..example"}, (), ["from"]),
    "a From in brackets": (GOOD | {"From": "me@[192.0.2.1]"}, (), ["from"]),
    "a From that never ends": (GOOD | {"From": '"me me@news.sender.example'}, (), ["from"]),
    "an @ in the name": (GOOD | {"From": '"me@other.example" <me@news.sender.example>'}, (), []),
    "two authors": (GOOD | {"From": "me@sender.example, you@sender.example"}, (), ["author", "sender"]),
    "two authors and who sent it": (GOOD | {"From": "me@sender.example, you@sender.example"}, ("Sender: me@sender.example",), ["author"]),
    "a Sender of two": (GOOD, ("Sender: me@sender.example, you@sender.example",), ["sender"]),
    "a Sender of nobody": (GOOD, ("Sender: nobody",), ["sender"]),
    "no Date": (without("Date"), (), ["date"]),
    "two Dates": (GOOD, ("date : Wed, 25 Nov 2026 12:00:00 +0000",), ["date"]),
    "no date in it": (GOOD | {"Date": "today"}, (), ["date"]),
    "a Date long gone": (GOOD | {"Date": "Wed, 25 Nov 2025 12:00:00 +0000"}, (), ["date"]),
    "a Date to come": (GOOD | {"Date": "Fri, 27 Nov 2026 12:00:00 +0000"}, (), ["date"]),
    "a Date of last week": (GOOD | {"Date": "Wed, 18 Nov 2026 12:00:00 +0000"}, (), []),
    "no Message-ID": (without("Message-ID"), (), ["message-id"]),
    "two Message-IDs": (GOOD, ("Message-Id: <2@sender.example>",), ["message-id"]),
    "a Message-ID without brackets": (GOOD | {"Message-ID": "1@sender.example"}, (), ["message-id"]),
    "a Message-ID without a right side": (GOOD | {"Message-ID": "<1>"}, (), ["message-id"]),
    "a Message-ID of two": (GOOD | {"Message-ID": "<1@a.example> <2@a.example>"}, (), ["message-id"]),
    "a Message-ID on a line of its own": (GOOD | {"Message-ID": "\r\n <1@[192.0.2.1]>"}, (), []),
    "a quoted Message-ID": (GOOD | {"Message-ID": '<"a b\\"c"@sender.example>'}, (), []),
    "a long Message-ID": (GOOD | {"Message-ID": f"<{'1' * 500}@a.example>"}, (), ["message-id"]),
    "doubled fields": (GOOD, ("Subject: again", "to: you@example.com"), ["doubled"]),
    "two List-Unsubscribe": (BULK, ("List-Unsubscribe: <mailto:a@b.example>",), ["doubled"]),
    "two of what may be": (GOOD, ("Received: a", "Received: b", "X-A: b", "X-A: b", "Comments: c", "Comments: d"), []),
    "octets above 127": (GOOD | {"Subject": "Grüße"}, (), ["eight-bit"]),
    "a line from a mailbox file": (GOOD, ("From me@sender.example Wed Nov 25",), ["fields"]),
    "a name with a blank": (GOOD, ("X Thing: a", "no field"), ["fields"]),
    "a long Subject": (GOOD | {"Subject": "a" * 500 + "\r\n " + "b" * 500}, (), ["header-size"]),
    "a long field": (GOOD, ("X-A: " + "a" * VALUE_MOST,), ["header-size"]),
    "a long To": (GOOD | {"To": "you@example.com, " * 3000}, (), []),
    "a long name": (GOOD, ("X" * (NAME_MOST + 1) + ": a",), ["header-size"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FIELDS)
def test_the_rules_of_fields(name: str) -> None:
    fields, more, expected = FIELDS[name]
    assert broken(fields, *more) == expected


@pytest.mark.parametrize("rule", sorted({rule for _, _, expected in FIELDS.values() for rule in expected}))
def test_a_rule_that_is_excepted_is_not_told(rule: str) -> None:
    case = replace(CASE, except_for=frozenset((rule,)))
    for fields, more, expected in FIELDS.values():
        assert broken(fields, *more, case=case) == [one for one in expected if one != rule]


def test_what_may_be_sent_later_may_have_a_later_date() -> None:
    later = GOOD | {"Date": "Fri, 27 Nov 2026 12:00:00 +0000"}
    assert broken(later, case=replace(CASE, leaves=NOW + 1.5 * DAY)) == []
    assert [one.must for one in findings(octets(later))] == [False]


def test_octets_above_127_with_smtputf8() -> None:
    case = replace(CASE, smtputf8=True)
    assert broken(GOOD | {"Subject": "Grüße"}, case=case) == []
    assert broken(GOOD | {"Subject": "Gr\udcfce"}, case=case) == ["eight-bit"]


@pytest.mark.parametrize(
    ("longest", "binary", "line", "expected"),
    [(998, False, 0, []), (999, False, 0, ["line-length"]), (999, True, 0, []), (1200, True, 1100, ["line-length"])],
)
def test_lines_that_are_too_long(longest: int, binary: bool, line: int, expected: list[str]) -> None:
    """What comes by BINARYMIME has its body encoded where it must be; its header nobody can mend."""
    assert broken(GOOD, *([f"X-A: {'a' * line}"] if line else []), case=replace(CASE, longest_line=longest, binary=binary)) == expected


# -- signatures -------------------------------------------------------------------------------------------------------

ELSEWHERE = (Cover("other.example", NAMES),)


def brought(d: str = "sender.example", h: str = "from:subject", more: str = "") -> str:
    return "DKIM-Signature: " + SIGNATURE.format(d=d, h=h, more=more)


@pytest.mark.parametrize(
    ("ours", "more", "proven", "expected"),
    [
        ((), (), None, "5.7.20"),
        (ELSEWHERE, (), None, "5.7.22"),
        ((*ELSEWHERE, *OURS), (), None, ""),
        ((Cover("sender.example", frozenset((b"to",))),), (), None, "5.7.20"),
        ((), (brought(),), None, ""),
        ((), (brought("deep.below.sender.example"),), None, ""),
        ((), (brought("other.example"),), None, "5.7.22"),
        ((), (brought(more="; t=1; x=2"),), None, "5.7.20"),
        ((), ("DKIM-Signature: what",), None, "5.7.20"),
        ((), (brought(),), frozenset(), "5.7.20"),
        ((), (brought(),), frozenset(("sender.example",)), ""),
        (OURS, (), frozenset(), ""),
    ],
)
def test_whose_signature_it_is(ours: tuple[Cover, ...], more: tuple[str, ...], proven: frozenset[str] | None, expected: str) -> None:
    found = findings(octets(GOOD, *more), replace(CASE, proven=proven), ours)
    assert [(one.rule, one.status) for one in found] == ([("signature", expected)] if expected else [])


def test_a_signature_that_cannot_be_told_now_is_not_missed() -> None:
    assert broken(BULK, ours=None) == []
    assert broken(BULK, ours=()) == ["signature", "unsubscribe-signed"]


def test_each_author_wants_a_signature_and_nobody_wants_none() -> None:
    two = GOOD | {"From": "me@sender.example, you@other.example", "Sender": "me@sender.example"}
    assert broken(two) == ["author", "signature"]
    assert broken(two, ours=(*OURS, *ELSEWHERE)) == ["author"]
    assert broken(GOOD | {"From": "nobody"}, ours=()) == ["from"]


@pytest.mark.parametrize(
    ("h", "expected"),
    [
        ("from:list-unsubscribe:list-unsubscribe-post", []),
        ("from:List-Unsubscribe", ["unsubscribe-signed"]),
        ("from", ["unsubscribe-signed"]),
    ],
)
def test_both_fields_are_to_be_signed(h: str, expected: list[str]) -> None:
    assert broken(BULK, brought(h=h), ours=()) == expected
    assert broken(without("List-Unsubscribe-Post", of=BULK), brought(h=h), ours=()) == []


# -- bulk mail --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (GOOD, "it is bulk mail and has no List-Unsubscribe field"),
        (BULK | {"List-Unsubscribe": " "}, "it is bulk mail and has no List-Unsubscribe field"),
        (BULK | {"List-Unsubscribe": "<mailto:u@sender.example>"}, "there is not one HTTPS URI in List-Unsubscribe"),
        (BULK | {"List-Unsubscribe": "https://sender.example/u"}, "there is not one HTTPS URI in List-Unsubscribe"),
        (BULK | {"List-Unsubscribe": "<http://sender.example/u>"}, "there is not one HTTPS URI in List-Unsubscribe"),
        (BULK | {"List-Unsubscribe": "<https:///>"}, "there is not one HTTPS URI in List-Unsubscribe"),
        (BULK | {"List-Unsubscribe": "<https://a.example>, <http://b.example>"}, "there is not one HTTPS URI in List-Unsubscribe"),
        (BULK | {"List-Unsubscribe": "<\r\n HTTPS://a.example/u?x=1&y=2>"}, ""),
        (without("List-Unsubscribe-Post", of=BULK), "List-Unsubscribe-Post is missing"),
        (
            BULK | {"List-Unsubscribe-Post": "List-Unsubscribe=One-Click, a=b"},
            "List-Unsubscribe-Post does not say List-Unsubscribe=One-Click",
        ),
    ],
)
def test_who_writes_to_many_lets_them_leave(fields: dict[str, str], expected: str) -> None:
    found = findings(octets(fields), replace(CASE, bulk=True))
    assert [one.wrong for one in found] == ([expected] if expected else [])
    assert findings(octets(fields)) == (), "of other mail it is not asked"


# -- what a relay may mend --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "more", "expected"),
    [
        (GOOD, (), []),
        (without("Date", "Message-ID"), (), [b"date", b"message-id"]),
        (GOOD | {"Date": "today", "Message-ID": "1"}, (), [b"date", b"message-id"]),
        (GOOD, ("Date: Wed, 25 Nov 2026 12:00:00 +0000",), [b"date"]),
        (GOOD | {"Date": "Wed, 25 Nov 2020 12:00:00 +0000"}, (), []),  # what would be right is not known
        (without("Date", "Message-ID"), (brought(h="from:date"),), [b"message-id"]),
        (without("From", "Subject"), (), []),
    ],
)
def test_what_a_submission_server_may_mend(fields: dict[str, str], more: tuple[str, ...], expected: list[bytes]) -> None:
    header = header_fields(octets(fields, *more))
    assert list(mendable(header, CASE)) == expected
    assert list(mendable(header, replace(CASE, except_for=frozenset(("date",))))) == [name for name in expected if name != b"date"]


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_a_header_beyond_the_bounds_is_told_at_once() -> None:
    begun = time.process_time()
    large = b"X: a\r\n" * (16 << 20)
    assert outgrown(large[: SIZE_MOST + 1], len(large)) == Finding(
        "header-size", f"the header section has {len(large)} octets, 500000 are taken"
    )
    many = b"a:\r\n" * (SIZE_MOST // 4 - 1) + b"\r\n"
    assert outgrown(many, len(many)) == Finding("header-size", f"there are more than {FIELDS_MOST} header fields")
    folded = b"a:" + b"\r\n b" * 100_000 + b"\r\n\r\n"
    exactly = b"a:\r\n" * FIELDS_MOST + b"\r\n"
    assert [outgrown(one, len(one)) for one in (folded, exactly, octets(GOOD))] == [None, None, None]
    assert time.process_time() - begun < 1.0


@pytest.mark.parametrize(
    "line",
    [
        b"From: " + b"a@b.example," * 1300,
        b"From: " + b"\\(" * 8000,
        b"List-Unsubscribe: " + b"<" * 30_000,
        b"List-Unsubscribe: " + b"< " * 15_000,
        b"Message-ID: " + b'<"' * 15_000,
        b"Date: " + b"(" * 30_000,
        b"DKIM-Signature: " + b"a=b;" * 8000,
        b"DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; bh=AAAA; b=AAAA; h=" + b"a:" * 8000,
    ],
)
def test_the_worst_field_of_each_kind_takes_no_time(line: bytes) -> None:
    header = line + b"\r\n" + b"a:\r\n" * 4000 + b"\r\n"
    begun = time.process_time()
    for case in (CASE, replace(CASE, bulk=True, longest_line=30_000)):
        assert findings(header, case)
        mendable(header_fields(header), case)
    assert time.process_time() - begun < 1.0


@given(st.binary(max_size=300), st.booleans(), st.sampled_from([None, (), OURS]))
def test_any_octets_have_findings_that_say_nothing_of_theirs(data: bytes, bulk: bool, ours: tuple[Cover, ...] | None) -> None:
    mail = Mail(b"From: " + data + b"\r\nDate: " + data + b"\r\nMessage-ID: " + data + b"\r\n" + data, b"")
    found = judge(mail.fields, replace(CASE, bulk=bulk), ours, organization)
    assert [one.rule for one in found] == sorted([one.rule for one in found], key=list(RULES).index)
    for one in found:
        assert one.text.isascii()
        assert one.text.isprintable()
        assert len(one.text) < 400
    assert {one.rule for one in mendable(mail.fields, CASE).values()} <= {"date", "message-id"}


def test_each_rule_says_who_wants_it_and_what_to_do() -> None:
    text = Finding("date", "there is no Date field").text
    assert text == ("date: there is no Date field; send one Date field with the time at which it was written (RFC 5322 section 3.6.1)")
