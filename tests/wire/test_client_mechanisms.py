"""The dialogues of a client that logs in, by mechanism, with the vectors of their RFCs."""

from __future__ import annotations

import pytest

from postwright.wire.client_mechanisms import MAX_COMMAND, ClientLogin, make, names
from postwright.wire.grammar import base64_decode, base64_encode

JOE = ClientLogin("joe", "secret", "tok", host="server.example.com", port=143)


def dialogue(mechanism: str, login: ClientLogin = JOE) -> tuple[str, list[str]]:
    made = make(mechanism, login)
    assert made is not None
    said, answer = made.first, made.answer("")
    return said, [answer] if answer is not None else []


def test_plain_is_one_line() -> None:
    assert dialogue("plain") == ("AUTH PLAIN AGpvZQBzZWNyZXQ=", [])
    assert base64_decode(dialogue("PLAIN", ClientLogin("u", "p", identity="boss"))[0].split()[2].encode()) == b"boss\0u\0p"


def test_login_answers_twice_and_no_more() -> None:
    made = make("LOGIN", JOE)
    assert made is not None
    assert [made.first, made.answer("VXNlcm5hbWU6"), made.answer("UGFzc3dvcmQ6"), made.answer("")] == [
        "AUTH LOGIN",
        "am9l",
        "c2VjcmV0",
        None,
    ]


def test_cram_md5_of_rfc_2195() -> None:
    made = make("CRAM-MD5", ClientLogin("tim", "tanstaaftanstaaf"))
    assert made is not None
    challenge = "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"
    assert made.answer(challenge) == "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"


def test_xoauth2_in_googles_form() -> None:
    made = make("XOAUTH2", ClientLogin("someuser@example.com", token="ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"))
    assert made is not None
    # The example of Google's documentation of the mechanism.
    assert made.first == (
        "AUTH XOAUTH2 dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
    )
    assert made.told == ""
    assert made.answer(base64_encode(b'{"status":"400"}')) == ""
    assert made.told == '{"status":"400"}'
    assert made.answer("") is None


def test_oauthbearer_of_rfc_7628() -> None:
    login = ClientLogin("user@example.com", token="vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", host="server.example.com", port=143)
    made = make("OAUTHBEARER", login)
    assert made is not None
    # Section 4.1, first example.
    assert made.first.split()[2] == (
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    )
    assert made.answer(base64_encode(b'{"status":"invalid_token"}')) == "AQ=="
    assert base64_decode(dialogue("OAUTHBEARER", ClientLogin("a,b=c", token="t"))[0].split()[2].encode()).startswith(b"n,a=a=2Cb=3Dc,\1")


def test_external_has_an_empty_response() -> None:
    assert dialogue("EXTERNAL") == ("AUTH EXTERNAL =", [])
    assert dialogue("EXTERNAL", ClientLogin("", identity="joe")) == ("AUTH EXTERNAL am9l", [])


@pytest.mark.parametrize("mechanism", ["PLAIN", "XOAUTH2", "OAUTHBEARER"])
def test_a_response_too_long_for_a_command_waits(mechanism: str) -> None:
    first, answers = dialogue(mechanism, ClientLogin("joe", "p" * MAX_COMMAND, "t" * MAX_COMMAND))
    assert first == f"AUTH {mechanism}"
    assert len(answers) == 1
    assert len(answers[0]) > MAX_COMMAND


def test_garbage_in_a_challenge_ends_the_dialogue() -> None:
    for mechanism in ("CRAM-MD5", "XOAUTH2", "OAUTHBEARER"):
        made = make(mechanism, JOE)
        assert made is not None
        assert made.answer("%%% no base64") is None


def test_names_and_secrets() -> None:
    assert {"PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER", "EXTERNAL"} <= set(names())
    assert make("NONESUCH", JOE) is None
    assert "secret" not in repr(JOE)
    assert "tok" not in repr(JOE)


# RFC 7677 section 3, with the nonce of its example.
SCRAM = ClientLogin("user", "pencil", nonce="rOprNGfwEbeRWgbNEkqO")
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"


def test_scram_of_rfc_7677() -> None:
    made = make("SCRAM-SHA-256", SCRAM)
    assert made is not None
    assert base64_decode(made.first.split()[2].encode()) == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    final = made.answer(base64_encode(SERVER_FIRST))
    assert final is not None
    assert base64_decode(final.encode()).endswith(b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    assert not made.satisfied
    assert made.answer(base64_encode(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")) == ""
    assert made.satisfied


def test_scram_with_a_server_that_only_pretends() -> None:
    made = make("SCRAM-SHA-256", SCRAM)
    assert made is not None
    made.answer(base64_encode(SERVER_FIRST))
    assert made.answer(base64_encode(b"v=" + base64_encode(bytes(32)).encode())) is None
    assert not made.satisfied


def test_scram_hears_the_error() -> None:
    made = make("SCRAM-SHA-1", SCRAM)
    assert made is not None
    assert made.answer(base64_encode(b"e=other-error")) is None
    assert made.told == "other-error"
    assert make("SCRAM-SHA-1", SCRAM).answer("%%%") is None  # type: ignore[union-attr]


def test_scram_plus_needs_a_binding() -> None:
    assert make("SCRAM-SHA-256-PLUS", SCRAM) is None
    made = make("SCRAM-SHA-256-PLUS", ClientLogin("user", "pencil", nonce="abc", binding=("tls-server-end-point", b"hash")))
    assert made is not None
    assert base64_decode(made.first.split()[2].encode()) == b"p=tls-server-end-point,,n=user,r=abc"
