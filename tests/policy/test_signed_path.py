"""The signed return path: what proves that a report is about mail of ours, and everything that does not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.address import Address, parse_mailbox
from postwright.model.message import IdMaker
from postwright.policy.signed_path import FRESH, message_key, signed, verified

SECRET, NOW = b"s" * 32, 1_700_000_000.0
YOU = parse_mailbox("You.There@Example.com")
MESSAGE = IdMaker(3).next(NOW)
PATH = signed("back.example", MESSAGE, message_key(SECRET, MESSAGE), YOU).text


def proof(path: str = PATH, *named: str, secret: bytes = SECRET, at: float = NOW) -> str:
    found = verified(secret, path, named or (YOU.text,), at)
    return "" if found is None else found.text


def test_the_path_is_an_address_that_every_host_takes() -> None:
    assert re.fullmatch(r"rp-[0-9a-z]{13}-[a-z2-7]{16}@back\.example", PATH)
    assert parse_mailbox(PATH).local == PATH.partition("@")[0]


@pytest.mark.parametrize("path", [PATH, PATH.upper(), PATH.title(), PATH.replace("back.example", "elsewhere.example")])
def test_case_and_domain_prove_nothing_and_spoil_nothing(path: str) -> None:
    assert proof(path) == YOU.text


@pytest.mark.parametrize("named", [("you.there@EXAMPLE.com",), ("x@y.example", "<You.There@example.com>"), ("", "no address", YOU.text)])
def test_the_recipient_is_found_among_what_the_report_names(named: tuple[str, ...]) -> None:
    assert proof(PATH, *named).lower() == YOU.text.lower()


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (PATH, "other@example.com"),
        (PATH, "you.there@example.net"),
        (PATH.replace("-", "_"), YOU.text),
        (PATH[1:], YOU.text),
        ("x" + PATH, YOU.text),
        ("back@back.example", YOU.text),
        ("", YOU.text),
        ("rp--@back.example", YOU.text),
        ("rp-zzzzzzzzzzzzz-aaaaaaaaaaaaaaaa@back.example", YOU.text),
        ("rp-uuuuuuuuuuuuu-aaaaaaaaaaaaaaaa@back.example", YOU.text),
    ],
)
def test_what_is_forged(path: str, named: str) -> None:
    assert proof(path, named) == ""


def test_another_message_another_secret_another_time() -> None:
    other = IdMaker(3).next(NOW + 1)
    swapped = PATH.replace(PATH[3:16], signed("b.example", other, b"", YOU).text[3:16])
    assert swapped != PATH
    assert proof(swapped) == ""
    assert proof(secret=b"t" * 32) == ""
    assert proof(at=NOW + FRESH - 1) == YOU.text
    assert proof(at=NOW + FRESH + 1) == ""
    assert proof(at=NOW - 2 * 86400) == ""


def test_every_octet_of_the_token_counts() -> None:
    for at in range(3, 33):
        if PATH[at] != "-":
            changed = PATH[:at] + ("a" if PATH[at] != "a" else "b") + PATH[at + 1 :]
            assert proof(changed) == "", at


def test_recipients_of_one_message_have_paths_of_their_own() -> None:
    key = message_key(SECRET, MESSAGE)
    paths = {signed("b.example", MESSAGE, key, Address(f"u{n}@x.example", "x.example")).text for n in range(100)}
    assert len(paths) == 100


@given(st.text(max_size=60), st.text(max_size=60))
def test_anything_at_all_has_an_answer(path: str, named: str) -> None:
    assert verified(SECRET, path, (named,), NOW) is None
