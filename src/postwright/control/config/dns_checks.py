"""Whether DANE has a validator: `use-dane` without one would be a promise that nobody keeps, so it is an error at its line.

What is installed on this machine, and which name servers its resolv.conf names, decide; nothing is asked.
"""

from __future__ import annotations

from msgspec.structs import replace

from postwright.control.config.reader import Block, Entry, every_entry
from postwright.control.config.report import Report
from postwright.engine.resolving import NoValidator, choose_validator
from postwright.policy.settings import Settings


def check(settings: Settings, items: list[Entry | Block], report: Report) -> Settings:
    """The settings with `dns.validator` filled in; problems go to `report`."""
    dane = next((entry for entry in every_entry(items) if entry.row.name == "use-dane" and entry.value is True), None)
    guilty = next((entry for entry in every_entry(items) if entry.row.name == "dnssec-validator"), dane)
    if guilty is None:
        return settings
    try:
        validator = choose_validator(settings, wanted=dane is not None)
    except NoValidator as missing:
        report.at(guilty.text, guilty.line, str(missing), offset=0, hint=missing.hint)
        return settings
    return replace(settings, dns=replace(settings.dns, validator=validator))
