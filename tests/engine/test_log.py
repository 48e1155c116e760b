"""The log: one JSON object a line, no secrets, nothing of a peer's that moves a cursor; rotation."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from postwright.control.config import loads
from postwright.engine import log as logs
from postwright.policy.settings import GeneralSettings, UserSettings


def written(tmp_path: Path, **fields: Any) -> tuple[dict[str, Any], str]:
    file = logs.LogFile(tmp_path / "log")
    logs.configure(file, shard=3).info("event", **fields)
    text = (tmp_path / "log").read_text("utf-8")
    return json.loads(text), text


def test_a_line_says_when_how_bad_who_and_what(tmp_path: Path) -> None:
    line, text = written(tmp_path, queue="example.com/v", count=3)
    assert (line["level"], line["shard"], line["event"], line["queue"], line["count"]) == ("info", 3, "event", "example.com/v", 3)
    assert line["time"].endswith("+00:00")
    assert text.count("\n") == 1


@pytest.mark.parametrize("name", ["password", "auth_password", "api_key", "Token", "client_secret"])
def test_secrets_are_masked_by_name_wherever_they_stand(tmp_path: Path, name: str) -> None:
    _, text = written(tmp_path, **{name: "hunter2"}, inside={"deep": [{name: "hunter2"}]})
    assert "hunter2" not in text
    assert text.count('"***"') == 2


def test_a_user_in_the_log_shows_no_password(tmp_path: Path) -> None:
    _, text = written(tmp_path, user=UserSettings("foo", password="hunter2"))
    assert "hunter2" not in text
    assert "foo" in text


@pytest.mark.parametrize("octets", ["\x1b[2J", "\x9b2J", "a\x00b", "\x7f", "\u202eevil", "\udcff", "tab\there", "\r"])
def test_what_a_peer_sent_cannot_move_a_cursor(tmp_path: Path, octets: str) -> None:
    for fields in ({"reply": octets}, {"replies": [octets]}, {"by_host": {octets: (octets,)}}):
        _, text = written(tmp_path, **fields)
        assert octets not in text
        assert text.strip("\n").isprintable()
        (tmp_path / "log").unlink()


def test_a_peer_cannot_forge_a_line(tmp_path: Path) -> None:
    line, text = written(tmp_path, reply='250 ok\n{"level": "error", "event": "forged"}')
    assert text.count("\n") == 1
    assert "forged" in line["reply"]


def test_printable_words_of_all_languages_stay(tmp_path: Path) -> None:
    line, _ = written(tmp_path, rcpt="грета@пример.example", quoted='"a\\b"')
    assert line["rcpt"] == "грета@пример.example"
    assert line["quoted"] == '"a\\b"'


def test_an_exception_is_told_whole(tmp_path: Path) -> None:
    try:
        raise ValueError("broken \x1b[2J")
    except ValueError as error:
        line, text = written(tmp_path, exc_info=error)
    assert "Traceback" in line["exception"]
    assert "\x1b" not in text
    assert "\\u001b" not in text  # not even as JSON's own escape, which readers undo


def test_debug_lines_only_when_wanted(tmp_path: Path) -> None:
    file = logs.LogFile(tmp_path / "log")
    logs.configure(file).debug("quiet")
    logs.configure(file, debug=True).debug("loud")
    assert [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()] == ["loud"]


def test_the_file_is_not_for_everybody_unless_told_so(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        logs.LogFile(tmp_path / "mine")
        logs.LogFile(tmp_path / "all", world_readable=True)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "all").stat().st_mode) == 0o644


def test_rotation_keeps_so_many_and_processes_open_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = logs.LogFile(path)
    for number in range(5):
        file.write(b"%d\n" % number)
        logs.rotate(path, 3)
        file.reopen()
    file.write(b"now\n")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"log": "now\n", "log.1": "4\n", "log.2": "3\n"}


def test_a_process_that_has_not_noticed_yet_writes_into_the_renamed_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    slow = logs.LogFile(path)
    logs.rotate(path, 8)
    slow.write(b"late\n")
    assert (tmp_path / "log.1").read_text() == "late\n" or not path.exists()
    assert "late\n" in "".join(p.read_text() for p in tmp_path.iterdir())


@pytest.mark.parametrize(("keep", "left"), [(0, {"log": "x"}), (1, {}), (2, {"log.1": "x"})])
def test_how_many_are_kept(tmp_path: Path, keep: int, left: dict[str, str]) -> None:
    (tmp_path / "log").write_text("x")
    logs.rotate(tmp_path / "log", keep)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == left


def test_a_log_that_cannot_be_opened_or_written_stops_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = logs.LogFile(tmp_path / "no" / "such" / "folder" / "log")
    logs.configure(file).info("to standard error then")
    assert "to standard error then" in capfd.readouterr().err
    broken = logs.LogFile(tmp_path / "log")
    os.close(broken._fd)
    logs.configure(broken).info("lost")
    broken._fd = 2


# -- for people ------------------------------------------------------------------------------------------------------------------


def in_words(tmp_path: Path, **fields: Any) -> str:
    file = logs.LogFile(tmp_path / "log", form="text")
    logs.configure(file, shard=3).warning("something happened", **fields)
    return (tmp_path / "log").read_text("utf-8")


@pytest.mark.directive("log-format")
def test_a_line_of_words(tmp_path: Path) -> None:
    line = in_words(tmp_path, queue="example.com/v", count=3, said="421 go away", none="", password="sesame")
    time, rest = line.split(" ", 1)
    assert time.endswith("+00:00")
    assert rest == 'warning something happened shard=3 queue=example.com/v count=3 said="421 go away" none="" password=***\n'


@pytest.mark.directive("log-format")
def test_what_a_peer_wrote_is_neither_another_line_nor_another_field(tmp_path: Path) -> None:
    line = in_words(tmp_path, said="a\nwarning forged=1\x1b[31m", other="x=y")
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert 'other="x=y"' in line


@pytest.mark.directive("log-format")
def test_a_traceback_is_indented(tmp_path: Path) -> None:
    try:
        raise ValueError("no such thing")
    except ValueError as error:
        lines = in_words(tmp_path, exc_info=error).splitlines()
    assert lines[1] == "    Traceback (most recent call last):"
    assert lines[-1] == "    ValueError: no such thing"


@pytest.mark.directive("log-format")
def test_the_directive_chooses_and_json_is_usual(tmp_path: Path) -> None:
    general = GeneralSettings(log_file=str(tmp_path / "log"))
    usual = logs.open_log(general)
    assert (usual.form, logs.same_log(usual, general)) == ("json", True)
    assert not logs.same_log(usual, msgspec.structs.replace(general, log_format="text"))
    result = loads(f"log-format text\nlog-file {tmp_path / 'here.log'}\n")
    assert result.settings is not None
    assert logs.open_log(result.settings.general).form == "text"
