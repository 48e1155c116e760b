"""A setting's value as one would write it: `4d12h`, `20M`, `100/h`, `yes`. The way back from what a directive's kind reads.

What a kind reads out of `written(value, kind)` is `value` again; a test holds all kinds of settings to that. Nothing here fails: a value of
no known form is shown as Python would.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from postwright.control.config.directive import Directive, Kind, Scope
from postwright.control.config.directives import TABLE
from postwright.model.durations import UNITS, duration
from postwright.policy.settings import FilePassword, Rate, SourceHostRule

_SIZES = (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10))
_SECRETS = ("password", "api_key", "access_token", "refresh_token", "secret")
NOTHING = "-"


def _names() -> dict[tuple[Scope, str], Directive]:
    """(scope, field) -> the row to name it by: the one of its own name, not an old spelling of it."""
    named: dict[tuple[Scope, str], Directive] = {}
    for row in TABLE:
        for scope in row.scopes:
            if not row.deprecated or (scope, row.field) not in named:
                own = row.name.replace("-", "_").replace(".", "_") == row.field
                if own or (scope, row.field) not in named:
                    named[scope, row.field] = row
    return named


_BY_FIELD = _names()


def row_of(field: str, scope: Scope) -> Directive | None:
    """The directive that fills a field of the scope's settings."""
    return _BY_FIELD.get((scope, field))


def is_secret(field: str) -> bool:
    """A value that is never shown."""
    return any(secret in field for secret in _SECRETS)


def written(value: Any, kind: Kind | None = None) -> str:
    """The value in the language of configurations, `-` for none; `kind` tells a time from a number of octets."""
    notation = kind.notation if kind is not None else ""
    if value is None:
        return _none(notation)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return duration(value)
    if isinstance(value, int):
        return size(value) if "SIZE" in notation else str(value)
    if isinstance(value, tuple):
        return _several(value, kind)
    if isinstance(value, Struct):
        return _struct(value, notation)
    return str(value) or NOTHING


def _none(notation: str) -> str:
    if "RATE" in notation or "]unit" in notation:
        return "unlimited"
    return next((word for word in ("never", "unlimited", "auto", "retain") if word in notation), NOTHING)


def _several(values: tuple[Any, ...], kind: Kind | None) -> str:
    if values and isinstance(values[0], tuple):  # pairs of a network and what holds for it
        return "; ".join(" ".join(written(part, kind) for part in pair) for pair in values)
    return ",".join(written(value, kind) for value in values) or NOTHING


def _struct(value: Struct, notation: str) -> str:
    if isinstance(value, Rate):
        count = size(value.count) if "SIZE" in notation else str(value.count)
        return f"{count}/{_interval(value.interval)}"
    if isinstance(value, FilePassword):
        return value.file or NOTHING
    if isinstance(value, SourceHostRule):
        return f"{value.network} {value.name}"
    return repr(value)


def _interval(seconds: float) -> str:
    for unit, length in UNITS:
        count, rest = divmod(int(seconds), length)
        if count and not rest:
            return unit if count == 1 else f"{count}{unit}"
    return f"{seconds}s"


def size(octets: int) -> str:
    """`20M`; octets where no unit fits."""
    for unit, factor in _SIZES:
        if octets and octets % factor == 0:
            return f"{octets // factor}{unit}"
    return str(octets)
