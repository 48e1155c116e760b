"""Finds every reply that intake can give, in the code itself: for the page of replies, and for the test that it is whole.

Reads sources with `ast`, and runs none. A reply is a call of `Reply` with its code written out, or of the helpers in `wire.mail_extras`
that make a 501 or 555. What a text is filled with at run time is shown as an ellipsis. Raises OSError when the package has no sources.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import postwright

SIDES = ("wire", "net", "engine", "policy")
# What a server of ours never says: replies read from peers, what probe and the sending command make of them, and what is only explained.
NOT_INTAKE = frozenset({"wire/replies.py", "wire/explained.py", "engine/dry_run.py"})
_HELPERS = {"bad": "501 5.5.4 ", "unknown": "555 5.5.4 "}


def replies() -> dict[str, tuple[str, ...]]:
    """`code status text` -> the modules that say it."""
    root = Path(postwright.__file__).parent
    found: dict[str, set[str]] = {}
    for side in SIDES:
        for path in sorted((root / side).glob("*.py")):
            module = f"{side}/{path.name}"
            if module not in NOT_INTAKE:
                for reply in _said(ast.parse(path.read_text("utf-8")), module):
                    found.setdefault(reply, set()).add(module)
    return {reply: tuple(sorted(modules)) for reply, modules in found.items()}


def _said(tree: ast.Module, module: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _HELPERS and node.args:
            keyword = "… is not supported here" if name == "unknown" else _text(node.args[0])
            yield _HELPERS[name] + _named(keyword, module)
        elif name == "Reply" and len(node.args) == 3 and isinstance(node.args[0], ast.Constant):
            yield f"{node.args[0].value!r} {_status(node.args[1])}{_named(_lines(node.args[2]), module)}"


def _status(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return f"{node.value!s} " if node.value else ""
    return "… "


def _lines(node: ast.expr) -> str:
    if not isinstance(node, ast.Tuple):
        return "…"
    return " / ".join([_text(line) for line in node.elts])


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join([str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values])
    return "…"


def _named(text: str, module: str) -> str:
    """A text that is all run time is told apart by who says it."""
    return text if text.strip("…") else f"… ({module})"
