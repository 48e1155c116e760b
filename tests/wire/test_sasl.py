"""SASL mechanisms step by step, with nobody to look anything up."""

from __future__ import annotations

import hmac
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.credentials import Exchanged, ScramKeys
from postwright.wire import sasl
from postwright.wire.sasl import (
    MALFORMED,
    Challenge,
    CheckPassword,
    CramMd5,
    Exchange,
    Failed,
    Login,
    NeedScramKeys,
    NeedSecret,
    Plain,
    Proved,
    SaslContext,
)

CONTEXT = SaslContext("mx.example", "00112233445566778899aabbccddeeff")


ALL = (
    "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "XOAUTH2", "OAUTHBEARER",
    "EXTERNAL", "NTLM", "GSSAPI", "GSS-SPNEGO",
)  # fmt: skip
KEYS = ScramKeys(b"salt", 4096, b"s" * 32, b"k" * 32)


def test_plain() -> None:
    assert Plain().start(b"\0anna\0secret") == CheckPassword("anna", "secret")
    assert Plain().start(b"boss\0anna\0secret") == CheckPassword("anna", "secret", "boss")
    plain = Plain()
    assert plain.start(None) == Challenge(b"")
    assert plain.respond("\0änna\0geheim ß".encode()) == CheckPassword("änna", "geheim ß")


@pytest.mark.parametrize("response", [b"", b"anna", b"\0anna", b"\0anna\0", b"\0\0secret", b"a\0b\0c\0d", b"\0\xff\0x"])
def test_malformed_plain(response: bytes) -> None:
    assert Plain().start(response) == MALFORMED


def test_login() -> None:
    login = Login()
    assert login.start(None) == Challenge(b"Username:")
    assert login.respond(b"anna") == Challenge(b"Password:")
    assert login.respond(b"secret") == CheckPassword("anna", "secret")
    login = Login()
    assert login.start(b"anna") == Challenge(b"Password:")
    for wrong in [b"", b"\xff", b"a\0b"]:
        assert Login().start(wrong) == MALFORMED
    assert login.secret("x") == Failed()


def cram(challenge: bytes, user: str, secret: str) -> bytes:
    return f"{user} {hmac.new(secret.encode(), challenge, 'md5').hexdigest()}".encode()


def test_cram_md5_as_in_its_rfc() -> None:
    mechanism = CramMd5(SaslContext("postoffice.reston.mci.net", "1896.697170952"))
    assert mechanism.start(None) == Challenge(b"<1896.697170952@postoffice.reston.mci.net>")
    assert mechanism.respond(b"tim b913a602c7eda7a495b4e6e7334d3890") == NeedSecret("tim")
    assert mechanism.secret("tanstaaftanstaaf") == Proved("tim")


@pytest.mark.parametrize(("secret", "step"), [("wrong", Failed("anna b")), (None, Failed("anna b")), ("right", Proved("anna b"))])
def test_cram_md5(secret: str | None, step: sasl.Step) -> None:
    mechanism = CramMd5(CONTEXT)
    challenge = mechanism.start(None)
    assert isinstance(challenge, Challenge)
    assert mechanism.respond(cram(challenge.data, "anna b", "right")) == NeedSecret("anna b")
    assert mechanism.secret(secret) == step


def test_cram_md5_of_nobody_with_an_empty_secret() -> None:
    mechanism = CramMd5(CONTEXT)
    challenge = mechanism.start(None)
    assert isinstance(challenge, Challenge)
    mechanism.respond(cram(challenge.data, "nobody", ""))
    assert mechanism.secret(None) == Failed("nobody")


@pytest.mark.parametrize("response", [b"", b"anna", b"anna 123", b" " + b"0" * 32, b"\xff " + b"0" * 32, b"0" * 32])
def test_malformed_cram_md5(response: bytes) -> None:
    mechanism = CramMd5(CONTEXT)
    mechanism.start(None)
    assert mechanism.respond(response) == MALFORMED


def test_cram_md5_wants_no_initial_response() -> None:
    assert CramMd5(CONTEXT).start(b"x") == MALFORMED


def test_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sasl, "_registry", dict(sasl._registry))
    assert sasl.mechanisms() == ALL
    assert isinstance(sasl.create("plain", CONTEXT), Plain)
    assert isinstance(sasl.create("LOGIN", CONTEXT), Login)
    assert isinstance(sasl.create("CRAM-MD5", CONTEXT), CramMd5)
    assert sasl.create("X-OURS", CONTEXT) is None
    sasl.register("x-ours", lambda _: Plain())
    assert isinstance(sasl.create("X-OURS", CONTEXT), Plain)


def test_secrets_are_not_in_reprs() -> None:
    assert repr(CheckPassword("anna", "secret")) == "CheckPassword(user='anna')"
    assert "0011" not in repr(CONTEXT)


def test_names_have_one_form_and_passwords_come_as_typed() -> None:
    assert Plain().start("\xaa\0I\xadX\0\u2168".encode()) == CheckPassword("IX", "\u2168", "a")
    login = Login()
    login.start("I\xadX".encode())
    assert login.respond("\u2168".encode()) == CheckPassword("IX", "\u2168")


@pytest.mark.parametrize("name", ALL)
def test_an_answer_that_was_not_asked_for_proves_nobody(name: str) -> None:
    answers: list[Callable[[sasl.Mechanism], sasl.Step]] = [
        lambda mechanism: mechanism.secret("secret"),
        lambda mechanism: mechanism.keys(KEYS),
    ]
    if name not in ("NTLM", "GSSAPI", "GSS-SPNEGO"):  # whose acceptor's word is all there is
        answers.append(lambda mechanism: mechanism.exchanged(Exchanged(user="anna", done=True, ok=True)))
    for answer in answers:
        mechanism = sasl.create(name, CONTEXT)
        assert mechanism is not None
        mechanism.start(None)
        assert isinstance(answer(mechanism), Failed)
    assert b"bearer" in mechanism.refused("x", "") or mechanism.refused("x", "") == b""


def as_wanted(mechanism: sasl.Mechanism, step: sasl.Step) -> sasl.Step:
    """What the mechanism makes of the answer that its step asks for."""
    if isinstance(step, NeedSecret):
        return mechanism.secret("x")
    if isinstance(step, NeedScramKeys):
        return mechanism.keys(KEYS)
    return mechanism.exchanged(Exchanged(b"x", "u")) if isinstance(step, Exchange) else step


@given(st.sampled_from(ALL), st.none() | st.binary(max_size=50), st.lists(st.binary(max_size=50), max_size=4))
def test_no_octets_make_a_mechanism_raise(name: str, initial: bytes | None, responses: list[bytes]) -> None:
    mechanism = sasl.create(name, CONTEXT)
    assert mechanism is not None
    step = mechanism.start(initial)
    for response in responses:
        step = as_wanted(mechanism, step)
        if not isinstance(step, Challenge):
            break
        step = mechanism.respond(response)
