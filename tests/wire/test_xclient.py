"""XCLIENT by table: what a trusted client may say of the one it speaks for, when, and that nobody else knows the word."""

from __future__ import annotations

import pytest

from postwright.model.reply import Reply
from postwright.wire.events import XClient
from postwright.wire.options import ServerOptions
from postwright.wire.server import SmtpServer
from postwright.wire.server_states import State
from postwright.wire.xclient import read

TRUSTED = ServerOptions(xclient=True)
GREETING = Reply(220, "", ("mx.example",))
OK = Reply(250, "2.0.0", ("ok",))


@pytest.mark.parametrize(
    ("argument", "event"),
    [
        ("ADDR=203.0.113.9", XClient("203.0.113.9")),
        ("ADDR=203.0.113.9 PORT=4711 DESTADDR=192.0.2.1 DESTPORT=587", XClient("203.0.113.9", 4711, "192.0.2.1", 587)),
        ("ADDR=IPV6:2001:DB8::9 HELO=client.example", XClient("2001:db8::9", helo="client.example")),
        ("addr=ipv6:2001:db8::9", XClient("2001:db8::9")),
        ("ADDR=2001:db8::9", XClient("2001:db8::9")),
        ("ADDR=IPV6:::ffff:203.0.113.9", XClient("203.0.113.9")),
        ("NAME=client.example PROTO=ESMTP", XClient()),
        ("NAME=[UNAVAILABLE] ADDR=[TEMPUNAVAIL] PORT=[unavailable]", XClient()),
        ("LOGIN=anna+40example.com", XClient(login="anna@example.com")),
        ("LOGIN=a+2Bb  HELO=x", XClient(login="a+b", helo="x")),
    ],
)
def test_what_is_said(argument: str, event: XClient) -> None:
    assert read(argument, State.START) == read(argument, State.READY) == event


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("", "501 5.5.4 NAME=value"),
        ("ADDR", "501 5.5.4 NAME=value"),
        ("ADDR=203.0.113.9 ADDR=203.0.113.9", "501 5.5.4 NAME=value"),
        ("FOO=bar", "501 5.5.4 that attribute"),
        ("ADDR=", "501 5.5.4 that value"),
        ("ADDR=client.example", "501 5.5.4 that value"),
        ("ADDR=IPV6:fe80::1%eth0", "501 5.5.4 that value"),
        ("ADDR=203.0.113.9/8", "501 5.5.4 that value"),
        ("PORT=65536", "501 5.5.4 that value"),
        ("PORT=-1", "501 5.5.4 that value"),
        ("PORT=²", "501 5.5.4 that value"),
        ("PROTO=HTTP", "501 5.5.4 that value"),
        ("LOGIN=a+0D+0Ab", "501 5.5.4 that value"),
        ("LOGIN=a+zz", "501 5.5.4 that value"),
        ("HELO=" + "x" * 256, "501 5.5.4 that value"),
    ],
)
def test_what_is_refused(argument: str, words: str) -> None:
    found = read(argument, State.READY)
    assert isinstance(found, Reply)
    assert found.text.startswith(words)


@pytest.mark.parametrize("state", [State.MAIL, State.RCPT, State.CHUNKS])
def test_not_within_a_transaction(state: State) -> None:
    found = read("ADDR=203.0.113.9", state)
    assert isinstance(found, Reply)
    assert found.code == 503


def server(options: ServerOptions, said: bytes) -> SmtpServer:
    engine = SmtpServer(options)
    engine.send_reply(GREETING)
    engine.receive_data(said)
    return engine


def test_all_begins_anew() -> None:
    engine = server(TRUSTED, b"EHLO proxy.example\r\nXCLIENT ADDR=203.0.113.9\r\nMAIL FROM:<>\r\n")
    engine.next_event()
    engine.send_reply(OK)
    assert engine.next_event() == XClient("203.0.113.9")
    engine.send_reply(GREETING)
    assert (engine.state, engine.greeted_as) == (State.START, "")
    engine.next_event()
    engine.send_reply(engine.owed.reply)  # type: ignore[union-attr]
    assert engine.data_to_send().endswith(b"503 5.5.1 send HELO or EHLO first\r\n")


@pytest.mark.parametrize(("code", "state"), [(554, State.REFUSED), (521, State.CLOSED), (421, State.CLOSED)])
def test_the_answer_is_a_greeting(code: int, state: State) -> None:
    engine = server(TRUSTED, b"XCLIENT ADDR=203.0.113.9\r\n")
    engine.next_event()
    engine.send_reply(Reply(code, "", ("no",)))
    assert engine.state is state


def test_nobody_else_knows_the_word() -> None:
    assert not [line for line in ServerOptions().capabilities(False) if "XCLIENT" in line]
    assert "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT" in TRUSTED.capabilities(False)
    event = server(ServerOptions(), b"XCLIENT ADDR=203.0.113.9\r\n").next_event()
    assert event.reply.text == "500 5.5.2 command not recognized"  # type: ignore[union-attr]
