"""A bar on a terminal, and not an octet more than before in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from postwright.control.cli.progress import counted, shown

WORK = """\
import sys
from postwright.control.cli.progress import shown
with shown("imported", 4, beside=len(sys.argv) > 1) as tell:
    for number in range(1, 5):
        tell(number)
print("done")
"""


def run(*arguments: str, terminal_out: bool = False) -> tuple[str, str]:
    """Standard output and what a terminal, which standard error is, was shown."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    out = theirs if terminal_out else subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", WORK, *arguments], stdout=out, stderr=theirs, env=environment) as process:
        os.close(theirs)
        drawn = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # Linux: the other end is closed
                break
            if not part:
                break
            drawn += part
        printed = process.stdout.read().decode() if process.stdout is not None else ""
    os.close(ours)
    assert process.returncode == 0
    return printed, drawn.decode()


def test_a_terminal_is_shown_how_far_it_is() -> None:
    printed, drawn = run()
    assert printed == "done\n"
    assert "imported" in drawn
    assert "4/4" in drawn


def test_lines_on_the_same_terminal_are_not_drawn_over() -> None:
    assert "4/4" in run("beside")[1]  # the lines go elsewhere
    assert run("beside", terminal_out=True)[1].replace("\r", "") == "done\n"


def test_a_pipe_gets_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with shown("imported", 2) as tell:
        assert list(counted("ab", tell)) == ["a", "b"]
    assert capfd.readouterr() == ("", "")


def test_what_is_counted_is_told() -> None:
    told: list[float] = []
    assert list(counted("abc", told.append)) == ["a", "b", "c"]
    assert told == [1, 2, 3]
