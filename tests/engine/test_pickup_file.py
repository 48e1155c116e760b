"""Files of the pickup folder, as octets: both forms, and what holds no message."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postwright.engine.pickup_file import PickupError, script_of

MESSAGE = b"Subject: hello\n\nbody\n"


def test_an_envelope_before_a_message() -> None:
    script = script_of(b"x-sender: me@a.example\nX-Receiver: <you@b.example>\nx-receiver:them@c.example\nx-envid: a=1\n" + MESSAGE)
    content = b"Subject: hello\r\n\r\nbody\r\n"
    assert script.octets == (
        b"MAIL FROM:<me@a.example> ENVID=a+3D1\r\nRCPT TO:<you@b.example>\r\nRCPT TO:<them@c.example>\r\n"
        b"BDAT %d LAST\r\n" % len(content) + content
    )
    assert not script.bounces


def test_what_else_stands_in_the_head_is_a_field_of_the_message() -> None:
    script = script_of(b"x-sender: a@a.example\nx-job: 17\nx-receiver: b@b.example\nx-virtual-mta: fast\nSubject: s\n\n")
    assert script.octets.endswith(b"LAST\r\nx-job: 17\r\nx-virtual-mta: fast\r\nSubject: s\r\n\r\n")


def test_the_override_counts_before_the_sender() -> None:
    script = script_of(b"x-sender: a@a.example\nx-sender-override: bounces@a.example\nx-receiver: b@b.example\n\n\n")
    assert script.octets.startswith(b"MAIL FROM:<bounces@a.example>\r\n")


def test_nobody_as_sender_and_addresses_beyond_ascii() -> None:
    assert script_of(b"x-sender:\nx-receiver: b@b.example\n\n").octets.startswith(b"MAIL FROM:<>\r\n")
    script = script_of("x-sender: a@a.example\nx-receiver: grüße@b.example\nSubject: ä\n\n".encode())
    assert script.octets.startswith(b"MAIL FROM:<a@a.example> SMTPUTF8 BODY=8BITMIME\r\n")


def test_doubled_dots_are_undoubled_where_that_is_asked_for() -> None:
    file = b"x-sender: a@a.example\nx-receiver: b@b.example\nSubject: s\n\n..dot\nno..dot\n.one\n"
    assert b"\r\n\r\n.dot\r\nno..dot\r\n.one\r\n" in script_of(file, remove_dot=True).octets
    assert b"\r\n\r\n..dot\r\n" in script_of(file).octets


@pytest.mark.parametrize(
    ("file", "why"),
    [
        (b"", "empty"),
        (MESSAGE, "x-sender"),
        (b"x-sender: a@a.example\n" + MESSAGE, "x-receiver"),
        (b"x-receiver: a@a.example\n" + MESSAGE, "x-sender"),
        (b"x-sender: a@a.example\nx-receiver:\n\n", "no address"),
        (b"x-sender: a@a.example\nx-receiver: b@b.example> NOTIFY=NEVER\n\n", "no address"),
        (b"x-sender: a@a.example\nx-receiver: \xff@b.example\n\n", "UTF-8"),
        (b"x-sender: a@a.example\nx-receiver: b@b.example\nx-envid: " + b"e" * 101 + b"\n\n", "x-envid"),
    ],
)
def test_what_holds_no_message(file: bytes, why: str) -> None:
    with pytest.raises(PickupError, match=why):
        script_of(file)


def test_smtp_in_a_file_is_left_as_it_is() -> None:
    lines = b"EHLO x\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\nSubject: s\r\n\r\nXACK OFF\r\n.\r\n"
    assert script_of(lines).octets == lines
    assert not script_of(lines).bounces  # that one is text
    assert script_of(lines.replace(b"\r\n", b"\n")).octets == lines
    assert script_of(b"XACK OFF\r\n" + lines).bounces


@given(st.one_of(st.binary(max_size=300), st.text("x-sendrcivu:@ab.<>\n\r", max_size=200).map(str.encode)))
@settings(max_examples=50, deadline=None)
def test_any_file_is_a_dialogue_or_no_message(octets: bytes) -> None:
    """The same as fuzz/fuzz_pickup.py: no address of it ever becomes a command."""
    for remove_dot in (False, True):
        try:
            script = script_of(octets, remove_dot=remove_dot)
        except PickupError:
            continue
        assert script.octets
