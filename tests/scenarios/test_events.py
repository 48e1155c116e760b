"""The event log of a real relay, and who is fed from it: a program, the commands, after deaths of everybody."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.scenarios.alone import Alone

from postwright.control.cli.events import command
from postwright.testing.sink import SinkServer

PIPE = """
event-log yes
<acct-file |/bin/sh "{script}" {out}>
    records d,b
    record-fields d rcpt,dsnStatus,eventId
    record-fields b rcpt,dsnStatus,eventId
    retry-interval 1h
    write-timeout 30s
</acct-file>
"""


class Program:
    """A program that appends what it reads to a file, each time behind what it was started with."""

    def __init__(self, folder: Path) -> None:
        self.script = folder / "program.sh"
        self.out = folder / "rows.csv"
        self.pid = folder / "pid"
        self.script.write_text(f'echo $$ >"{self.pid}"; exec cat >>"$1"\n')
        self.config = PIPE.format(script=self.script, out=self.out)

    @property
    def text(self) -> str:
        return self.out.read_text() if self.out.exists() else ""

    def rows(self) -> list[dict[str, str]]:
        """What it was given, headers left out."""
        lines = [line for line in self.text.splitlines() if not line.startswith("type,")]
        return list(csv.DictReader(io.StringIO("\n".join(["type,rcpt,dsnStatus,eventId", *lines]))))

    def recipients(self) -> set[str]:
        return {row["rcpt"] for row in self.rows()}


def children(pid: int) -> dict[str, int]:
    """Modules that children of a process run -> their ids."""
    found: dict[str, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    found[words[2].decode() if len(words) > 2 else ""] = int(entry.name)
            except (OSError, IndexError):
                continue
    return found


@pytest.mark.directive("acct-file", "retry-interval", "write-timeout", "event-log")
async def test_a_program_is_fed_whoever_dies(tmp_path: Path) -> None:
    program = Program(tmp_path)
    async with SinkServer(["rcpt:bad.example 550 5.1.1 no"]) as receiver, Alone(tmp_path, receiver, program.config, shards=2) as relay:
        await relay.load(["one.example", "two.example", "bad.example"])
        await relay.until(lambda: len(program.rows()) == 4, "rows at the program")
        assert program.text.startswith("type,rcpt,dsnStatus,eventId\n")
        assert {row["rcpt"]: row["dsnStatus"] for row in program.rows()} == {
            "0@one.example": "2.0.0 (success)", "1@two.example": "2.0.0 (success)",
            "2@bad.example": "5.1.1 (bad destination mailbox address)",
            "anne@client.example": "2.0.0 (success)",  # who is told of it
        }  # fmt: skip

        # the exporter dies: mail goes on, and the rows come when it is back
        exporter = children(relay.process.pid)["postwright.engine.exporter"]
        os.kill(exporter, signal.SIGKILL)
        await relay.load(["three.example"])
        await receiver.wait_for(4)
        await relay.until(lambda: "0@three.example" in program.recipients(), "the row of a new exporter")
        assert children(relay.process.pid)["postwright.engine.exporter"] != exporter

        # the program dies: its successor is there at the reload, not before the hour is over
        os.kill(int(program.pid.read_text()), signal.SIGKILL)
        await relay.load(["four.example"])
        await relay.until(lambda: any("Error" in name for name in map(str, (e["event"] for e in relay.log()))), "the error")
        [error] = {str(event["event"]) for event in relay.log() if "Error" in str(event["event"])}
        assert error.startswith(f'Error executing "/bin/sh "{program.script}"')
        assert "signal 9" in error
        await relay.until(lambda: any(c.trouble for c in relay.status().consumers), "status to tell")
        assert "0@four.example" not in program.recipients()
        assert relay.ask("reload").ok
        await relay.until(lambda: "0@four.example" in program.recipients(), "the row at the new program")
        await relay.until(lambda: relay.status().consumers[0].behind == 0, "status to tell that it has all")

        # what is shown is what was given, under the same names
        status, printed = typed(relay, "replay", "--json", "--types", "d,b")
        assert status == 0
        events = {event["eventId"]: event for event in map(json.loads, printed.splitlines())}
        assert {name: event["rcpt"] for name, event in events.items()} == {row["eventId"]: row["rcpt"] for row in program.rows()}
        assert all(event["time"] > 1.7e9 and event["queue"] for event in events.values())

        # once more, from a time on
        before = len(program.rows())
        status, printed = typed(relay, "replay", "--since", "1h", "--to", relay.status().consumers[0].name)
        assert status == 0, printed
        await relay.until(lambda: len(program.rows()) == before + 6, "all rows once more")
        assert {row["eventId"] for row in program.rows()} == set(events)
        status, printed = typed(relay, "replay", "--since", "1h", "--to", "nobody")
        assert (status, "no consumer of events is called nobody" in printed) == (1, True)


async def test_no_consumer_no_log(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver) as relay:
        await relay.load(["one.example"])
        await relay.wait_for_records("d", 1)
        assert not (relay.state_dir / "events").exists()
        assert "postwright.engine.exporter" not in children(relay.process.pid)
        status, printed = typed(relay, "tail")
        assert (status, "event-log yes" in printed) == (1, True)


def typed(relay: Alone, *words: str) -> tuple[int, str]:
    """`postwright events WORDS`, in this process."""
    done = CliRunner().invoke(command, [*words, "--state-dir", str(relay.state_dir)])
    return done.exit_code, done.output
