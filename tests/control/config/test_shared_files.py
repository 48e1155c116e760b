"""The real configurations of ../shared, where they are: strict gives exactly the lines that its lines.md lists; tolerant reads all.

What lines.md leaves open was decided once for all files (docs/decisions): OPEN says which of these lines are errors. Takes a second.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.control.config import LoadResult, load

UNKNOWN_OR_DAMAGED: dict[str, set[int]] = {
    "01": {187, 286},
    "02": {*range(742, 747), *range(748, 752)},
    "04": {1135, 1165, 1195, 1224, 1254},
    "11": {73},
    "12": {4},
    "13": {29, *range(224, 229), *range(230, 234)},
    "14": {29, 93, 99, *range(277, 282), *range(283, 287)},
    "17": {106, 107, 111, 112},
    "18": {83, 116, 151},
    "22": {32, 35, 67, 73, 396, 397, 398, 399},
}
# Dangling names, lists below their use, a second `records`, a directive of another block: errors. Macro lists over several lines,
# sources without braces, a category that touches its pattern, placeholders with underscores: accepted.
OPEN: dict[str, set[int]] = {
    "14": {104, 108, 122, 123},
    "17": {21, 54, 66, 984},
    "18": {35},
    "21": {65, 66},
    "22": {88, 129},
}
WARNED_OF: dict[str, set[int]] = {"02": {59}, "11": {65}}  # http-access lets the whole world steer
REFUSED_EVEN_TOLERANTLY = ("11",)
FILES = [f"{number:02}" for number in (*range(1, 15), 17, 18, 21, 22, 23, 28, 29, 30)]


def find(shared: Path, number: str) -> Path:
    [file] = (shared / "powermta-configs").glob(f"{number}-*.conf")
    return file


def lines(result: LoadResult, level: str) -> set[int]:
    return {problem.line for problem in result.problems if problem.level == level and problem.line}


@pytest.mark.parametrize("number", FILES)
def test_strict_gives_exactly_the_lines(shared: Path, number: str) -> None:
    result = load(find(shared, number), offline=True)
    assert lines(result, "error") == UNKNOWN_OR_DAMAGED.get(number, set()) | OPEN.get(number, set())
    assert lines(result, "warning") == WARNED_OF.get(number, set())


@pytest.mark.parametrize("number", FILES)
def test_tolerant_reads_it_and_warns_of_the_same_lines(shared: Path, number: str) -> None:
    strict, tolerant = (load(find(shared, number), offline=True, tolerant=flag) for flag in (False, True))
    assert (tolerant.settings is None) == (number in REFUSED_EVEN_TOLERANTLY)
    emptied = {problem.line for problem in tolerant.problems if "has no member" in problem.message}
    assert (lines(tolerant, "warning") | lines(tolerant, "error")) - emptied == lines(strict, "error") | WARNED_OF.get(number, set())


def moved(shared: Path, number: str, folder: Path) -> Path:
    """The main file with its includes of /etc/pmta pointed at the folder beside it."""
    main = find(shared, number)
    copy = folder / main.name
    copy.write_text(main.read_text().replace("/etc/pmta/", f"{main.with_suffix('')}/"))
    return copy


def test_globs_of_26(shared: Path, tmp_path: Path) -> None:
    result = load(moved(shared, "26", tmp_path), offline=True)
    found = {(Path(problem.file).name, problem.line) for problem in result.errors}
    damaged = {("pmta_bounce_rules.conf", line) for line in (9, 20, 21, 23, 24)}
    assert found == damaged | {("mta-1.conf", 16), ("mta-2.conf", 16)}
    tolerant = load(moved(shared, "26", tmp_path), offline=True, tolerant=True)
    assert tolerant.settings is not None
    assert len(tolerant.settings.vmtas) >= 2


def test_globs_of_27(shared: Path, tmp_path: Path) -> None:
    result = load(moved(shared, "27", tmp_path), offline=True)
    assert {(Path(problem.file).name, problem.line) for problem in result.errors} == {("smtp-relay.conf", 2)}
    tolerant = load(moved(shared, "27", tmp_path), offline=True, tolerant=True)
    assert tolerant.settings is not None
    assert any(rule.action.disable_source_ip for rules in tolerant.settings.smtp_pattern_lists.values() for rule in rules)
    assert tolerant.settings.acct_files[0].move_interval > 0


def test_the_guide_works_but_for_its_certificate(shared: Path) -> None:
    guide = find(shared, "00")
    assert [(problem.line, problem.kind) for problem in load(guide).errors] == [(50, "environment")]
    settings = load(guide, offline=True).settings
    assert settings is not None
    assert [(one.address, one.port) for one in settings.listeners] == [("127.0.0.1", 2525), ("::1", 2525)]
    assert settings.relay_addresses == ("bounce@bounce.sender1.example", "/@foo(bar)?\\.example$/")
    assert set(settings.vmtas) == {"mta1", "mta2"}
    assert settings.users["foo"].source == "{foo-source}"


def test_details_that_are_easy_to_get_wrong(shared: Path) -> None:
    of = {number: load(find(shared, number), offline=True, tolerant=True).settings for number in ("01", "04", "05", "17", "29")}
    assert all(settings is not None for settings in of.values())
    four = of["04"]
    assert four is not None
    assert any(block.network.endswith("/27") for block in four.sources)
    five = of["05"]
    assert five is not None
    assert {block.pattern for block in five.domains if block.by_macro} >= {"aol.com", "yahoo.co.uk", "hotmail.ru"}
    seventeen = of["17"]
    assert seventeen is not None
    assert max(len(words) for words in seventeen.macros.values()) > 300
    assert [acct.records for acct in seventeen.acct_files]
    twentynine = of["29"]
    assert twentynine is not None
    assert twentynine.relay_domains == ("sender1.example", "sender2.example", "sender3.example")
