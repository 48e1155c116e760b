"""Logins by transcript: every mechanism against a server that keeps to its RFC, and against servers that want to be told a secret.

The server's half of SCRAM is `wire.sasl_scram`, which GNU SASL and scramp have been set before (tests/net/test_channel_login.py).
"""

from __future__ import annotations

import json

import pytest

from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.route import Login, SessionOptions, TlsLevel
from postwright.policy.settings import OUTBOUND_MECHANISMS
from postwright.wire import scram_client
from postwright.wire.client import SmtpClient
from postwright.wire.client_login import CLEAR_ONLY, UNPROVED, LoginAttempt
from postwright.wire.client_mechanisms import ClientLogin, hidden, names
from postwright.wire.client_states import Ended, Event, Ready, Secure
from postwright.wire.grammar import base64_decode, base64_encode
from postwright.wire.sasl_scram import Scram
from postwright.wire.sasl_steps import Challenge, NeedScramKeys, Proved, SaslContext, Step
from postwright.wire.scram import derive_keys

ANNA = Login("anna", "secret")
BINDING = ("tls-exporter", b"x" * 32)


class Session:
    """The engine up to its EHLO; `hear` is the server. In TLS from the first octet, or in the clear."""

    def __init__(self, login: Login, *offers: str, tls: bool = True, level: TlsLevel = TlsLevel.OPPORTUNISTIC) -> None:
        attempt = LoginAttempt(login, "mx.example", 587, "fyko+d2lbbFgONRv9qkxdawL")
        self.engine = SmtpClient("client.example", SessionOptions(tls=level, login=login), secure=tls, login=attempt)
        self.events: list[Event] = []
        if tls:
            self.engine.tls_started(BINDING)
        self.hear("220 mx.example\r\n")
        self.said = self.hear("".join([f"250-{word}\r\n" for word in ("mx.example", *offers[:-1])]) + f"250 {offers[-1]}\r\n")

    def hear(self, text: str) -> str:
        self.events += self.engine.receive_data(text.encode())
        return b"".join(self.engine.data_to_send()).decode()

    def challenge(self, data: bytes) -> bytes:
        """What is answered to a 334, decoded; the line must be base64 and nothing else."""
        answer = self.hear(f"334 {base64_encode(data)}\r\n")
        assert answer.endswith("\r\n")
        return base64_decode(answer.removesuffix("\r\n").encode())

    @property
    def ready(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], Ready)

    @property
    def failure(self) -> Failure:
        ended = self.events[-1]
        assert isinstance(ended, Ended)
        assert ended.failure is not None
        return ended.failure


def initial(line: str) -> bytes:
    """The initial response of an AUTH command."""
    return base64_decode(line.split()[2].encode())


# -- which one --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        ("AUTH CRAM-MD5 LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-256 SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS"),
        ("AUTH CRAM-MD5 LOGIN PLAIN SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256", "SCRAM-SHA-256"),
        ("AUTH CRAM-MD5 LOGIN PLAIN SCRAM-SHA-1", "SCRAM-SHA-1"),
        ("AUTH CRAM-MD5 LOGIN PLAIN XOAUTH2", "PLAIN"),
        ("AUTH CRAM-MD5 LOGIN NTLM", "LOGIN"),
        ("AUTH CRAM-MD5", "CRAM-MD5"),
    ],
)
def test_the_strongest_that_is_offered(offers: str, chosen: str) -> None:
    assert Session(ANNA, offers).said.split()[:2] == ["AUTH", chosen]


