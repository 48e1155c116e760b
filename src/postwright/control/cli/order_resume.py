"""`postwright resume`: see `order_pause`."""

from __future__ import annotations

from postwright.control.cli.order_pause import resume as command

__all__ = ["command"]
