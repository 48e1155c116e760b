"""The exporter's own business: consumers come, go and change at a reload, and one is no other's concern."""

from __future__ import annotations

import asyncio
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog
from msgspec.structs import replace
from tests.engine.event_town import delivered

from postwright.engine import export_process, export_stream
from postwright.engine.bus import Link, encode
from postwright.engine.export_frames import ConsumerStatus, Export, Exporting
from postwright.engine.export_process import ExportProcess
from postwright.engine.exporter import Exporter
from postwright.policy.settings import AcctFileSettings, EventStream, GeneralSettings, Settings
from postwright.store.event_files import log_folder
from postwright.store.event_log import EventLog, EventOptions

LINK = Link(lambda link, frame: None, lambda link, reason: None, "supervisor")


PROGRAM = """
import os, sys
with open(sys.argv[2], "a") as lives:
    print(os.getpid(), file=lives)
with open(sys.argv[1], "a") as out:
    out.writelines(sys.stdin)
"""


def program(folder: Path, name: str, **more: tuple[str, ...]) -> AcctFileSettings:
    script = folder / f"{name}.py"
    script.write_text(PROGRAM)
    command = f'|"{sys.executable}" "{script}" "{folder / name}.out" "{folder / name}.lives"'
    return AcctFileSettings(command, records=("d",), retry_interval=3600.0, **more)  # type: ignore[arg-type]


def lives(folder: Path, name: str) -> list[str]:
    path = folder / f"{name}.lives"
    return path.read_text().split() if path.exists() else []


def rows(folder: Path, name: str) -> int:
    """Rows that the program has written down; it does so when its input ends."""
    path = folder / f"{name}.out"
    return sum("@example.com" in line for line in path.read_text().splitlines()) if path.exists() else 0


async def until(condition: Callable[[], object]) -> None:
    deadline = asyncio.get_running_loop().time() + 15
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


class Deadly(ExportProcess):
    """Whose process says a word and dies, and in its second life says nothing for as long as `quiet` is open."""

    quiet: socket.socket | None = None
    lives = 0

    def _spawn(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.lives += 1
        self._process = subprocess.Popen(["true"])
        if self.lives == 1:
            theirs.sendall(encode(Exporting([ConsumerStatus("hook.json", behind=7)])))
            theirs.close()
        else:
            self.quiet = theirs
        ours.setblocking(False)
        return ours


class Hanging(ExportProcess):
    """Whose process is there and says nothing, and in its second life speaks."""

    lives = 0
    theirs: socket.socket

    def _spawn(self) -> socket.socket:
        ours, self.theirs = socket.socketpair()
        self.lives += 1
        self._process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        ours.setblocking(False)
        if self.lives > 1:
            self.theirs.sendall(encode(Exporting([ConsumerStatus("hook.json", behind=7)])))
        return ours


async def test_one_that_hangs_has_a_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_process, "SILENCE", 0.2)
    monkeypatch.setattr(export_process, "PAUSES", (0.0,))
    process = Hanging(Path("nowhere"), "", False, structlog.get_logger())
    process.tell(Settings(acct_files=(AcctFileSettings("hook.json", http_webhook_url="http://x/"),)))
    attending = asyncio.get_running_loop().create_task(process.attend())
    await until(lambda: process.lives >= 1)
    first = process._process
    await until(lambda: process.lives >= 2 and process.consumers[0].behind == 7)
    assert first is not None
    assert first.returncode == -signal.SIGKILL
    monkeypatch.setattr(export_process, "GRACE", 0.0)
    process.theirs.close()
    await process.stop()
    await asyncio.wait_for(attending, 15)


async def test_status_tells_of_an_exporter_that_is_not_there() -> None:
    hooks = tuple(AcctFileSettings(name, http_webhook_url="http://x/") for name in ("hook.json", "new.json"))
    process = Deadly(Path("nowhere"), "", False, structlog.get_logger())
    assert process.consumers == []
    process.tell(Settings(acct_files=hooks))
    attending = asyncio.get_running_loop().create_task(process.attend())
    await until(lambda: process.quiet)
    assert [(one.name, one.behind, one.trouble) for one in process.consumers] == [
        ("hook.json", 7, "the exporter does not run just now"),
        ("new.json", 0, "the exporter does not run just now"),
    ]
    assert process.quiet is not None
    process.quiet.sendall(encode(Exporting([ConsumerStatus("hook.json", behind=8)])))
    await until(lambda: process.consumers == [ConsumerStatus("hook.json", behind=8)])
    await process.stop()
    await attending
    process.quiet.close()


def apply(exporter: Exporter, folder: Path, *files: AcctFileSettings, streams: tuple[EventStream, ...] = ()) -> None:
    settings = Settings(
        general=GeneralSettings(log_file=str(folder / "log")),
        acct_files=files,
        event_streams={stream.name: stream for stream in streams},
    )
    exporter.heard(LINK, Export(pickle.dumps(settings), str(folder)))


async def test_a_reload_touches_only_who_has_changed(tmp_path: Path) -> None:
    one, two = program(tmp_path, "one"), program(tmp_path, "two")
    log = EventLog(log_folder(tmp_path, 0), 0, EventOptions(frozenset("d"), (one.path, two.path)), lambda event, detail: None)
    exporter = Exporter()
    apply(exporter, tmp_path, one, two)
    await until(lambda: lives(tmp_path, "one") and lives(tmp_path, "two"))
    log.write([delivered(1)])
    log.flush()
    await until(lambda: [status.behind for status in exporter.statuses()] == [0, 0])
    apply(exporter, tmp_path, one, replace(two, records=("d", "b")))  # another consumer under the same name
    await until(lambda: len(lives(tmp_path, "two")) == 2)
    assert len(lives(tmp_path, "one")) == 1
    apply(exporter, tmp_path, one)  # and it goes
    await until(lambda: rows(tmp_path, "two") == 1)
    assert [status.name for status in exporter.statuses()] == [one.path]
    await exporter.stop()
    await until(lambda: rows(tmp_path, "one") == 1)
    assert len(lives(tmp_path, "one")) == 1


async def test_who_cannot_be_fed_is_told_and_others_are_fed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_stream, "find_spec", lambda name: None)
    one = program(tmp_path, "one")
    exporter = Exporter()
    apply(exporter, tmp_path, one, streams=(EventStream("audit", "nats://127.0.0.1", "x"),))
    await until(lambda: lives(tmp_path, "one"))
    status = {status.name: status.trouble for status in exporter.statuses()}
    assert status == {one.path: "", "stream audit": "<event-stream audit> needs nats: pip install 'postwright[nats]'"}
    await exporter.stop()
