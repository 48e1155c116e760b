"""The description of the API (OpenAPI 3.1), with what litestar leaves out. Pure.

That is the scopes that each operation needs (`x-scopes`, of which one is enough), and what is said of each type in its own module.
"""

from __future__ import annotations

import copy
import inspect
import typing
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler

from postwright.control.http.guard import scopes_of


@lru_cache(maxsize=1)
def openapi_document(app: Litestar) -> dict[str, Any]:
    """As plain values, made once; not to be changed."""
    document: dict[str, Any] = copy.deepcopy(app.openapi_schema.to_schema())
    schemas = document.get("components", {}).get("schemas", {})
    for path, handler in _handlers(app):
        item = document["paths"].get(path, {})
        operations = [item[method] for name in handler.http_methods if (method := str(name).lower()) in item]
        if not operations:
            continue  # what litestar adds for OPTIONS
        for operation in operations:
            operation["x-scopes"] = list(scopes_of(handler))
        for struct in _structs(typing.get_type_hints(handler.fn)):
            if struct.__name__ in schemas and "description" not in schemas[struct.__name__]:
                schemas[struct.__name__]["description"] = inspect.cleandoc(struct.__doc__ or "")
    return document


def _handlers(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            yield getattr(route, "path_format", ""), handler


def _structs(hints: dict[str, Any]) -> Iterator[type[msgspec.Struct]]:
    """Every type of ours that a signature leads to."""
    waiting, seen = list(hints.values()), set()
    while waiting:
        hint = waiting.pop()
        waiting += typing.get_args(hint)
        if not (inspect.isclass(hint) and issubclass(hint, msgspec.Struct)) or hint in seen:
            continue
        seen.add(hint)
        yield hint
        waiting += typing.get_type_hints(hint).values()
