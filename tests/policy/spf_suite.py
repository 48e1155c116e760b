"""The public test suite of RFC 7208, as values: its scenarios with their zones, however they are written there.

The suite is no part of the project: it is read where it lies beside it, or where `tests/system/install spf-suite` put it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct
from tests.conftest import SHARED, skip_or_fail, system_cache

from postwright.policy.spf import Answer, Ask, Question, Spf, client_address

FILE = "rfc7208-tests.yml"
CASES = 203


class Case(Struct, frozen=True):
    """`results` that will do; `explanation` "" where nothing is said of it, "DEFAULT" for none of the domain's own."""

    name: str
    question: Question
    results: tuple[str, ...]
    explanation: str
    zone: Mapping[str, Mapping[str, Answer]]


@cache
def cases() -> tuple[Case, ...]:
    """All of the suite. Skips, or fails under CI=true, where it is not to be had."""
    places = [SHARED / "suites/spf" / FILE, system_cache() / "spf-suite" / FILE]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        skip_or_fail("the SPF suite is not here; to enable: tests/system/install spf-suite")
        raise AssertionError("unreachable")
    return tuple(_read(found))


def _read(file: Path) -> Generator[Case, None, None]:
    # "\x80" in the YAML text means that octet, which is a character in Latin-1
    for scenario in yaml.load_all(file.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        zone = {str(name).lower(): _records(entries) for name, entries in scenario["zonedata"].items()}
        for name, test in scenario["tests"].items():
            wanted = test["result"]
            question = Question(client_address(str(test["host"])), test["mailfrom"] or "", str(test["helo"]), "receiver.example")
            results = tuple(wanted) if isinstance(wanted, list) else (wanted,)
            yield Case(name, question, results, test.get("explanation", ""), zone)


def _records(entries: Sequence[Any]) -> dict[str, Answer]:
    """Of one name, by type. `SPF` stands for TXT too, unless TXT is said; `TIMEOUT` answers what has no records. `TXT: NONE` is none."""
    found: dict[str, list[str]] = {}
    silent = "TIMEOUT" in entries
    for entry in entries:
        for kind, value in entry.items() if isinstance(entry, dict) else ():
            kept = found.setdefault(kind, [])
            if value != "NONE":
                kept.append(_text(kind, value))
    if "SPF" in found:
        found.setdefault("TXT", found["SPF"])
    known: dict[str, Answer] = {kind: tuple(texts) for kind, texts in found.items() if texts or not silent}
    return known if not silent else {**dict.fromkeys(("TXT", "A", "AAAA", "MX", "PTR")), **known}


def _text(kind: str, value: Any) -> str:
    if kind == "MX":
        return str(value[1]).lower()
    if kind in ("A", "AAAA"):
        return str(ip_address(value))
    if kind in ("PTR", "CNAME"):
        return str(value).removesuffix(".")
    return "".join(value) if isinstance(value, list) else str(value)


def answer(zone: Mapping[str, Mapping[str, Answer]], ask: Ask) -> Answer:
    """What a name server with this zone would say: aliases are followed, a loop of them is no answer."""
    name = ask.name
    for _ in range(8):
        records = zone.get(name, {})
        alias = records.get("CNAME")
        if ask.kind in records or not alias:
            return records.get(ask.kind, ())
        name = alias[0].lower()
    return None


def run(steps: Generator[tuple[Ask, ...], Sequence[Answer], Spf], zone: Mapping[str, Mapping[str, Answer]]) -> tuple[Spf, list[Ask]]:
    """Drives a check to its end; the result, and all that was asked."""
    asked: list[Ask] = []
    try:
        batch = next(steps)
        while True:
            asked += batch
            batch = steps.send([answer(zone, ask) for ask in batch])
    except StopIteration as end:
        found: Spf = end.value
        return found, asked
