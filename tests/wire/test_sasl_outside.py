"""EXTERNAL, and mechanisms whose octets an acceptor elsewhere understands."""

from __future__ import annotations

import pytest

from postwright.model.credentials import Exchanged
from postwright.wire.sasl_outside import Acceptor, External
from postwright.wire.sasl_steps import MALFORMED, Challenge, CheckCertificate, Exchange, Failed, Proved


def test_external() -> None:
    assert External().start(None) == Challenge(b"")
    assert External().start(b"") == CheckCertificate("")
    assert External().start("fred@änna.example".encode()) == CheckCertificate("fred@änna.example")
    assert External().start(b"\xff") == External().start(b"a\0b") == MALFORMED


def test_an_acceptor_that_asks_twice_and_is_content() -> None:
    acceptor = Acceptor()
    assert acceptor.start(None) == Challenge(b"")
    assert acceptor.respond(b"negotiate") == Exchange(b"negotiate")
    assert acceptor.exchanged(Exchanged(b"challenge")) == Challenge(b"challenge")
    assert acceptor.respond(b"authenticate") == Exchange(b"authenticate")
    assert acceptor.exchanged(Exchanged(user="anna", done=True, ok=True)) == Proved("anna")


def test_an_acceptor_s_last_word_is_heard_before_the_login_counts() -> None:
    acceptor = Acceptor()
    assert acceptor.start(b"token") == Exchange(b"token")
    assert acceptor.exchanged(Exchanged(b"last", "anna", True, True)) == Challenge(b"last")
    assert acceptor.respond(b"") == Proved("anna")


@pytest.mark.parametrize("data", [b"", b"why"])
def test_an_acceptor_that_is_not_content(data: bytes) -> None:
    acceptor = Acceptor()
    acceptor.start(b"token")
    assert acceptor.exchanged(Exchanged(data, "anna", True, False)) == Failed("anna")


def test_a_client_that_talks_on_is_not_logged_in() -> None:
    acceptor = Acceptor()
    acceptor.start(b"token")
    acceptor.exchanged(Exchanged(b"last", "anna", True, True))
    assert acceptor.respond(b"more") == MALFORMED


def test_octets_are_not_in_a_repr() -> None:
    assert "hash" not in repr(Exchange(b"hash")) + repr(Exchanged(b"hash"))
