"""The documentation as a site: every page is in its navigation, once; what its hook makes of a page; nothing is fetched from elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


def pages(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from pages(part)


def test_every_page_is_in_the_navigation_once() -> None:
    named = list(pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]))
    there = [str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")]
    assert sorted(named) == sorted(there), "write it into `nav` of mkdocs.yml"


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "packages/site/hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_out_of_the_pages_are_words(hooks: ModuleType) -> None:
    text = "[a](../../tests/x.py) [`b`](../reference/b.md#c) [c](https://example.com/) [d](#e) [f](../../README.md)"
    assert hooks.inside(text, "guides/a.md") == "a [`b`](../reference/b.md#c) [c](https://example.com/) [d](#e) f"


def test_lists_behind_a_sentence_are_lists(hooks: ModuleType) -> None:
    assert hooks.with_blank_lines("so:\n- one\n  more\n- two") == "so:\n\n- one\n  more\n- two"
    assert hooks.with_blank_lines("```\nso:\n- one\n```") == "```\nso:\n- one\n```"


def test_a_browser_fetches_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="./dev docs installs it, and ./dev check runs it")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    made = list(tmp_path.rglob("*.html"))
    assert len(made) > 60
    for page in made:
        loaded = re.findall(r"<(?:script|img|link|iframe)\b[^>]*?\s(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)", page.read_text("utf-8"))
        assert loaded == [], page
