"""`postwright check`: all problems, a closing line, an exit status that scripts can trust."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from postwright.control.cli.main import main

FINE = """\
host-name relay.example
log-file relay.log
smtp-listener 127.0.0.1:2525
<source 127.0.0.1/32>
    always-allow-relaying yes
</source>
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text(FINE)
    return path


def check(path: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["check", str(path), *options])


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_a_fine_file(config: Path) -> None:
    result = check(config)
    assert (result.exit_code, result.output) == (0, f"{config}: fine\n")


def test_every_error_is_told_with_its_line_and_a_caret(config: Path) -> None:
    append(config, "<domain *>\n    max-smpt-out 5\n    retry-after 4days\n</domain>\n")
    result = check(config)
    assert result.exit_code == 2
    first, second = (f"{config}:8:5: error: ", f"{config}:9:17: error: ")
    assert first in result.output
    assert second in result.output
    assert "    max-smpt-out 5\n    " in result.output
    assert "did you mean `max-smtp-out`?" in result.output
    rows = result.output.splitlines()
    below = rows[next(number for number, row in enumerate(rows) if row.startswith(second)) + 2]
    assert below.index("^") == len("    ") + 17 - 1
    assert rows[-1] == "2 errors, 0 warnings"


def test_tolerant_warns_of_what_can_be_left_out(config: Path) -> None:
    append(config, "bounce-address nobody@relay.example\n")
    assert check(config).exit_code == 2
    result = check(config, "--tolerant")
    assert result.exit_code == 0
    assert f"{config}:7:1: warning: " in result.output
    assert result.output.splitlines()[-1] == "0 errors, 1 warning"


def test_tolerant_does_not_forgive_an_open_relay(config: Path) -> None:
    append(config, "<source 0/0>\n    always-allow-relaying yes\n</source>\n")
    for options in ((), ("--tolerant",)):
        assert check(config, *options).exit_code == 2


def test_offline_does_not_look_for_files(config: Path) -> None:
    append(config, "smtp-server-tls-certificate absent.pem\n")
    result = check(config)
    assert result.exit_code == 2
    assert "absent.pem" in result.output
    assert check(config, "--offline").output == f"{config}: fine\n"


def test_json(config: Path) -> None:
    append(config, "max-smpt-out 5\n")
    result = check(config, "--json")
    answer = json.loads(result.output)
    assert result.exit_code == 2
    assert (answer["file"], answer["errors"], answer["warnings"]) == (str(config), 1, 0)
    (problem,) = (problem for problem in answer["problems"] if problem["level"] == "error")
    assert (problem["file"], problem["line"], problem["column"]) == (str(config), 7, 1)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = check(tmp_path / "none")
    assert result.exit_code == 2
    assert "No such file" in result.output


def test_no_password_is_printed(config: Path) -> None:
    append(config, "<smtp-user foo>\n    password sesame 42\n    pasword sesame\n    passwd sesame\n</smtp-user>\n")
    result = check(config)
    assert result.exit_code == 2
    assert "sesame" not in result.output


def test_a_real_process(config: Path) -> None:
    append(config, "max-smpt-out 5\n")
    done = subprocess.run([sys.executable, "-m", "postwright", "check", str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout.endswith("1 error, 0 warnings\n")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_colours_on_a_terminal_only(config: Path) -> None:
    append(config, "max-smpt-out 5\n")
    coloured = CliRunner().invoke(main, ["check", str(config)], color=True)
    assert "\x1b[31m" in coloured.output
    assert "\x1b" not in check(config).output
