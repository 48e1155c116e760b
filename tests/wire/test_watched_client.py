"""The client engine that is looked at: it says what the other says, and shows no secret."""

from __future__ import annotations

import pytest
from tests.wire.test_client import transaction

from postwright.model.route import Login, SessionOptions, TlsLevel
from postwright.wire.client import SmtpClient
from postwright.wire.client_login import LoginAttempt
from postwright.wire.watched_client import WatchedClient

PASSWORD = "s3cret pass"


class Notes:
    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []

    def said(self, line: bytes) -> None:
        self.told.append(("said", line))

    def content(self, data: bytes) -> None:
        self.told.append(("content", data))

    def heard(self, line: bytes) -> None:
        self.told.append(("heard", line))

    def of(self, way: str) -> bytes:
        return b"".join(octets for kind, octets in self.told if kind == way)


def options(mechanism: str = "") -> SessionOptions:
    login = Login("joe", PASSWORD, mechanism, unencrypted=True) if mechanism else None
    return SessionOptions(tls=TlsLevel.NONE, login=login)


def attempt(of: SessionOptions) -> LoginAttempt | None:
    return LoginAttempt(of.login, "mx.example", 25, "nonce") if of.login is not None else None


DIALOGUES = {
    "PIPELINING": (
        "",
        [b"220 hi\r\n", b"250-mx\r\n250 PIPELINING\r\n", b"250 ok\r\n250 ok\r\n", b"354 go\r\n", b"250 taken\r\n"],
    ),
    "CHUNKING": ("", [b"220 hi\r\n", b"250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n", b"250 ok\r\n250 ok\r\n250 taken\r\n"]),
    "PLAIN": (
        "PLAIN",
        [b"220 hi\r\n", b"250-mx\r\n250 AUTH PLAIN\r\n", b"235 in\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"250 ok\r\n"],
    ),
    "LOGIN": ("LOGIN", [b"220 hi\r\n", b"250-mx\r\n250 AUTH LOGIN\r\n", b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n", b"235 in\r\n"]),
    "refused": ("PLAIN", [b"220 hi\r\n", b"250-mx\r\n250 AUTH PLAIN\r\n", b"535 5.7.8 wrong: s3cret pass\r\n"]),
    "garbage": ("", [b"220 hi\r\n", b"\xff\xfe nonsense\r\n"]),
}


@pytest.mark.parametrize("cut", [1, 5, 1000])
@pytest.mark.parametrize(("mechanism", "heard"), DIALOGUES.values(), ids=DIALOGUES)
def test_it_says_the_same_and_shows_it_all_but_secrets(mechanism: str, heard: list[bytes], cut: int) -> None:
    notes, of = Notes(), options(mechanism)
    watched = WatchedClient("relay.example", of, notes, login=attempt(of))
    plain = SmtpClient("relay.example", of, login=attempt(of))
    sent: list[bytes] = []
    for whole in heard:
        for at in range(0, len(whole), cut):
            for engine in (watched, plain):
                engine.receive_data(whole[at : at + cut])
                if engine.open and not engine.served and not engine.outstanding:
                    engine.begin(transaction("b@example.org", content=(b"Subject: x\r\n\r\n..dots\r\n",), dots=True), 1)
            parts = watched.data_to_send()
            assert parts == plain.data_to_send()
            sent += parts
    shown = b"".join(octets for kind, octets in notes.told if kind != "heard")
    for secret in (PASSWORD.encode(), b"AGpvZQBzM2NyZXQgcGFzcw==", b"czNjcmV0IHBhc3M="):
        assert secret not in b"".join(octets for _, octets in notes.told)
    if not mechanism:
        assert shown == b"".join(sent)
        assert notes.of("heard") == b"".join(heard)
    else:
        assert shown.count(b"\r\n") == b"".join(sent).count(b"\r\n")
        assert b"(hidden)" in shown


def test_content_is_told_apart() -> None:
    notes = Notes()
    engine = WatchedClient("relay.example", options(), notes)
    for reply in (b"220 hi\r\n", b"250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n"):
        engine.receive_data(reply)
        engine.data_to_send()
    engine.begin(transaction("b@example.org", content=(b"MAIL FROM:<x>\r\n",)), 1)
    engine.data_to_send()
    assert notes.of("content") == b"MAIL FROM:<x>\r\n"
    assert notes.of("said").endswith(b"BDAT 15 LAST\r\n")
