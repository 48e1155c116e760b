"""`postwright migrate`: what a configuration of PowerMTA means here. Reads it and looks at the machine; changes nothing, starts nothing."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import msgspec

from postwright.control.cli.check import ERRORS, coloured
from postwright.control.cli.words import ShortGroup
from postwright.control.config import Problem
from postwright.control.migration.needs import Need
from postwright.control.migration.survey import Remark, Survey, counted, survey
from postwright.engine.lock_lines import shown

TO_DO = 1
WIDTH = 120


@click.group("migrate", cls=ShortGroup)
def command() -> None:
    """Move over from PowerMTA."""


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--offline", is_flag=True, help="Do not look for files, ports and addresses: another machine will run it.")
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Where relative paths are (as given to `run`).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def check(file: Path, offline: bool, state_dir: Path | None, as_json: bool) -> None:
    """Read a PowerMTA configuration, and tell what is the same, what differs, what it needs, and what to do.

    \b
    Example: postwright migrate check /etc/pmta/config
    Exit status: 0 it can be moved as it is, 1 there are words to look at or things to provide, 2 it has errors that no mode takes.
    """
    found = survey(file, state_dir=state_dir, offline=offline)
    click.echo(_json(found) if as_json else "\n".join(_text(found)))
    sys.exit(ERRORS if found.wrong else TO_DO if found.left_out or found.missing or found.not_yet else 0)


def _json(found: Survey) -> bytes:
    return msgspec.json.encode({**msgspec.structs.asdict(found), "missing": len(found.missing)})


def _text(found: Survey) -> Iterator[str]:
    yield f"{shown(found.file)}: {_summary(found)}"
    yield from _problems("Errors, with --tolerant too", found.wrong)
    yield from _problems("Not understood: errors, left out with --tolerant", found.left_out)
    yield from _problems("Warnings", found.warned)
    yield from _section("Differs from PowerMTA", [*_remarks(found, found.differs), *(f"  always: {text}" for text in found.always)])
    yield from _section("Without effect", _remarks(found, found.without_effect))
    yield from _section("Not yet effective", _remarks(found, found.not_yet))
    yield from _section("Needs", (_need(found, need) for need in found.needs))
    yield from _section("The same", _names(found.same))
    yield from _section("To do", (f"  {number}. {text}" for number, text in enumerate(found.checklist, 1)))


def _summary(found: Survey) -> str:
    counts = (
        (found.same, f"{len(found.same)} the same"),
        (found.differs, f"{len(found.differs)} with a difference"),
        (found.without_effect, f"{len(found.without_effect)} without effect"),
        (found.not_yet, f"{len(found.not_yet)} not yet"),
        (found.left_out, f"{counted(len(found.left_out), 'line')} not understood"),
        (found.wrong, counted(len(found.wrong), "error")),
        (found.warned, counted(len(found.warned), "warning")),
        (found.missing, f"{len(found.missing)} missing on this machine"),
    )
    return ", ".join(text for things, text in counts if things)


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    rows = list(lines)
    if rows:
        yield from ("", click.style(title, bold=True), *rows)


def _problems(title: str, problems: Iterable[Problem]) -> Iterator[str]:
    yield from _section(title, (textwrap.indent(coloured(problem), "  ") for problem in problems))


def _remarks(found: Survey, remarks: Iterable[Remark]) -> Iterator[str]:
    for one in remarks:
        often = f", {one.times} times" if one.times > 1 else ""
        yield f"  {one.directive} ({_place(found, one.place)}{often}): {one.text}"


def _place(found: Survey, place: str) -> str:
    """FILE:LINE, without the file that everything is about."""
    file, _, line = place.rpartition(":")
    return f"line {line}" if file == found.file else shown(place)


def _need(found: Survey, need: Need) -> str:
    mark = click.style("!", fg="red", bold=True) if need.missing else " "
    return f"{mark} {need.kind} {shown(need.what)} {need.state} ({need.directive}, {_place(found, need.place)})"


def _names(names: Iterable[str]) -> list[str]:
    return textwrap.wrap(", ".join(names), WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
