"""Chains of ARC that we sealed before verifiers that other people wrote, and theirs before ours: dkimpy, Mail::DKIM, mailauth.

Each message is as hard on blanks, folds and ends as SMTP lets one be, and goes through three relays: of them all, or of theirs and ours in
turn. Thirty messages in an ordinary run, a thousand in a soak.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dkim
import pytest
from tests.content.dkim_mails import message
from tests.content.test_dkim_verify import mail_of
from tests.interop import dkim_peers
from tests.interop.test_dkim_peers import KEYS, NOW, ZONE, arrived, key_file

from postwright.content.arc import ArcVerdict, judge, read
from postwright.content.arc_seal import seal, signed_names
from postwright.content.dkim_sign import Style
from postwright.content.dkim_verify import Answer

COUNTS = [30, pytest.param(1000, marks=pytest.mark.soak)]
HOST = "us.example"


def judged(content: bytes) -> ArcVerdict:
    mail = mail_of(content)
    chain = read(mail)
    names = chain.key_names if chain is not None else []
    return judge(mail, chain, {name: Answer((ZONE[name],)) for name in names})


def told(content: bytes) -> bytes:
    """As we take it in: with our results before it."""
    return f"Authentication-Results: {HOST};\r\n\tspf=pass smtp.mailfrom=a.example; arc={judged(content).state}\r\n".encode() + content


def sealed(content: bytes) -> bytes:
    mail = mail_of(content)
    return seal(mail, read(mail), judged(content), KEYS["r"], "r", "a.example", HOST, signed_names(mail, Style()), NOW) + content


def hop(number: int) -> bytes:
    """A message with one set of ours; every third was changed on its way to us, when it had one already."""
    content = sealed(told(arrived(message(number))))
    if number % 3 == 0:
        return content
    return sealed(told(content.replace(b"\r\n\r\n", b"\r\n\r\nmore\r\n", 1) if number % 3 == 1 else content))


def expected(number: int) -> str:
    return "fail" if number % 3 == 1 else "pass"


@pytest.mark.parametrize("count", COUNTS)
def test_dkimpy_follows_our_chains(count: int) -> None:
    for number in range(count):
        found, _, why = dkim.arc_verify(hop(number), dnsfunc=lambda name, timeout=5: ZONE.get(name.decode().rstrip(".")))
        theirs = "fail" if found is None else found.decode()  # None: it stopped at a signature that does not hold
        assert theirs == judged(hop(number)).state == expected(number), (number, why)


@pytest.mark.needs("mail-dkim")
@pytest.mark.parametrize("count", COUNTS)
def test_mail_dkim_follows_our_chains(count: int, tmp_path: Path, needs: Callable[[str], Path]) -> None:
    found = dkim_peers.mail_dkim_chains(str(needs("mail-dkim")), [hop(number) for number in range(count)], ZONE, tmp_path)
    assert [(number, said) for number, said in enumerate(found) if not said.startswith(expected(number))] == []


@pytest.mark.needs("mail-dkim")
@pytest.mark.parametrize("count", COUNTS)
def test_chains_of_theirs_and_ours_in_turn(count: int, tmp_path: Path, needs: Callable[[str], Path]) -> None:
    program, key = str(needs("mail-dkim")), key_file(tmp_path)
    contents = [arrived(message(number)) for number in range(count)]
    for turn in range(3):
        contents = [told(content) for content in contents]
        if turn == 1:
            contents = [sealed(content) for content in contents]
        else:
            sets = dkim_peers.mail_dkim_seals(program, contents, "r", "a.example", key, HOST, tmp_path)
            contents = [made + content for made, content in zip(sets, contents, strict=True)]
        assert [(number, judged(content).reason) for number, content in enumerate(contents) if judged(content).state != "pass"] == []
    assert all(content.count(b"ARC-Seal:") == 3 for content in contents)
    found = dkim_peers.mail_dkim_chains(program, contents, ZONE, tmp_path)
    assert [(number, said) for number, said in enumerate(found) if not said.startswith("pass")] == []


@pytest.mark.needs("mailauth")
@pytest.mark.parametrize("count", COUNTS)
def test_mailauth_follows_our_chains_and_we_its(count: int, tmp_path: Path, needs: Callable[[str], Path]) -> None:
    program, key = str(needs("mailauth")), key_file(tmp_path)
    contents = [hop(number) for number in range(count)]
    found = dkim_peers.mailauth_sees(program, contents, ZONE, tmp_path)
    assert [(number, state) for number, (_, state) in enumerate(found) if state != expected(number)] == []
    whole = [content for number, content in enumerate(contents) if expected(number) == "pass"]
    sets = dkim_peers.mailauth_seals(program, whole, "r", "a.example", key, f"{HOST}; arc=pass", "pass", tmp_path)
    states = [judged(made + content) for made, content in zip(sets, whole, strict=True)]
    assert [(number, verdict.reason) for number, verdict in enumerate(states) if verdict.state != "pass"] == []
