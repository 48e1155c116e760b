"""`postwright config`: which value holds, and which line of which file says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from postwright.control.cli import config as config_module
from postwright.control.cli.main import main
from postwright.control.config import explain as explain_module
from postwright.control.config.directive import Directive, Scope, State

CONFIG = """\
host-name relay.example
log-file relay.log
smtp-listener 127.0.0.1:2525 source={front}
smtp-source-host 127.0.0.10 relay.example
<smtp-user foo>
    password sesame
    source {foo-source}
</smtp-user>
<source {foo-source}>
    default-virtual-mta mta1
</source>
<source {front}>
    max-message-size 20m
</source>
<source 127.0.0.0/8>
    always-allow-relaying yes
    smtp-command-timeout 90
</source>
<source 127.0.0.20>
    always-allow-relaying no
</source>
<domain *>
    bounce-after 1d12h
    max-msg-rate 100/h
    check-spf-outbound yes
</domain>
<domain example.com>
    max-smtp-out 7
</domain>
<virtual-mta mta1>
    smtp-source-host 127.0.0.11 mta1.relay.example
    <domain *>
        max-smtp-out 3
        auth-password sesame
    </domain>
</virtual-mta>
<virtual-mta-pool both>
    virtual-mta mta1
</virtual-mta-pool>
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(CONFIG)
    return path


def explain(config: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["config", "explain", *words, "--config", str(config)])


def rows(result: Result) -> dict[str, tuple[str, ...]]:
    """directive -> its other columns, out of the text; a later section wins."""
    assert result.exit_code == 0, result.output
    lines = [line.split(maxsplit=2) for line in result.output.splitlines() if line.startswith("  ")]
    return {name: tuple(rest) for name, *rest in lines}


def line(config: Path, text: str) -> str:
    """`file:line` of the line that holds `text`."""
    numbers = [number for number, row in enumerate(config.read_text().splitlines(), 1) if text in row]
    assert len(numbers) == 1
    return f"{config}:{numbers[0]}"


def test_a_queue_of_the_default_virtual_mta(config: Path) -> None:
    shown = rows(explain(config, "Example.COM"))
    assert shown["max-smtp-out"] == ("7", line(config, "max-smtp-out 7"))
    assert shown["bounce-after"] == ("1d12h", line(config, "bounce-after"))
    assert shown["max-msg-rate"] == ("100/h", line(config, "max-msg-rate"))
    assert shown["retry-after"] == ("10m", "default")
    assert shown["smtp-tls-allow-tlsv1.1"] == ("yes", "default")


def test_a_virtual_mta_wins_over_a_better_pattern(config: Path) -> None:
    result = explain(config, "example.com/MTA1")
    shown = rows(result)
    assert shown["max-smtp-out"] == ("3", line(config, "max-smtp-out 3"))
    assert shown["smtp-source-host"][0] == "127.0.0.11"
    assert "queue example.com/mta1\n" in result.output


