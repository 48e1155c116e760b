"""`<user-lookup>`, `users-file`, `pam-service` and certificates of users: what they come to, and what is refused at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.control.config import loads
from postwright.policy.settings import UserLookup


def test_the_whole_block() -> None:
    text = """
<user-lookup>
    url https://users.example/lookup
    secret "s3cret"
    send-password yes
    replies-have hash,scram-sha-256
    cache-for 10m
    negative-cache-for 5s
    request-timeout 2s
</user-lookup>
pam-service mail
"""
    result = loads(text, offline=True)
    assert result.settings is not None
    found = result.settings.user_lookup
    assert found is not None
    assert found == UserLookup(
        "https://users.example/lookup", "s3cret", "", True, ("hash", "scram-sha-256"), 600.0, 5.0, 2.0, origin=found.origin
    )
    assert result.settings.general.pam_service == "mail"
    assert loads("host-name a.example", offline=True).settings.user_lookup is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ("secret x", "<user-lookup>: no url"),
        ("url http://users.example/", "url: hashes and passwords must not travel over plain HTTP"),
        ("url https://a.example/\nsecret x\nsecret-file y", "both secret and secret-file"),
        ("url https://a.example/\nreplies-have bcrypt", "replies-have"),
        ("url https://a.example/\nrequest-timeout 0s", "request-timeout"),
    ],
)
def test_what_would_be_unsafe_or_useless_is_refused(lines: str, why: str) -> None:
    result = loads(f"<user-lookup>\n{lines}\n</user-lookup>\n", offline=True)
    assert result.settings is None
    assert any(why in problem.message for problem in result.problems), result.problems


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "http://[::1]/x", "http://localhost/", "https://users.example/"])
def test_this_machine_may_be_asked_in_plain(url: str) -> None:
    assert loads(f"<user-lookup>\nurl {url}\n</user-lookup>\n", offline=True).settings is not None


def test_users_files_lie_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("postwright-users 1\n")
    (tmp_path / "users").chmod(0o600)
    result = loads("users-file users\nusers-file more\n", folder=tmp_path)
    assert result.settings is not None
    assert result.settings.general.users_file == (f"{tmp_path}/users", f"{tmp_path}/more")
    assert [found.message for found in result.problems if "users" in found.message] == [f"users-file: there is no file {tmp_path}/more"]


def test_a_user_by_certificate_needs_one() -> None:
    result = loads("<smtp-user dora>\nauthentication-method certificate\n</smtp-user>\n", offline=True)
    assert result.settings is None
    assert "smtp-user `dora` has no tls-certificate" in [problem.message for problem in result.problems]
