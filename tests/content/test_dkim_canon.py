"""Canonical forms: the RFC's own example, the corners of bodies without lines, and a slow reading of the text beside the fast one."""

from __future__ import annotations

import re
import time
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.content import dkim_canon
from postwright.content.dkim_canon import (
    HeaderField,
    Mail,
    chosen,
    header_fields,
    relaxed_body,
    relaxed_field,
    signed_header,
    simple_body,
    simple_field,
    without_value,
)

# RFC 6376 section 3.4.5
EXAMPLE = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n"


def test_the_example_of_the_rfc() -> None:
    header, _, body = EXAMPLE.partition(b"\r\n\r\n")
    fields = header_fields(header + b"\r\n\r\n")
    assert b"".join(map(relaxed_field, fields)) == b"a:X\r\nb:Y Z\r\n"
    assert b"".join(map(simple_field, fields)) == b"A: X\r\nB : Y\t\r\n\tZ  \r\n"
    assert relaxed_body(body) == b" C\r\nD E\r\n"
    assert simple_body(body) == b" C \r\nD \t E\r\n"


@pytest.mark.parametrize(
    ("body", "simple", "relaxed"),
    [
        (b"", b"\r\n", b""),
        (b"\r\n", b"\r\n", b""),
        (b"\r\n\r\n\r\n", b"\r\n", b""),
        (b" \t", b" \t\r\n", b""),
        (b" \r\n\t\r\n", b" \r\n\t\r\n", b""),
        (b"a", b"a\r\n", b"a\r\n"),
        (b"a \t", b"a \t\r\n", b"a\r\n"),
        (b"a\r\n \r\n", b"a\r\n \r\n", b"a\r\n"),
        (b"\r\na\r\n", b"\r\na\r\n", b"\r\na\r\n"),
        (b"a\r", b"a\r\r\n", b"a\r\r\n"),
        (b"a\r\r\n\r\n", b"a\r\r\n", b"a\r\r\n"),
        (b"a\n\r\n", b"a\n\r\n", b"a\n\r\n"),
        (b"a\r\n\r", b"a\r\n\r\r\n", b"a\r\n\r\r\n"),
        (b"a\x0b b", b"a\x0b b\r\n", b"a\x0b b\r\n"),
    ],
)
def test_bodies(body: bytes, simple: bytes, relaxed: bytes) -> None:
    assert simple_body(body) == simple
    assert relaxed_body(body) == relaxed


def _slow_relaxed(body: bytes) -> bytes:
    lines = [re.sub(rb"[ \t]+", b" ", re.sub(rb"[ \t]+\Z", b"", line)) for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join([line + b"\r\n" for line in lines])


def _slow_simple(body: bytes) -> bytes:
    lines = body.split(b"\r\n")
    while lines and not lines[-1]:
        lines.pop()
    return b"".join([line + b"\r\n" for line in lines]) or b"\r\n"


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"\r", b"\n", b"a", b"\xff", b"x"])).map(b"".join))
def test_the_fast_way_is_the_text_of_the_rfc(body: bytes) -> None:
    assert relaxed_body(body) == _slow_relaxed(body)
    assert simple_body(body) == _slow_simple(body)


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"\r", b"\n", b"a"])).map(b"".join), st.integers(0, 9))
def test_in_pieces_it_is_the_same(body: bytes, piece: int) -> None:
    with patch.object(dkim_canon, "PIECE", piece):
        assert relaxed_body(body) == _slow_relaxed(body)


HOSTILE = [b" " * 2_000_000, b"\r\n" * 1_000_000, b" \t" * 1_000_000 + b"a", b"\r\n\r" * 500_000, b" \r\n" * 600_000]


@pytest.mark.parametrize("body", HOSTILE, ids=["blanks", "empty lines", "tabs", "bare CR", "blank lines"])
def test_hostile_bodies_take_no_longer_than_others(body: bytes) -> None:
    began = time.process_time()
    relaxed_body(body)
    simple_body(body)
    assert time.process_time() - began < 1.0


def test_fields_and_what_is_none() -> None:
    header = b"From joe\r\nA: 1\r\n folded: on\r\nnothing\r\nb\t : 2\r\n\r\n"
    assert header_fields(header) == [
        HeaderField(b"", b"From joe"),
        HeaderField(b"a", b"A: 1\r\n folded: on"),
        HeaderField(b"", b"nothing"),
        HeaderField(b"b", b"b\t : 2"),
    ]
    assert header_fields(b"A: 1") == [HeaderField(b"a", b"A: 1")]
    assert header_fields(b"\r\n") == []


def test_names_take_fields_from_the_bottom() -> None:
    fields = header_fields(b"X: 1\r\nY: 2\r\nX: 3\r\nX: 4\r\n")
    assert [field.raw for field in chosen(fields, [b"x", b"y", b"none", b"x", b"y"])] == [b"X: 4", b"Y: 2", b"X: 3"]


@pytest.mark.parametrize(
    ("value", "emptied"),
    [
        (b" v=1; b=abc; d=x", b" v=1; b=; d=x"),
        (b" v=1; b = ab\r\n\tc ; bh=b=;", b" v=1; b =; bh=b=;"),
        (b"b=\r\n abc\r\n ", b"b="),
        (b" bh=abc; b=x", b" bh=abc; b="),
        (b" z=a b=c; v=1", b" z=a b=c; v=1"),
        (b" v=1;\r\n\tb\r\n\t=x;", b" v=1;\r\n\tb\r\n\t=;"),
    ],
)
def test_the_value_of_the_signature_goes_and_nothing_else(value: bytes, emptied: bytes) -> None:
    field = HeaderField(b"dkim-signature", b"DKIM-Signature:" + value)
    assert without_value(field).raw == b"DKIM-Signature:" + emptied


def test_a_signature_does_not_sign_itself_by_its_name() -> None:
    fields = header_fields(b"DKIM-Signature: b=1\r\nDKIM-Signature: b=2\r\nFrom: a\r\n")
    assert signed_header(fields, [b"dkim-signature", b"from"], fields[1], "relaxed") == b"dkim-signature:b=1\r\nfrom:a\r\ndkim-signature:b="


def test_a_body_is_hashed_once_for_all() -> None:
    mail = Mail(b"From: a\r\n\r\n", b"b  c\r\n")
    assert mail.canonical_body("relaxed") is mail.canonical_body("relaxed")
    assert mail.body_hash("relaxed", "sha256") is mail.body_hash("relaxed", "sha256")
    assert mail.body_hash("relaxed", "sha256", 1) == mail.body_hash("simple", "sha256", 1)
    assert mail.body_hash("relaxed", "sha256") != mail.body_hash("simple", "sha256")
