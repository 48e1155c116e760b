"""Claims against what a provider asks: one row a claim, each with what comes of it. Takes milliseconds."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from postwright.policy.oauth import INSUFFICIENT_SCOPE, INVALID_TOKEN, Judgement, OauthProvider, judge

NOW = 1_800_000_000.0
PROVIDER = OauthProvider("corp", issuer="https://id.example", audience=("relay", "mail"), required_scopes=("smtp.send",), clock_leeway=60.0)
GOOD: dict[str, Any] = {
    "iss": "https://id.example",
    "aud": "relay",
    "exp": NOW + 600,
    "nbf": NOW - 600,
    "iat": NOW - 600,
    "scope": "openid smtp.send",
    "email": "Alice@corp.example",
    "sub": "0815",
}


class Gone:
    """A claim that is not there. Its name is that of a test, and the same in each worker."""

    def __repr__(self) -> str:
        return "GONE"


GONE = Gone()


def verdict(changed: dict[str, Any], hint: str = "", *, provider: OauthProvider = PROVIDER, introspected: bool = False) -> Judgement:
    claims = {name: value for name, value in {**GOOD, **changed}.items() if value is not GONE}
    return judge(provider, claims, hint, NOW, introspected=introspected)


def test_a_good_token_names_its_user_and_its_end() -> None:
    assert verdict({}) == Judgement("Alice@corp.example", until=NOW + 660)


GOOD_ROWS: list[dict[str, Any]] = [
    {"aud": ["other", "mail"]},
    {"exp": NOW - 59},  # within the leeway
    {"nbf": NOW + 59},
    {"iat": NOW + 59},
    {"nbf": GONE, "iat": GONE},
    {"scope": GONE, "scp": "smtp.send"},
    {"scope": GONE, "scp": ["a", "smtp.send"]},
    {"email_verified": True},
    {"email_verified": "true"},
]


@pytest.mark.parametrize("changed", GOOD_ROWS, ids=str)
def test_good(changed: dict[str, Any]) -> None:
    assert verdict(changed).user == "Alice@corp.example"


BAD_ROWS: list[tuple[dict[str, Any], str, str]] = [
    ({"iss": "https://id.example/"}, INVALID_TOKEN, "issuer"),
    ({"iss": GONE}, INVALID_TOKEN, "issuer"),
    ({"iss": ["https://id.example"]}, INVALID_TOKEN, "issuer"),
    ({"aud": "other"}, INVALID_TOKEN, "audience"),
    ({"aud": GONE}, INVALID_TOKEN, "audience"),
    ({"aud": {"relay": 1}}, INVALID_TOKEN, "audience"),
    ({"aud": "relay mail"}, INVALID_TOKEN, "audience"),
    ({"exp": NOW - 60}, INVALID_TOKEN, "expired"),
    ({"exp": GONE}, INVALID_TOKEN, "says not when it ends"),
    ({"exp": str(int(NOW) + 600)}, INVALID_TOKEN, "exp of the token is no time"),
    ({"exp": True}, INVALID_TOKEN, "no time"),
    ({"exp": math.inf}, INVALID_TOKEN, "no time"),
    ({"exp": math.nan}, INVALID_TOKEN, "no time"),
    ({"exp": None}, INVALID_TOKEN, "no time"),
    ({"nbf": NOW + 61}, INVALID_TOKEN, "not valid yet (nbf)"),
    ({"iat": NOW + 61}, INVALID_TOKEN, "not valid yet (iat)"),
    ({"scope": "openid"}, INSUFFICIENT_SCOPE, "smtp.send"),
    ({"scope": "xsmtp.send smtp.sendx"}, INSUFFICIENT_SCOPE, "smtp.send"),
    ({"scope": GONE}, INSUFFICIENT_SCOPE, "smtp.send"),
    ({"email": GONE}, INVALID_TOKEN, "names a user"),
    ({"email": ""}, INVALID_TOKEN, "names a user"),
    ({"email": 7}, INVALID_TOKEN, "names a user"),
    ({"email": "a\r\nb@x"}, INVALID_TOKEN, "names a user"),
    ({"email": "a" * 321}, INVALID_TOKEN, "names a user"),
    ({"email_verified": False}, INVALID_TOKEN, "names a user"),
    ({"email_verified": "false"}, INVALID_TOKEN, "names a user"),
]


@pytest.mark.parametrize(("changed", "error", "reason"), BAD_ROWS, ids=str)
def test_bad(changed: dict[str, Any], error: str, reason: str) -> None:
    judged = verdict(changed)
    assert (judged.user, judged.error) == ("", error)
    assert reason in judged.reason


HINTS = [("", "Alice@corp.example"), ("alice@CORP.example", "Alice@corp.example"), ("bob@corp.example", "")]


@pytest.mark.parametrize(("hint", "user"), HINTS)
def test_the_user_that_the_client_names_must_be_the_tokens(hint: str, user: str) -> None:
    assert verdict({}, hint).user == user


def test_the_first_claim_that_is_there_names_the_user_and_none_is_guessed() -> None:
    both = structs.replace(PROVIDER, user_claim=("email", "sub"))
    assert verdict({}, provider=both).user == "Alice@corp.example"
    assert verdict({"email": GONE}, provider=both).user == "0815"
    assert verdict({"email": GONE}).user == "", "sub only when it was asked for"


def test_introspection_may_leave_out_issuer_and_end_but_not_contradict() -> None:
    bare = {"iss": GONE, "exp": GONE}
    assert verdict(bare, introspected=True) == Judgement("Alice@corp.example")
    assert verdict({"iss": "https://evil.example"}, introspected=True).error == INVALID_TOKEN
    assert verdict({"exp": NOW - 61}, introspected=True).error == INVALID_TOKEN
    assert verdict({"aud": GONE}, introspected=True).error == INVALID_TOKEN
    anybody = structs.replace(PROVIDER, audience=(), issuer="")
    assert verdict({"aud": GONE, "iss": "https://x.example"}, provider=anybody, introspected=True).user == "Alice@corp.example"


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(st.dictionaries(st.sampled_from([*GOOD, "scp", "email_verified"]), JSON))
def test_no_claim_raises(changed: dict[str, Any]) -> None:
    judged = verdict(changed)
    assert bool(judged.user) != bool(judged.error)


def test_a_provider_does_not_show_its_secret() -> None:
    assert "s3cret" not in repr(structs.replace(PROVIDER, client_secret="s3cret"))
