"""`postwright enable`: see `orders`."""

from __future__ import annotations

from postwright.control.cli.orders import enable as command

__all__ = ["command"]
