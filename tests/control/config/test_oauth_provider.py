"""`<oauth-provider>`: what it comes to, and what is refused because it would let in the wrong people. Takes milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postwright.control.config import build_oauth, loads
from postwright.policy.settings import OAUTH_ALGORITHMS, OauthProvider

KEYS = "issuer https://id.example\naudience relay\njwks https://id.example/keys\n"
ASKED = "introspection-url https://id.example/ask\nclient-id relay\nclient-secret sesame\n"


def block(lines: str, name: str = "corp") -> str:
    return f"<oauth-provider {name}>\n{lines}</oauth-provider>\n"


def test_what_is_written_and_what_is_not(good: Any) -> None:
    lines = (
        KEYS
        + ASKED
        + "required-scopes smtp.send,offline\nuser-claim email,sub\nalgorithms es256,RS256\nclock-leeway 5s\ncache-time 1h\n"
        + "refresh-interval 1m\nrequest-timeout 2s\naccept-unknown-users yes\nsource {auth}\n"
    )
    [provider] = good(block(lines)).oauth_providers
    assert provider == OauthProvider(
        "corp", "https://id.example", ("relay",), "https://id.example/keys", "https://id.example/ask", "relay", "sesame",
        ("smtp.send", "offline"), ("email", "sub"), ("ES256", "RS256"), 5.0, 3600.0, 60.0, 2.0, "", True, "{auth}", provider.origin,
    )  # fmt: skip
    [plain] = good(block(KEYS)).oauth_providers
    assert (plain.user_claim, plain.accept_unknown_users, plain.algorithms) == (("email",), False, ())
    assert not any(name.startswith("HS") or name == "none" for name in OAUTH_ALGORITHMS)


def test_the_file_of_keys_stands_beside_the_configuration(tmp_path: Path) -> None:
    text = block("issuer x\naudience y\njwks keys.json\n")
    result = loads(text, folder=tmp_path)
    assert "there is no file" in result.errors[0].message
    (tmp_path / "keys.json").write_text("{}")
    settings = loads(text, folder=tmp_path).settings
    assert settings is not None
    assert settings.oauth_providers[0].jwks == str(tmp_path / "keys.json")


REFUSED = [
    ("", 1, "nothing says how to check a token"),
    ("audience relay\njwks https://id.example/keys\n", 1, "jwks without issuer"),
    ("issuer https://id.example\njwks https://id.example/keys\n", 1, "jwks without audience"),
    ("introspection-url https://id.example/ask\n", 1, "introspection-url without client-id"),
    ("issuer x\naudience y\njwks http://id.example/keys\n", 4, "plain HTTP"),
    ("issuer x\naudience y\njwks http://127.0.0.1.evil.example/keys\n", 4, "plain HTTP"),
    ("introspection-url HTTP://id.example/ask\nclient-id a\n", 2, "plain HTTP"),
    (KEYS + "algorithms HS256\n", 5, "`HS256` is none of"),
    (KEYS + "algorithms none\n", 5, "`none` is none of"),
    (KEYS + "source nowhere\n", 5, "there is no <source> `nowhere`"),
]


@pytest.mark.parametrize(("lines", "line", "message"), REFUSED)
def test_refused(found: Any, lines: str, line: int, message: str) -> None:
    level, where, text = found(block(lines))[0]
    assert (level, where) == ("error", line)
    assert message in text


def test_two_providers_of_one_issuer(found: Any) -> None:
    assert "another provider has the same issuer" in found(block(KEYS) + block(KEYS, "again"))[0][2]


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "[::1]:8080", "localhost"])
def test_this_machine_itself_may_be_asked_without_tls(good: Any, host: str) -> None:
    [provider] = good(block(f"issuer x\naudience y\njwks http://{host}/keys\n")).oauth_providers
    assert provider.jwks == f"http://{host}/keys"


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, found: Any) -> None:
    monkeypatch.setattr(build_oauth, "LIBRARY", "no_such_library")
    result = loads(block(KEYS), offline=True)
    assert [(p.message, p.hint) for p in result.errors] == [
        ("<oauth-provider corp>: the library for tokens is not installed", "pip install 'postwright[oauth]'")
    ]
    assert found(block(ASKED)) == [], "introspection alone reads no token"


def test_the_secret_is_shown_nowhere(good: Any) -> None:
    assert "sesame" not in repr(good(block(ASKED)))
    result = loads(block("client-secret sesame\nclient-secret\nclient-secrett sesame\n"), offline=True)
    assert "sesame" not in "\n".join(problem.render() for problem in result.problems)