@pytest.mark.parametrize(
    ("login", "offers", "chosen"),
    [
        (Login("anna", "secret", "LOGIN"), "AUTH PLAIN LOGIN", "LOGIN"),
        (Login("anna", "secret", "CRAM-MD5"), "AUTH PLAIN CRAM-MD5", "CRAM-MD5"),
        (Login("anna", token="t"), "AUTH PLAIN XOAUTH2", "XOAUTH2"),
        (Login("anna", token="t"), "AUTH PLAIN XOAUTH2 OAUTHBEARER", "OAUTHBEARER"),
        (Login("anna", mechanism="XOAUTH2", token="t"), "AUTH XOAUTH2 OAUTHBEARER", "XOAUTH2"),
        (Login("anna", certificate=True), "AUTH PLAIN EXTERNAL", "EXTERNAL"),
        (Login("anna", "secret", certificate=True), "AUTH PLAIN EXTERNAL", "PLAIN"),
        (Login("anna", "secret", "EXTERNAL", certificate=True), "AUTH PLAIN EXTERNAL", "EXTERNAL"),
    ],
)
@pytest.mark.directive("auth-mechanism")
def test_as_it_was_wanted(login: Login, offers: str, chosen: str) -> None:
    assert Session(login, offers).said.split()[:2] == ["AUTH", chosen]


@pytest.mark.parametrize(
    ("login", "offers", "tls", "detail"),
    [
        (ANNA, "SIZE", True, "no login is offered"),
        (ANNA, "SIZE", False, "no login is offered without TLS"),
        (ANNA, "AUTH NTLM GSSAPI", True, "none of the logins offered can be used here: NTLM GSSAPI"),
        (Login("anna", "secret", "SCRAM-SHA-1"), "AUTH PLAIN", True, "SCRAM-SHA-1 is not among the logins offered: PLAIN"),
        (Login("anna", token="t"), "AUTH PLAIN LOGIN", True, "none of the logins offered can be used here: PLAIN LOGIN"),
        (Login("anna", mechanism="EXTERNAL", certificate=True), "AUTH EXTERNAL", False, "EXTERNAL wants TLS, and a certificate of ours"),
        (Login("anna", mechanism="EXTERNAL"), "AUTH EXTERNAL", True, "EXTERNAL wants TLS, and a certificate of ours"),
        (ANNA, "AUTH PLAIN LOGIN", False, CLEAR_ONLY),
        (Login("anna", token="t"), "AUTH XOAUTH2 OAUTHBEARER", False, CLEAR_ONLY),
    ],
)
@pytest.mark.directive("use-unencrypted-plain-auth")
def test_where_there_is_no_way_nothing_is_said(login: Login, offers: str, tls: bool, detail: str) -> None:
    session = Session(login, offers, tls=tls)
    assert session.said == "QUIT\r\n"
    assert session.failure == Failure(Stage.AUTH, None, Fault.NOT_OFFERED, detail)


def test_the_table_of_directives_knows_every_mechanism() -> None:
    assert set(OUTBOUND_MECHANISMS) == set(names())


# -- the dialogues ----------------------------------------------------------------------------------


@pytest.mark.parametrize("hash", ["SHA-1", "SHA-256"])
@pytest.mark.parametrize("plus", [True, False])
def test_scram_with_both_proofs(hash: str, plus: bool) -> None:
    mechanism = f"SCRAM-{hash}{'-PLUS' if plus else ''}"
    server = Scram(SaslContext("mx.example", "s" * 32, channel=dict([BINDING]) if plus else {}), hash, plus=plus)
    session = Session(ANNA, f"AUTH PLAIN {mechanism}")
    first = initial(session.said)
    assert first.startswith(b"p=tls-exporter,," if plus else b"y,,"), "a server without -PLUS is told that we could have"
    assert isinstance(server.start(first), NeedScramKeys)
    step = server.keys(derive_keys("secret", b"salt" * 4, 4096, hash))
    assert isinstance(step, Challenge)
    step = server.respond(session.challenge(step.data))
    assert isinstance(step, Challenge)
    assert session.challenge(step.data) == b""
    assert server.respond(b"") == Proved("anna")
    assert not session.ready
    session.hear("235 2.7.0 welcome\r\n")
    assert session.ready


def test_the_rounds_are_made_once() -> None:
    """They take milliseconds, and a relay logs in at each connection."""
    before = scram_client._salted.cache_info()
    for _ in range(3):
        Session(Login("anna", "a password of this test"), "AUTH SCRAM-SHA-1").challenge(SERVER_FIRST)
    after = scram_client._salted.cache_info()
    assert (after.hits - before.hits, after.misses - before.misses) == (2, 1)


