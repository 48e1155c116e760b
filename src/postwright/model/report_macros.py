"""What may stand as `${name}` in the templates of failure reports (`dsn-failed-*`, powermta.md section 2)."""

from __future__ import annotations

import re

MACROS = ("hostname", "originator", "recipient", "subject", "retryAfter", "bounceAfter", "date", "timeQueued", "response")

macro = re.compile(r"\$\{([^{}]*)\}")


def unknown(template: str) -> list[str]:
    """Names within `${}` that stand for nothing."""
    return [name for name in macro.findall(template) if name not in MACROS]
