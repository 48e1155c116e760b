"""What only the whole configuration can tell: references that lead nowhere, pools that quarrel, and whether it is an open relay.

Works on settings and on the tree that they came from (for the lines). Reports, and leaves out what tolerant mode forgives.
"""

from __future__ import annotations

from postwright.control.config.build import Builder
from postwright.control.config.report import Report
from postwright.policy.settings import Settings


def check(settings: Settings, builder: Builder, report: Report) -> Settings:
    """The settings with what was forgiven left out."""
    return settings
