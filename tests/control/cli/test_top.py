"""`postwright top`: frames of every size, and a terminal that is left as it was found."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from postwright.control.cli.main import main
from postwright.control.cli.top_frame import KEYS, Shown, frame, pace, plain
from postwright.engine import frames as f
from postwright.engine.bus import decode_body, encode, listen_unix
from postwright.engine.views.figures import Figures
from postwright.engine.views.host import HostFacts
from postwright.engine.views.queues import QueueRow, QueuesView
from postwright.engine.views.status import Backlog, SpoolView, StatusView
from postwright.engine.views.traffic import Connections, TrafficView
from postwright.net.resolver import ResolverCounts

STATUS = StatusView(
    "1.2.3", "relay.example", HostFacts("Linux", "6", "", "", 2, 0), 1_700_000_100.0, 1_700_000_000.0, False, 1, 1,
    TrafficView(
        Figures(500, 400, 0, 300, 200, 0, 7, 2), last_minute=Figures(50, 40, 0, 30, 20, 0, 7, 2),
        inbound=Connections(3, 4), outbound=Connections(9, 9),
    ),
    100, None, ResolverCounts(5), {"smtp": Backlog(1234, 3, 3 << 20)}, SpoolView(100.0, 1, 1, 0, 1234, None),
)  # fmt: skip


def row(name: str, recipients: int, **more: object) -> QueueRow:
    plain_row = QueueRow(name, recipients, 2048, 1, False, "normal", 0.0, "", "READY", "ready: a connection will take it", 1, 0, 0, "smtp")
    return replace(plain_row, **more)


BAD = row("bad.example/vm1", 900, mode="backoff", last_error="450 \x1b[2Jlater \u6f22")
QUEUES = QueuesView(30, 25, 1234, [BAD, *(row(f"d{n}.example/vm1", n) for n in range(29))])


def test_a_frame() -> None:
    lines = plain(frame(Shown(STATUS, QUEUES, Figures(in_rcpts=20), 2.0), 80, 24))
    assert len(lines) == 24
    assert lines[:7] == [
        "Postwright 1.2.3 on relay.example, running, up 0 00:01:40    " + lines[0][-19:],
        "  in                    50 in the last minute       10.0/s",
        "  delivered             30 in the last minute        0.0/s",
        "  deferred               7 in the last minute        0.0/s",
        "  bounced                2 in the last minute        0.0/s",
        "  connections in 3 of 100, out 9 of any number; names 5 cached",
        "  1,234 recipients wait in 25 queues (3.0 MB in all); by recipients",
    ]
    assert lines[8].split() == ["QUEUE", "RCPT", "KBYTES", "CONN", "ST", "WHY", "IT", "WAITS"]
    assert lines[9] == r"bad.example/vm1                 900        2    1 B  ready: a connection will..."
    assert lines[-2] == "and 17 more"
    assert lines[-1] == KEYS


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (40, 10), (20, 5), (5, 2), (1, 1)])
def test_a_frame_never_has_more_lines_or_columns_than_there_are(width: int, height: int) -> None:
    lines = frame(Shown(STATUS, QUEUES, trouble="no relay answers at " + "x" * 300), width, height)
    assert len(lines) <= height
    assert all(len(click.unstyle(line)) <= width for line in lines)


def test_a_strangers_words_do_not_reach_the_terminal() -> None:
    text = "\n".join(frame(Shown(STATUS, QUEUES), 200, 40))
    assert r"450 \x1b[2Jlater \u6f22" in text
    assert "\x1b[2J" not in text


def test_the_pace_between_two_looks() -> None:
    later = replace(STATUS, now=STATUS.now + 4, traffic=replace(STATUS.traffic, total=Figures(540, 400, 0, 300, 200)))
    assert pace(later, STATUS) == (Figures(in_rcpts=40), 4.0)
    assert pace(STATUS, None) == (Figures(), 0.0)
    reset = replace(later, traffic=replace(later.traffic, since=1.0))
    assert pace(reset, STATUS) == (Figures(), 0.0)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[tuple[Path, list[dict[str, str]]]]:
    """A state folder whose control socket answers with the views above, and what it was asked about queues."""
    asked: list[dict[str, str]] = []
    server = listen_unix(tmp_path / "control.sock")
    server.setblocking(True)

    def serve() -> None:
        while True:
            try:
                side, _ = server.accept()
            except OSError:
                return
            with side:
                size = int.from_bytes(side.recv(4), "big")
                question = decode_body(side.recv(size))
                assert isinstance(question, f.Ask)
                if question.verb == "view-queues":
                    asked.append(question.arguments)
                view = STATUS if question.verb == "view-status" else QUEUES
                side.sendall(encode(f.Told(ok=True, body=msgspec.json.encode(view))))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield tmp_path, asked
    server.shutdown(2)
    server.close()
    thread.join(5)


def test_one_frame_for_a_pipe(relay: tuple[Path, list[dict[str, str]]]) -> None:
    folder, asked = relay
    result = CliRunner().invoke(main, ["top", "--once", "--errors", "--sort", "size", "--state-dir", str(folder)])
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 24
    assert "\x1b" not in result.stdout
    assert (asked[0]["sort"], asked[0]["errors"]) == ("size", "yes")


def test_without_a_relay(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["top", "--state-dir", str(tmp_path)])
    assert result.exit_code == 3


def test_keys_change_what_is_asked_and_q_leaves_the_terminal_as_it_was(relay: tuple[Path, list[dict[str, str]]]) -> None:
    folder, asked = relay
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    words = [sys.executable, "-m", "postwright", "top", "--interval", "600", "--state-dir", str(folder)]
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "COLUMNS": "80", "LINES": "24"})
    try:
        seen = _until(ours, lambda text: KEYS in text)
        assert "bad.example/vm1" in seen
        os.write(ours, b"se")
        _until(ours, lambda text: "by size, errors only" in text)
        os.write(ours, b"q")
        seen = _until(ours, lambda text: "\x1b[?1049l" in text)
        assert process.wait(10) == 0
        assert termios.tcgetattr(theirs) == before
        assert [one["sort"] for one in asked] == ["rcpt", "size", "size"]
        assert re.search("\x1b\\[\\?25h", seen)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def _until(terminal: int, met: object) -> str:
    """What the terminal shows until `met` of it; at most twenty seconds."""
    assert callable(met)
    text, until = "", time.monotonic() + 20
    while not met(text):
        assert time.monotonic() < until, text
        if select.select([terminal], [], [], 0.5)[0]:
            text += os.read(terminal, 65536).decode("utf-8", "replace")
    return text
