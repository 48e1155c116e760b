"""`postwright classify`: replies and mails from standard input, by our rules, a configuration's, or a file's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.content.bounce_samples import SAMPLES, mail

from postwright.control.cli.main import main


def classify(stdin: str | bytes, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["classify", *arguments], input=stdin)


def test_category_rule_and_reply() -> None:
    result = classify("550 5.1.1 no such user\n\nsmtp;552 5.2.2 over quota\r\n")
    assert result.output == "bad-mailbox\tmailbox\t550 5.1.1 no such user\nquota-issues\tquota\tsmtp;552 5.2.2 over quota\n"
    assert result.exit_code == 0


def test_no_category_is_told_and_what_a_stranger_wrote_is_escaped() -> None:
    result = classify(b"xyzzy \x1b[31m \xff\n")
    assert result.output == "other\t-\txyzzy \\x1b[31m \N{REPLACEMENT CHARACTER}\n"
    assert result.exit_code == 1


def test_json() -> None:
    (line,) = classify("550 5.1.1 no such user\n", "--json").output.splitlines()
    assert json.loads(line) == {
        "category": "bad-mailbox",
        "rule": "mailbox",
        "hard": True,
        "status": "5.1.1",
        "text": "550 5.1.1 no such user",
    }


def test_json_holds_nothing_that_a_terminal_obeys() -> None:
    said = "550 5.1.1 no such user \x9b31m \u202egnp.exe"
    output = classify(f"{said}\n", "--json").output
    assert output.strip().isascii()
    assert output.strip().isprintable()
    assert json.loads(output)["text"] == said


def test_a_mail() -> None:
    result = classify(mail(SAMPLES["qmail"]), "--mail")
    kind, ann, bob = result.output.splitlines()
    assert kind == "status-report\tqmail"
    assert ann.startswith("ann@far.example\tfailed\tspam-related\tlisted\t")
    assert bob.startswith("bob@far.example\tfailed\tbad-mailbox\tmailbox\t")
    assert json.loads(classify(mail(SAMPLES["qmail"]), "--mail", "--json").output)["recipients"][1]["sorted"]["hard"] is True
    nothing = classify("From: ann@far.example\nSubject: lunch\n\nTomorrow?\n", "--mail")
    assert (nothing.output, nothing.exit_code) == ("nothing\t\n", 1)


@pytest.mark.directive("bounce-category-patterns")
def test_by_the_patterns_of_a_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("host-name relay.example\n<bounce-category-patterns>\n/user/ mine\n</bounce-category-patterns>\n")
    assert classify("550 no such user\n", "--config", str(config)).output == f"mine\t{config}:3\t550 no such user\n"
    config.write_text("<bounce-category-patterns>\n/(?!a)user/ mine\n</bounce-category-patterns>\n")
    refused = classify("550 no such user\n", "--config", str(config))
    assert refused.exit_code == 2
    assert "RE2" in refused.output


def test_by_the_rules_of_a_file_and_of_a_host(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('version = "v"\n[[rule]]\nname = "r"\ncategory = "mine"\nhosts = ["*.b.example"]\ntext = ["no"]\n')
    assert classify("550 no\n", "--rules", str(file), "--host", "mx.b.example").output.startswith("mine\tr\t")
    assert classify("550 no\n", "--rules", str(file)).exit_code == 1
    file.write_text("version")
    assert classify("550 no\n", "--rules", str(file)).exit_code == 2
    assert classify("550 no\n", "--rules", str(tmp_path / "none")).exit_code == 2


def test_a_line_without_end_is_cut() -> None:
    result = classify("x" * 100_000 + " no such user\n550 5.1.1 no such user\n")
    assert [len(line) > 5000 for line in result.output.splitlines()] == [False, False]
