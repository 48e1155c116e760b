"""Reads the imports of src/postwright and fails when an arrow of docs/architecture.md turns round.

Imports count wherever they stand: inside functions and under TYPE_CHECKING too, since two modules that need one another's types are one
module, or miss a third. Nothing is imported to find out: the sources are parsed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("collected")

SRC = Path(__file__).resolve().parent.parent / "src"
PACKAGE = "postwright"

CORE = {"model", "wire", "content", "policy"}
# Layer -> what of ours it may import, as prefixes below `postwright.`. A layer may always import itself.
ALLOWED: dict[str, set[str]] = {
    "model": set(),
    "wire": {"model"},
    "content": {"model"},
    "policy": {"model"},
    "schedule": {"model", "policy"},
    "store": {"model"},
    "net": {"model", "wire"},
    "engine": CORE | {"schedule", "store", "net"},
    "control": {"engine", "policy.settings", "policy.resolve", "model"},
    "testing": CORE | {"schedule", "store", "net", "engine"},
    "__main__": {"control"},
    "": set(),  # postwright/__init__.py: the version and nothing else, so everyone may import it
}
# Bytes and decisions are pure: time, chance, sockets, files, processes and logs stay at the rim.
PURE = ("model", "wire", "content", "policy", "schedule")
IMPURE = {
    "asyncio", "socket", "ssl", "os", "time", "random", "logging",
    "secrets", "select", "selectors", "signal", "subprocess", "threading", "multiprocessing", "concurrent", "tempfile", "shutil",
    "structlog", "uvloop", "aiohttp", "aiodns", "pycares",
}  # fmt: skip


def load(src: Path) -> dict[str, str]:
    """Module name -> source, for the whole package."""
    return {_module_name(path.relative_to(src)): path.read_text("utf-8") for path in sorted((src / PACKAGE).rglob("*.py"))}


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(module: str, source: str, modules: Mapping[str, str]) -> Iterator[str]:
    """Every module that `module` names in an import; ours resolved to the module that holds the name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = _relative(module, node, module in _packages(modules))
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in modules else base


def _packages(modules: Mapping[str, str]) -> set[str]:
    return {name.rpartition(".")[0] for name in modules}


def _relative(module: str, node: ast.ImportFrom, is_package: bool) -> str:
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + (1 if is_package else 0)]
    return ".".join([*parts, node.module] if node.module else parts)


def layer(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def violations(modules: Mapping[str, str]) -> list[str]:
    """One sentence per arrow that points upward or outward."""
    found = []
    for module, source in modules.items():
        mine = layer(module)
        if mine not in ALLOWED:
            found.append(f"{module}: the layer {mine!r} is not in the table")
            continue
        for target in imports(module, source, modules):
            top = target.split(".")[0]
            if top != PACKAGE:
                if mine in PURE and top in IMPURE:
                    found.append(f"{module} imports {target}: {mine} is pure")
            elif not _may_import(mine, target):
                found.append(f"{module} imports {target}: {mine} may not")
    return sorted(set(found))


def _may_import(mine: str, target: str) -> bool:
    inner = target[len(PACKAGE) + 1 :]
    if not inner or layer(target) == mine:
        return True
    return any(inner == prefix or inner.startswith((prefix + ".", prefix + "_")) for prefix in ALLOWED[mine])


def circles(modules: Mapping[str, str]) -> list[list[str]]:
    """Every strongly connected set of more than one module (Tarjan's algorithm), and modules that import themselves."""
    graph = {name: {t for t in imports(name, source, modules) if t in modules} for name, source in modules.items()}
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        order[node] = low[node] = len(order)
        stack.append(node)
        for target in graph[node]:
            if target not in order:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], order[target])
        if low[node] == order[node]:
            at = stack.index(node)
            group = stack[at:]
            del stack[at:]
            if len(group) > 1 or node in graph[node]:
                found.append(sorted(group))

    for name in graph:
        if name not in order:
            visit(name)
    return sorted(found)


def test_imports_point_downwards() -> None:
    assert violations(load(SRC)) == []


def test_no_circles() -> None:
    assert circles(load(SRC)) == []


def test_the_whole_package_is_read() -> None:
    modules = load(SRC)
    assert {layer(name) for name in modules} >= set(ALLOWED) - {""}
    assert "postwright.control.cli.main" in modules


BAD = {
    "upward": ("postwright.wire.x", "from postwright.net import session", "postwright.wire.x imports postwright.net.session: wire may not"),
    "sideways": (
        "postwright.policy.x",
        "import postwright.content.trace",
        "postwright.policy.x imports postwright.content.trace: policy may not",
    ),
    "for types only": (
        "postwright.store.x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from postwright.policy import mx",
        "postwright.store.x imports postwright.policy: store may not",
    ),
    "in a function": (
        "postwright.schedule.x",
        "def f():\n    from postwright.store.spool import Spool",
        "postwright.schedule.x imports postwright.store.spool: schedule may not",
    ),
    "relative": ("postwright.engine.x", "from ..control import cli", "postwright.engine.x imports postwright.control: engine may not"),
    "a clock": ("postwright.model.x", "import time", "postwright.model.x imports time: model is pure"),
    "a part of asyncio": ("postwright.wire.x", "from asyncio.events import x", "postwright.wire.x imports asyncio.events: wire is pure"),
    "os.path": ("postwright.content.x", "import os.path", "postwright.content.x imports os.path: content is pure"),
    "past the face": (
        "postwright.control.x",
        "from postwright.net import dialer",
        "postwright.control.x imports postwright.net: control may not",
    ),
    "decisions in control": (
        "postwright.control.x",
        "from postwright.policy import mx",
        "postwright.control.x imports postwright.policy: control may not",
    ),
    "doubles in the relay": (
        "postwright.engine.x",
        "from postwright.testing.sink import SinkServer",
        "postwright.engine.x imports postwright.testing.sink: engine may not",
    ),
    "an unknown layer": ("postwright.util.x", "", "postwright.util.x: the layer 'util' is not in the table"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_it_would_catch(case: tuple[str, str, str]) -> None:
    module, source, sentence = case
    assert violations({module: source, "postwright.net.session": ""}) == [sentence]


def test_it_would_catch_circles() -> None:
    modules = {
        "postwright.net": "",
        "postwright.net.a": "from postwright.net import b",
        "postwright.net.b": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .c import C",
        "postwright.net.c": "def f():\n    import postwright.net.a",
        "postwright.net.d": "import postwright.net.a",
        "postwright.net.e": "import postwright.net.e",
    }
    assert circles(modules) == [["postwright.net.a", "postwright.net.b", "postwright.net.c"], ["postwright.net.e"]]


def test_it_allows_what_the_table_allows() -> None:
    assert violations({
        "postwright.control.x": "from postwright.policy.settings import Settings\nfrom postwright.engine.bus import Bus\nimport asyncio",
        "postwright.policy.settings": "",
        "postwright.wire.x": "from postwright import __version__\nfrom postwright.model.reply import Reply\nfrom . import events",
        "postwright": "",
    }) == []  # fmt: skip
