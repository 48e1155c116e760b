"""Templates into pages. Everything that a template shows is escaped; what it does not know is an error, never an empty place.

Texts stand in `texts`, so that another language is one more table. Static files carry a digest of their content in their address: a browser
may keep them for ever, and never shows an old one after an update.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from postwright import __version__
from postwright.control.monitor import words
from postwright.control.monitor.texts import text

STATIC = ("htmx.min.js", "monitor.css", "monitor.js", "uplot.min.css", "uplot.min.js")


@cache
def static_file(name: str) -> bytes:
    """A file of STATIC. Raises KeyError for any other name: a name from an address never becomes a path."""
    if name not in STATIC:
        raise KeyError(name)
    return files("postwright.control.monitor").joinpath("static", name).read_bytes()


@cache
def static_url(name: str) -> str:
    """The address of a static file, which changes when it does."""
    return f"/ui/static/{name}?v={hashlib.sha256(static_file(name)).hexdigest()[:12]}"


def _spark(values: list[float | None], kind: str, label: str) -> Markup:
    lines = Markup("").join(Markup('<polyline points="{}"/>').format(points) for points in words.spark(values))
    head = Markup('<svg class="spark {}" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label="{}">')
    return head.format(kind, label) + lines + Markup("</svg>")


@cache
def environment() -> Environment:
    """One for the process: templates are compiled when first shown."""
    loader = PackageLoader("postwright.control.monitor", "templates")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, auto_reload=False)
    made.globals.update(t=text, static=static_url, spark=_spark, version=__version__)
    for name in ("count", "rate", "size", "duration", "moment", "until", "ago"):
        made.filters[name] = getattr(words, name)
    return made


def page(template: str, **values: Any) -> str:
    """The HTML of a template with these values. Raises jinja2.UndefinedError when it wants more."""
    return environment().get_template(template).render(values)
