"""Queues whose `type` could deliver nothing, as something that it wants is missing or makes no sense: told at the line of the `type`.

Each block that says a `type` is looked at together with all that holds beside it (patterns more general, the virtual MTA's, its pool's),
for a name that its pattern fits. Reports; changes nothing. What is wrong with the files that are named shows when they are read.
"""

from __future__ import annotations

from collections.abc import Iterator

from postwright.control.config.reader import Block, Entry, every_entry
from postwright.control.config.report import Report
from postwright.engine.transports.making import problem
from postwright.policy.resolve import Resolved
from postwright.policy.settings import DomainBlock, Settings

_GLOBAL = "{default}"


def check(settings: Settings, items: list[Entry | Block], report: Report) -> None:
    """Reports. Asks nothing of a configuration where all mail goes by SMTP."""
    entries = [entry for entry in every_entry(items) if entry.row.name == "type" and entry.value != "smtp"]
    if not entries:
        return
    resolved, seen = Resolved(settings), set()
    for vmta, block in _blocks(settings):
        said = block.assignments.get("type")
        if said is None or (vmta, id(block.assignments)) in seen:  # a macro of a thousand names is one block
            continue
        seen.add((vmta, id(block.assignments)))
        wrong = problem(resolved.queue(_name(block.pattern), vmta))
        entry = next((entry for entry in entries if entry.origin == said.origin), None)
        if wrong and entry is not None:
            report.at(entry.text, entry.line, wrong, offset=0)


def _blocks(settings: Settings) -> Iterator[tuple[str, DomainBlock]]:
    """Every block, with a virtual MTA that it counts for."""
    for block in settings.domains:
        yield _GLOBAL, block
    for vmta in settings.vmtas.values():
        for block in vmta.domains:
            yield vmta.name, block
    for pool in settings.pools.values():
        for member in pool.members[:1]:
            for block in pool.domains:
                yield member, block


def _name(pattern: str) -> str:
    """A domain that this pattern fits, and as few others as can be."""
    if pattern.startswith("[") and not pattern.startswith("[*.]"):
        return pattern.partition("/")[0].rstrip("]") + "]"
    return pattern.replace("[*.]", "").replace("*.", "x.").replace("*", "x.invalid")
