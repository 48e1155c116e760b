"""`suppress-bounces` names categories of bounces: a name that none has would suppress nobody, and nobody would be told.

Known are PowerMTA's seventeen and those of `<bounce-category-patterns>`. Reports; changes nothing.
"""

from __future__ import annotations

from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report
from postwright.control.config.suggest import did_you_mean
from postwright.policy.settings import BOUNCE_CATEGORIES, Settings


def check(settings: Settings, items: list[Entry | Block], report: Report) -> None:
    """Reports."""
    known = {*BOUNCE_CATEGORIES, *(rule.category.lower() for rule in settings.bounce_categories or ())}
    for entry in items:
        if isinstance(entry, Entry) and entry.row.name == "suppress-bounces":
            for name in entry.value:
                if name.lower() not in known:
                    offset = max(entry.line.value.lower().find(name.lower()), 0)
                    message = f"there is no category of bounces `{name}`"
                    report.at(entry.text, entry.line, message, offset=offset, hint=did_you_mean(name, known), forgiven=True)
