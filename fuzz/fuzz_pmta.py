"""Fuzzes answers in PowerMTA's forms, lines of its commands, cursors and queue patterns. Only `Unknown` and ValueError may come of it.

Beside that: XML is well-formed, JSON is JSON, DOM has a line for each value, no control gets through any of them, and a queue pattern fits
what a regular expression of the same meaning fits.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Final
from xml.etree import ElementTree

import common

from postwright.control.pmta import lists
from postwright.control.pmta.commands import Unknown, understood
from postwright.control.pmta.forms import Answer, written
from postwright.engine.queue_events import Event
from postwright.engine.views import rows
from postwright.engine.views.asked import order
from postwright.engine.views.queues import QueueRow, QueuesView, filter_of
from postwright.model.queue_pattern import Glob

SEEDS: Final = (
    b"show topqueues --maxitems=5 */vm1\nsh st\nshow queues --sort size --errors --mode backoff",
    b"example.com/vm1\n450 4.2.0 later \x1b[2J\n<b>&\"'\n\xf0\x9f\x98\x80\n\xe2\x80\xae",
    b"rcpt\n17:example.com/vm1\n99999999999999999999:x\nname\n\nsize\n-1:x",
    b"*.example.*\na*b*c\n**\n",
)


def _forms(words: list[str]) -> None:
    shown = [
        QueueRow(word, 1, 2, 3, False, "normal", 0.0, word, "READY", word, 1, 0, 0, "smtp", [Event(1.0, word, word)]) for word in words
    ]
    answer: Answer = lists.queues(QueuesView(len(shown), 1, 1, shown))
    texts = {form: written(answer, form) for form in ("text", "xml", "dom", "json", "xml-text", "json-text")}  # type: ignore[arg-type]
    root = ElementTree.fromstring(texts["xml"])
    assert len(root.findall("./data/queue")) == len(shown)
    assert len(json.loads(texts["json"])["data"]["queue"]) == len(shown)
    ElementTree.fromstring(texts["xml-text"])
    json.loads(texts["json-text"])
    for line in texts["dom"].split("\n")[:-1]:
        assert re.fullmatch(r'[\w.\[\]]+=".*"', line), line
    for text in texts.values():
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def _asked(words: list[str]) -> None:
    for line in words:
        try:
            understood(line.split())
        except Unknown:
            pass
    arguments = dict(zip(("sort", "after", "maxitems", "mode", "queue"), words, strict=False))
    try:
        filter_of(arguments)
        rows.start(order(arguments))
    except ValueError:
        pass


def _patterns(words: list[str]) -> None:
    for pattern, name in pairwise(words):
        pattern, name = pattern[:30].lower(), name[:60].lower()
        if pattern.count("*") <= 4:  # more are slow for the expression, not for us
            meant = re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), name, re.DOTALL) is not None
            assert Glob(pattern).fits(name) is meant


def fuzz_one(data: bytes) -> None:
    words = data.decode("utf-8", "surrogateescape").split("\n")[:20]
    _forms(words)
    _asked(words)
    _patterns(words)


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
