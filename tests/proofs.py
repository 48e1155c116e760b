"""Which test proves which delivery directive: the table of docs/reference/delivery-tests.md, out of the marks in the tests.

    python -m tests.proofs docs/reference/delivery-tests.md

A test says with `@pytest.mark.directive("max-msg-rate", …)`, on itself or for its whole module by `pytestmark`, what it proves. The files
are read and not imported, so that the page is the same wherever it is made.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from postwright.control.config.directive import Directive, Scope, State
from postwright.control.config.directives import BLOCKS, TABLE

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / "docs" / "reference" / "delivery-tests.md"
DELIVERY = {Scope.DOMAIN, Scope.VMTA, Scope.POOL, Scope.SMTP_PATTERN_LIST, Scope.MX_ROLLUP_LIST, Scope.DNS, Scope.PROXY}
DELIVERY_GLOBAL = {
    "total-max-smtp-out",
    "mx-connection-limit",
    "ip-connection-limit",
    "name-server",
    "edns-udp-length",
    "domain-macro",
    "mailmerge-expands-undefined-variables",
}
WORDS = {"mode", "recipient-priority"}  # of actions and results, no directives of their own
HEAD = """\
# Delivery directives and the tests that prove them

What a delivery directive does, its default, and how it gets along with its neighbours is proved by tests, mostly in simulated time. This
page is made out of their marks (`./dev exec python -m tests.proofs docs/reference/delivery-tests.md`), and a test fails when a
directive that is effective has none. What each directive is: [directives](directives.md).

| directive | state | proved by |
|---|---|---|
"""


def delivery_rows() -> list[Directive]:
    """Each delivery directive once, by name."""
    rows = {row.name: row for row in TABLE if DELIVERY & set(row.scopes) or (Scope.GLOBAL in row.scopes and row.name in DELIVERY_GLOBAL)}
    return [rows[name] for name in sorted(rows)]


def proofs() -> dict[str, list[str]]:
    """Tests (`file::name`) by directive."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text("utf-8")
        if "directive(" not in text:
            continue
        for name, directives in _marked(ast.parse(text)):
            for directive in directives:
                found.setdefault(directive, []).append(f"{path.relative_to(TESTS)}::{name}" if name else str(path.relative_to(TESTS)))
    return found


def _marked(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """(test, directives that it proves); "" for a mark of the whole module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [name for decorator in node.decorator_list for name in _names(decorator)]
            if names:
                yield node.name, names
        elif isinstance(node, ast.Assign) and any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets):
            yield "", _names(node.value)


def _names(node: ast.AST) -> list[str]:
    calls = [inner for inner in ast.walk(node) if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute)]
    of_ours = [call for call in calls if call.func.attr == "directive"]  # type: ignore[attr-defined]  # an Attribute: see above
    constants = [argument.value for call in of_ours for argument in call.args if isinstance(argument, ast.Constant)]
    return [value for value in constants if isinstance(value, str)]


def missing() -> list[str]:
    """Effective delivery directives that no test claims to prove."""
    known = proofs()
    return [row.name for row in delivery_rows() if row.state is State.EFFECTIVE and row.name not in known]


def unknown() -> list[str]:
    """Marks that name no directive."""
    names = {row.name for row in (*TABLE, *BLOCKS)} | WORDS
    return sorted(name for name in proofs() if name not in names)


def page() -> str:
    known = proofs()
    lines = [f"| `{row.name}` | {row.state.value} | {_tests(row, known.get(row.name, []))} |" for row in delivery_rows()]
    return HEAD + "\n".join(lines) + "\n"


def _tests(row: Directive, tests: list[str]) -> str:
    if tests:
        return "<br>".join(f"[`{test.rpartition('/')[2]}`](../../tests/{test.partition('::')[0]})" for test in tests)
    return row.reason if row.state is not State.EFFECTIVE else ""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
    print("without a test:", ", ".join(missing()) or "none")
    print("unknown names:", ", ".join(unknown()) or "none")
