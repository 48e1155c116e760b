"""One report on a PowerMTA configuration: the same, different, without effect, not understood, needed of the machine, and what to do.

The configuration is read by the loader as `run --tolerant` reads it, and every judgement is the loader's or the table's: this only sorts
them. Nothing is changed and nothing raised; a file that cannot be read is a problem in the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct, structs

from postwright.control.config import Problem, load
from postwright.control.config.directive import Directive, Scope, State
from postwright.control.config.reader import Block, Entry
from postwright.control.migration import needs
from postwright.control.migration.differences import ALWAYS, DIFFERENCES, OF_POOLS, POOL
from postwright.control.migration.needs import Need


class Remark(Struct, frozen=True):
    """A directive of the configuration, where it stands first (FILE:LINE), how often, and what is to be said of it."""

    directive: str
    place: str
    times: int
    text: str


class Survey(Struct, frozen=True):
    """The report. `wrong` stops a load even when it is tolerant, `left_out` does so only when it is strict, `warned` never.

    `same` are names.
    """

    file: str
    same: tuple[str, ...]
    differs: tuple[Remark, ...]
    always: tuple[str, ...]
    without_effect: tuple[Remark, ...]
    not_yet: tuple[Remark, ...]
    wrong: tuple[Problem, ...]
    left_out: tuple[Problem, ...]
    warned: tuple[Problem, ...]
    needs: tuple[Need, ...]
    checklist: tuple[str, ...]

    @property
    def missing(self) -> tuple[Need, ...]:
        """What the machine lacks."""
        return tuple(need for need in self.needs if need.missing)


class _Used(Struct):
    row: Directive
    place: str
    in_pool: bool
    times: int = 0


def survey(file: Path, *, state_dir: Path | None = None, offline: bool = False) -> Survey:
    """Reads `file` (and what it includes) and sorts what is in it. `offline` leaves this machine alone: another one will run it."""
    strict = load(file, state_dir=state_dir, offline=True)
    result = load(file, tolerant=True, state_dir=state_dir, offline=True)
    refused = {(problem.file, problem.line) for problem in strict.errors}
    used = _used(result.items)
    wanted = tuple(needs.find(result.items, str(file.parent.absolute()), look=not offline))
    different = tuple(remark for one in used for remark in _differences(one))
    named = {remark.directive for remark in different}
    wrong = result.errors
    warnings = [one for one in result.problems if one.level == "warning" and one.file]  # the one of no file has its own place: not yet
    unread = [] if offline else _unread(file, state_dir)
    left_out = tuple(one for one in warnings if (one.file, one.line) in refused) + tuple(
        structs.replace(one, level="warning") for one in unread if one.level == "error"
    )
    return Survey(
        file=str(file),
        same=tuple(sorted(one.row.name for one in used if one.row.state is State.EFFECTIVE and one.row.name not in named)),
        differs=different,
        always=ALWAYS,
        without_effect=_of_state(used, State.WITHOUT_EFFECT),
        not_yet=_of_state(used, State.NOT_YET),
        wrong=wrong,
        left_out=left_out,
        warned=tuple(one for one in (*warnings, *unread) if one.level == "warning" and (one.file, one.line) not in refused),
        needs=wanted,
        checklist=tuple(_checklist({one.row.name for one in used}, wrong, left_out, wanted)),
    )


def _unread(file: Path, state_dir: Path | None) -> list[Problem]:
    """What `include` names and is not there. The other files that a load misses are needs; but for what stands in these, no part of the
    report is whole."""
    problems = load(file, state_dir=state_dir).problems
    return [one for one in problems if one.kind == "environment" and one.text.split()[:1] == ["include"]]


def _used(items: Iterable[Entry | Block]) -> list[_Used]:
    """Each name once (a block's is `<tag>`), in the order of the text."""
    found: dict[str, _Used] = {}
    for item, in_pool in _walk(items, False):
        name = item.row.name
        if not name:  # a rule of a list
            continue
        # the same name with another row (`privacy-policy` of two blocks): what works is what is told of
        key = f"{name} {item.row.state.value} {in_pool and name in OF_POOLS}"
        one = found.setdefault(key, _Used(item.row, f"{item.origin.file}:{item.origin.line}", in_pool))
        one.times += 1
    return list(found.values())


def _walk(items: Iterable[Entry | Block], in_pool: bool) -> Iterator[tuple[Entry | Block, bool]]:
    for item in items:
        yield item, in_pool
        if isinstance(item, Block):
            yield from _walk(item.items, item.scope is Scope.POOL)


def _differences(one: _Used) -> Iterator[Remark]:
    if one.row.state is not State.EFFECTIVE:
        return
    text = POOL if one.in_pool and one.row.name in OF_POOLS else DIFFERENCES.get(one.row.name, "")
    if text:
        yield Remark(one.row.name, one.place, one.times, text)


def _of_state(used: Iterable[_Used], state: State) -> tuple[Remark, ...]:
    return tuple(Remark(one.row.name, one.place, one.times, one.row.reason) for one in used if one.row.state is state)


def _checklist(names: set[str], wrong: tuple[Problem, ...], left_out: tuple[Problem, ...], wanted: tuple[Need, ...]) -> Iterator[str]:
    """What to do, in order. Only what this configuration asks for."""
    if wrong:
        yield f"mend {counted(len(wrong), 'line')} that no mode takes"
    if left_out:
        yield f"look at {counted(len(left_out), 'line')} that would be left out; with them the relay starts with --tolerant only"
    if missing := [need for need in wanted if need.missing]:
        yield f"provide what is missing: {counted(len(missing), 'thing')} of the machine"
    if any(need.state == needs.TAKEN for need in wanted):
        yield "stop PowerMTA before ours starts, or move to another port: one of them can have a port"
    if "acct-file" in names:
        yield "let your readers of accounting files read a day of ours: same columns, same order (docs/guides/accounting.md)"
    if "http-mgmt-port" in names:
        yield "point what reads PowerMTA's monitor at ours, and make keys for what steers: postwright key (docs/guides/http-api.md)"
    if "domain-key" in names:
        yield "have the keys compared with the DNS: postwright dkim check"
    yield "have the machine and the DNS looked at: postwright doctor --config FILE"
    yield "ask for the settings of your largest queues: postwright config explain gmail.com --config FILE --tolerant"
    yield "let PowerMTA deliver what is in its spool: ours does not read it"
    yield "begin with a part of the mail, and watch postwright top"


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
