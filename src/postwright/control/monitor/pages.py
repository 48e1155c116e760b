"""All pages of the monitor. Each module has `ROUTES`; nothing else is decided here."""

from __future__ import annotations

from typing import Any

from postwright.control.monitor import actions, overview, queues

ROUTES: list[Any] = [
    *overview.ROUTES,
    *queues.ROUTES,
    *actions.ROUTES,
]
