"""SCRAM by the examples of its RFCs, and our two halves with one another: bindings, downgrades, lies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.model.credentials import SCRAM_ITERATIONS, ScramKeys
from postwright.wire import scram
from postwright.wire.grammar import base64_decode
from postwright.wire.sasl_scram import NONCE_MOST, Scram
from postwright.wire.sasl_steps import MALFORMED, Challenge, Failed, NeedScramKeys, Proved, SaslContext, Step
from postwright.wire.scram_client import ROUNDS_LEAST, ROUNDS_MOST, ScramClient

# hash, client nonce, server nonce, salt, then the four messages: RFC 5802 section 5, RFC 7677 section 3
EXAMPLES = {
    "SHA-1": (
        "fyko+d2lbbFgONRv9qkxdawL",
        "3rfcNHYJY1ZVvWVs7j",
        b"QSXCR+Q6sek8bf92",
        b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "SHA-256": (
        "rOprNGfwEbeRWgbNEkqO",
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        b"W22ZaJ0SNY7soEsUEjb6gQ==",
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}
BINDING = b"\x01" * 32
CHANNEL = {"tls-exporter": BINDING, "tls-server-end-point": b"\x02" * 32}
KEYS = {hash: scram.derive_keys("pencil", b"salt" * 4, ROUNDS_LEAST, hash) for hash in ("SHA-1", "SHA-256")}


@pytest.mark.parametrize("hash", EXAMPLES)
def test_the_rfc_s_example_from_both_ends(hash: str) -> None:
    client_nonce, server_nonce, salt, first, server_first, final, server_final = EXAMPLES[hash]
    server = Scram(SaslContext("mx.example", server_nonce), hash, plus=False)
    client = ScramClient(hash, "user", "pencil", client_nonce)
    assert client.first() == first
    assert server.start(first) == NeedScramKeys("user", hash)
    assert server.keys(scram.derive_keys("pencil", base64_decode(salt), 4096, hash)) == Challenge(server_first)
    assert client.final(server_first) == final
    assert server.respond(final) == Challenge(server_final)
    assert not client.verified
    assert client.check(server_final) == b""
    assert client.verified
    assert server.respond(b"") == Proved("user")


def talk(server: Scram, client: ScramClient, keys: ScramKeys, hash: str = "SHA-256") -> Step:
    """The whole dialogue; the last step."""
    step: Step = server.start(client.first())
    if not isinstance(step, NeedScramKeys):
        return step
    step = server.keys(keys)
    assert isinstance(step, Challenge)
    final = client.final(step.data)
    assert final is not None
    step = server.respond(final)
    if not isinstance(step, Challenge):
        return step
    assert client.check(step.data) == b""
    return server.respond(b"")


def server(channel: dict[str, bytes] = {}, plus: bool = False, hash: str = "SHA-256") -> Scram:  # noqa: B006  (never changed)
    return Scram(SaslContext("mx.example", "s" * 32, bool(channel), channel), hash, plus)


def client(password: str = "pencil", user: str = "anna", hash: str = "SHA-256", **more: Any) -> ScramClient:
    return ScramClient(hash, user, password, "c" * 32, **more)


@pytest.mark.parametrize("hash", ["SHA-1", "SHA-256"])
@pytest.mark.parametrize("kind", CHANNEL)
def test_bound_to_the_channel(hash: str, kind: str) -> None:
    bound = client(hash=hash, channel=(kind, CHANNEL[kind]))
    assert talk(server(CHANNEL, True, hash), bound, KEYS[hash]) == Proved("anna")


@pytest.mark.parametrize(
    ("offered", "plus", "more"),
    [
        (CHANNEL, True, {"channel": ("tls-exporter", b"\x03" * 32)}),  # somebody sits between
        (CHANNEL, True, {"channel": ("tls-exporter", b"")}),
        (CHANNEL, True, {"channel": ("tls-unique", BINDING)}),  # a type that this connection has not
        (CHANNEL, True, {}),  # -PLUS without a binding
        (CHANNEL, False, {"server_lacks_plus": True}),  # somebody took -PLUS out of our list
        ({}, False, {"channel": ("tls-exporter", BINDING)}),
        (CHANNEL, False, {"channel": ("tls-exporter", BINDING)}),
    ],
)
def test_a_channel_that_is_not_ours(offered: dict[str, bytes], plus: bool, more: dict[str, Any]) -> None:
    assert talk(server(offered, plus), client(**more), KEYS["SHA-256"]) == Failed("anna")


def test_without_a_channel_a_client_may_say_that_we_lack_it() -> None:
    assert talk(server(), client(server_lacks_plus=True), KEYS["SHA-256"]) == Proved("anna")
    assert talk(server(CHANNEL), client(), KEYS["SHA-256"]) == Proved("anna")  # nor need it be able to


def test_a_wrong_password_and_an_unknown_user_go_the_same_way() -> None:
    unknown = scram.made_up_keys(b"k" * 32, "anna", "SHA-256")
    assert talk(server(), client("wrong"), KEYS["SHA-256"]) == Failed("anna")
    assert talk(server(), client(), unknown) == Failed("anna")
    assert (len(unknown.salt), unknown.iterations) == (scram.SALT, SCRAM_ITERATIONS)
    assert unknown == scram.made_up_keys(b"k" * 32, "anna", "SHA-256")
    assert unknown == scram.made_up_keys(b"k" * 32, "ANNA", "SHA-256")
    assert unknown.salt != scram.made_up_keys(b"k" * 32, "otto", "SHA-256").salt
    assert unknown.salt != scram.made_up_keys(b"j" * 32, "anna", "SHA-256").salt


def test_names_and_passwords_have_one_form() -> None:
    keys = scram.derive_keys("IX", b"salt" * 4, ROUNDS_LEAST, "SHA-256")
    assert talk(server(), client("I\xadX", "a=b,\xaac"), keys) == Proved("a=b,ac")
    assert talk(server(), client("\u2168"), keys) == Proved("anna")


@pytest.mark.parametrize(
    "message",
    [
        b"", b"n", b"n,,", b"n,,n=anna", b"n,,n=,r=c", b"n,,n=anna,r=", b"n,,m=1,n=anna,r=c", b"n,,r=c,n=anna", b"x,,n=anna,r=c",
        b"p=,,n=anna,r=c", b"n,a==,n=anna,r=c", b"n,,n=an=na,r=c", b"n,,n=anna=,r=c", b"n,,n=an\0na,r=c",
        b"n,,n=\xff,r=c",
        b"n,,n=anna,r=c d", b"n,,n=anna,r=c\xc3\xa4", b"n,,n=anna,r=c,x", b"n,,n=anna,r=c\n", b"n,,n=anna,r=" + b"c" * (NONCE_MOST + 1),
    ],
)  # fmt: skip
def test_a_malformed_first_message(message: bytes) -> None:
    assert server().start(message) == MALFORMED


def test_acting_as_somebody_else() -> None:
    assert server().start(b"n,a=boss,n=anna,r=c") == Failed("anna")
    assert server().start(b"n,a=,n=anna,r=c") == NeedScramKeys("anna", "SHA-256")  # as GNU SASL writes "nobody else"
    assert server().start(b"n,a=anna,n=anna,r=c,x=optional") == NeedScramKeys("anna", "SHA-256")


@pytest.mark.parametrize(
    ("message", "step"),
    [
        (b"", MALFORMED),
        (b"c=biws", MALFORMED),
        (b"c=biws,r=%s", MALFORMED),
        (b"c=biws,r=%s,p=!", MALFORMED),
        (b"c=biw,r=%s,p=AAAA", MALFORMED),
        (b"c=biws,r=%s,p=AAAA", Failed("anna")),
        (b"c=biws,r=other,p=AAAA", Failed("anna")),
        (b"c=biws,r=%s,p=" + b"AAAA" * 1000, Failed("anna")),
    ],
)
def test_a_final_message_that_is_wrong(message: bytes, step: Step) -> None:
    dialogue = server()
    dialogue.start(b"n,,n=anna,r=c")
    dialogue.keys(KEYS["SHA-256"])
    assert dialogue.respond(message.replace(b"%s", b"c" + b"s" * 32)) == step


def test_steps_out_of_turn() -> None:
    keys = KEYS["SHA-256"]
    assert server().keys(keys) == Failed()
    assert server().secret("x") == Failed()
    assert server().start(None) == Challenge(b"")
    dialogue = server()
    dialogue.start(b"n,,n=anna,r=c")
    assert dialogue.respond(b"c=biws,r=c,p=AAAA") == MALFORMED  # before the keys have come
    dialogue.keys(keys)
    assert dialogue.keys(keys) == Failed("anna")


def test_a_client_that_says_more_after_our_signature() -> None:
    dialogue, peer = server(), client()
    dialogue.start(peer.first())
    step = dialogue.keys(KEYS["SHA-256"])
    assert isinstance(step, Challenge)
    assert isinstance(dialogue.respond(peer.final(step.data) or b""), Challenge)
    assert dialogue.respond(b"x") == MALFORMED


NONCE = "c" * 32


@pytest.mark.parametrize(
    "server_first",
    [
        b"", b"e=other-error", f"r={NONCE},s=AAAA,i=4096".encode(), b"r=other,s=AAAA,i=4096", f"r={NONCE}x,s=!,i=4096".encode(),
        f"r={NONCE}x,s=AAA,i=4096".encode(), f"r={NONCE}x,s=AAAA,i=0".encode(), f"r={NONCE}x,s=AAAA,i={ROUNDS_LEAST - 1}".encode(),
        f"r={NONCE}x,s=AAAA,i={ROUNDS_MOST + 1}".encode(), f"r={NONCE}x,s=AAAA,i={'9' * 5000}".encode(), b"\xff",
    ],
)  # fmt: skip
def test_a_server_that_a_client_does_not_follow(server_first: bytes) -> None:
    assert client().final(server_first) is None


@pytest.mark.parametrize("server_final", [b"", b"v=", b"v=AAAA", b"v=!", b"e=invalid-proof", b"\xff"])
def test_a_server_that_does_not_know_the_password(server_final: bytes) -> None:
    peer = client()
    assert peer.check(server_final) is None  # too early for it
    assert peer.final(f"r={NONCE}x,s=AAAA,i=4096".encode())
    assert peer.check(server_final) is None
    assert not peer.verified


def test_nothing_of_a_password_is_in_a_repr() -> None:
    assert repr(KEYS["SHA-1"]) == "ScramKeys(4096 iterations)"
    assert "pencil" not in repr(client())


@given(st.binary(max_size=80))
def test_no_octets_make_the_readers_raise(message: bytes) -> None:
    for read in (scram.read_client_first, scram.read_server_first, scram.read_client_final):
        read(message)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_names_come_through_whole(name: str) -> None:
    first = scram.read_client_first(f"n,,n={scram.escaped(name)},r=c".encode())
    assert first is not None
    assert first.user == name
