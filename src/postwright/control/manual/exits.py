"""docs/reference/exit-codes.md: every command's exit statuses in one table, made of `Entry`s. Pure; says nothing that `--help` does not."""

from __future__ import annotations

from collections.abc import Iterable

from postwright.control.manual.entries import Entry

COMMON = {
    0: "done, or the answer is yes",
    1: "not done, or the answer is no; standard error has the reason",
    2: "wrong command line, or a configuration that has errors",
    3: "no relay runs there (commands that ask a running relay)",
    64: "wrong command line (commands whose 1 and 2 say something of the other side; EX_USAGE of sysexits.h)",
    130: "interrupted by Ctrl-C",
}

_HEAD = """\
# Exit statuses of the commands

What a script may rely on. The numbers below are those of each command's `--help` and manual page, from which this page is made
(`postwright manual --exit-codes docs/reference/exit-codes.md`). Where a command says nothing else:

| status | means |
|---|---|
"""


def page(entries: Iterable[Entry]) -> str:
    """The whole page, in Markdown."""
    lines = [f"| {number} | {meaning} |" for number, meaning in COMMON.items()]
    lines += ["", "| command | status | means |", "|---|---|---|"]
    for entry in entries:
        if entry.below:
            continue
        first, *rest = entry.statuses
        lines.append(f"| `{entry.name}` | {first[0]} | {_cell(first[1])} |")
        lines += [f"| | {number} | {_cell(meaning)} |" for number, meaning in rest]
    return _HEAD + "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
