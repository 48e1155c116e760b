"""Test messages as they are written: what a CMS might ask for, and what cannot be one. And which mechanism a login takes."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import cast

import pytest

from postwright.engine.trial_login import choose
from postwright.engine.trial_message import Draft, MessageError, compose
from postwright.model.address import Address, parse_mailbox
from postwright.net.talk import Broken
from postwright.wire.client_choice import CLEAR_PASSWORD, NO_AUTH, NO_MECHANISM
from postwright.wire.client_mechanisms import ClientLogin

JOE, ANN = parse_mailbox("joe@shop.example"), parse_mailbox("ann@far.example")


def read(draft: Draft) -> EmailMessage:
    content = compose(draft).content
    assert content.isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")
    return cast(EmailMessage, email.message_from_bytes(content, policy=email.policy.default))


def test_the_least() -> None:
    message = read(Draft(JOE, (ANN,)))
    assert (message["From"], message["To"], message["Subject"]) == ("joe@shop.example", "ann@far.example", "Test message of Postwright")
    assert message["Message-ID"].endswith("@shop.example>")
    assert message["Date"] is not None
    assert message.get_content().splitlines() == ["This is a test message."]


def test_html_alone_and_beside_text() -> None:
    assert read(Draft(JOE, (ANN,), html="<p>hi</p>")).get_content_type() == "text/html"
    both = read(Draft(JOE, (ANN,), text="hi", html="<p>hi</p>"))
    assert [part.get_content_type() for part in both.iter_parts()] == ["text/plain", "text/html"]


def test_attachments_of_all_kinds(tmp_path: Path) -> None:
    files = {"a.txt": "text/plain", "b.png": "image/png", "c.eml": "application/octet-stream", "d.csv.gz": "application/octet-stream"}
    for name in files:
        (tmp_path / name).write_bytes(b"\x00\xff")
    message = read(Draft(JOE, (ANN,), attachments=tuple([tmp_path / name for name in files])))
    assert {part.get_filename(): part.get_content_type() for part in message.iter_attachments()} == files
    assert all(part.get_payload(decode=True) == b"\x00\xff" for part in message.iter_attachments())


def test_senders_of_odd_domains() -> None:
    literal = compose(Draft(parse_mailbox("joe@[127.0.0.1]"), (ANN,)))
    assert literal.message_id.endswith("@localhost>")
    umlaut = read(Draft(parse_mailbox("joe@bücher.example", smtputf8=True), (ANN,)))
    assert umlaut["From"] == "joe@xn--bcher-kva.example"


WRONG = {
    "a line end": Draft(JOE, (ANN,), sender_name="a\r\nBcc: x"),
    "no domain": Draft(Address("postmaster", ""), (ANN,)),
    "a file that is not there": Draft(JOE, (ANN,), attachments=(Path("/nonexistent/file"),)),
    "a field of ours": Draft(JOE, (ANN,), headers=(("subject", "x"),)),
    "a line end in a header": Draft(JOE, (ANN,), headers=(("X", "a\nb"),)),
}


@pytest.mark.parametrize("draft", WRONG.values(), ids=WRONG)
def test_what_is_no_message(draft: Draft) -> None:
    with pytest.raises(MessageError):
        compose(draft)


# mechanisms ------------------------------------------------------------------------------------------------------------

BOUND = ("tls-exporter", b"x")
PASSWORD, TOKEN = ClientLogin("joe", "secret"), ClientLogin("joe", token="t")
ALL = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "XOAUTH2", "OAUTHBEARER", "EXTERNAL", "NTLM")
CHOICES: list[tuple[Sequence[str], str, ClientLogin, bool, str]] = [
    (ALL, "", PASSWORD, True, "SCRAM-SHA-256"),
    (ALL, "", ClientLogin("joe", "secret", binding=BOUND), True, "SCRAM-SHA-256-PLUS"),
    (ALL, "", TOKEN, True, "OAUTHBEARER"),
    (("XOAUTH2",), "", TOKEN, True, "XOAUTH2"),
    (ALL, "LOGIN", PASSWORD, True, "LOGIN"),
    (("PLAIN", "LOGIN", "CRAM-MD5"), "", PASSWORD, True, "PLAIN"),
    (("PLAIN", "LOGIN", "CRAM-MD5"), "", PASSWORD, False, "CRAM-MD5"),
    (("PLAIN",), "", PASSWORD, False, CLEAR_PASSWORD),
    (("XOAUTH2",), "", TOKEN, False, CLEAR_PASSWORD),
    (("NTLM",), "", PASSWORD, True, NO_MECHANISM),
    (("PLAIN",), "LOGIN", PASSWORD, True, NO_MECHANISM),
    (("SCRAM-SHA-256-PLUS",), "", PASSWORD, True, NO_MECHANISM),
    ((), "", PASSWORD, True, NO_AUTH),
]


@pytest.mark.parametrize(("offered", "wanted", "login", "clear", "found"), CHOICES)
def test_choice(offered: Sequence[str], wanted: str, login: ClientLogin, clear: bool, found: str) -> None:
    try:
        chosen = choose(offered, wanted, login, certificate=False, may_be_clear=clear)
    except Broken as broken:
        chosen = broken.failure.detail
    assert chosen == found


def test_a_certificate_speaks_for_itself() -> None:
    assert choose(ALL, "", ClientLogin("joe"), certificate=True, may_be_clear=True) == "EXTERNAL"
