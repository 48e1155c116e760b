"""All routes, subject by subject. Each module has `ROUTES`; nothing else is decided here."""

from __future__ import annotations

from typing import Any

from postwright.control.api import about, mailgun, messages
from postwright.control.http import metrics, pmta_pages
from postwright.control.monitor import pages

ROUTES: list[Any] = [
    *about.ROUTES,
    *messages.ROUTES,
    *mailgun.ROUTES,
    *metrics.ROUTES,
    *pmta_pages.ROUTES,
    *pages.ROUTES,
]
