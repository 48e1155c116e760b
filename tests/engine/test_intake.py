"""The intake's answers to single questions of a session: greeting, login, TLS, what is offered, envelopes."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from postwright.engine.visitor import Visitor
from postwright.model.address import parse_mailbox
from postwright.model.reply import Reply
from postwright.net.visit import PeerFacts
from postwright.policy.settings import ListenerSettings, Settings, UserSettings
from postwright.testing.certificate import self_signed_pem
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source
from postwright.wire.events import MailFrom, RcptTo

SECRET = UserSettings("Foo", password="barbaz", source="{foo}")
USERS = {"foo": SECRET, "cert": UserSettings("cert", authentication_method="certificate")}
LISTENER = ListenerSettings("192.0.2.1", 25)


@pytest.fixture
def visitors() -> Iterator[Any]:
    """Makes visitors: `visitors(settings, peer=..., tls=...)`."""
    worlds: list[World] = []

    def make(settings: Settings, *, peer: str = "192.0.2.77", tls: str = "", listener: ListenerSettings = LISTENER) -> Visitor:
        world = World(settings)
        worlds.append(world)
        return Visitor(world.node.intake, listener, PeerFacts(peer, 40000, "192.0.2.1", 25, tls))

    yield make
    for world in worlds:
        world.close()


def mail(sender: str = "me@sender.example", size: int = 0) -> MailFrom:
    return MailFrom(parse_mailbox(sender), size=size)


def rcpt(address: str) -> RcptTo:
    return RcptTo(parse_mailbox(address))


def login(**directives: Any) -> Settings:
    everybody = source(ANYBODY, require_auth=True, allow_unencrypted_plain_auth=True, auth_failure_delay=0.0, **directives)
    return relay(everybody, source("{foo}", always_allow_relaying=True), users=USERS)


def code(answer: Any) -> int:
    assert isinstance(answer, Reply)
    return answer.code


def test_the_greeting_names_us_and_a_source_without_service_is_refused(visitors: Any) -> None:
    assert visitors(relay()).greeting().text == "220 relay.example (Postwright) ESMTP service ready"
    assert code(visitors(relay(source(ANYBODY, smtp_service=False))).greeting()) == 521


def test_a_stopping_relay_greets_with_421_and_takes_no_more_mail(visitors: Any) -> None:
    visitor = visitors(relay())
    visitor._intake.stopping = True
    assert (code(visitor.greeting()), code(visitor.mail(mail()))) == (421, 421)


@pytest.mark.parametrize(
    ("user", "password", "expected"),
    [("foo", "barbaz", 235), ("FOO", "barbaz", 235), ("foo", "wrong", 535), ("foo", "", 535), ("nobody", "barbaz", 535), ("cert", "", 535)],
)
def test_a_password_is_right_or_wrong_and_the_reply_does_not_say_why(visitors: Any, user: str, password: str, expected: int) -> None:
    visitor = visitors(login())
    assert code(visitor.login.check_password(user, password)) == expected
    visitor.mail(mail())
    assert code(visitor.rcpt(rcpt("you@example.com"))) == (250 if expected == 235 else 550)


def test_secrets_for_mechanisms_that_prove_them(visitors: Any) -> None:
    visitor = visitors(login())
    assert [visitor.login.secret_for(user) for user in ("foo", "cert", "nobody")] == ["barbaz", None, None]
    assert code(visitor.login.authenticated("foo", "CRAM-MD5", False)) == 535
    assert code(visitor.login.authenticated("foo", "CRAM-MD5", True)) == 235


def test_what_auth_offers(visitors: Any) -> None:
    all_of_readable_passwords = ("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN")
    assert visitors(login()).options().auth == all_of_readable_passwords
    assert visitors(relay()).options().auth == ()  # nobody could log in
    tight = login(require_starttls_before_auth=True)
    assert visitors(tight).options().auth == ()
    assert visitors(tight, tls="TLSv1.3").options().auth == all_of_readable_passwords
    visitor = visitors(login())
    visitor.login.check_password("foo", "barbaz")
    assert visitor.options().auth == ()


def test_tls_is_offered_with_a_certificate_only_and_makes_the_visitor_a_stranger(visitors: Any, tmp_path: Path) -> None:
    settings = login(allow_starttls=True)
    assert not visitors(settings).options().starttls
    assert code(visitors(settings).start_tls()) == 454
    certificate = tmp_path / "cert.pem"
    certificate.write_bytes(b"".join(self_signed_pem(["relay.example"])))
    settings = replace(settings, general=replace(settings.general, smtp_server_tls_certificate=str(certificate)))
    visitor = visitors(settings)
    assert visitor.options().starttls
    assert isinstance(visitor.start_tls(), ssl.SSLContext)
    visitor.login.check_password("foo", "barbaz")
    visitor.tls_started(replace(visitor._peer, tls="TLSv1.3"))
    visitor.mail(mail())
    assert code(visitor.rcpt(rcpt("you@example.com"))) == 550
    assert not visitor.options().starttls


def test_a_size_that_is_too_big_is_refused_at_once(visitors: Any) -> None:
    visitor = visitors(relay(source(ANYBODY, always_allow_relaying=True, max_message_size=1000)))
    assert visitor.mail(mail(size=1001)).text == "552 5.3.4 message size exceeds the limit of 1000 octets"
    assert code(visitor.mail(mail(size=1000))) == 250
    assert visitor.options().limits.message_size == 1000


def test_memory_full_of_contents_is_a_reason_to_wait(visitors: Any) -> None:
    visitor = visitors(relay())
    visitor._intake.submissions.held = 1 << 40
    assert code(visitor.mail(mail())) == 452


def test_settings_change_between_transactions_and_not_within_one(visitors: Any) -> None:
    visitor = visitors(relay())
    visitor.mail(mail())
    closed = relay(source(ANYBODY))
    visitor._intake.apply(type(visitor._epoch.resolved)(closed))
    assert code(visitor.rcpt(rcpt("you@example.com"))) == 250
    visitor.reset()
    visitor.mail(mail())
    assert code(visitor.rcpt(rcpt("you@example.com"))) == 550


def test_bare_postmaster_without_a_postmaster_is_ours(visitors: Any) -> None:
    visitor = visitors(relay(source(ANYBODY)))
    visitor.mail(mail())
    address = type(parse_mailbox("a@b.example"))("postmaster", "")
    assert code(visitor.rcpt(RcptTo(address))) == 250
    assert visitor._envelope.recipients[0].address.text == "postmaster@relay.example"


def test_a_new_ehlo_forgets_the_transaction(visitors: Any) -> None:
    visitor = visitors(relay())
    visitor.mail(mail())
    visitor.ehlo("client.example", True)
    assert visitor._envelope is None
    visitor.mail(mail())
    visitor.closed()
    assert visitor._envelope is None
