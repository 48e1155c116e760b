"""`postwright disable`: see `orders`."""

from __future__ import annotations

from postwright.control.cli.orders import disable as command

__all__ = ["command"]
