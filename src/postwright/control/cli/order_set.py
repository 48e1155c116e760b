"""`postwright set`: see `orders`."""

from __future__ import annotations

from postwright.control.cli.orders import set_ as command

__all__ = ["command"]
