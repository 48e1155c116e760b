"""All pages of the monitor. Each module has `ROUTES`; nothing else is decided here."""

from __future__ import annotations

from typing import Any

from postwright.control.monitor import actions, flows, inbox, lists, machine, messages, overview, queues, sums

ROUTES: list[Any] = [
    *overview.ROUTES,
    *flows.ROUTES,
    *queues.ROUTES,
    *messages.ROUTES,
    *sums.ROUTES,
    *lists.ROUTES,
    *machine.ROUTES,
    *inbox.ROUTES,
    *actions.ROUTES,
]
