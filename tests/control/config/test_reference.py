"""The reference page: all of the table, nothing else, and as fresh as the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from postwright.control.config.directive import Directive, State
from postwright.control.config.directives import BLOCKS, TABLE
from postwright.control.config.reference import page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "directives.md"


def test_the_page_in_docs_is_fresh() -> None:
    assert PAGE.read_text() == page(), f"run: postwright config reference --output {PAGE.relative_to(PAGE.parents[2])}"


def sections() -> dict[str, str]:
    parts = re.split(r"^## (.*)\n", page(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_directive_stands_in_the_section_of_each_of_its_scopes(row: Directive) -> None:
    for scope in row.scopes:
        title = "Outside of blocks" if scope.value == "global" else f"`<{scope.value}>`"
        line = next(line for line in sections()[title].splitlines() if line.startswith(f"| `{row.name}` |"))
        assert f"| {row.state.value} |" in line
        assert row.deprecated in ("", "nothing") or f"Deprecated for `{row.deprecated}`" in line


def test_reasons_are_told() -> None:
    text = page()
    reasons = {row.reason for row in (*TABLE, *BLOCKS) if row.state is not State.EFFECTIVE}
    assert len(reasons) > 10
    plain = text.replace("\\", "")
    assert [reason for reason in reasons if reason[1:] not in plain] == []


def test_both_differences_from_powermta_are_said() -> None:
    differences = sections()["Where Postwright differs from PowerMTA"]
    assert "on disk before its 250" in differences
    assert "An open relay does not start" in differences


def test_every_line_of_a_table_has_as_many_cells() -> None:
    """A bar that is not escaped would shift all that follows it."""
    tables = re.findall(r"(?:^\|.*\n)+", page(), flags=re.MULTILINE)
    assert len(tables) > 20
    for table in tables:
        counts = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(counts) == 1, table.splitlines()[0]
