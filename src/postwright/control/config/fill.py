"""Fills structs from the directives of a block: the field's name comes from the table, the later line wins, repeated ones add up.

A directive whose field the struct does not have is one without effect, and is passed over. Nothing fails here: values are typed already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct

from postwright.control.config.reader import Entry
from postwright.policy.settings import Assignment, FilePassword, Scope


@cache
def defaults(kind: type[Struct]) -> Mapping[str, Any]:
    """Field -> default, for the fields that have one; a required field's is None."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.default_factory is not msgspec.NODEFAULT:
            found[field.name] = field.default_factory()
        else:
            found[field.name] = None if field.default is msgspec.NODEFAULT else field.default
    return found


def values(entries: Iterable[Entry], kind: type[Struct]) -> dict[str, Any]:
    """Arguments for `kind`; a certificate with a password fills two fields."""
    known = defaults(kind)
    found: dict[str, Any] = {}
    for entry in entries:
        field = entry.row.field
        if field not in known:
            continue
        value = cleared(entry, known)
        if entry.row.repeat:
            found[field] = (*found.get(field, ()), value)
        elif isinstance(value, FilePassword):
            found[field] = value.file
            if f"{field}_password" in known:
                found[f"{field}_password"] = value.password
        else:
            found[field] = value
    return found


def assignments(entries: Iterable[Entry], kind: type[Struct]) -> Scope:
    """The same, each value with its origin, for scopes that are merged later."""
    known = defaults(kind)
    found: Scope = {}
    for entry in entries:
        field = entry.row.field
        if field not in known:
            continue
        value = cleared(entry, known)
        if entry.row.repeat:
            before = found.get(field)
            value = (*before.value, value) if before is not None else (value,)
        elif isinstance(value, FilePassword):
            if f"{field}_password" in known:
                found[f"{field}_password"] = Assignment(value.password, entry.origin)
            value = value.file
        found[field] = Assignment(value, entry.origin)
    return found


def cleared(entry: Entry, known: Mapping[str, Any]) -> Any:
    """The entry's value; for `""`, where that clears what was inherited, the field's default."""
    if entry.value is None and entry.row.clears and entry.line.value == '""':
        return known[entry.row.field]
    return entry.value
