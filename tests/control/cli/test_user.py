"""`postwright user`: every verb by its words, its file and its status; the password by each of its ways, and by no other."""

from __future__ import annotations

import json
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from postwright.control.cli import user as user_module
from postwright.control.cli.main import main
from postwright.engine import file_users, password_hash, privileges, users_file
from postwright.policy.settings import Rate, UserSettings

CONFIG = """\
host-name relay.example
log-file relay.log
users-file users
users-file more
<smtp-user foo>
    password barbaz
</smtp-user>
<source mailings>
    allow-auth yes
</source>
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(password_hash, "ARGON2ID", "$argon2id$v=19$m=8,t=1,p=1")
    path = tmp_path / "config"
    path.write_text(CONFIG)
    return path


def user(config: Path, *words: str, password: str | None = None, **more: object) -> Result:
    """`postwright user WORDS`; the password goes in by standard input."""
    words = (*words, "--password-stdin") if password is not None else words
    return CliRunner().invoke(main, ["user", *words, "--config", str(config)], input=f"{password or ''}\n", **more)  # type: ignore[arg-type]


def test_a_users_life(config: Path, tmp_path: Path) -> None:
    added = user(config, "add", "Alice@example.com", "--source", "mailings", password="wonderland")
    assert (added.exit_code, added.output) == (0, f"{tmp_path}/users: Alice@example.com is added\n")
    file = tmp_path / "users"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "wonderland" not in file.read_text()
    alice = users_file.read(file).find("alice@example.com")
    assert alice is not None
    assert alice.source == "mailings"
    assert password_hash.read(alice.password).verify("wonderland")
    assert sorted(alice.scram) == ["SHA-1", "SHA-256"]

    assert user(config, "passwd", "alice@example.com", "--no-scram", password="looking-glass").exit_code == 0
    changed = users_file.read(file).find("alice@example.com")
    assert changed is not None
    assert password_hash.read(changed.password).verify("looking-glass")
    assert (changed.name, changed.source, changed.scram) == ("Alice@example.com", "mailings", {})

    assert user(config, "set", "alice@example.com", "--disable", "--source", "").exit_code == 0
    off = users_file.read(file).find("alice@example.com")
    assert off is not None
    assert (off.disabled, off.source, off.password) == (True, "", changed.password)

    assert user(config, "remove", "ALICE@example.com").exit_code == 0
    assert users_file.read(file).lines == {}


@pytest.mark.needs("root")
def test_a_new_file_is_given_to_the_user_that_the_relay_will_be(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = pwd.getpwnam("nobody")
    monkeypatch.setattr(privileges, "wanted_user", lambda settings, name: None if settings.general.run_as_root else nobody)
    assert user(config, "add", "alice", password="x").exit_code == 0
    assert (tmp_path / "users").stat().st_uid == 0
    (tmp_path / "users").unlink()
    config.write_text(CONFIG + "run-as-root no\n")
    assert user(config, "add", "alice", password="x").exit_code == 0
    assert user(config, "passwd", "alice", password="y").exit_code == 0
    assert (tmp_path / "users").stat().st_uid == nobody.pw_uid


def test_of_two_who_add_a_user_at_once_the_second_is_refused(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one is there while this one is still asked for a password."""
    ask = user_module.secret

    def slowly(*words: object, **more: object) -> str:
        with users_file.editing(tmp_path / "users") as draft:
            draft.put(users_file.UserEntry("Alice", disabled=True))
        return ask(*words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(user_module, "secret", slowly)
    second = user(config, "add", "alice", password="x")
    assert (second.exit_code, second.output) == (1, "postwright: alice has been added meanwhile\n")
    assert users_file.read(tmp_path / "users").find("alice") == users_file.UserEntry("Alice", disabled=True)


def test_what_cannot_be_done_is_told_and_changes_nothing(config: Path, tmp_path: Path) -> None:
    assert user(config, "add", "alice", password="x").exit_code == 0
    before = (tmp_path / "users").read_bytes()
    for words, password, why in (
        (("add", "ALICE"), "y", "there is a ALICE in"),
        (("passwd", "bob"), "y", f"there is no bob in {tmp_path}/users, {tmp_path}/more"),
        (("set", "bob", "--enable"), None, "there is no bob"),
        (("remove", "bob"), None, "there is no bob"),
        (("add", "carol"), "y" * 2000, "a password has 1 to 1024 characters"),
        (("add", "ca\x07rol"), "y", "cannot be printed"),
    ):
        result = user(config, *words, password=password)
        assert (result.exit_code, why in result.output) == (1, True), result.output
    assert (tmp_path / "users").read_bytes() == before


def test_users_of_the_second_file_are_found_too(config: Path, tmp_path: Path) -> None:
    file = ("--file", str(tmp_path / "more"))
    assert CliRunner().invoke(main, ["user", "add", "bob", *file, "--password-stdin"], input="builder\n").exit_code == 0
    assert user(config, "passwd", "bob", password="changed").exit_code == 0
    assert not (tmp_path / "users").exists()
    assert user(config, "test", "bob", password="changed").exit_code == 0


def test_list_for_people_and_programs(config: Path) -> None:
    user(config, "add", "alice", "--source", "mailings", password="x")
    user(config, "add", "bob", "--no-scram", password="x")
    user(config, "set", "bob", "--disable")
    lines = user(config, "list").output.splitlines()
    assert lines[0].split() == ["USER", "ENABLED", "PASSWORD", "MECHANISMS", "SOURCE"]
    assert lines[1].split() == ["alice", "yes", "argon2id", "PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "mailings"]
    assert lines[2].split() == ["bob", "no", "argon2id", "PLAIN", "LOGIN", "-"]
    free = {"bound": {}, "check_from_header": False}
    assert json.loads(user(config, "list", "--json").output) == [
        {
            "name": "alice",
            "enabled": True,
            "password": "argon2id",
            "mechanisms": ["PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256"],
            "source": "mailings",
            **free,
        },
        {"name": "bob", "enabled": False, "password": "argon2id", "mechanisms": ["PLAIN", "LOGIN"], "source": "", **free},
    ]


def test_a_login_step_by_step(config: Path, tmp_path: Path) -> None:
    user(config, "add", "alice", "--source", "mailings", password="wonderland")
    right = user(config, "test", "alice", password="wonderland")
    assert right.exit_code == 0
    assert [line[:3] for line in right.output.splitlines()] == ["yes"] * 5 + ["the"]
    assert "what <source mailings> says holds" in right.output
    wrong = user(config, "test", "alice", password="Wonderland")
    assert wrong.exit_code == 1
    assert "NO   the password is wrong\n" in wrong.output
    assert wrong.output.endswith("the login would be refused\n")
    user(config, "set", "alice", "--disable")
    disabled = user(config, "test", "alice", password="wonderland")
    assert disabled.exit_code == 1
    assert "NO   disabled" in disabled.output
    nobody = user(config, "test", "nobody", password="x")
    assert nobody.exit_code == 1
    assert f"there is no nobody in the configuration, {tmp_path}/users" in nobody.output


def test_users_of_the_configuration_can_be_tried_too(config: Path) -> None:
    right = user(config, "test", "FOO", password="barbaz")
    assert right.exit_code == 0
    assert f"<smtp-user> of the configuration ({config}:5)" in right.output
    assert "CRAM-MD5" in right.output
    assert user(config, "test", "foo", password="wrong").exit_code == 1


def test_keys_of_another_password_are_found_out(config: Path, tmp_path: Path) -> None:
    user(config, "add", "alice", password="wonderland")
    user(config, "add", "bob", password="builder")
    table = users_file.read(tmp_path / "users")
    alice, bob = table.find("alice"), table.find("bob")
    assert alice is not None
    assert bob is not None
    with users_file.editing(tmp_path / "users") as draft:
        draft.put(type(alice)(alice.name, alice.password, bob.scram))
    result = user(config, "test", "alice", password="wonderland")
    assert result.exit_code == 1
    assert "the keys for SCRAM-SHA-256 are of another password" in result.output


def test_the_environment_gives_the_password(config: Path) -> None:
    assert user(config, "add", "alice", env={"POSTWRIGHT_PASSWORD": "wonderland"}).exit_code == 0
    assert user(config, "test", "alice", password="wonderland").exit_code == 0


def test_no_password_is_no_user(config: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["user", "add", "alice", "--config", str(config)], env={"POSTWRIGHT_PASSWORD": ""})
    assert result.exit_code == 64
    assert user(config, "add", "alice", "--password", "x").exit_code == 64  # there is no such option
    assert not (tmp_path / "users").exists()


def test_without_a_place_or_a_users_file_the_cure_is_told(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.control.cli.user.USUAL", config.with_name("none"))
    nowhere = CliRunner().invoke(main, ["user", "list"])
    assert nowhere.exit_code == 64
    assert "--config" in nowhere.output
    monkeypatch.setattr("postwright.control.cli.user.USUAL", config)
    assert CliRunner().invoke(main, ["user", "list"]).exit_code == 0
    config.write_text("host-name relay.example\n")
    none = user(config, "list")
    assert none.exit_code == 1
    assert "add a line such as: users-file users" in none.output


def test_what_looks_wrong_is_warned_of(config: Path, tmp_path: Path) -> None:
    assert "warning: the configuration has no <source mailing>" in user(config, "add", "alice", "--source", "mailing", password="x").output
    (tmp_path / "users").chmod(0o644)
    assert "chmod 600" in user(config, "set", "alice", "--source", "mailings").output
    (tmp_path / "users").write_text("postwright-users 1\nalice pasword=x\n")
    broken = user(config, "list")
    assert broken.exit_code == 1
    assert f"{tmp_path}/users:2: unknown field `pasword`" in broken.output


def test_the_configuration_check_knows_the_file(config: Path, tmp_path: Path) -> None:
    (tmp_path / "users").write_text("postwright-users 1\nalice pasword=x\n")
    (tmp_path / "more").write_text("postwright-users 1\n")
    (tmp_path / "more").chmod(0o644)
    result = CliRunner().invoke(main, ["check", str(config)])
    assert result.exit_code == 2
    assert f"config:3:12: error: users-file: {tmp_path}/users:2: unknown field `pasword`" in result.output
    assert f"config:4:12: warning: users-file: {tmp_path}/more has mode 0644" in result.output
    assert CliRunner().invoke(main, ["check", "--offline", str(config)]).exit_code == 0


def test_the_real_command(config: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "postwright", "user", "add", "alice", "--config", str(config), "--password-stdin"]
    done = subprocess.run(command, input="wonderland\n", capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert users_file.read(tmp_path / "users").find("alice") is not None


def test_what_a_user_is_bound_to(config: Path, tmp_path: Path) -> None:
    bonds = ("--sender", "alice@example.com,*.example.org", "--virtual-mta", "one,two", "--network", "10.0.0.0/8", "--check-from-header")
    assert user(config, "add", "alice", *bonds, "--max-msg-rate", "100/h", "--daily-limit", "500", password="w").exit_code == 0
    file = tmp_path / "users"
    assert " sender=alice@example.com,*.example.org virtual-mta=one,two network=10.0.0.0/8 max-msg-rate=100/h " in file.read_text()
    found = file_users.known(next(users_file.read(file).entries())).settings
    assert found == UserSettings(
        "alice",
        sender=("alice@example.com", "*.example.org"),
        check_from_header=True,
        virtual_mta=("one", "two"),
        max_msg_rate=Rate(100, 3600.0),
        daily_limit=500,
        network=("10.0.0.0/8",),
    )
    told = user(config, "test", "alice", password="w").output
    for line in (
        "bound to these senders: alice@example.com, *.example.org",
        "the From field, too, has to be one of these senders",
        "bound to these virtual MTAs: one, two",
        "bound to these networks to log in from: 10.0.0.0/8",
        "at most 100 messages in 3600 seconds",
        "at most 500 recipients a day",
    ):
        assert line in told
    free = ("--sender", "", "--virtual-mta", "", "--network", "", "--daily-limit", "", "--no-check-from-header")
    changed = user(config, "set", "alice", *free)
    assert changed.exit_code == 0
    entry = users_file.read(file).find("alice")
    assert entry is not None
    assert (entry.bound, entry.check_from_header) == ({"max-msg-rate": "100/h"}, False)


@pytest.mark.parametrize(
    ("option", "value", "why"),
    [
        ("--sender", "a@", "sender: "),
        ("--max-msg-rate", "fast", "max-msg-rate: `fast` is no rate such as 100/h or 20/10m, nor unlimited"),
        ("--daily-limit", "many", "daily-limit: `many` is no number of recipients, nor unlimited"),
        ("--network", "here", "network: "),
    ],
)
def test_bonds_that_mean_nothing_change_nothing(config: Path, tmp_path: Path, option: str, value: str, why: str) -> None:
    assert user(config, "add", "alice", password="w").exit_code == 0
    before = (tmp_path / "users").read_text()
    refused = user(config, "set", "alice", option, value)
    assert (refused.exit_code, why in refused.output) == (1, True)
    assert (tmp_path / "users").read_text() == before
    (tmp_path / "users").write_text(before.replace("\nalice ", f"\nalice {option[2:]}={value} "))
    with pytest.raises(users_file.UsersFileError, match="users:2: "):
        users_file.read(tmp_path / "users")