def test_plus_that_somebody_took_out_of_the_list_is_noticed() -> None:
    """RFC 5802 section 6: the server offers -PLUS, and hears from us that it did not."""
    server = Scram(SaslContext("mx.example", "s" * 32, channel=dict([BINDING])), "SHA-256", plus=False)
    step: Step = server.start(initial(Session(ANNA, "AUTH SCRAM-SHA-256").said))
    assert not isinstance(step, (Challenge, NeedScramKeys, Proved))


def test_in_the_clear_there_is_no_binding_to_speak_of() -> None:
    assert initial(Session(ANNA, "AUTH SCRAM-SHA-256", tls=False).said).startswith(b"n,,")


SERVER_FIRST = b"r=fyko+d2lbbFgONRv9qkxdawLxyz,s=QSXCR+Q6sek8bf92,i=4096"


@pytest.mark.parametrize("final", [b"v=" + base64_encode(b"x" * 20).encode(), b"v=", b"", b"junk", b"v=***"])
def test_scram_with_a_wrong_proof_is_given_up(final: bytes) -> None:
    session = Session(ANNA, "AUTH SCRAM-SHA-1")
    session.challenge(SERVER_FIRST)
    assert session.hear(f"334 {base64_encode(final)}\r\n") == "*\r\nQUIT\r\n"
    assert (session.failure.stage, session.failure.fault) == (Stage.AUTH, Fault.PROTOCOL)


@pytest.mark.parametrize("heard", [0, 1])
def test_scram_and_a_welcome_without_a_proof(heard: int) -> None:
    """An impostor who knows nothing says 235 to whatever he hears; mail must not follow."""
    session = Session(ANNA, "AUTH SCRAM-SHA-1")
    for _ in range(heard):
        session.challenge(SERVER_FIRST)
    assert session.hear("235 2.7.0 welcome\r\n") == "QUIT\r\n"
    assert session.failure == Failure(Stage.AUTH, None, Fault.PROTOCOL, UNPROVED)


def test_scram_says_what_is_wrong() -> None:
    session = Session(ANNA, "AUTH SCRAM-SHA-1")
    session.challenge(SERVER_FIRST)
    assert session.hear(f"334 {base64_encode(b'e=invalid-proof')}\r\n") == "*\r\nQUIT\r\n"
    assert session.failure.detail == "invalid-proof"


@pytest.mark.parametrize("rounds", [b"1", b"4095", b"9999999999", b"x"])
def test_scram_with_rounds_that_only_an_attacker_wants(rounds: bytes) -> None:
    session = Session(ANNA, "AUTH SCRAM-SHA-1")
    first = SERVER_FIRST.replace(b"4096", rounds)
    assert session.hear(f"334 {base64_encode(first)}\r\n") == "*\r\nQUIT\r\n"


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_token_that_is_refused(mechanism: str) -> None:
    session = Session(Login("anna", token="ya29.tok"), f"AUTH {mechanism}")
    assert b"auth=Bearer ya29.tok\1\1" in initial(session.said)
    told = json.dumps({"status": "400", "hint": "ya29.tok has\nended"}).encode()
    assert session.challenge(told) == (b"" if mechanism == "XOAUTH2" else b"\1")
    assert session.hear("535 5.7.8 no\r\n") == "QUIT\r\n"
    assert session.failure.reply is not None
    assert session.failure.reply.code == 535
    assert session.failure.detail == '{"status": "400", "hint": "**** has\\nended"}'


def test_external_says_whom_to_act_as() -> None:
    session = Session(Login("anna", certificate=True), "AUTH EXTERNAL")
    assert initial(session.said) == b"anna"
    assert Session(Login(mechanism="EXTERNAL", certificate=True), "AUTH EXTERNAL").said == "AUTH EXTERNAL =\r\n"


# -- servers that want to hear something -------------------------------------------------------------


