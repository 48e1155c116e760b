"""Ways in without SMTP that could not work as written: a pickup folder that is its own bad folder, a port for which nobody has a key.

Reports; changes nothing.
"""

from __future__ import annotations

import os

from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report
from postwright.policy.settings import Settings


def check(settings: Settings, items: list[Entry | Block], report: Report) -> None:
    """Reports."""
    folder, bad = (os.path.normpath(path) if path else "" for path in settings.pickup)
    if folder and folder == bad:
        entry = next(item for item in reversed(items) if isinstance(item, Entry) and item.row.field == "pickup")
        message = "pickup: what is refused would be read again and again"
        report.at(entry.text, entry.line, message, offset=0, hint="name another folder for it")
    api = settings.transmissions_api
    if settings.transmissions_api_listeners and (api is None or not api.api_key):
        block = next(item for item in items if isinstance(item, Block) and item.row.name == "transmissions-api-listener")
        hint = "add <transmissions-api> with an api-key"
        report.at(block.text, block.line, "nobody has a key for this listener", offset=0, hint=hint, level="warning")
