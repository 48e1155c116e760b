"""Addresses that are none: without a domain, or not even that, where the options let them through; and hanging up instead of 4xx."""

from __future__ import annotations

import pytest

from postwright.model.address import Address
from postwright.model.envelope import Notify
from postwright.model.reply import Reply
from postwright.wire.commands import parse_mail, parse_rcpt
from postwright.wire.events import MailFrom, RcptTo, Signal
from postwright.wire.options import ServerOptions
from postwright.wire.server import SmtpServer
from postwright.wire.server_states import State

BARE = ServerOptions(unqualified=True)
LENIENT = ServerOptions(bad_recipients=True)


def test_an_address_without_a_domain_is_left_to_the_caller() -> None:
    assert parse_mail("FROM:<user> SIZE=5", BARE) == MailFrom(Address("user", ""), size=5)
    assert parse_rcpt("TO:<user> NOTIFY=NEVER", BARE, False) == RcptTo(Address("user", ""), notify=int(Notify.NEVER))
    assert parse_rcpt("TO:<user@host>", BARE, False) == RcptTo(Address("user@host", "host"))


@pytest.mark.parametrize("line", ["TO:<us..er>", "TO:<a b>", "TO:<@b.example>", "TO:<a@b..example>", "TO:<>"])
def test_but_not_what_would_be_none_with_one(line: str) -> None:
    assert isinstance(parse_rcpt(line, BARE, False), Reply)


def test_neither_is_taken_by_default() -> None:
    for line in ("TO:<user>", "TO:<a..b@c.example>", "TO:<a b@c.example>"):
        assert isinstance(parse_rcpt(line, ServerOptions(), False), Reply)
    assert isinstance(parse_mail("FROM:<user>", ServerOptions()), Reply)


@pytest.mark.parametrize("text", ["a..b@c.example", "a b@c.example", "a@b..c", "user", "a@[1.2.3]", "l" * 70 + "@c.example", "@", "a@b@"])
def test_a_recipient_that_is_no_address_comes_with_its_refusal(text: str) -> None:
    found = parse_rcpt(f"TO:<{text}> NOTIFY=SUCCESS", LENIENT, False)
    assert isinstance(found, RcptTo)
    assert (found.address, found.notify) == (Address(text, ""), int(Notify.SUCCESS))
    assert found.invalid is not None
    assert (found.invalid.code, found.invalid.status) == (553, "5.1.3")


@pytest.mark.parametrize("argument", ["TO:<>", "TO:", "TO:<a\x01b>", "TO:<" + "l" * 255 + ">", "TO:<ü@c.example>", "TO:<a b> NOTIFY=X"])
def test_what_cannot_be_kept_is_refused_all_the_same(argument: str) -> None:
    assert isinstance(parse_rcpt(argument, LENIENT, False), Reply)


def test_a_good_address_is_good_with_any_options() -> None:
    options = ServerOptions(unqualified=True, bad_recipients=True)
    assert parse_rcpt("TO:<a@b.example>", options, False) == RcptTo(Address("a@b.example", "b.example"))
    assert parse_rcpt("TO:<a..b>", options, False) == RcptTo(
        Address("a..b", ""), invalid=Reply(553, "5.1.3", ("the address has no domain",))
    )


@pytest.mark.parametrize(("code", "said"), [(452, False), (250, True), (550, True)])
def test_hanging_up_where_a_transient_error_would_be_said(code: int, said: bool) -> None:
    server = SmtpServer(ServerOptions(hang_up=True))
    server.send_reply(Reply(220, "", ("hello",)))
    server.receive_data(b"EHLO me\r\nNOOP\r\n")
    server.next_event()
    server.send_reply(Reply(250, "", ("host",)))
    server.next_event()
    before = server.data_to_send()
    server.send_reply(Reply(code, "2.0.0", ("x",)))
    assert before.startswith(b"220 hello\r\n250 host")
    assert bool(server.data_to_send()) is said
    assert (server.state is State.CLOSED) is not said
    if not said:
        assert server.next_event() is Signal.CLOSED
