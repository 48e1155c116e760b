"""No repr shows a secret: every value of ours with a field that sounds like one is made with one, and printed. Takes half a second."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct, structs

import postwright
from postwright.policy.settings import Assignment, Origin

SECRET = "Corr3ct-h0rse"
SOUNDS = re.compile(r"(^|_)(password|password_hash|secret|token|proof|stored_key|server_key)$")
HARMLESS = {
    "Shown.password",  # `postwright user list`: the name of the kind of hash
    "Seen.by_token",  # a yes or no
    "Done.token",  # by which the wire engine knows a message again
}


def values() -> Iterator[tuple[str, type[Struct], str]]:
    for module in pkgutil.walk_packages(postwright.__path__, "postwright."):
        if module.name.endswith("__main__") or ".testing" in module.name:
            continue
        found = importlib.import_module(module.name)
        for name, kind in vars(found).items():
            if inspect.isclass(kind) and issubclass(kind, Struct) and kind.__module__ == module.name:
                for field in kind.__struct_fields__:
                    if SOUNDS.search(field) and f"{name}.{field}" not in HARMLESS:
                        yield f"{name}.{field}", kind, field


FOUND = {name: (kind, field) for name, kind, field in values()}


@pytest.mark.parametrize("name", FOUND)
def test_a_secret_is_not_in_its_values_repr(name: str) -> None:
    kind, field = FOUND[name]
    required: dict[str, Any] = {one.name: "x" for one in structs.fields(kind) if one.required}
    assert SECRET not in repr(kind(**{**required, field: SECRET}))


def test_the_search_finds_what_there_is() -> None:
    assert {"UserSettings.password", "DomainSettings.auth_password", "ScramKeys.stored_key", "CheckToken.token"} <= set(FOUND)


def test_nor_is_it_in_what_was_written() -> None:
    assert SECRET not in repr({"auth_password": Assignment(SECRET, Origin("config", 7))})
