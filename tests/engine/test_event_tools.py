"""What `postwright events` is made of: times as people write them, types, all logs as one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.engine.event_town import KINDS, delivered

from postwright.control.cli.events import command
from postwright.engine.event_tools import EventView, kinds_of, since_time
from postwright.model.record import Record
from postwright.store.event_files import log_folder
from postwright.store.event_log import EventLog, EventOptions

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("15m", NOW - 900),
        ("1d2h", NOW - 93_600),
        ("0s", NOW),
        ("1699999999.5", 1_699_999_999.5),
        ("2023-11-14", 1_699_920_000.0),
        ("2023-11-14T22:13", 1_699_999_980.0),
        ("2023-11-14T22:13:20+02:00", NOW - 7200),
    ],
)
def test_times(text: str, wanted: float) -> None:
    assert since_time(text, NOW) == wanted


@pytest.mark.parametrize("text", ["", "soon", "15", "5x", "2023-13-01", "m"])
def test_what_is_no_time(text: str) -> None:
    if text == "15":
        assert since_time(text, NOW) == 15.0  # seconds since 1970, however few
    else:
        with pytest.raises(ValueError, match="is no time"):
            since_time(text, NOW)


def test_types() -> None:
    assert kinds_of("d, bounce") == {"d", "b"}
    assert kinds_of("") == {"d", "b", "t", "tq", "r", "f", "rb", "rs"}
    with pytest.raises(ValueError, match="'x' is no type"):
        kinds_of("d,x")


def log_of(folder: Path, shard: int) -> EventLog:
    return EventLog(log_folder(folder, shard), shard, EventOptions(KINDS), lambda event, detail: None)


def write(log: EventLog, *records: Record) -> None:
    log.write(records)
    log.flush()


def test_all_logs_are_shown_as_one_by_time(tmp_path: Path) -> None:
    write(log_of(tmp_path, 0), delivered(1), delivered(3, "b"), delivered(5))
    write(log_of(tmp_path, 1), delivered(2), delivered(4, "r"))
    view = EventView(tmp_path, kinds_of("d,b"), 1.7e9 + 2)
    shown = [json.loads(line) for line in view.rest(as_json=True)]
    assert [(event["type"], event["time"] - 1.7e9) for event in shown] == [("d", 2), ("b", 3), ("d", 5)]


def test_from_now_on(tmp_path: Path) -> None:
    log = log_of(tmp_path, 0)
    write(log, delivered(1))
    lines = EventView(tmp_path, kinds_of(""), None).follow()
    write(log, delivered(2))
    assert "2@example.com" in next(lines)
    write(log_of(tmp_path, 1), delivered(3))  # a shard that begins its log meanwhile
    assert "3@example.com" in next(lines)


def test_what_strangers_wrote_moves_no_cursor(tmp_path: Path) -> None:
    write(log_of(tmp_path, 0), Record("b", 1.7e9, 1, rcpt="a@b.example", dsn_diag="smtp;550 \x1b[2J\r\n\u202e"))
    write(log_of(tmp_path, 1), Record("d", 1.7e9, 1, rcpt="a@b.example", dsn_diag="smtp;250 \x9b2J\u202e\U0001f4e7"))
    as_json = CliRunner().invoke(command, ["replay", "--json", "--state-dir", str(tmp_path)]).output
    assert as_json.replace("\n", "").isascii()
    assert {json.loads(line)["dsnDiag"][5:8] for line in as_json.splitlines()} == {"550", "250"}
    assert json.loads(as_json.splitlines()[1])["dsnDiag"].endswith("\x9b2J\u202e\U0001f4e7")
    done = CliRunner().invoke(command, ["replay", "--state-dir", str(tmp_path)])
    assert done.exit_code == 0
    assert r"smtp;550 \x1b[2J\r\n\u202e" in done.output
    assert len(done.output.splitlines()) == 2
    assert done.output.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["tail", "--since", "soon"], 2, "'soon' is no time"),
        (["replay", "--types", "x"], 2, "'x' is no type of record"),
        (["replay", "--types", "d", "--to", "x"], 2, "--types does not go with it"),
        (["replay", "--to", "x"], 3, "no relay answers"),
        (["replay"], 1, "there is no event log"),
    ],
)
def test_exit_statuses(words: list[str], status: int, said: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [*words, "--state-dir", str(tmp_path)])
    assert (done.exit_code, said in done.output) == (status, True), done.output
