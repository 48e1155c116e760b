"""`postwright auth`: what is typed, what is told, and that a secret is shown to nobody who did not ask."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from postwright.control.cli.main import main

PASSWORD = {"POSTWRIGHT_SMTP_PASSWORD": "secret", "POSTWRIGHT_SMTP_TOKEN": "tok"}


def auth(*arguments: str, text: str | None = None, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, ["auth", *arguments], input=text, env=env)


TYPED = {
    "PLAIN": ["AUTH PLAIN AGpvZQBzZWNyZXQ="],
    "LOGIN": ["AUTH LOGIN", "am9l", "c2VjcmV0"],
    "XOAUTH2": ["AUTH XOAUTH2 dXNlcj1qb2UBYXV0aD1CZWFyZXIgdG9rAQE="],
    "OAUTHBEARER": ["AUTH OAUTHBEARER bixhPWpvZSwBYXV0aD1CZWFyZXIgdG9rAQE="],
}


@pytest.mark.parametrize("mechanism", TYPED)
def test_encode(mechanism: str) -> None:
    done = auth("encode", "-m", mechanism.lower(), "-u", "joe", env=PASSWORD)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == TYPED[mechanism]
    assert "Base64 is no encryption" in done.stderr
    assert "********" in done.stderr
    assert not {"secret", "tok"} & set(done.stderr.replace("\\0", " ").replace(",", " ").split())


def test_encode_shows_nul_and_on_request_the_password() -> None:
    assert r"\0joe\0********" in auth("encode", "-u", "joe", env=PASSWORD).stderr
    assert r"\0joe\0secret" in auth("encode", "-u", "joe", "--show", env=PASSWORD).stderr


def test_encode_takes_the_password_from_standard_input() -> None:
    done = auth("encode", "-u", "joe", "--password-stdin", text="secret\n")
    assert done.stdout.splitlines() == TYPED["PLAIN"]
    assert auth("encode", "-u", "joe", "--password-stdin", text="").exit_code == 64


def test_encode_asks_for_the_password_and_does_not_show_it() -> None:
    """On a terminal: what is typed unseen is not echoed."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("POSTWRIGHT_SMTP")}
    command = [sys.executable, "-m", "postwright", "auth", "encode", "--user", "joe"]
    with subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=environment, start_new_session=True) as process:
        os.close(theirs)
        shown = b""
        while b"Password: " not in shown:
            shown += os.read(ours, 1024)
        os.write(ours, b"secret\n")
        assert process.stdout is not None
        assert process.stdout.read() == b"AUTH PLAIN AGpvZQBzZWNyZXQ=\n"
        assert process.wait(30) == 0
        shown += os.read(ours, 4096)
        os.close(ours)
    assert b"secret" not in shown
    assert b"Base64 is no encryption" in shown


def test_encode_answers_a_challenge() -> None:
    challenge = "334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"
    env = {"POSTWRIGHT_SMTP_PASSWORD": "tanstaaftanstaaf"}
    done = auth("encode", "-m", "cram-md5", "-u", "tim", "--challenge", challenge, env=env)
    assert done.stdout.splitlines()[1] == "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw"
    without = auth("encode", "-m", "cram-md5", "-u", "tim", env=env)
    assert (without.exit_code, "give the text of the server's 334" in without.stderr) == (64, True)


def test_encode_in_json() -> None:
    told = json.loads(auth("encode", "-u", "joe", "--json", env=PASSWORD).stdout)
    assert told["lines"] == [{"line": TYPED["PLAIN"][0], "when": ""}]
    assert told["written_out"] == r"\0joe\0********"


def test_encode_without_a_secret_is_a_wrong_command_line() -> None:
    done = auth("encode", "-u", "joe", env={"POSTWRIGHT_SMTP_PASSWORD": ""})
    assert done.exit_code == 64
    assert "POSTWRIGHT_SMTP_PASSWORD" in done.stderr
    assert auth("encode", "--nonsense").exit_code == 64


def test_decode_masks() -> None:
    done = auth("decode", "AUTH PLAIN AGpvZQBodW50ZXIy")
    assert done.exit_code == 0
    assert "joe" in done.stdout
    assert r"\0joe\0********" in done.stdout
    assert "hunter2" not in done.output
    assert "no encryption" in done.stderr
    assert r"\0joe\0hunter2" in auth("decode", "--show", "AUTH PLAIN AGpvZQBodW50ZXIy").stdout


def test_decode_of_a_dialogue() -> None:
    done = auth("decode", text="S: 334 VXNlcm5hbWU6\nC: am9l\nS: 334 UGFzc3dvcmQ6\nC: aHVudGVyMg==\nS: 535 5.7.8 no\n")
    assert done.exit_code == 0
    for part in ("asks for the user name", "joe", "asks for the password", "reply 535: user name or password (or token) is wrong"):
        assert part in done.stdout
    assert "hunter2" not in done.output


def test_decode_in_json_masks_too() -> None:
    told = json.loads(auth("decode", "--json", "AGpvZQBodW50ZXIy").stdout)
    [line] = told["lines"]
    assert {row["label"]: row["text"] for row in line["rows"]} == {"written out": r"\0joe\0********", "user": "joe", "password": None}
    shown = json.loads(auth("decode", "--json", "--show", "AGpvZQBodW50ZXIy").stdout)
    assert shown["lines"][0]["rows"][2]["text"] == "hunter2"


def test_decode_of_what_is_nothing() -> None:
    assert auth("decode", "hello, world").exit_code == 1
    assert auth("decode", text="").exit_code == 1


@pytest.mark.parametrize("name", ["encode", "decode"])
def test_help_has_an_example(name: str) -> None:
    assert "Example: postwright auth" in auth(name, "--help").output