@pytest.mark.parametrize("mechanism", [name for name in OUTBOUND_MECHANISMS if name != "EXTERNAL"])
def test_a_flood_of_challenges_ends(mechanism: str) -> None:
    login = Login("anna", "secret", mechanism) if "OAUTH" not in mechanism else Login("anna", mechanism=mechanism, token="t")
    session = Session(login, f"AUTH {mechanism}")
    for _ in range(5):
        said = session.hear(f"334 {base64_encode(b'once more')}\r\n")
        if said.startswith("*"):
            break
    assert said == "*\r\nQUIT\r\n"
    assert session.hear("334 \r\n" * 50) == ""


@pytest.mark.parametrize("heard", ["334 ***\r\n", "334 =\r\n", "334 \xe9\r\n", "334-aGk=\r\n334 aGk=\r\n"])
def test_garbage_for_a_challenge(heard: str) -> None:
    session = Session(Login("anna", "secret", "CRAM-MD5"), "AUTH CRAM-MD5")
    said = session.hear(heard)
    assert said == "*\r\nQUIT\r\n" or base64_decode(said.strip().encode()).startswith(b"anna "), "a digest, and never the password"
    assert "secret" not in said


@pytest.mark.parametrize("code", ["300", "335", "354"])
def test_another_3xx_than_334(code: str) -> None:
    session = Session(ANNA, "AUTH LOGIN")
    assert session.hear(f"{code} go on\r\n") == "*\r\nQUIT\r\n"
    assert session.failure.fault is Fault.PROTOCOL


def test_starttls_stripped_from_the_list() -> None:
    """Somebody in the middle takes STARTTLS out and puts PLAIN in."""
    session = Session(ANNA, "AUTH PLAIN LOGIN", tls=False, level=TlsLevel.REQUIRED)
    assert session.said == "QUIT\r\n"
    assert (session.failure.stage, session.failure.fault) == (Stage.STARTTLS, Fault.NOT_OFFERED)
    assert Session(ANNA, "AUTH PLAIN LOGIN", tls=False).failure.detail == CLEAR_ONLY


def test_starttls_refused() -> None:
    session = Session(ANNA, "STARTTLS", tls=False)
    assert session.said == "STARTTLS\r\n"
    session.hear("454 4.7.0 not now\r\n")
    assert session.failure.detail == "no login is offered without TLS"


def test_logins_are_those_that_are_offered_inside_tls() -> None:
    session = Session(ANNA, "AUTH LOGIN", "STARTTLS", tls=False)
    session.hear("220 go\r\n")
    assert isinstance(session.events[-1], Secure)
    session.engine.tls_started(BINDING)
    assert session.hear("") == "EHLO client.example\r\n"
    assert session.hear("250-mx.example\r\n250 AUTH PLAIN\r\n") == "AUTH PLAIN AGFubmEAc2VjcmV0\r\n"


def test_what_a_server_repeats_is_not_repeated() -> None:
    """Into records, reports and logs goes what the server said; some say there what they heard."""
    session = Session(Login("anna", "s3cret/pw"), "AUTH PLAIN")
    echo = session.said.split()[2]
    session.hear(f"535-5.7.8 {echo} is wrong\r\n535-5.7.8 s3cret/pw\r\n535 5.7.8 {base64_encode(b's3cret/pw')} too\r\n")
    assert session.failure.reply is not None
    assert session.failure.reply.lines == ("**** is wrong", "****", "**** too")


def test_hidden_knows_every_form_that_we_send() -> None:
    login = ClientLogin("anna", "pw", "tok", host="mx.example", port=587)
    for mechanism in ("PLAIN", "XOAUTH2", "OAUTHBEARER"):
        session = Session(Login("anna", "pw", mechanism, token="tok"), f"AUTH {mechanism}")
        assert hidden(session.said.split()[2], login) == "****"
    assert hidden("nothing of it", login) == "nothing of it"
    assert hidden("pw", ClientLogin("anna")) == "pw"


def test_nothing_of_a_login_is_in_a_repr() -> None:
    login = Login("anna", "secret", token="tok")
    session = Session(login, "AUTH PLAIN")
    for thing in (login, session.engine, session.engine._login, session.engine._options, SessionOptions(login=login), session.events):
        assert "secret" not in repr(thing)
        assert "tok" not in repr(thing).replace("token", "")
