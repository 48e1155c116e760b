"""Tab completes: in a real bash, and without importing what is not asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from postwright.control.cli.completion import SHELLS
from postwright.control.cli.main import COMMANDS, main


def completed(words: str, needs: Callable[[str], Path], tmp_path: Path) -> list[str]:
    """What bash offers for the last of `words`."""
    program = tmp_path / "postwright"
    code = "from postwright.control.cli.main import COMMANDS, main; main(prog_name='postwright')"
    program.write_text(f'#!/bin/sh\nexec \'{sys.executable}\' -c "{code}" "$@"\n')
    program.chmod(0o755)
    script = CliRunner().invoke(main, ["completion", "bash"]).output
    lines = [
        script,
        f"COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))",
        "_postwright_completion postwright",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([needs("bash"), "-c", "\n".join(lines)], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.split()


@pytest.mark.needs("bash")
def test_bash_completes_commands_and_options(needs: Callable[[str], Path], tmp_path: Path) -> None:
    assert completed("postwright sup", needs, tmp_path) == ["suppress"]
    assert completed("postwright suppress imp", needs, tmp_path) == ["import"]
    assert "--json" in completed("postwright status --", needs, tmp_path)


def test_names_are_completed_without_importing_the_commands() -> None:
    code = (
        "import os, sys; os.environ.update(_POSTWRIGHT_COMPLETE='bash_complete', COMP_WORDS='postwright s', COMP_CWORD='1')\n"
        "from postwright.control.cli.main import COMMANDS, main\n"
        "try: main(prog_name='postwright')\n"
        "except SystemExit: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "plain,spool" in done.stdout
    assert {lazy.module for lazy in COMMANDS.values()} & set(done.stdout.split()) == set()


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_has_its_lines(shell: str) -> None:
    output = CliRunner().invoke(main, ["completion", shell]).output
    assert f"_POSTWRIGHT_COMPLETE={shell}_complete" in output


def test_other_shells_are_refused() -> None:
    assert CliRunner().invoke(main, ["completion", "csh"]).exit_code == 2
