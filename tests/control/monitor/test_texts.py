"""All texts of the monitor are in one table: what pages use is there, what is there is used, and another language could take its place."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from postwright.control.monitor import flows, texts
from postwright.control.monitor.actions import ACTIONS
from postwright.control.monitor.frame import ENTRIES
from postwright.control.monitor.messages import KINDS, SPANS
from postwright.control.monitor.overview import RANGES, TILES

FOLDER = Path(str(files("postwright.control.monitor")))
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))
MADE = {  # by putting words together
    *(f"nav.{entry.name}" for entry in ENTRIES),
    *(f"overview.{name}" for name, _ in TILES),
    *(f"overview.range_{seconds}" for seconds in (*RANGES, *flows.RANGES)),
    *(f"flow.title_{kind}" for kind in ("domain", "vmta")),
    *(f"messages.kind_{kind}" for kind in KINDS),
    *(f"messages.last_{span}" for span in SPANS),
    *(f"act.{kind}" for kind in ACTIONS),
    *(f"act.title_{kind}" for kind in ACTIONS),
    *(f"queues.sort_{one}" for one in ("rcpt", "size", "name")),
    *(f"queues.mode_{one}" for one in ("normal", "backoff")),
    *(f"queues.{one}" for one in ("paused", "errors", "connected")),
}


def used() -> set[str]:
    sources = [path.read_text() for path in [*TEMPLATES, *FOLDER.glob("*.py")] if path.name != "texts.py"]
    return {name for source in sources for name in re.findall(r"[\"']([a-z]+\.[a-z0-9_]+)[\"']", source) if name.split(".")[0] in GROUPS}


GROUPS = {name.split(".")[0] for name in texts.ENGLISH}


def test_every_text_that_is_used_is_there_and_every_other_is_not() -> None:
    wanted = {name for name in used() if not name.endswith((".html", ".css", ".js", "_", "."))} | MADE
    assert wanted - set(texts.ENGLISH) == set()
    assert set(texts.ENGLISH) - wanted == set()


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_have_no_words_of_their_own(path: Path) -> None:
    bare = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", " ", path.read_text(), flags=re.DOTALL)
    assert set(re.findall(r"[A-Za-z]{3,}", bare)) <= {"Postwright"}


def test_places_are_filled_and_what_is_missing_is_an_error() -> None:
    assert texts.text("queue.title", name="a.example/b") == "Queue a.example/b"
    with pytest.raises(KeyError):
        texts.text("queue.title", nam="x")
    with pytest.raises(KeyError):
        texts.text("no.such")
