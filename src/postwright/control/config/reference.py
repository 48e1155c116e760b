"""The reference page of the configuration language, written out of the table of directives.

`page()` is Markdown; `docs/reference/directives.md` is its output, and a test fails when the two differ. Nothing is read but the table, so
that the page cannot say what the program does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from postwright.control.config.directive import Directive, Scope, State
from postwright.control.config.directives import BLOCKS, TABLE

INTRODUCTION = """\
# Directives

Every word of the configuration language, out of the table that the program itself reads. Do not edit this page: change the table
(`src/postwright/control/config/directives/`) and run `postwright config reference --output docs/reference/directives.md`.

The language is PowerMTA's: one directive a line, `<block name>` to `</block>`, `#` begins a comment. A block inside a block narrows what
holds: `<virtual-mta mta1>` with a `<domain example.com>` in it says what holds for mail to example.com that mta1 sends. A state of
*not yet* means that the line is read and checked and does nothing so far; *accepted without effect* that it never will, and why.
A load names both kinds once.

    postwright check FILE                                     # every error of a configuration, with line and column
    postwright config explain example.com/mta1 --config FILE  # every setting of a queue, with the line that won
    postwright config explain source 192.0.2.1 --config FILE  # the same for a client

## Where Postwright differs from PowerMTA

Defaults are PowerMTA's, but for two that keep mail safe:

1. **A message is on disk before its 250.** `sync-msg-create` and `sync-msg-update` are accepted; saying `no` changes nothing.
2. **An open relay does not start.** A configuration that would relay for everybody to everywhere is an error at the line that makes it so,
   unless `allow-open-relay yes` says that this is meant.

## Strict and tolerant

Strict is how PowerMTA reads, and the default: an unknown word, a directive outside of its scope, or a bad value is an error; all errors are
listed, and nothing starts. At a reload the old configuration stays in force. Tolerant (`check --tolerant`, `run --tolerant`) is for moving
over: it warns and leaves the line out where that is safe. What touches who may relay or who may steer (`relay-domain`, `relay-address`,
`<source>`, `<smtp-user>`, `http-access`) is an error in both.

## How settings are found

A queue is a domain under a virtual MTA, written `example.com/mta1`. Each directive is looked for by itself:

- **Domains.** The order in the file does not matter; the best match wins: `*`, then `[*.]parent`, then `*.parent`, then a name out of
  a macro, then the name itself. What the narrower one does not say, the wider one says.
- **Virtual MTAs.** The `<domain>` blocks inside a virtual MTA lie over those of its pool, and these over the global ones, even if the
  global one is the better match. `vmta-domain-precedence domain` turns that round.
- **Sources.** Networks that hold the client's address, wide to narrow; over them the named source of the listener; over that, for who has
  logged in, `<source {auth}>`, then the user's own named source.
- **The virtual MTA of a message.** The field x-virtual-mta, where `process-x-virtual-mta` lets it; else `default-virtual-mta`
  of the source; else `{default}`.
- **The same directive twice** in one place: the later line counts. Blocks of the same name are one block. Directives that add up are marked
  *repeats*.
- Names of virtual MTAs, pools, sources and lists are found without regard to case.
"""

_SCOPE_TEXT = {
    Scope.GLOBAL: ("Outside of blocks", "What holds for the whole relay."),
    Scope.DOMAIN: ("`<domain>`", "Also inside `<virtual-mta>` and `<virtual-mta-pool>`."),
}


def page() -> str:
    """The whole page, ending in a line end."""
    lines = [INTRODUCTION, *_summary(), *_values(), *_blocks()]
    for scope in Scope:
        lines += _scope(scope)
    return "\n".join(lines).rstrip("\n") + "\n"


def _summary() -> Iterator[str]:
    counted = Counter(row.state for row in TABLE)
    yield "## How much of it works\n"
    yield _table(("state", "directives"), ((state.value, str(counted[state])) for state in State))


def _values() -> Iterator[str]:
    yield "## Values\n"
    yield "A value with blanks stands in double quotes; inside them a backslash escapes a quotation mark, a backslash, a blank and `$`."
    yield "Lists have commas between their items.\n"
    rows: dict[str, str] = {}
    for kind in (row.kind for row in TABLE):
        if not kind.expected.startswith("one of ") and kind.notation != "...":
            rows.setdefault(kind.notation, kind.expected)
    yield _table(("written", "is"), ((_code(notation), _cell(expected)) for notation, expected in sorted(rows.items())))


def _blocks() -> Iterator[str]:
    yield "## Blocks\n"
    rows = [(_code(f"<{block.name}>"), _where(block), block.state.value, _text(block)) for block in BLOCKS]
    yield _table(("block", "stands", "state", "what it is"), rows)


def _where(block: Directive) -> str:
    return ", ".join("outside" if scope is Scope.GLOBAL else f"in {_code(f'<{scope.value}>')}" for scope in block.scopes)


def _scope(scope: Scope) -> list[str]:
    rows = [row for row in TABLE if scope in row.scopes]
    if not rows:
        return []
    title, text = _SCOPE_TEXT.get(scope, (f"`<{scope.value}>`", ""))
    cells = [(_code(row.name), _code(row.kind.notation), _default(row), row.state.value, _text(row)) for row in rows]
    return [f"## {title}\n", *([f"{text}\n"] if text else []), _table(("directive", "value", "default", "state", "what it does"), cells)]


def _default(row: Directive) -> str:
    if not row.default:
        return ""
    return _cell(row.default[1:-1]) if row.default.startswith("(") else _code(row.default)


def _text(row: Directive) -> str:
    """The line of documentation and all that is worth a remark."""
    remarks = [_cell(row.doc) + "."]
    if row.reason:
        remarks.append(f"*{_cell(row.reason[0].upper() + row.reason[1:])}.*")
    if row.repeat:
        remarks.append("*Repeats.*")
    if row.clears:
        remarks.append('`""` clears.')
    if row.deprecated:
        remarks.append("Deprecated." if row.deprecated == "nothing" else f"Deprecated for {_code(row.deprecated)}.")
    if row.ours:
        remarks.append("**Ours**: PowerMTA has no such directive.")
    if not row.confirmed:
        remarks.append("In no manual, but in real configurations.")
    return " ".join(remarks)


# -- Markdown -------------------------------------------------------------------------------


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    for letter in "\\<>*_$[]":
        text = text.replace(letter, f"\\{letter}")
    return text.replace("|", "\\|")


def _code(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"
