"""The signed return path: what proves that a report is about mail of ours, and everything that does not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.address import Address, parse_mailbox
from postwright.model.message import IdMaker
from postwright.model.suppression import scopes_of, short_name
from postwright.policy.signed_path import FRESH, Proof, message_key, scope_of, signed, verified

SECRET, NOW = b"s" * 32, 1_700_000_000.0
YOU = parse_mailbox("You.There@Example.com")
MESSAGE = IdMaker(3).next(NOW)
PATH = signed("back.example", MESSAGE, message_key(SECRET, MESSAGE), YOU).text


def proof(path: str = PATH, *named: str, secret: bytes = SECRET, at: float = NOW) -> str:
    found = verified(secret, path, named or (YOU.text,), at)
    return "" if found is None else found.address.text


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


@pytest.mark.parametrize(
    ("kind", "user", "job", "said"),
    [
        ("user", "ann", "j1", Proof(YOU, user="ann")),
        ("job", "ann", "j1", Proof(YOU, job="j1")),
        ("user", "jörg-ärgerlich-x", "", Proof(YOU, user=short_name("jörg-ärgerlich-x"))),
        ("user", "somebody.with.a.long.name@example.com", "", Proof(YOU, user=short_name("somebody.with.a.long.name@example.com"))),
        ("job", "ann", "~tilde", Proof(YOU, job=short_name("~tilde"))),
        ("job", "ann", "", Proof(YOU)),
        ("", "ann", "j1", Proof(YOU)),
    ],
)
def test_whose_mail_it_was(kind: str, user: str, job: str, said: Proof) -> None:
    key = message_key(SECRET, MESSAGE)
    path = signed("back.example", MESSAGE, key, YOU, scope_of(kind, user, job)).text
    local = path.partition("@")[0]
    assert len(local) <= 64
    assert verified(SECRET, path.upper(), (YOU.text,), NOW) == said
    assert "ann" not in local.partition("-")[2]
    for at in range(34, len(local)):
        changed = local[:at] + ("a" if local[at] != "a" else "q") + local[at + 1 :]
        # the last character may hold bits that are none
        assert verified(SECRET, changed + "@b.example", (YOU.text,), NOW) in ((None, said) if at == len(local) - 1 else (None,)), at
    if len(local) > 33:
        assert verified(SECRET, local[:33] + "@b.example", (YOU.text,), NOW) is None, "not everybody's, if somebody cuts it off"


def test_a_short_name_is_looked_up_beside_the_whole_one() -> None:
    long = "somebody.with.a.long.name@example.com"
    assert scopes_of("ann", "") == ["", "user:ann"]
    assert scopes_of(long, "") == ["", f"user:{long}", f"user:{short_name(long)}"]
    assert len(short_name("ü" * 9).encode()) == 17
    assert short_name("~x") != "~x", "nobody can call himself somebody else's digest"


@given(st.text(max_size=60), st.text(max_size=60))
def test_anything_at_all_has_an_answer(path: str, named: str) -> None:
    assert verified(SECRET, path, (named,), NOW) is None
