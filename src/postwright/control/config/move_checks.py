"""Mail that would go round in a circle, and rollups that nobody can deliver: mistakes in `reroute-to-virtual-mta`, `mx-rollup-list`.

Reports at the line at fault; changes nothing. Such mail would stay where it was at run time, so a circle is an error and a rollup without
hosts a warning.
"""

from __future__ import annotations

from postwright.control.config.reader import Block, Entry, every_entry
from postwright.control.config.report import Report
from postwright.engine.where_checks import circles_of, rollups_without_hosts
from postwright.policy.settings import Settings

_REROUTES = ("reroute-to-virtual-mta", "backoff-reroute-to-virtual-mta")


def check(settings: Settings, items: list[Entry | Block], report: Report) -> None:
    """Reports. Asks nothing of a configuration that has neither."""
    entries = list(every_entry(items))
    if any(entry.row.name in _REROUTES and entry.value for entry in entries):
        _circles(settings, entries, report)
    if any(entry.row.name == "mx" for entry in entries):
        _wild(settings, entries, report)


def _circles(settings: Settings, entries: list[Entry], report: Report) -> None:
    for directive, domain, way in circles_of(settings):
        entry = next(e for e in reversed(entries) if e.row.name == directive and e.value.lower() in {name.lower() for name in way})
        message = f"mail for {domain} would go round in a circle: {' -> '.join(way)}"
        report.at(entry.text, entry.line, message, offset=0, hint="let one of them send by itself")


def _wild(settings: Settings, entries: list[Entry], report: Report) -> None:
    lost = rollups_without_hosts(settings)
    for entry in entries:
        if entry.row.name == "mx" and (entry.value.pattern, entry.value.queue) in lost:
            message = f"a pattern says nothing of where the mail of {entry.value.queue} goes: it rolls nothing up"
            hint = f"say smtp-hosts in <domain {entry.value.queue}>, or rollup-by-ip"
            report.at(entry.text, entry.line, message, offset=0, level="warning", hint=hint)
