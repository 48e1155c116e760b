"""Which trouble a failure is, and what the words are made of: cases that no loopback server makes, and handshakes over a socket pair."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from postwright.engine.tls_trouble import is_tls_failure, trouble
from postwright.engine.trial_advice import Seen, advise, diagnose
from postwright.engine.troubles import TROUBLES, Exit
from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.reply import Reply
from postwright.net.talk import Broken, Talk
from postwright.net.tls_look import CertFacts, client_context

SEEN = Seen("mail.example", 587, "starttls", "joe", True)
PORT_25 = Seen("mail.example", 25, "none", "", False)

TABLE: list[tuple[Failure, Seen, str]] = [
    (Failure(Stage.CONNECT, None, Fault.TIMEOUT), SEEN, "time-out"),
    (Failure(Stage.CONNECT, None, Fault.TIMEOUT), PORT_25, "time-out-25"),
    (Failure(Stage.CONNECT, None, Fault.UNREACHABLE), SEEN, "unreachable"),
    (Failure(Stage.CONNECT, None, Fault.REFUSED), SEEN, "refused"),
    (Failure(Stage.RESOLVE, None, Fault.UNREACHABLE), SEEN, "no-such-name"),
    (Failure(Stage.EHLO, Reply(421, "4.3.2", ("busy",))), SEEN, "busy"),
    (Failure(Stage.BANNER, Reply(421, "4.7.0", ("this port wants TLS from the start: choose SSL/TLS",))), SEEN, "tls-at-once"),
    (Failure(Stage.MAIL, Reply(421, "4.7.0", ("too many connections",))), SEEN, "rate-limited"),
    (Failure(Stage.RCPT, Reply(450, "4.1.8", ("domain not found",))), SEEN, "temporary"),
    (Failure(Stage.RCPT, Reply(550, "5.7.1", ("policy",))), SEEN, "relaying-denied"),
    (Failure(Stage.RCPT, Reply(550, "5.2.1", ("disabled",))), SEEN, "permanent"),
    (Failure(Stage.AUTH, Reply(421, "4.7.0", ("try later",))), SEEN, "auth-busy"),
    (Failure(Stage.AUTH, None, Fault.LOST), SEEN, "hung-up"),
    (Failure(Stage.AUTH, None, Fault.TIMEOUT), SEEN, "silent"),
    (Failure(Stage.STARTTLS, None, Fault.TLS), SEEN, "tls-failed"),
]


@pytest.mark.parametrize(("failure", "seen", "name"), TABLE, ids=[f"{name}-{failure.stage.value}" for failure, _, name in TABLE])
def test_diagnose(failure: Failure, seen: Seen, name: str) -> None:
    assert diagnose(failure, seen) == name


@pytest.mark.parametrize("name", TROUBLES)
def test_all_words_can_be_filled_in(name: str) -> None:
    told = advise(name, Failure(Stage.MAIL, None, Fault.LOST, "why {server}"), SEEN)
    assert told.exit in Exit
    assert told.headline.endswith((".", "?"))
    assert told.steps
    text = " ".join([told.headline, *told.steps])
    assert "{" not in text.replace("why {server}", "")
    assert "mail.example" in text or name in ("no-such-recipient", "mailbox-full", "injected")


def test_what_a_certificate_is_for() -> None:
    seen = Seen("mail.example", 587, "starttls", "", False, certificate=CertFacts(names=tuple([f"n{n}.example" for n in range(9)])))
    told = advise("cert-name", Failure(Stage.STARTTLS, None, Fault.TLS), seen)
    assert "n5.example and 3 more" in told.headline


# handshakes ------------------------------------------------------------------------------------------------------------

CA = trustme.CA()


def server_context(**more: datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert("mail.example", **more).configure_cert(context)
    return context


def only(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = server_context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.maximum_version = version
        context.minimum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def wanting_a_certificate() -> ssl.SSLContext:
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    CA.configure_trust(context)
    return context


def not_yet() -> ssl.SSLContext:
    return server_context(not_before=datetime.now(UTC) + timedelta(days=1), not_after=datetime.now(UTC) + timedelta(days=9))


def shake_hands(serve: Callable[[socket.socket], None], name: str, patience: float = 10.0) -> Broken:
    """What a client of ours comes to, with `serve` at the other end of the line."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=serve, args=(theirs,))
    thread.start()
    context = client_context(verify=True)
    CA.configure_trust(context)
    talk = Talk(ours, patience, [])
    try:
        with pytest.raises(Broken) as caught:
            talk.handshake(context, name)
    finally:
        talk.close()
        thread.join()
    return caught.value


def by(context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    def serve(sock: socket.socket) -> None:
        try:
            with context.wrap_socket(sock, server_side=True):
                pass
        except OSError:
            sock.close()

    return serve


def in_the_clear(sock: socket.socket) -> None:
    sock.sendall(b"220 mail.example ESMTP\r\n")
    sock.recv(1)
    sock.close()


def hanging_up(sock: socket.socket) -> None:
    sock.recv(1)
    sock.close()


HANDSHAKES: dict[str, tuple[Callable[[], Callable[[socket.socket], None]], str]] = {
    "tls-old": (lambda: by(only(ssl.TLSVersion.TLSv1_1)), "mail.example"),
    "cert-not-yet": (lambda: by(not_yet()), "mail.example"),
    "cert-name": (lambda: by(server_context()), "other.example"),
    "not-tls": (lambda: in_the_clear, "mail.example"),
    "tls-failed": (lambda: hanging_up, "mail.example"),
}


@pytest.mark.parametrize("name", HANDSHAKES)
def test_trouble_of_a_handshake(name: str) -> None:
    make, host = HANDSHAKES[name]
    broken = shake_hands(make(), host)
    assert trouble(broken) == name
    assert is_tls_failure(broken)


def test_a_certificate_of_ours_is_wanted() -> None:
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=by(wanting_a_certificate()), args=(theirs,))
    thread.start()
    talk = Talk(ours, 10.0, [])
    with pytest.raises(Broken) as caught:
        talk.handshake(client_context(verify=False), "mail.example")
        talk.read(Stage.BANNER)
    talk.close()
    thread.join()
    assert diagnose(caught.value.failure, SEEN) == "tls-wants-certificate"


def test_a_handshake_that_hangs() -> None:
    done = threading.Event()

    def serve(sock: socket.socket) -> None:
        done.wait(10)
        sock.close()

    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=serve, args=(theirs,))
    thread.start()
    with pytest.raises(Broken) as caught:
        Talk(ours, 0.05, []).handshake(client_context(verify=False), "mail.example")
    done.set()
    thread.join()
    assert trouble(caught.value) == "tls-timeout"


def test_other_errors_of_certificates() -> None:
    error = ssl.SSLCertVerificationError("x")
    error.verify_code = 99
    broken = Broken(Failure(Stage.STARTTLS, None, Fault.TLS, "odd"))
    broken.__cause__ = error
    assert trouble(broken) == "cert-other"
    told = advise("cert-other", broken.failure, SEEN)
    assert told.headline == "The certificate of mail.example was not accepted: odd."
