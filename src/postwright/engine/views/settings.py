"""`view-settings` and `view-vmta-settings`: what holds in the running relay for a queue or a virtual MTA, and which line said so.

The supervisor has the settings that are in force; how a directive is named and its value written knows the configuration language alone,
so whoever starts the relay gives it a function that says it (`Describe`), as it gives it the one that loads them.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from postwright.engine import frames as f
from postwright.engine.views.gathering import Arguments, refused, told
from postwright.policy.settings import Settings


class SettingRow(Struct):
    """One directive; `value` as one writes it, `file` "" for a default."""

    name: str
    value: str
    file: str = ""
    line: int = 0


class SettingsSection(Struct):
    """Settings that belong together, by name."""

    title: str
    rows: list[SettingRow]


class SettingsTable(Struct):
    """Rows of a directive that may be written many times."""

    columns: list[str]
    rows: list[list[str]]


class SettingsView(Struct):
    """`subject`: the queue or the virtual MTA, as it was understood."""

    subject: str
    sections: list[SettingsSection]
    tables: list[SettingsTable] = []


Describe = Callable[[Settings, str, Arguments], SettingsView]
"""Settings, "queue" or "vmta", and what was asked: `queue` or `vmta`. Raises ValueError for what there is none of."""


def described(describe: Describe | None, settings: Settings, what: str, arguments: Arguments) -> f.Told:
    """The answer of the control socket."""
    if describe is None:
        return refused([], "this relay was started without a configuration that can be described")
    try:
        return told(describe(settings, what, arguments), ())
    except ValueError as error:
        return refused([str(error)])
