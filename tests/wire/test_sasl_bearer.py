"""OAUTHBEARER by the examples of RFC 7628, XOAUTH2 by Google's; what is neither."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.wire.sasl_bearer import OAuthBearer, XOAuth2
from postwright.wire.sasl_steps import MALFORMED, Challenge, CheckToken

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
# RFC 7628 section 4.1
INITIAL = f"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer {TOKEN}\x01\x01".encode()


def test_the_rfc_s_example() -> None:
    mechanism = OAuthBearer()
    assert mechanism.start(INITIAL) == CheckToken("user@example.com", TOKEN)
    # section 4.3
    refusal = {"status": "invalid_token", "schemes": "bearer", "scope": "example_scope"}
    assert json.loads(mechanism.refused("invalid_token", "example_scope")) == refusal


def test_google_s_example() -> None:
    mechanism = XOAuth2()
    initial = f"user=someuser@example.com\x01auth=Bearer {TOKEN}\x01\x01".encode()
    assert mechanism.start(initial) == CheckToken("someuser@example.com", TOKEN)
    refusal = {"status": "401", "schemes": "bearer", "scope": "example_scope"}
    assert json.loads(mechanism.refused("invalid_token", "example_scope")) == refusal


def test_a_missing_scope_is_told_and_no_scope_is_not() -> None:
    assert json.loads(OAuthBearer().refused("insufficient_scope", "")) == {"status": "insufficient_scope", "schemes": "bearer"}


def test_the_token_may_say_who_it_is_and_names_are_unescaped() -> None:
    for header, user in [("n,,", ""), ("n,a=,", ""), ("y,a=a=2Cb=3Dc,", "a,b=c"), ("n,a=I\xadX,", "IX")]:
        step = OAuthBearer().start(f"{header}\x01auth=bearer  abc\x01\x01".encode())
        assert isinstance(step, CheckToken)
        assert (step.user, step.token) == (user, "abc")


@pytest.mark.parametrize("mechanism", [OAuthBearer, XOAuth2])
def test_without_an_initial_response_the_client_is_asked(mechanism: type[OAuthBearer] | type[XOAuth2]) -> None:
    assert mechanism().start(None) == Challenge(b"")


@pytest.mark.parametrize(
    "response",
    [
        b"", b"\x01", b"n,,", b"n,,\x01\x01", b"n,,\x01auth=Bearer x\x01", b"n,,\x01auth=Bearer x\x01\x01x", b"n,,\x01auth=Basic x\x01\x01",
        b"n,,\x01auth=Bearer \x01\x01", b"n,,\x01auth=Bearer a b\x01\x01", b"n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01",
        b"n,,\x01auth\x01\x01", b"n,,\x01a1=b\x01auth=Bearer x\x01\x01", b"p=tls-exporter,,\x01auth=Bearer x\x01\x01",
        b"n,a=a=b,\x01auth=Bearer x\x01\x01", b"n,a=a\0b,\x01auth=Bearer x\x01\x01",
        b"n,a=\xff,\x01auth=Bearer x\x01\x01", b"n\x01auth=Bearer x\x01\x01",
    ],
)  # fmt: skip
def test_malformed_oauthbearer(response: bytes) -> None:
    assert OAuthBearer().start(response) == MALFORMED


@pytest.mark.parametrize(
    "response",
    [b"", b"user=a\x01\x01", b"auth=Bearer x\x01\x01", b"user=\x01auth=Bearer x\x01\x01", b"user=a\0b\x01auth=Bearer x\x01\x01",
     b"user=a\x01auth=x\x01\x01", b"user=a\x01auth=Bearer x\x01", b"user=\xff\x01auth=Bearer x\x01\x01"],
)  # fmt: skip
def test_malformed_xoauth2(response: bytes) -> None:
    assert XOAuth2().start(response) == MALFORMED


def test_a_token_is_not_in_a_repr() -> None:
    assert TOKEN not in repr(OAuthBearer().start(INITIAL))


@given(st.binary(max_size=60))
def test_no_octets_make_them_raise(response: bytes) -> None:
    OAuthBearer().start(response)
    XOAuth2().start(b"user=a\x01auth=" + response)
