"""All routes, subject by subject. Each module has `ROUTES`; nothing else is decided here."""

from __future__ import annotations

from typing import Any

from postwright.control.api import (
    about,
    config,
    events,
    mailgun,
    messages,
    queues,
    recipients,
    rules,
    sources,
    standing,
    sums,
    suppression,
)
from postwright.control.http import metrics, pmta_files, pmta_pages
from postwright.control.monitor import pages

SUBJECTS = (about, messages, mailgun, queues, recipients, sums, sources, suppression, events, rules, standing, config)
ROUTES: list[Any] = [
    *(route for subject in SUBJECTS for route in subject.ROUTES),
    *metrics.ROUTES,
    *pmta_pages.ROUTES,
    *pmta_files.ROUTES,
    *pages.ROUTES,
]
