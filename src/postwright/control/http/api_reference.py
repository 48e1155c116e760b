"""Writes docs/reference/api.md out of what the API says of itself: `python -m postwright.control.http.api_reference FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

import structlog

from postwright.control.http.api_page import markdown
from postwright.control.http.app import make_routes
from postwright.control.http.openapi import openapi_document
from postwright.control.http.site import Site
from postwright.policy.settings import Settings


def main(path: str) -> None:
    """Raises OSError."""
    routes = make_routes(Site(Settings(), Path("nowhere"), structlog.get_logger(), b""))
    Path(path).write_text(markdown(openapi_document(routes)), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
