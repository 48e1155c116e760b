"""Reprs of values that hold a secret among many fields: whatever prints them, the secret is not in it.

Pure. For a value of few fields a repr of its own says more.
"""

from __future__ import annotations

from msgspec import Struct

MASK = "****"


def masked(value: Struct, *secrets: str) -> str:
    """The usual repr, with `MASK` for the fields `secrets` where they hold anything."""
    given = ((name, getattr(value, name)) for name in value.__struct_fields__)
    said = [f"{name}={MASK if name in secrets and content else repr(content)}" for name, content in given]
    return f"{type(value).__name__}({', '.join(said)})"
