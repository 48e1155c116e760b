"""The configurations that we ship load strictly, without a warning: the sandbox, the bench, the examples. Takes milliseconds."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from postwright.control.cli.sandbox import config_text
from postwright.control.config import LoadResult, load, loads

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted([*ROOT.glob("bench/*.conf"), *ROOT.glob("examples/**/*.conf")])


def complaints(result: LoadResult) -> list[str]:
    return [problem.render() for problem in result.problems if problem.level != "note"]


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_shipped_files(file: Path) -> None:
    assert complaints(load(file, offline=True)) == []


def test_the_sandbox(tmp_path: Path) -> None:
    result = loads(config_text(2525, 2465, 2526, tmp_path / "x.pem"), "sandbox", state_dir=tmp_path, offline=True)
    assert [text for text in complaints(result) if "no log-file" not in text] == []
    assert result.settings is not None
    assert result.settings.acct_files[0].path == str(tmp_path / "acct.csv")
    assert result.settings.domains[0].assignments["smtp_hosts"].value == "[127.0.0.1]:2526"


def test_the_readme_shows_the_first_example() -> None:
    readme = (ROOT / "README.md").read_text()
    shown = readme.split("Save this as `config`:\n\n")[1].split("\nThen ask")[0]
    assert textwrap.dedent(shown).strip() == (ROOT / "examples" / "first.conf").read_text().strip()
