"""`postwright sink --until-eof` ends with whoever started it. Takes a second."""

from __future__ import annotations

import subprocess
import sys


def test_it_ends_when_its_standard_input_does() -> None:
    command = [sys.executable, "-m", "postwright", "sink", "--listen", "127.0.0.1:0", "--until-eof"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as sink:
        assert sink.stdin is not None
        assert sink.stdout is not None
        assert sink.stdout.readline().startswith("listening on 127.0.0.1:")
        sink.stdin.write("words are no end\n")
        sink.stdin.flush()
        assert sink.poll() is None
        output, _ = sink.communicate(timeout=20)  # closes standard input
        assert sink.returncode == 0
        assert "messages" in output
