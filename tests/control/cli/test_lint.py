"""`postwright lint`: a message in, the rules that it breaks out."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ed25519
from tests.engine.test_signing_stories import PRIVATE

from postwright.content.trace import date
from postwright.control.cli.main import main

GOOD = b"From: Me <me@sender.example>\nTo: you@example.com\nSubject: hello\nDate: %s\nMessage-ID: <1@sender.example>\n\nhello\n"


def good(**changed: bytes) -> bytes:
    """A message with LF line ends, as files have them."""
    text = GOOD % date(time.time()).encode()
    for old, new in changed.items():
        text = b"\n".join([new if line.startswith(old.encode() + b":") else line for line in text.split(b"\n")])
    return text


def lint(content: bytes, *options: str) -> Result:
    return CliRunner().invoke(main, ["lint", *options], input=content)


def config(folder: Path, *more: str, sign: str = "yes") -> tuple[str, str]:
    """Options for a relay that signs for sender.example, by queues of far.example only if `sign` is not yes."""
    (folder / "k.pem").write_bytes(ed25519.Ed25519PrivateKey.generate().private_bytes(*PRIVATE))
    lines = [
        "host-name relay.example",
        "smtp-listener 127.0.0.1:2525",
        f"domain-key s, sender.example, {folder / 'k.pem'}",
        "<domain *>", "dkim-algorithm ed25519-sha256", f"dkim-sign {sign}", "</domain>",
        "<domain far.example>", "dkim-sign yes", "</domain>",
        "<source 127.0.0.1>", "always-allow-relaying yes", *more, "</source>",
    ]  # fmt: skip
    path = folder / "config"
    path.write_text("\n".join([*lines, ""]))
    return "--config", str(path)


def test_a_good_message_is_good() -> None:
    result = lint(good())
    assert (result.exit_code, result.output) == (0, "good\tno rule is broken\n")


def test_a_bad_one_is_told_rule_by_rule() -> None:
    result = lint(good(Date=b"Date: today") + b"a" * 1000 + b"\n", "--bulk")
    assert result.exit_code == 1
    assert [line.split(": ")[0] for line in result.output.splitlines()] == ["must\tdate", "must\tline-length", "must\tunsubscribe"]
    assert "(RFC 8058 section 3.1)" in result.output


def test_what_is_only_unwise_is_no_failure() -> None:
    result = lint(good(Date=b"Date: Wed, 25 Nov 2015 12:00:00 +0000"), "--json")
    assert result.exit_code == 0
    found = json.loads(result.output)
    assert [(one["rule"], one["must"]) for one in found["findings"]] == [("date", False)]
    assert (found["fixed"], found["refused"]) == ([], "")


def test_a_signature_that_is_there_is_judged() -> None:
    field = b"DKIM-Signature: v=1; a=rsa-sha256; d=other.example; s=s; h=from; bh=AAAA; b=AAAA\n"
    assert lint(field + good()).output.startswith("must\tsignature: no DKIM signature will be of the domain in From")


@pytest.mark.directive("sender-rules")
def test_a_relay_of_that_configuration_judges(tmp_path: Path) -> None:
    """Its sources judge even if they are told not to; its keys count, by the recipient's queue; and what it mends is told."""
    said = {}
    for name, more, options in (
        ("off", ("sender-rules off",), ()),
        ("warn", (), ()),
        ("fix", ("sender-rules fix",), ()),
        ("refuse", ("sender-rules refuse",), ()),
        ("adds", ("sender-rules refuse", "add-date-header yes"), ()),
        ("not signed", (), ("--no",)),
        ("signed there", (), ("--no", "--to", "a@far.example")),
        ("stranger", (), ("--client", "192.0.2.1")),
    ):
        where = config(tmp_path, *more, sign="no" if "--no" in options else "yes")
        result = lint(good(Date=b"X-Date: none"), *where, *[option for option in options if option != "--no"])
        said[name] = (result.exit_code, [line.partition(":")[0] for line in result.output.splitlines()])
    missing = ["must\tdate"]
    assert said == {
        "off": (1, missing),
        "warn": (1, missing),
        "fix": (0, ["fixed\tdate", "good\tno rule is broken"]),
        "refuse": (1, [*missing, "refused\t550 5.6.0 date"]),
        "adds": (0, ["good\tno rule is broken"]),
        "not signed": (1, [*missing, "must\tsignature"]),
        "signed there": (1, missing),
        "stranger": (1, ["refused\t550 5.7.1 relaying denied (after RCPT TO)"]),
    }


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--client", "here"), 2, "is no IP address"),
        (("--from", "nobody"), 2, "nobody"),
        (("--listener", "9"), 1, "there is no smtp-listener 9"),
        (("--user", "ann"), 1, "there is no user 'ann'"),
        (("--config", "nowhere"), 2, "nowhere"),
        (("nowhere.eml",), 2, "nowhere.eml"),
    ],
)
def test_who_and_what_there_is_not(options: tuple[str, ...], status: int, words: str) -> None:
    result = lint(good(), *options)
    assert result.exit_code == status
    assert words in result.output


@pytest.mark.parametrize("content", [b"", b"\0\xff\r\r\n\n", b"From: \x1b]0;owned\x07@a.example\nTo: \x1b[2J@b.example\n\n"])
def test_whatever_comes_is_judged_and_reaches_no_terminal(content: bytes) -> None:
    result = lint(content)
    assert result.exit_code == 1
    assert all(line.replace("\t", "").isprintable() for line in result.output.splitlines())
