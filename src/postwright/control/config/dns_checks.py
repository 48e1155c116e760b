"""Whether DANE has a validator: `use-dane` without one would be a promise that nobody keeps, so it is an error at its line.

What is installed on this machine, and which name servers its resolv.conf names, decide; nothing is asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report
from postwright.engine.resolving import NoValidator, choose_validator
from postwright.policy.settings import Settings


def check(settings: Settings, items: list[Entry | Block], report: Report) -> Settings:
    """The settings with `dns.validator` filled in; problems go to `report`."""
    dane = next((entry for entry in _entries(items, "use-dane") if entry.value is True), None)
    guilty = next(_entries(items, "dnssec-validator"), dane)
    if guilty is None:
        return settings
    try:
        validator = choose_validator(settings, wanted=dane is not None)
    except NoValidator as missing:
        report.at(guilty.text, guilty.line, str(missing), offset=0, hint=missing.hint)
        return settings
    return replace(settings, dns=replace(settings.dns, validator=validator))


def _entries(items: list[Entry | Block], name: str) -> Iterator[Entry]:
    for item in items:
        if isinstance(item, Entry):
            if item.row.name == name:
                yield item
        else:
            yield from (entry for entry in item.entries() if entry.row.name == name)
            yield from _entries([block for block in item.items if isinstance(block, Block)], name)
