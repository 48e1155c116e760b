"""`postwright init`: what it writes loads without a complaint, holds no password, and harms nothing that is there."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from postwright.control.cli import init
from postwright.control.cli.main import main
from postwright.control.config import load
from postwright.engine import password_hash, users_file
from postwright.policy.settings import Settings
from postwright.testing.certificate import self_signed_pem


def run(folder: Path, *words: str, typed: str | None = None) -> Result:
    return CliRunner().invoke(
        main, ["init", "--output", str(folder / "config"), "--dir", str(folder / "state"), *words], input=typed, catch_exceptions=False
    )


def settings(folder: Path) -> Settings:
    result = load(folder / "config", state_dir=folder / "state")
    assert [problem.render() for problem in result.problems if problem.level != "note"] == []
    assert result.settings is not None
    return result.settings


def password_told(result: Result) -> str:
    [line] = [line for line in result.output.splitlines() if line.startswith("user ")]
    return line.split("password ")[1].split(" ")[0]


def test_it_passes_its_own_check(tmp_path: Path) -> None:
    result = run(tmp_path, "--host-name", "mail.sender.example", "--user", "shop")
    assert result.exit_code == 0, result.output
    found = settings(tmp_path)
    assert found.general.host_name == ("mail.sender.example",)
    assert found.general.postmaster == ("postmaster@sender.example",)
    assert [(one.port, one.source, one.immediate_tls) for one in found.listeners] == [
        (25, "{mx}", False),
        (587, "{submission}", False),
        (2525, "{submission}", False),
        (465, "{submission}", True),
    ]
    assert [spool.path for spool in found.spools] == [str(tmp_path / "state" / "spool")]
    assert "self-signed" in result.output


def test_a_password_that_is_made_can_be_typed_anywhere() -> None:
    """swaks and others take one that begins with a dash for an option."""
    made = [init._made_up() for _ in range(200)]
    assert len(set(made)) == 200
    assert all(re.fullmatch(r"[a-km-zA-HJ-NP-Z2-9]{24}", password) for password in made)


def test_the_password_is_told_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    result = run(tmp_path, "--user", "shop")
    password = password_told(result)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"config", "users", "postwright.pem"}
    assert not any(password.encode() in path.read_bytes() for path in files)
    user = users_file.read(tmp_path / "users").find("shop")
    assert user is not None
    assert password_hash.read(user.password).verify(password)
    assert stat.S_IMODE((tmp_path / "users").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "postwright.pem").stat().st_mode) == 0o600


def test_in_clear_only_when_asked_for(tmp_path: Path) -> None:
    result = run(tmp_path, "--user", "shop", "--clear-password")
    assert settings(tmp_path).users["shop"].password == password_told(result)
    assert not (tmp_path / "users").exists()
    assert stat.S_IMODE((tmp_path / "config").stat().st_mode) == 0o600


def test_what_lies_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    """A draft that an earlier run left readable, or a link of somebody who may write here."""
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / ".config.new").symlink_to(tmp_path / "theirs")
    run(tmp_path, "--user", "shop", "--clear-password")
    assert (tmp_path / "theirs").read_text() == "theirs"
    (tmp_path / ".config.new").touch(mode=0o644)
    run(tmp_path, "--user", "shop", "--clear-password", "--force")
    assert not (tmp_path / "config").is_symlink()
    assert stat.S_IMODE((tmp_path / "config").stat().st_mode) == 0o600


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    (tmp_path / "users").write_text("mine")
    refused = run(tmp_path)
    assert refused.exit_code == 1
    assert f"{tmp_path / 'users'} is there already" in refused.output
    assert (tmp_path / "users").read_text() == "mine"
    assert not (tmp_path / "config").exists()
    (tmp_path / "users").unlink()
    run(tmp_path, "--host-name", "one.example")
    certificate = (tmp_path / "postwright.pem").read_bytes()
    assert run(tmp_path, "--host-name", "two.example").exit_code == 1
    assert settings(tmp_path).general.host_name == ("one.example",)
    assert run(tmp_path, "--host-name", "two.example", "--force").exit_code == 0
    assert settings(tmp_path).general.host_name == ("two.example",)
    assert (tmp_path / "postwright.pem").read_bytes() == certificate  # --force is for what it writes; a key is never thrown away


def test_a_certificate_of_ones_own(tmp_path: Path) -> None:
    own = tmp_path / "my own.pem"
    own.write_bytes(b"".join(self_signed_pem(["mail.sender.example"])))
    result = run(tmp_path, "--certificate", str(own))
    assert result.exit_code == 0, result.output
    assert settings(tmp_path).general.smtp_server_tls_certificate == str(own)
    assert "self-signed" not in result.output
    own.write_bytes(self_signed_pem()[0])
    bad = run(tmp_path, "--certificate", str(own), "--force")
    assert bad.exit_code == 2
    assert "holds no private key (certificate, chain and key stand in one file)" in bad.output


def test_ports_and_domains_as_wanted(tmp_path: Path) -> None:
    words = ["--mx-port", "0", "--submission-port", "5870", "--smtps-port", "0", "--address", "::1", "--relay-domain", "*.sender.example"]
    assert run(tmp_path, *words).exit_code == 0
    assert [(one.address, one.port) for one in settings(tmp_path).listeners] == [("::1", 5870)]
    words[1] = "2500"
    assert run(tmp_path, *words, "--force").exit_code == 0
    assert settings(tmp_path).relay_domains == ("*.sender.example",)


@pytest.mark.parametrize(
    "words",
    [
        ["--host-name", "a b"],
        ["--host-name", "x\nallow-open-relay yes"],
        ["--domain", "-"],
        ["--user", "a\nb"],
        ["--user", "a#b"],
        ["--certificate", 'x" y'],
        ["--address", "everywhere"],
        ["--relay-domain", "a b"],
        ["--smtps-port", "70000"],
    ],
    ids=lambda words: repr(words[1]),
)
def test_no_answer_brings_a_line_of_its_own(words: list[str], tmp_path: Path) -> None:
    assert run(tmp_path, *words).exit_code == 2
    assert not (tmp_path / "config").exists()


def test_it_asks_whom_it_can_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init, "interactive", lambda: True)
    typed = "not a name\nmail.sender.example\n\n\nanne\nmy secret\n"
    result = run(tmp_path, typed=typed)
    assert result.exit_code == 0, result.output
    assert "Full name of this host" in result.output
    assert "`not a name` is no host name" in result.output
    assert settings(tmp_path).general.postmaster == ("postmaster@sender.example",)
    user = users_file.read(tmp_path / "users").find("anne")
    assert user is not None
    assert password_hash.read(user.password).verify("my secret")
    monkeypatch.setattr(init, "interactive", lambda: True)
    assert run(tmp_path, "--yes", "--force", typed="").exit_code == 0
