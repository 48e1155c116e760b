"""Manual pages and the table of exit statuses: read out of the commands, whole, and nothing in them is taken for a request of roff."""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from postwright.control.cli.main import COMMANDS, main
from postwright.control.config.directives import TABLE
from postwright.control.manual import exits, reference, roff, waits
from postwright.control.manual.entries import Entry, _entry, entries, read_help, read_statuses
from postwright.model.work import WaitReason

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "exit-codes.md"
COMMANDS_PAGE = PAGE.with_name("commands.md")


@pytest.fixture(scope="module")
def found() -> list[Entry]:
    return entries(main)


def test_every_command_has_a_page_with_statuses(found: list[Entry]) -> None:
    assert {entry.path[1] for entry in found if len(entry.path) > 1} == set(COMMANDS)
    assert [entry.name for entry in found if not entry.summary or not entry.statuses] == []
    assert [entry.name for entry in found if not entry.below and not entry.examples] == []


def test_a_help_text_is_taken_apart() -> None:
    text = "What it does.\n\nMore of\nit.\n\n\b\nFirst line,\n  second.\nExample: one a\n         two b\n"
    text += "Exit status: 0 yes, 1 no, because\n    of that, 64 wrong usage.\n"
    assert read_help(text) == (
        ["What it does.", "More of it.", "First line,\n  second."],
        ["one a", "two b"],
        ((0, "yes"), (1, "no, because of that"), (64, "wrong usage")),
    )


@pytest.mark.parametrize(
    ("text", "statuses"),
    [
        ("0, or 64 for a wrong line.", ((0, "done"), (64, "for a wrong line"))),
        ("", ()),
        ("0 all 16 were taken.", ((0, "all 16 were taken"),)),
    ],
)
def test_statuses(text: str, statuses: tuple[tuple[int, str], ...]) -> None:
    assert read_statuses(text) == statuses


def test_a_group_has_those_of_click() -> None:
    group = click.Group("group", commands=[click.Command("sub", help="Does. Not say.")])
    assert entries(group)[0].statuses == ((0, "done"), (2, "wrong command line"))


def test_a_lone_command_must_say_them() -> None:
    with pytest.raises(ValueError, match="Exit status"):
        _entry(click.Command("lone", help="Does something."), click.Context(click.Command("lone")), ("lone",), ())


def test_the_table_in_docs_is_fresh(found: list[Entry]) -> None:
    assert PAGE.read_text("utf-8") == exits.page(found), f"run: postwright manual --exit-codes {PAGE.relative_to(PAGE.parents[2])}"


def test_the_page_of_all_commands_is_fresh(found: list[Entry]) -> None:
    made = reference.page(found)
    assert COMMANDS_PAGE.read_text("utf-8") == made, f"run: postwright manual --reference {COMMANDS_PAGE.relative_to(PAGE.parents[2])}"
    for entry in found[1:]:
        assert f"# {entry.name}\n" in made


def test_roff_takes_nothing_for_a_request() -> None:
    assert roff.escape(".so /etc/passwd") == "\\&.so /etc/passwd"
    assert roff.escape("'tis \\fB-x") == "\\&\\(aqtis \\efB\\-x"


@pytest.mark.needs("groff")
def test_groff_has_no_complaint(found: list[Entry], tmp_path: Path, needs: Callable[[str], Path]) -> None:
    files = roff.write(found, tmp_path, "1.0")
    done = subprocess.run([needs("groff"), "-man", "-Tutf8", "-ww", "-Wbreak", "-P-c", *files], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "postwright spool verify --spool /disk1/spool --spool /disk2/spool" in done.stdout
    assert len(files) == len(found)


def test_groff_would_complain(tmp_path: Path, needs: Callable[[str], Path]) -> None:
    file = tmp_path / "bad.1"
    file.write_text(".TH A 1\n.SH NAME\n.nonsense\n")
    done = subprocess.run([needs("groff"), "-man", "-Tutf8", "-ww", file], capture_output=True, text=True)
    assert "nonsense" in done.stderr


def test_pages_are_written_and_printed(tmp_path: Path) -> None:
    run = CliRunner()
    assert run.invoke(main, ["manual", "--output", str(tmp_path), "--gzip"]).exit_code == 0
    page = gzip.decompress((tmp_path / "postwright-spool-verify.1.gz").read_bytes()).decode()
    assert run.invoke(main, ["manual", "spool", "verify"]).output == page
    assert page.startswith('.TH "POSTWRIGHT\\-SPOOL\\-VERIFY" "1"')
    assert run.invoke(main, ["manual", "nonsense"]).exit_code == 1
    assert run.invoke(main, ["manual", "--exit-codes", str(tmp_path / "no" / "page.md")]).exit_code == 1


def test_the_page_of_wait_reasons_is_fresh_and_names_directives_that_there_are(tmp_path: Path) -> None:
    page = PAGE.with_name("wait-reasons.md")
    written = tmp_path / "page.md"
    assert CliRunner().invoke(main, ["manual", "--wait-reasons", str(written)]).exit_code == 0
    assert page.read_text("utf-8") == written.read_text("utf-8"), "run: postwright manual --wait-reasons docs/reference/wait-reasons.md"
    assert waits.ADVICE.keys() == set(WaitReason)
    known = {row.name for row in TABLE} | {"disable-source-ip", "x-schedule"}
    told = {word for where, _ in waits.ADVICE.values() for word in re.findall(r"`([a-z-]+)`", where)}
    assert told <= known