def test_what_is_read_and_not_yet_acted_on_is_marked(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = explain_module.row_of

    def row_of(setting: str, scope: Scope) -> Directive | None:
        row = original(setting, scope)
        return replace(row, state=State.NOT_YET) if row is not None and row.name == "check-spf-outbound" else row

    assert rows(explain(config, "example.com", "--changed"))["check-spf-outbound"][1] == line(config, "check-spf-outbound")
    monkeypatch.setattr("postwright.control.config.explain.row_of", row_of)
    shown = rows(explain(config, "example.com", "--changed"))
    assert shown["check-spf-outbound"] == ("yes", f"{line(config, 'check-spf-outbound')}  (not yet)")
    assert "not yet" not in shown["bounce-after"][1]


def test_only_what_is_set(config: Path) -> None:
    assert set(rows(explain(config, "example.com", "--changed"))) == {
        "backoff-max-msg-rate",
        "check-spf-outbound",
        "bounce-after",
        "max-msg-rate",
        "max-smtp-out",
    }


def test_columns_are_aligned(config: Path) -> None:
    lines = [line for line in explain(config, "example.com", "--changed").output.splitlines() if line.startswith("  ")]
    assert len({line.index(str(config)) for line in lines}) == 1


def test_defaults_are_dimmed_on_a_terminal(config: Path) -> None:
    result = CliRunner().invoke(main, ["config", "explain", "example.com", "--config", str(config)], color=True)
    lines = result.output.splitlines()
    assert next(line for line in lines if "retry-after  " in line).startswith("\x1b[2m")
    assert not next(line for line in lines if "bounce-after" in line).startswith("\x1b[2m")


def test_no_password_is_shown(config: Path) -> None:
    for options in ((), ("--json",)):
        result = explain(config, "example.com/mta1", *options)
        assert "auth-password" in result.output
        assert "sesame" not in result.output


def test_a_client_by_its_network(config: Path) -> None:
    narrow, wide = rows(explain(config, "source", "127.0.0.20")), rows(explain(config, "source", "127.0.0.21"))
    assert narrow["always-allow-relaying"] == ("no", line(config, "always-allow-relaying no"))
    assert wide["always-allow-relaying"] == ("yes", line(config, "always-allow-relaying yes"))
    assert narrow["smtp-command-timeout"] == ("1m30s", line(config, "smtp-command-timeout"))


def test_a_client_by_listener_and_login(config: Path) -> None:
    shown = rows(explain(config, "source", "127.0.0.21", "--user", "FOO", "--listener-source", "{front}"))
    assert shown["default-virtual-mta"] == ("mta1", line(config, "default-virtual-mta"))
    assert shown["max-message-size"] == ("20M", line(config, "max-message-size"))


def test_a_named_source_by_itself(config: Path) -> None:
    assert set(rows(explain(config, "source", "{foo-source}", "--changed"))) == {"default-virtual-mta"}


def test_json(config: Path) -> None:
    answer = json.loads(explain(config, "example.com/mta1", "--json").output)
    assert answer["subject"] == "example.com/mta1"
    queue = {row["directive"]: row for row in answer["sections"][1]["settings"]}
    where, _, number = line(config, "bounce-after").rpartition(":")
    assert queue["bounce-after"] == {
        "directive": "bounce-after",
        "value": 129600.0,
        "text": "1d12h",
        "file": where,
        "line": int(number),
        "state": "",
    }
    assert queue["check-spf-outbound"]["state"] == ""
    assert len(queue) > 100


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("example.com/mta9",), "did you mean `mta1`?"),
        (("example.com/both",), "both is a pool; ask for one of its members: mta1"),
        (("exa mple",), "is no domain"),
        (("source", "300.1.1.1"), "{foo-source}"),
        (("source", "127.0.0.1", "--user", "fo"), "no smtp-user 'fo'"),
        (("source", "127.0.0.1", "--listener-source", "{fron}"), "did you mean `{front}`?"),
    ],
)
def test_what_does_not_exist(config: Path, words: tuple[str, ...], message: str) -> None:
    result = explain(config, *words)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("words", [("source",), ("example.com", "more"), ("source", "127.0.0.1", "more"), ("example.com", "--user", "foo")])
def test_wrong_usage(config: Path, words: tuple[str, ...]) -> None:
    result = explain(config, *words)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


def test_a_configuration_with_errors(config: Path) -> None:
    config.write_text(CONFIG + "max-smpt-out 5\n")
    result = explain(config, "example.com")
    assert result.exit_code == 2
    assert "error: unknown directive" in result.stderr
    assert explain(config, "example.com", "--tolerant").exit_code == 0


def test_without_a_file_the_usual_place_is_read_or_a_file_asked_for(config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(config_module, "USUAL", tmp_path / "none")
    result = CliRunner().invoke(main, ["config", "explain", "example.com"])
    assert result.exit_code == 2
    assert "--config FILE" in result.stderr
    monkeypatch.setattr(config_module, "USUAL", config)
    assert rows(CliRunner().invoke(main, ["config", "explain", "example.com"]))["max-smtp-out"][0] == "7"


def test_reference_to_a_file_and_to_the_terminal(tmp_path: Path) -> None:
    page = tmp_path / "reference" / "directives.md"
    assert CliRunner().invoke(main, ["config", "reference", "--output", str(page)]).exit_code == 0
    done = subprocess.run([sys.executable, "-m", "postwright", "config", "reference"], capture_output=True, text=True, check=True)
    assert done.stdout == page.read_text()
    assert "| `max-smtp-out` |" in done.stdout


def test_a_reference_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    result = CliRunner().invoke(main, ["config", "reference", "--output", str(tmp_path / "taken" / "page.md")])
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
