"""Programs that are fed: what they get, what counts as read, what is said of those that fail."""

from __future__ import annotations

import asyncio
import csv
import io
import signal
import sys
import time
from asyncio.subprocess import Process
from pathlib import Path

import pytest
from tests.engine.event_town import EventTown, delivered

from postwright.engine import export_pipe
from postwright.policy.settings import AcctFileSettings

READER = """
import os, sys
out = open(sys.argv[1], "ab", buffering=0)
most = int(sys.argv[2]) if len(sys.argv) > 2 else 1 << 60
while most > 0 and (data := os.read(0, min(65536, most))):
    out.write(data)
    most -= len(data)
if most <= 0:
    print("I have had enough", file=sys.stderr)
    sys.exit(3)
"""


def pipe(folder: Path, *arguments: str, program: str = READER, **more: float) -> AcctFileSettings:
    folder.mkdir(exist_ok=True)
    (folder / "program.py").write_text(program)
    words = [sys.executable, str(folder / "program.py"), str(folder / "out"), *arguments]
    settings = {"retry_interval": 3600.0, "write_timeout": 10.0, **more}
    return AcctFileSettings("|" + " ".join(f'"{word}"' for word in words), records=("d",), record_fields={"d": ("rcpt",)}, **settings)  # type: ignore[arg-type]


def town_of(folder: Path, settings: AcctFileSettings) -> EventTown:
    return EventTown(folder / "state", settings, settings.path)


def rcpts(folder: Path) -> list[str]:
    text = (folder / "out").read_text() if (folder / "out").exists() else ""
    return [row["rcpt"] for row in csv.DictReader(io.StringIO(text)) if row["type"] == "d"]


def addresses(*numbers: int) -> list[str]:
    return [f"{n}@example.com" for n in numbers]


async def test_the_header_then_rows(tmp_path: Path) -> None:
    town = town_of(tmp_path, pipe(tmp_path))
    town.write([delivered(1), delivered(2, "b"), delivered(3)])
    async with town:
        await town.until(lambda: rcpts(tmp_path) == addresses(1, 3), "rows")
        town.write([delivered(4)])
        await town.until(lambda: rcpts(tmp_path) == addresses(1, 3, 4), "more rows")
        await town.until_all_is_had()
    assert (tmp_path / "out").read_bytes().split(b"\r\n")[0] == b"type,rcpt"
    assert town.told == []


@pytest.mark.directive("queue-filter")
async def test_only_queues_that_it_wants(tmp_path: Path) -> None:
    from msgspec.structs import replace

    town = town_of(tmp_path, replace(pipe(tmp_path), queue_filter=("*.org/*",)))
    town.write([delivered(1), delivered(2, queue="a.org/vmta"), delivered(3, queue="")])
    async with town:
        await town.until(lambda: rcpts(tmp_path) == addresses(2, 3), "rows")


@pytest.mark.directive("retry-interval")
async def test_rows_that_a_program_has_not_read_go_to_the_next_one(tmp_path: Path) -> None:
    """A program that reads the header and 20 octets, and leaves; then, at a reload, one that reads on."""
    town = town_of(tmp_path, pipe(tmp_path, str(len("type,rcpt\r\n") + 20)))
    town.write([delivered(n) for n in range(10)])
    async with town:
        await town.until(lambda: town.told, "the error")
    [told] = town.told
    assert told["event"].startswith('Error executing "')
    assert told["event"].endswith('": it ended with status 3; it said: I have had enough')
    assert told["consumer"].startswith("|")
    settings = pipe(tmp_path)
    again = EventTown(tmp_path / "state", settings, told["consumer"])
    (tmp_path / "out").unlink()
    async with again:
        await again.until(lambda: len(rcpts(tmp_path)) == 10, "all rows: of none was everything read")


async def test_what_it_says_moves_no_cursor_of_a_terminal(tmp_path: Path) -> None:
    program = "import sys; sys.stderr.write('one\\n\\x1b[2Jtwo\\x9b'); sys.exit(1)"
    town = town_of(tmp_path, pipe(tmp_path, program=program))
    town.write([delivered(1)])
    async with town:
        await town.until(lambda: town.feed.status().trouble, "the trouble")
    assert town.feed.status().trouble.isprintable()
    assert "it said: one  [2Jtwo" in town.feed.status().trouble


async def test_it_is_tried_again_after_the_interval(tmp_path: Path) -> None:
    town = town_of(tmp_path, pipe(tmp_path, "11", retry_interval=0.01))
    town.write([delivered(1)])
    async with town:
        await town.until(lambda: len(town.told) >= 3, "several attempts")
        assert town.feed.status().trouble.startswith("Error executing")


@pytest.mark.directive("write-timeout")
async def test_one_that_does_not_read_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[Process] = []
    end = export_pipe._end

    async def noted(process: Process) -> None:
        ended.append(process)
        await end(process)

    monkeypatch.setattr(export_pipe, "_end", noted)
    monkeypatch.setattr(export_pipe, "PATIENCE", 0.05)
    program = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
    town = town_of(tmp_path, pipe(tmp_path, program=program, write_timeout=0.1))
    town.write([delivered(n) for n in range(6000)])  # more than a pipe holds
    async with town:
        await town.until(lambda: town.told, "the error")
        assert town.told[0]["event"].endswith('": it has read nothing for 0.1 seconds')
        assert town.told[0]["event"].startswith('Error writing to "')
        assert town.feed.status().delivered == 0
    assert await asyncio.wait_for(ended[0].wait(), 10) in (-signal.SIGTERM, -signal.SIGKILL)


@pytest.mark.directive("write-timeout")
async def test_one_that_hangs_over_a_few_rows_is_ended_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They fit into its pipe, so no write of ours ever waits."""
    monkeypatch.setattr(export_pipe, "PATIENCE", 0.05)
    program = "import os, time\nos.read(0, 11)\ntime.sleep(600)"
    town = town_of(tmp_path, pipe(tmp_path, program=program, write_timeout=0.25))
    town.write([delivered(n) for n in range(3)])
    async with town:
        await town.until(lambda: town.told, "the error")
        assert town.told[0]["event"].endswith('": it has read nothing for 0.25 seconds')
        assert town.feed.status().delivered == 0


async def test_one_that_has_read_all_may_take_its_time(tmp_path: Path) -> None:
    town = town_of(tmp_path, pipe(tmp_path, write_timeout=0.5))
    town.write([delivered(1)])
    async with town:
        await town.until_all_is_had()
        process = town.feed._outlet._process  # type: ignore[attr-defined]
        quiet = time.monotonic()
        await town.until(lambda: time.monotonic() - quiet > 0.7, "nothing to read for a while")
        town.write([delivered(2)])
        await town.until(lambda: rcpts(tmp_path) == addresses(1, 2), "one more row")
        assert town.feed._outlet._process is process  # type: ignore[attr-defined]
    assert town.told == []


@pytest.mark.parametrize("command", ["|/no/such/program --x", "|", '|"unbalanced'])
async def test_one_that_cannot_be_started(tmp_path: Path, command: str) -> None:
    settings = AcctFileSettings(command, retry_interval=3600.0)
    town = EventTown(tmp_path, settings, command)
    async with town:
        await town.until(lambda: town.told, "the error")
    assert town.told[0]["event"].startswith(f'Error starting "{command[1:]}": ')


async def test_much_goes_through(tmp_path: Path) -> None:
    town = town_of(tmp_path, pipe(tmp_path))
    town.write([delivered(n) for n in range(20_000)])
    async with town:
        await town.until_all_is_had()
    assert rcpts(tmp_path) == addresses(*range(20_000))
