"""`postwright sink` and `postwright load` as processes, one speaking to the other."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from postwright.testing import cli_load, cli_sink


@contextmanager
def running(*options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A sink's process and its port."""
    command = [sys.executable, "-m", "postwright", "sink", "--listen", "127.0.0.1:0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)
        assert found, line + process.stdout.read()
        try:
            yield process, int(found[1])
        finally:
            process.kill()


def load(port: int, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "postwright", "load", f"127.0.0.1:{port}", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_together(tmp_path: Path) -> None:
    options = ["--show", "--save", str(tmp_path / "mail"), "--stop-after", "5", "--json", "--rule", "rcpt:r2.0@* 550 5.1.1 no"]
    with running(*options) as (sink, port):
        done = load(port, "-n", "6", "-c", "1", "--json", "--header", "X-Job: j", "--recipients", "1")
        assert done.returncode == 1, done.stderr
        report = json.loads(done.stdout)
        assert (report["accepted"], report["refused"], report["refusals"]) == (5, 1, {"550 5.1.1 no": 1})
        output, _ = sink.communicate(timeout=10)
        assert sink.returncode == 0
    *messages, counts = output.splitlines()
    assert messages[0].startswith("message 1: from <load@source.example> to r1.0@sink.example, ")
    assert messages[0].endswith("subject 'load 1'")
    assert json.loads(counts)["messages"] == 5
    assert len(list((tmp_path / "mail").glob("*.eml"))) == 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_with_its_counts(number: signal.Signals, tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.write_text("# one\n\neod delay=0.001\n")
    with running("--rules-file", str(rules), "--tls", "--user", "u:p", "--require-auth") as (sink, port):
        done = load(port, "-n", "3", "--starttls", "--user", "u:p", "--rate", "500")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "accepted     3 messages" in done.stdout
        sink.send_signal(number)
        output, _ = sink.communicate(timeout=10)
        assert sink.returncode == 0
        assert re.search(r"^messages +3$", output, re.MULTILINE)


WRONG_SINK = {
    ("--rule", "rcpt"): "the rule does nothing",
    ("--listen", "nowhere"): "is not HOST:PORT",
    ("--listen", "127.0.0.1:99999"): "is not HOST:PORT",
    ("--without", "size,nonsense"): "expected one of pipelining",
    ("--user", "u"): "--user wants NAME:PASSWORD",
    ("--tls-cert", __file__): "--tls-cert",
}


@pytest.mark.parametrize("options", WRONG_SINK, ids=" ".join)
def test_wrong_options_of_sink(options: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli_sink.command, list(options))
    assert result.exit_code == 2
    assert WRONG_SINK[options] in result.output


WRONG_LOAD = {
    ("--size", "x"): "is not a size",
    ("--domains", "a:b"): "is not a weight",
    ("--recipients", "0"): "expected a number",
    ("--user", "u"): "--user wants NAME:PASSWORD",
    ("nowhere",): "is not HOST:PORT",
}


@pytest.mark.parametrize("options", WRONG_LOAD, ids=" ".join)
def test_wrong_options_of_load(options: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli_load.command, list(options))
    assert result.exit_code == 2
    assert WRONG_LOAD[options] in result.output


def test_a_port_that_is_taken() -> None:
    with running("--without", "pipelining,size", "--binarymime") as (_, port):
        result = CliRunner().invoke(cli_sink.command, ["--listen", f"127.0.0.1:{port}"])
        assert result.exit_code == 1
        assert "cannot listen on" in result.output


def test_help_tells_the_rules() -> None:
    result = CliRunner().invoke(cli_sink.command, ["--help"], terminal_width=140)
    assert result.exit_code == 0
    for part in ("rcpt:full@shop.example 452 4.2.2 mailbox full", "Stages: connect", "take-drop"):
        assert part in result.output
    assert "parse_rule" not in result.output
