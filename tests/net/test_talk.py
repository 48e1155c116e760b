"""A conversation step by step over a socket pair: what is kept of it, what is not, and how each way to break it is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from itertools import count

import pytest

from postwright.model.outcome import Fault, Stage
from postwright.net.talk import Broken, Said, Talk, connect, look_up
from postwright.testing.sockets import free_port


class Line:
    """Both ends of a connection; `talk` holds ours."""

    def __init__(self, patience: float = 10.0) -> None:
        ours, self.peer = socket.socketpair()
        self.transcript: list[Said] = []
        self.talk = Talk(ours, patience, self.transcript)

    def close(self) -> None:
        self.talk.close()
        self.peer.close()

    @property
    def said(self) -> list[str]:
        return [f"{one.who}: {one.text}" for one in self.transcript]


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


def test_a_command_and_its_reply(line: Line) -> None:
    line.peer.sendall(b"250-mx.example\r\n250-SIZE 10\r\n250 DSN\r\n")
    reply = line.talk.say("EHLO me.example", Stage.EHLO)
    assert (reply.code, reply.lines) == (250, ("mx.example", "SIZE 10", "DSN"))
    assert line.peer.recv(100) == b"EHLO me.example\r\n"
    assert line.said == ["C: EHLO me.example", "S: 250-mx.example", "S: 250-SIZE 10", "S: 250 DSN"]
    assert line.talk.spent[Stage.EHLO] >= 0


def test_a_secret_is_not_in_the_transcript(line: Line) -> None:
    line.peer.sendall(b"235 2.7.0 welcome\r\n")
    line.talk.say("AUTH PLAIN c2VjcmV0", Stage.AUTH, "AUTH PLAIN ****")
    assert line.peer.recv(100) == b"AUTH PLAIN c2VjcmV0\r\n"
    assert line.said == ["C: AUTH PLAIN ****", "S: 235 2.7.0 welcome"]


def test_a_group_leaves_in_one_write(line: Line) -> None:
    line.peer.sendall(b"250 one\r\n250 two\r\n")
    replies = line.talk.group(["MAIL FROM:<>", "RSET"], Stage.MAIL)
    assert [reply.lines for reply in replies] == [("one",), ("two",)]
    assert line.peer.recv(100) == b"MAIL FROM:<>\r\nRSET\r\n"


def test_what_nobody_asked_for_is_seen(line: Line) -> None:
    line.peer.sendall(b"220 go\r\n250 inj")
    line.talk.read(Stage.STARTTLS)
    assert line.talk.unread


BROKEN = {
    "hung up": (None, Fault.LOST, "closed by the server"),
    "nonsense": (b"hello\r\n", Fault.PROTOCOL, "not a reply: 'hello'"),
    "silence": (b"250-half\r\n", Fault.TIMEOUT, "no answer within 0.05 s"),
}


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN)
def test_broken(case: tuple[bytes | None, Fault, str]) -> None:
    octets, fault, detail = case
    line = Line(patience=0.05)
    if octets is None:
        line.peer.close()
    else:
        line.peer.sendall(octets)
    with pytest.raises(Broken) as caught:
        line.talk.read(Stage.BANNER)
    line.close()
    failure = caught.value.failure
    assert (failure.stage, failure.fault, failure.detail) == (Stage.BANNER, fault, detail)


def test_a_drip_does_not_hold_us() -> None:
    """The bound is for a whole reply: octets that keep coming do not move it. Time is counted here, not waited for."""
    seconds = count(0.0, 3.0)
    ours, peer = socket.socketpair()
    talk = Talk(ours, 10.0, [], clock=lambda: next(seconds))
    stop = threading.Event()

    def drip() -> None:
        while not stop.is_set():
            try:
                peer.sendall(b"2")
            except OSError:
                return
            stop.wait(0.01)

    thread = threading.Thread(target=drip)
    thread.start()
    with pytest.raises(Broken) as caught:
        talk.read(Stage.BANNER)
    stop.set()
    talk.close()
    peer.close()
    thread.join()
    assert caught.value.failure.fault is Fault.TIMEOUT


def test_quit_closes(line: Line) -> None:
    line.peer.sendall(b"221 bye\r\n")
    assert line.talk.quit().code == 221
    assert line.peer.recv(100) == b"QUIT\r\n"
    assert line.peer.recv(100) == b""
    line.talk.close()


def test_writing_to_nobody(line: Line) -> None:
    line.peer.close()
    with pytest.raises(Broken) as caught:
        for _ in range(3):
            line.talk.give(b"x" * 100_000, Stage.BODY)
    assert caught.value.failure.fault is Fault.LOST


def test_names_and_connections() -> None:
    assert "127.0.0.1" in look_up("localhost", socket.AF_INET)
    with pytest.raises(Broken) as caught:
        look_up("nonesuch.invalid")
    assert caught.value.failure.stage is Stage.RESOLVE
    with pytest.raises(Broken) as caught:
        look_up("a" * 70 + ".example")  # no name that the DNS can carry
    assert caught.value.failure.stage is Stage.RESOLVE
    with pytest.raises(Broken) as caught:
        connect("127.0.0.1", free_port(), 1.0)
    assert caught.value.failure.fault is Fault.REFUSED
    with pytest.raises(Broken) as caught:
        connect("127.0.0.1", free_port(), 1.0, source="192.0.2.1")
    assert caught.value.failure.fault is Fault.SOURCE
