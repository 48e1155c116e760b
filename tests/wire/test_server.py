"""The engine's interface, its limits, and that no way of cutting the input makes a difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.address import Address
from postwright.model.reply import Reply
from postwright.wire import events
from postwright.wire.events import Signal
from postwright.wire.options import Limits, ServerOptions
from postwright.wire.server import SmtpServer
from postwright.wire.server_states import ALLOWED, State, out_of_order

Converse = Callable[..., Any]


def test_the_order_of_calls_is_the_callers_duty() -> None:
    engine = SmtpServer(ServerOptions())
    engine.receive_data(b"NOOP\r\n")
    assert engine.next_event() is Signal.PAUSED  # the greeting is owed
    engine.send_reply(Reply(220, "", ("hello",)))
    assert engine.data_to_send() == b"220 hello\r\n"
    assert engine.data_to_send() == b""
    with pytest.raises(RuntimeError, match="no reply is owed"):
        engine.send_reply(Reply(250, "", ("x",)))
    event = engine.next_event()
    assert isinstance(event, events.Noop)
    assert engine.owed is event
    assert engine.next_event() is Signal.PAUSED
    engine.send_reply(Reply(250, "", ("ok",)))
    assert engine.next_event() is Signal.NEED_DATA
    with pytest.raises(RuntimeError, match="STARTTLS"):
        engine.tls_started()


def test_parameters_become_typed_values(converse: Converse) -> None:
    conversation = converse(ServerOptions(auth=("PLAIN",)))
    conversation.begin(
        b"MAIL FROM:<Anna@Example.COM> SIZE=100 BODY=8bitmime RET=hdrs ENVID=a+2Bb+3D SMTPUTF8 AUTH=x+3Dy@example.com",
        b"RCPT TO:<b@example.org> NOTIFY=success,DELAY ORCPT=rfc822;B+20b@example.org",
    )
    _, mail, rcpt = conversation.events
    assert mail == events.MailFrom(Address("Anna@Example.COM", "example.com"), 100, "8BITMIME", "HDRS", "a+b=", True, "x=y@example.com")
    assert rcpt == events.RcptTo(Address("b@example.org", "example.org"), 2 | 8, "rfc822;B b@example.org")


@pytest.mark.parametrize(
    ("parameter", "orcpt"),
    [
        (b"ORCPT=rfc822;a+2Bb@example.org", "rfc822;a+b@example.org"),
        (b"ORCPT=utf-8;\\x{20AC}@example.org", "utf-8;\u20ac@example.org"),
        ("ORCPT=utf-8;\u20ac@example.org".encode(), "utf-8;\u20ac@example.org"),
        (b"ORCPT=x400;c+3Dde", "x400;c=de"),
    ],
)
def test_original_recipients(parameter: bytes, orcpt: str, converse: Converse) -> None:
    conversation = converse()
    conversation.begin(rcpt=b"RCPT TO:<b@example.org> " + parameter)
    assert conversation.events[-1].orcpt == orcpt


def test_non_ascii_original_recipients_need_smtputf8(converse: Converse) -> None:
    conversation = converse(ServerOptions(smtputf8=False))
    conversation.begin()
    assert conversation.codes("RCPT TO:<b@example.org> ORCPT=utf-8;ü@example.org\r\n".encode()) == [501]


def test_secrets_are_not_in_reprs() -> None:
    assert "secret" not in repr(events.Auth("PLAIN", b"\0anna\0secret"))
    assert "without" not in repr(events.Auth("PLAIN"))
    assert "secret" not in repr(events.AuthResponse(b"secret"))


# content -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...\r\n.\r\n", b"..\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"a\r\n..\r\n..\r\n.\r\n", b"a\r\n.\r\n.\r\n"),
        (b"a.\r\n.\r\n", b"a.\r\n"),
        (b"Subject: x\r\n\r\nbody\r\n.\r\n", b"Subject: x\r\n\r\nbody\r\n"),
    ],
)
@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 100])
def test_the_end_of_data_and_leading_dots(sent: bytes, content: bytes, cut: int, converse: Converse) -> None:
    conversation = converse()
    conversation.begin()
    conversation.say(b"DATA\r\n")
    answers = b"".join([conversation.say(sent[at : at + cut]) for at in range(0, len(sent), cut)])
    assert answers.startswith(b"250 ")
    assert conversation.contents() == [content]
    assert conversation.events[-1].facts.size == len(content)


def test_text_by_bdat_gets_its_last_line_end(converse: Converse) -> None:
    conversation = converse()
    conversation.begin()
    assert conversation.codes(b"BDAT 2\r\n.aBDAT 1 LAST\r\nb") == [250, 250]
    assert conversation.contents() == [b".ab\r\n"]
    assert conversation.events[-1].facts.dots


def test_eight_bit_content_is_tolerated_and_noted(converse: Converse) -> None:
    conversation = converse()
    conversation.begin()
    conversation.say(b"DATA\r\nSubject: \xc3\xbc\r\n\r\n\xff\r\n.\r\n")
    facts = conversation.events[-1].facts
    assert (facts.eight_bit, facts.utf8_headers, facts.binary) == (True, True, False)


# limits --------------------------------------------------------------------------------------------------------------


def data(conversation: Any, content: bytes) -> list[int]:
    conversation.begin()
    found: list[int] = conversation.codes(b"DATA\r\n" + content + b".\r\n")[1:]
    return found


@pytest.mark.parametrize(("size", "code"), [(98, 250), (100, 250), (101, 552), (200, 552), (500, 552)])
def test_message_size(size: int, code: int, converse: Converse) -> None:
    conversation = converse(ServerOptions(limits=Limits(message_size=100)))
    assert data(conversation, b"x" * (size - 2) + b"\r\n") == [code]
    assert conversation.codes(b"NOOP\r\n") == [250]


def test_stuffed_dots_do_not_count(converse: Converse) -> None:
    conversation = converse(ServerOptions(limits=Limits(message_size=99)))
    assert data(conversation, b"..\r\n" * 33) == [250]
    assert data(conversation, b"..\r\n" * 34) == [552]


def test_over_size_content_is_not_kept(converse: Converse) -> None:
    conversation = converse(ServerOptions(limits=Limits(message_size=1000)))
    conversation.begin()
    conversation.say(b"DATA\r\n")
    for _ in range(1000):
        conversation.say(b"x" * 998 + b"\r\n")
    assert sum(map(len, conversation.engine._dots._parts)) <= 1505
    assert conversation.codes(b".\r\nNOOP\r\n") == [552, 250]


@pytest.mark.parametrize(("length", "code"), [(998, 250), (999, 500), (1000, 500), (1001, 500), (5000, 500)])
@pytest.mark.parametrize("before", [b"", b"a\r\n" * 700])
def test_text_lines(length: int, code: int, before: bytes, converse: Converse) -> None:
    assert data(converse(), before + b"x" * length + b"\r\n") == [code]


def test_long_text_lines_when_allowed(converse: Converse) -> None:
    conversation = converse(ServerOptions(limits=Limits(text_line=None)))
    assert data(conversation, b"x" * 5000 + b"\r\n") == [250]
    assert conversation.events[-1].facts.longest_line == 5000
    conversation = converse(ServerOptions(limits=Limits(text_line=2000)))
    assert data(conversation, b"x" * 2000 + b"\r\n") == [250]
    assert data(conversation, b"x" * 2001 + b"\r\n") == [500]


def test_hops(converse: Converse) -> None:
    conversation = converse(ServerOptions(limits=Limits(hops=3)))
    assert data(conversation, b"Received: x\r\n" * 3 + b"\r\nReceived: body\r\n") == [250]
    assert data(conversation, b"received: x\r\n" * 4 + b"\r\n") == [554]


def test_recipients(converse: Converse) -> None:
    conversation = converse(ServerOptions(limits=Limits(recipients=2)))
    conversation.begin()
    rcpt = b"RCPT TO:<b@example.org>\r\n"
    assert conversation.codes(b"RCPT TO:<nobody@example.org>\r\n" + rcpt + rcpt) == [550, 250, 452]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"NOOP " + b"x" * 505, 250),
        (b"NOOP " + b"x" * 506, 500),
        (b"x" * 600, 500),
        (b"x" * 100_000, 500),
        (b"MAIL FROM:<a@example.com> ENVID=" + b"x" * 100 + b" " * 950, 250),
        (b"MAIL FROM:<a@example.com> ENVID=" + b"x" * 100 + b" " * 1150, 500),
        (b"AUTH PLAIN " + b"A" * 12000, 501),
        (b"AUTH PLAIN " + b"A" * 12288, 500),
    ],
)
@pytest.mark.parametrize("cut", [7, 4096, 1_000_000])
def test_command_lines(line: bytes, code: int, cut: int, converse: Converse) -> None:
    conversation = converse(ServerOptions(auth=("PLAIN",)))
    conversation.codes(b"HELO x\r\n")
    octets = line + b"\r\nQUIT\r\n"
    codes = [code for at in range(0, len(octets), cut) for code in conversation.codes(octets[at : at + cut])]
    assert codes == [code, 221]


def test_an_endless_line_is_not_kept(converse: Converse) -> None:
    conversation = converse()
    for _ in range(100):
        conversation.say(b"x" * 10_000)
        assert len(conversation.engine._lines) <= 12288 + 1


def test_an_auth_response_too_long_ends_the_dialogue(converse: Converse) -> None:
    conversation = converse(ServerOptions(auth=("LOGIN",)))
    assert conversation.codes(b"HELO x\r\nAUTH LOGIN\r\n" + b"A" * 12289 + b"\r\nNOOP\r\n") == [250, 334, 500, 250]
    assert conversation.say(b"AUTH PLAIN " + b"A" * 12288 + b"\r\n") == b"500 5.5.6 authentication exchange line is too long\r\n"


def test_errors(converse: Converse) -> None:
    conversation = converse(ServerOptions(limits=Limits(errors=3)))
    assert conversation.codes(b"X\r\n" * 3) == [500] * 3
    assert conversation.codes(b"X\r\nNOOP\r\n") == [421]
    assert conversation.engine.next_event() is Signal.CLOSED
    assert conversation.say(b"NOOP\r\n") == b""


def test_refused_recipients_are_no_errors_and_a_message_forgives(converse: Converse) -> None:
    conversation = converse(ServerOptions(limits=Limits(errors=3, junk=3)))
    conversation.begin()
    assert set(conversation.codes(b"RCPT TO:<nobody@example.org>\r\n" * 50)) == {550}
    for _ in range(5):
        assert conversation.codes(b"X\r\nX\r\nNOOP\r\n") == [500, 500, 250]
        conversation.begin()
        assert conversation.codes(b"DATA\r\n.\r\n") == [354, 250]


def test_commands_that_bring_no_mail(converse: Converse) -> None:
    conversation = converse(ServerOptions(limits=Limits(junk=5)))
    assert conversation.codes(b"HELO x\r\nNOOP\r\nRSET\r\nVRFY x\r\nHELP\r\nNOOP\r\nNOOP\r\n") == [250] * 5 + [421]


# beside the four calls -----------------------------------------------------------------------------------------------


def test_starttls_drops_what_comes_before_the_handshake(converse: Converse) -> None:
    conversation = converse(ServerOptions(starttls=True))
    assert conversation.codes(b"EHLO x\r\nSTARTTLS\r\nMAIL FROM:<evil@example.com>\r\n") == [250, 220]
    assert conversation.say(b"NOOP\r\n") == b""
    assert conversation.engine.dropped == len(b"MAIL FROM:<evil@example.com>\r\nNOOP\r\n")
    conversation.engine.tls_started()
    assert conversation.codes(b"EHLO x\r\n") == [250]


def test_a_refused_starttls_drops_nothing() -> None:
    engine = SmtpServer(ServerOptions(starttls=True))
    engine.send_reply(Reply(220, "", ("x",)))
    engine.receive_data(b"STARTTLS\r\nNOOP\r\n")
    assert isinstance(engine.next_event(), events.StartTls)
    engine.send_reply(Reply(454, "4.7.0", ("not now",)))
    assert isinstance(engine.next_event(), events.Noop)


def test_a_refused_data_keeps_the_transaction() -> None:
    engine = SmtpServer(ServerOptions())
    engine.send_reply(Reply(220, "", ("x",)))
    engine.receive_data(b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.com>\r\nDATA\r\nDATA\r\n")
    for reply in [Reply(250, "", ("x",))] * 3 + [Reply(451, "", ("x",))]:
        engine.next_event()
        engine.send_reply(reply)
    assert engine.in_transaction
    assert isinstance(engine.next_event(), events.DataStart)


def test_a_refused_helo_does_not_greet() -> None:
    engine = SmtpServer(ServerOptions())
    engine.send_reply(Reply(220, "", ("x",)))
    engine.receive_data(b"HELO x\r\nMAIL FROM:<>\r\n")
    engine.next_event()
    engine.send_reply(Reply(550, "", ("x",)))
    assert isinstance(engine.next_event(), events.Rejected)


def test_goodbye_in_the_middle_of_things(converse: Converse) -> None:
    conversation = converse()
    conversation.begin()
    conversation.say(b"BDAT 100\r\nabc")
    conversation.engine.say_goodbye(Reply(421, "4.4.2", ("time",)))
    assert conversation.engine.data_to_send() == b"421 4.4.2 time\r\n"
    assert conversation.say(b"x" * 200) == b""


def test_the_state_table_answers_every_verb_in_every_state() -> None:
    for verb, allowed in ALLOWED.items():
        for state in State:
            if state not in allowed:
                assert out_of_order(verb, state).code == 503


# however it is cut ---------------------------------------------------------------------------------------------------

PIECES = [
    b"EHLO x\r\n",
    b"HELO x\r\n",
    b"MAIL FROM:<a@example.com>\r\n",
    b"MAIL FROM:<a@example.com> BODY=BINARYMIME\r\n",
    b"RCPT TO:<b@example.org>\r\n",
    b"RCPT TO:<nobody@example.org>\r\n",
    b"DATA\r\n",
    b"BDAT 5\r\n",
    b"BDAT 3 LAST\r\n",
    b"BDAT x\r\n",
    b"RSET\r\n",
    b"NOOP\n",
    b"AUTH LOGIN\r\n",
    b"AUTH PLAIN AGFubmEAc2VjcmV0\r\n",
    b"c2VjcmV0\r\n",
    b"QUIT\r\n",
    b"x" * 600 + b"\r\n",
    b"x" * 15000,
    b"\r\n.\r\n",
    b".\r\n",
    b"..\r\n",
    b"\r",
    b"\n",
    b".",
    b"\0",
    b"text\r\n",
    b"y" * 70,
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=30),
    st.lists(st.integers(1, 40), min_size=1, max_size=50),
    st.sampled_from(["refuse", "repair"]),
    st.sampled_from([None, 64]),
)
def test_any_cutting_gives_the_same_events(pieces: list[bytes], cuts: list[int], bare: str, size: int | None) -> None:
    octets = b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n" + b"".join(pieces)
    options = ServerOptions(auth=("PLAIN", "LOGIN"), bare=bare, limits=Limits(message_size=size, errors=8))

    def run(parts: list[bytes]) -> tuple[list[events.Event], bytes]:
        engine = SmtpServer(options)
        engine.send_reply(Reply(220, "", ("x",)))
        said = []
        for part in parts:
            engine.receive_data(part)
            while not isinstance(event := engine.next_event(), Signal):
                said.append(event)
                engine.send_reply(answer(event))
        return said, engine.data_to_send()

    parts: list[bytes] = []
    at = 0
    while at < len(octets):
        parts.append(octets[at : at + cuts[len(parts) % len(cuts)]])
        at += len(parts[-1])
    assert run(parts) == run([octets])


def answer(event: events.Event) -> Reply:
    match event:
        case events.Rejected():
            return event.reply
        case events.DataStart():
            return Reply(354, "", ("go",))
        case events.Auth(initial=None):
            return Reply(334, "", ("",))
        case events.Auth() | events.AuthResponse():
            return Reply(235, "", ("yes",))
        case events.RcptTo() if event.address.text.startswith("nobody"):
            return Reply(550, "", ("no",))
    return Reply(250, "", ("ok",))


def test_who_has_logged_in_may_say_auth_though_it_is_offered_no_more(converse: Converse) -> None:
    talk = converse(ServerOptions(auth=("PLAIN",)))
    assert talk.codes(b"EHLO x\r\nAUTH PLAIN AGFubmEAc2VjcmV0\r\n") == [250, 235]
    talk.engine.options = ServerOptions()  # as an owner does for whom a login changes what is offered
    assert talk.codes(b"MAIL FROM:<a@example.com> AUTH=<>\r\n") == [250]
    stranger = converse(ServerOptions())
    assert stranger.codes(b"EHLO x\r\nMAIL FROM:<a@example.com> AUTH=<>\r\n") == [250, 555]
