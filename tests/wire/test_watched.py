"""The engine that is looked at: it answers as the other does, and shows no secret."""

from __future__ import annotations

import pytest

from postwright.model.reply import Reply
from postwright.wire import events
from postwright.wire.events import Signal
from postwright.wire.options import ServerOptions
from postwright.wire.watched import WatchedServer, without_challenges, without_secrets


class Notes:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []

    def heard(self, line: bytes) -> None:
        self.told.append((">>>", line))

    def content(self, data: bytes) -> None:
        self.told.append(("...", data))

    def said(self, data: bytes) -> None:
        self.told.append(("<<<", data))


@pytest.mark.parametrize(
    ("line", "in_dialogue", "shown"),
    [
        (b"AUTH PLAIN AGEAYg==\r\n", False, b"AUTH PLAIN (hidden)\r\n"),
        (b"auth  plain\tAGEAYg== x\r\n", False, b"auth plain (hidden)\r\n"),
        (b"AUTH LOGIN\r\n", False, b"AUTH LOGIN\r\n"),
        (b"X-EXPS NTLM TlRM\r\n", False, b"X-EXPS NTLM (hidden)\r\n"),
        (b"c2VjcmV0\r\n", True, b"(hidden)\r\n"),
        (b"*\r\n", True, b"*\r\n"),
        (b"QUIT\r\n", True, b"(hidden)\r\n"),
        (b"c2VjcmV0\r\n", False, b"(no command; hidden)\r\n"),
        (b"PASS secret\n", False, b"(no command; hidden)\n"),
        (b"\xff\xfe\r\n", False, b"(no command; hidden)\r\n"),
        (b"\r\n", False, b"\r\n"),
        (b"mail FROM:<a@example.com> AUTH=<>\r\n", False, b"mail FROM:<a@example.com> AUTH=<>\r\n"),
    ],
)
def test_what_is_shown_of_a_line(line: bytes, in_dialogue: bool, shown: bytes) -> None:
    assert without_secrets(line, in_dialogue) == shown


def test_challenges_are_hidden_and_other_replies_are_not() -> None:
    said = b"250-334 beds\r\n250 ok\r\n334 PDEyMzQ+\r\n334 \r\n535 5.7.8 no 334\r\n"
    assert without_challenges(said) == b"250-334 beds\r\n250 ok\r\n334 (hidden)\r\n334 \r\n535 5.7.8 no 334\r\n"


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_everything_is_shown_once_and_in_order(cut: int) -> None:
    notes = Notes()
    engine = WatchedServer(ServerOptions(auth=("PLAIN",)), notes)
    engine.send_reply(Reply(220, "", ("hello",)))
    engine.data_to_send()
    data = b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\na\r\n..b\r\n.\r\nAUTH PLAIN AGEAYg==\r\n"
    data += b"MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nBDAT 5\r\nnine\nBDAT 3 LAST\r\nxyzQUIT\r\n"
    for at in range(0, len(data), cut):
        engine.receive_data(data[at : at + cut])
        while not isinstance(event := engine.next_event(), Signal):
            match event:
                case events.DataStart():
                    engine.send_reply(Reply(354, "", ("go on",)))
                case events.Auth():
                    engine.send_reply(Reply(535, "5.7.8", ("no",)))
                case _:
                    engine.send_reply(Reply(250, "2.0.0", ("ok",)))
        engine.data_to_send()
    seen = b"".join(octets for way, octets in notes.told if way != "<<<")
    assert seen == data.replace(b"AGEAYg==", b"(hidden)")
    assert b"".join(octets for way, octets in notes.told if way == "...") == b"a\r\n..b\r\n.\r\nnine\nxyz"
    assert b"535 5.7.8 no" in b"".join(octets for way, octets in notes.told if way == "<<<")
