"""Templates of failure reports: macros in place, and nothing of a stranger's that could end a line, a field or a message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.content.dsn_template import TEXT_MOST, Templates, readable, words
from postwright.model.report_macros import MACROS, unknown

VALUES = {
    "hostname": "relay.example", "originator": "me@sender.example", "recipient": "you@example.com", "subject": "Grüße", "retryAfter": "10m",
    "bounceAfter": "4d12h", "date": "Fri, 1 Jan 2027 08:00:00 +0000", "timeQueued": "Thu, 31 Dec 2026 08:00:00 +0000", "response": "550 no",
}  # fmt: skip


def test_every_macro_has_a_value() -> None:
    text = "\n".join([f"{name}=${{{name}}}" for name in MACROS])
    assert words(Templates(body=text), VALUES).body == "\n".join([f"{name}={VALUES[name]}" for name in MACROS]) + "\n"


@pytest.mark.parametrize(
    ("template", "sender"),
    [
        ("", ""),
        ("bounce@${hostname}", "bounce@relay.example"),
        ('"Mail at ${hostname}" <bounce@${hostname}>', '"Mail at relay.example" <bounce@relay.example>'),
        ("Zustellung für ${recipient} <b@x.example>", "=?utf-8?q?Zustellung_f=C3=BCr_you=40example=2Ecom?= <b@x.example>"),
        ("nobody at all", ""),
        ("<>", ""),
        ("${unknown}@x.example", "${unknown}@x.example"),
        ("bücher <b@bücher.example>", '"bücher" <b@bücher.example>'),
    ],
)
def test_from(template: str, sender: str) -> None:
    assert words(Templates(sender=template), VALUES).sender == sender


@pytest.mark.parametrize(
    ("template", "subject"),
    [
        ("${recipient} failed: ${response}", "you@example.com failed: 550 no"),
        ("Re: ${subject}", "=?utf-8?b?UmU6IEdyw7zDn2U=?="),
        ("  ", ""),
    ],
)
def test_subject(template: str, subject: str) -> None:
    assert words(Templates(subject=template), VALUES).subject == subject


def test_a_long_subject_is_folded_and_a_long_line_of_text_cut() -> None:
    found = words(Templates("", "word " * 200, "é" * 2000 + "\nend"), VALUES)
    assert max(map(len, found.subject.split("\r\n"))) <= 78
    assert all(line.startswith((" ", "word")) for line in found.subject.split("\r\n"))
    lines = found.body.split("\n")
    assert max(len(line.encode()) for line in lines) <= 998
    assert lines[-2:] == ["end", ""]
    assert len(words(Templates(body="x" * 10 + "${response}"), {"response": "y" * 10**6}).body) <= TEXT_MOST + 100


def test_names_that_stand_for_nothing() -> None:
    assert unknown("${recipient} ${recipent} $x ${} {date}") == ["recipent", ""]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("=?utf-8?q?Gr=C3=BC?=", "Grü"),
        ("plain", "plain"),
        ("=?x-none?q?a?=", "=?x-none?q?a?="),
        ("=?utf-8?b?A?=", "=?utf-8?b?A?="),
    ],
)
def test_subjects_as_people_read_them(value: str, read: str) -> None:
    assert readable(value) == read


@pytest.mark.parametrize("letter", ["ü", "\U0001f600"])
def test_a_long_name_leaves_the_address_in_its_line(letter: str) -> None:
    sender = words(Templates("${subject} <b@x.example>"), {"subject": letter * 400}).sender
    *coded, address = sender.split(" ")
    assert address == "<b@x.example>"
    assert max(map(len, coded)) <= 75
    assert readable(" ".join(coded)) == letter * 100
    assert len(sender) < 900


def test_a_subject_is_read_no_further_than_it_is_shown() -> None:
    assert readable("a " * 40_000) == ("a " * 4_000)


@pytest.mark.parametrize("half", [readable("=?utf-7?q?+2AA-?="), readable("=?unicode_escape?q?=5Cud800?="), "\udcff"])
def test_half_a_letter_is_none(half: str) -> None:
    found = words(Templates('"${subject}" <b@x.example>', "x${subject}", "x${subject}y"), {"subject": half})
    assert (found.sender, found.subject, found.body) == ("b@x.example", "x", "x y\n")


evil = st.text(st.sampled_from('\r\n\0\x1b\x85\u2028\ud800:<>@"\\ abü'), max_size=40)


@given(evil, evil, evil)
def test_a_stranger_ends_no_line_and_no_field(subject: str, recipient: str, response: str) -> None:
    templates = Templates('"${subject}" <b@x.example>', "${subject} ${recipient}", "${recipient}\n${response}")
    found = words(templates, {"subject": subject, "recipient": recipient, "response": response})
    for field in (found.sender, found.subject):
        for line in field.split("\r\n")[1:]:
            assert line.startswith(" ")
        assert not set(field.replace("\r\n ", " ")) & set("\r\n\0\x1b\x85\u2028")
    assert not set(found.body) & set("\r\0\x1b\x85")
