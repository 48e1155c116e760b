"""`postwright suppress`: what it says and does, CSV in and out, and its exit statuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from postwright.control.cli.main import main
from postwright.engine.suppression_tools import parse_time


def suppress(folder: Path, verb: str, *arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["suppress", verb, *arguments, "--state-dir", str(folder)], input=stdin)


def done(folder: Path, verb: str, *arguments: str, stdin: str = "") -> str:
    result = suppress(folder, verb, *arguments, stdin=stdin)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_add_find_list_remove(tmp_path: Path) -> None:
    assert done(tmp_path, "add", "Bob@Example.com", "@dead.example", "--reason", "unsubscribed") == "2 added\n"
    assert done(tmp_path, "add", "bob@example.com", "x@example.com", "--until", "2099-01-31") == "1 added, 1 were there\n"
    found = done(tmp_path, "find", "BOB@example.com")
    assert found.startswith("bob@example.com  global  until never  since ")
    assert found.endswith("command  unsubscribed\n")
    assert "until 2099-01-31 00:00:00+00:00" in done(tmp_path, "find", "x@example.com")
    assert done(tmp_path, "list", "--count") == "3\n"
    assert json.loads(done(tmp_path, "find", "any@dead.example", "--json"))["key"] == "@dead.example"
    assert done(tmp_path, "remove", "bob@example.com") == "1 removed\n"
    assert suppress(tmp_path, "find", "bob@example.com").exit_code == 1
    assert suppress(tmp_path, "remove", "bob@example.com").exit_code == 1


def test_scopes(tmp_path: Path) -> None:
    done(tmp_path, "add", "bob@example.com", "--scope", "user:shop")
    done(tmp_path, "add", "bob@example.com", "--scope", "job:news")
    assert done(tmp_path, "list", "--scope", "job:news").startswith("bob@example.com  job:news")
    assert done(tmp_path, "list", "--count", "--scope", "global") == "0\n"
    assert done(tmp_path, "remove", "bob@example.com", "--scope", "user:shop") == "1 removed\n"
    assert done(tmp_path, "list", "--count") == "1\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bob"], "a domain is written @bob"),
        (["a@b.example", "--scope", "team"], "global, user:NAME or job:NAME"),
        (["a@b.example", "--until", "soon"], "'soon' is no time: 2026-12-31"),
        (["a@b.example", "--until", "1893456000000"], "'1893456000000' is no time"),  # milliseconds
        (["a@b.example", "--until", "9" * 30], "is no time"),
    ],
)
def test_what_means_nothing(tmp_path: Path, arguments: list[str], said: str) -> None:
    result = suppress(tmp_path, "add", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_store_and_no_folder(tmp_path: Path) -> None:
    result = suppress(tmp_path, "list")
    assert (result.exit_code, "there is no suppression store yet" in result.stderr) == (1, True)
    result = suppress(tmp_path / "nowhere", "add", "a@b.example")
    assert (result.exit_code, "is no folder; name the relay's with --state-dir" in result.stderr) == (1, True)
    assert suppress(tmp_path, "add").exit_code == 64


def test_a_csv_file_goes_out_and_in_again(tmp_path: Path) -> None:
    digest = hashlib.md5(b"x@y.example").hexdigest()
    done(tmp_path, "add", "bob@example.com", '"a,b"@example.com', digest, "--reason", 'he said "no", twice', "--until", "2099-01-31")
    done(tmp_path, "add", "all@example.com", "--scope", "user:shop")
    written = done(tmp_path, "export")
    other = tmp_path / "other"
    other.mkdir()
    assert done(other, "import", "-", stdin=written) == "4 read, 4 new or longer than before, 0 not understood\n"
    assert done(other, "export") == written
    assert done(other, "import", "-", stdin=written) == "4 read, 0 new or longer than before, 0 not understood\n"


def test_import_takes_other_people_s_files(tmp_path: Path) -> None:
    text = "\ufeffEmail,Reason,Name\r\nA@b.example,bounced,Ann\r\n\r\n# a remark\r\nc@d.example,,Carl\r\n"
    assert done(tmp_path, "import", "-", "--reason", "usual", stdin=text).startswith("2 read, 2 new")
    entries = {one["key"]: one for one in map(json.loads, done(tmp_path, "list", "--json").splitlines())}
    assert {key: (one["reason"], one["source"]) for key, one in entries.items()} == {
        "a@b.example": ("bounced", "import"),
        "c@d.example": ("usual", "import"),
    }


def test_lines_that_cannot_be_read_are_told_and_the_others_go_in(tmp_path: Path) -> None:
    lines = ["one@a.example", "broken\x1b[2J", "two@a.example", *["nonsense"] * 30]
    result = suppress(tmp_path, "import", "-", stdin="\n".join(lines))
    assert result.exit_code == 1
    assert result.stdout == "2 read, 2 new or longer than before, 31 not understood\n"
    assert "line 2: " in result.stderr
    assert "\x1b" not in result.stderr
    assert "and 11 more" in result.stderr
    assert done(tmp_path, "list", "--count") == "2\n"


def test_purge(tmp_path: Path) -> None:
    done(tmp_path, "add", "old@a.example", "--until", "2001-01-01")
    done(tmp_path, "add", "new@a.example")
    assert done(tmp_path, "list", "--count") == "1\n"
    assert done(tmp_path, "purge") == "1 removed\n"
    assert done(tmp_path, "purge") == "0 removed\n"


def test_times() -> None:
    assert parse_time("never") is None
    assert parse_time("1700000000") == 1_700_000_000.0
    assert parse_time("2023-11-14 22:13:20") == 1_700_000_000.0
    assert parse_time("2023-11-15T01:13:20+03:00") == 1_700_000_000.0
