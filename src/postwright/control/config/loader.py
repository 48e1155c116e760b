"""Loads a configuration: files or a text in, settings (or none) and every problem out.

Reads the configuration's files and looks whether those that it names are there; changes nothing, opens nothing else, and raises nothing.
A configuration with an error gives no settings: half a configuration is never run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, structs

from postwright.control.config import checks, login_checks, tls_checks
from postwright.control.config.build import Builder
from postwright.control.config.build_places import Places
from postwright.control.config.directive import Scope, State
from postwright.control.config.directives import find
from postwright.control.config.includes import Files, Included
from postwright.control.config.problems import Problem
from postwright.control.config.reader import Block, Entry, Reader
from postwright.control.config.references import References
from postwright.control.config.report import Report
from postwright.policy.settings import Settings

DEFAULTS = "config-defaults"


class LoadResult(Struct, frozen=True):
    """`settings` is None when there is an error among `problems`; `items` is all that could be read, as it is written."""

    settings: Settings | None
    problems: tuple[Problem, ...]
    items: tuple[Entry | Block, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Those problems that stop a load."""
        return tuple(problem for problem in self.problems if problem.level == "error")


def load(
    path: Path,
    *,
    tolerant: bool = False,
    state_dir: Path | None = None,
    offline: bool = False,
    instead: Mapping[str, bytes] | None = None,
) -> LoadResult:
    """The configuration in a file, after `config-defaults` beside it.

    `tolerant` makes warnings of what can safely be left out; `state_dir` is where relative paths of state go; `offline` does not look
    for certificates, keys and folders on this machine. `instead` has octets by the real paths of files, in the place of what is on disk:
    what would be if they were written.
    """
    report = Report(tolerant, offline)
    files = Files(report, _is_directive, path.parent, instead or {})
    defaults = path.with_name(DEFAULTS) if path.name not in ("", DEFAULTS) else path
    paths = [defaults, path] if defaults != path and files.has(defaults) else [path]
    try:
        sources = [files.main(one) for one in paths]
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or str(error)
        shown = str(getattr(error, "filename", None) or path).encode("utf-8", "replace").decode()
        return LoadResult(None, (Problem("error", shown, 0, 0, reason, kind="environment"),))
    return _load(report, files, sources, Places(report, path.parent, state_dir, str(defaults)), str(path))


def loads(
    text: str,
    name: str = "configuration",
    *,
    folder: Path | None = None,
    tolerant: bool = False,
    state_dir: Path | None = None,
    offline: bool = False,
) -> LoadResult:
    """The same for a text, shown as `name`; relative includes are looked for in `folder` (or the working folder)."""
    report = Report(tolerant, offline)
    folder = folder or Path()
    files = Files(report, _is_directive, folder)
    return _load(report, files, [files.string(name, text)], Places(report, folder, state_dir), name)


def _load(report: Report, files: Files, sources: list[Included], places: Places, name: str) -> LoadResult:
    items: list[Entry | Block] = []
    reader = Reader(files, report)
    for source in sources:
        with source:
            reader.read(source.text, items)
    _locate(items, places)
    places.refused = frozenset(reader.refused)
    References(report, items).check()
    builder = Builder(report, places, items)
    settings = checks.check(builder.build(), builder, items, report)
    tls_checks.check(items, settings, report, time.time())
    login_checks.check(items, report)
    _tell_states(reader, report)
    if not settings.general.log_file:
        report.add(Problem("warning", name, 0, 0, "no log-file: the log goes to standard error"))
    settings = structs.replace(places.finished(settings), file=name)
    return LoadResult(None if report.failed else settings, report.finished(), tuple(items))


def _locate(items: list[Entry | Block], places: Places) -> None:
    for number, item in enumerate(items):
        if isinstance(item, Block):
            _locate(item.items, places)
        else:
            items[number] = places.located(item)


def _tell_states(reader: Reader, report: Report) -> None:
    """One note for everything that does not do yet, or never, what it says; and one for what has a newer name."""
    used = sorted(reader.used.items())
    not_yet = [name for name, row in used if row.state is State.NOT_YET]
    nothing = [name for name, row in used if row.state is State.WITHOUT_EFFECT]
    old = [f"{name} (now {row.deprecated})" for name, row in used if row.deprecated]
    if not_yet:
        report.add(Problem("warning", "", 0, 0, f"not yet effective: {', '.join(not_yet)}"))
    if nothing:
        report.add(Problem("note", "", 0, 0, f"accepted, without effect: {', '.join(nothing)}"))
    if old:
        report.add(Problem("note", "", 0, 0, f"deprecated: {', '.join(old)}"))


def _is_directive(name: str) -> bool:
    return find(name, Scope.GLOBAL) is not None
