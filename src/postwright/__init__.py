"""Postwright, an outbound mail relay of the PowerMTA class."""

__version__ = "0.1.0.dev0"
