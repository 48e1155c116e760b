"""From lines to a tree: blocks within blocks, includes in their place, every directive found in the table and its value read.

What is not in the table, stands in the wrong block or has a malformed value is reported and left out, so the tree holds only what is typed.
An unknown block is left out whole. Reads files for `include`; a file that cannot be read is a problem like others. Nothing is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from postwright.control.config import kinds
from postwright.control.config.directive import Directive, Kind, Scope, State, ValueProblem
from postwright.control.config.directives import BLOCKS, find, find_block, names_in, scopes_of
from postwright.control.config.includes import Files
from postwright.control.config.lines import Line, Text, without_comment
from postwright.control.config.problems import is_secret
from postwright.control.config.report import Report
from postwright.control.config.suggest import did_you_mean, nearest
from postwright.policy.settings import Origin

# Rules of these lists may be left out where they are broken, and the rest still holds (tolerant mode).
_RULES = (Scope.SMTP_PATTERN_LIST, Scope.PATTERN_LIST)
_SCOPE_OF = {scope.value: scope for scope in Scope} | {"sparkpost-analytics": Scope.SIGNALS}
# A rule of bounce-category-patterns has no name; this row stands for it.
CATEGORY = Directive("", (Scope.BOUNCE_CATEGORIES,), kinds.CATEGORY_RULE, "a pattern and its category", repeat=True)
MAX_NESTING = 50  # blocks within blocks; only pattern-lists go deeper than three
_TAGS = frozenset(block.name for block in BLOCKS)


class Entry(Struct, frozen=True):
    """A directive with its value."""

    row: Directive
    value: Any
    text: Text
    line: Line

    @property
    def origin(self) -> Origin:
        """Where it stands."""
        return Origin(self.text.name, self.line.number)


class Block(Struct):
    """A block: `head` is what stands behind the tag, as read by the kind of the tag's row."""

    row: Directive
    scope: Scope
    head: Any
    text: Text
    line: Line
    items: list[Entry | Block]

    @property
    def origin(self) -> Origin:
        """Where it was opened."""
        return Origin(self.text.name, self.line.number)

    def entries(self) -> Iterator[Entry]:
        """Its directives, without those of blocks within."""
        return (item for item in self.items if isinstance(item, Entry))

    def blocks(self, tag: str) -> Iterator[Block]:
        """The blocks within of that tag."""
        return (item for item in self.items if isinstance(item, Block) and item.row.name == tag)


def every_entry(items: Iterable[Entry | Block]) -> Iterator[Entry]:
    """All directives, in the order of the text, with those of blocks however deep."""
    for item in items:
        if isinstance(item, Block):
            yield from every_entry(item.items)
        else:
            yield item


def head_of(line: Line, head: str) -> Line:
    """A tag's line cut so that places count from its head (from its end, if it has none)."""
    at = max(line.name.find(head) if head else len(line.name) - 1, 0)
    return Line(line.number, line.name[:at], line.name[at:])


class _Open(Struct):
    """A block being read; `scope` None within what is left out."""

    tag: str
    scope: Scope | None
    text: Text
    line: Line
    items: list[Entry | Block]


class Reader:
    """Reads one configuration, with all that it includes."""

    def __init__(self, files: Files, report: Report) -> None:
        self._files = files
        self._report = report
        self._values: dict[tuple[int, str], Any] = {}
        self.used: dict[str, Directive] = {}
        self.refused: set[str] = set()  # directives and tags of which a value was not taken

    def read(self, text: Text, items: list[Entry | Block], scope: Scope = Scope.GLOBAL) -> None:
        """Adds what stands in `text`, as inside of a block of `scope`, to `items`."""
        for row, column in text.broken:
            self._report.row(text, row, column, "a control character, or an octet that is not UTF-8")
        stack = [_Open("", scope, text, Line(0, "", ""), items)]
        for line in text.lines:
            if line.name[0] != "<":
                if stack[-1].scope is not None:
                    self._directive(stack[-1], text, line)
            elif line.name.startswith("</"):
                self._close(stack, text, line)
            else:
                self._open(stack, text, line)
        for unclosed in stack[:0:-1]:
            self._unclosed(unclosed)

    # -- blocks ---------------------------------------------------------------------

    def _open(self, stack: list[_Open], text: Text, line: Line) -> None:
        tag, head = self._tag(text, line)
        row = find_block(tag, stack[-1].scope) if stack[-1].scope is not None else None
        if row is None and stack[-1].scope is not None and tag in _TAGS:
            row = self._unwind(stack, tag)
        parent = stack[-1]
        if row is not None and len(stack) > MAX_NESTING:
            self._report.at(text, line, f"more than {MAX_NESTING} blocks within one another")
            row = None
        elif row is None and parent.scope is not None:
            self._unknown_block(parent, text, line, tag)
        if row is None:
            if len(stack) < 2 * MAX_NESTING:  # what is left out needs no exact depth; closing looks through the stack
                stack.append(_Open(tag, None, text, line, []))
            return
        block = Block(row, _SCOPE_OF[tag], self._head(row, text, line, head), text, line, [])
        if block.head is not None:
            parent.items.append(block)
            self._note(row)
        stack.append(_Open(tag, block.scope, text, line, block.items))

    def _tag(self, text: Text, line: Line) -> tuple[str, str]:
        """The tag, in lower case, and what stands behind it."""
        inside = line.name[1:].strip(" \t")
        if not inside.endswith(">"):
            self._report.at(text, line, "this tag is not closed", hint="a block opens with <tag name>, on a line of its own")
            inside += ">"
        tag, _, head = inside[:-1].strip(" \t").replace("\t", " ").partition(" ")
        return tag.lower(), head.strip()

    def _unwind(self, stack: list[_Open], tag: str) -> Directive | None:
        """A block that may stand further out: those between were not closed. None if it may stand nowhere here."""
        for depth in range(len(stack) - 2, -1, -1):
            scope = stack[depth].scope
            row = find_block(tag, scope) if scope is not None else None
            if row is not None and stack[depth + 1].tag == tag:
                for unclosed in stack[:depth:-1]:
                    self._unclosed(unclosed)
                del stack[depth + 1 :]
                return row
        return None

    def _head(self, row: Directive, text: Text, line: Line, head: str) -> Any:
        """The name of a block; "" where there may be none, None when it is malformed."""
        if head.startswith('"') and head.endswith('"') and len(head) > 1:
            head = head[1:-1]
        if not head and row.name in _NAMELESS:
            return ""
        # a pipe with its arguments, or a name with blanks, is a name all the same
        kind = kinds.TEXT if row.kind in (kinds.NAME, kinds.DIRECTORY) else row.kind
        try:
            if not head:
                raise ValueProblem("the name is missing")
            return kind.parse(head)
        except ValueProblem as problem:
            tag = head_of(line, head)
            message = f"<{row.name}>: {problem.message}"
            self.refused.add(row.name)
            forgiven = problem.unknown and row.name != "source"
            self._report.at(text, tag, message, offset=problem.offset, expected=row.kind.expected, hint=problem.hint, forgiven=forgiven)
            return None

    def _unknown_block(self, parent: _Open, text: Text, line: Line, tag: str) -> None:
        where = f"in <{parent.tag}>" if parent.tag else "here"
        if tag in _TAGS:
            forgiven = tag not in _WHO
            self._report.at(text, line, f"<{tag}> may not stand {where}", hint="the block is left out", forgiven=forgiven)
            return
        scope = parent.scope or Scope.GLOBAL
        hint = did_you_mean(tag, [block.name for block in BLOCKS if scope in block.scopes])
        self._report.at(text, line, f"unknown block <{tag}>", hint=hint, forgiven=True)

    def _close(self, stack: list[_Open], text: Text, line: Line) -> None:
        inside = line.name[2:].strip(" \t")
        if not inside.endswith(">"):
            self._report.at(text, line, "this tag is not closed", hint="a block ends with </tag>")
            inside += ">"
        tag = inside[:-1].strip(" \t").partition(" ")[0].lower()
        for depth in range(len(stack) - 1, 0, -1):
            if stack[depth].tag == tag:
                for unclosed in stack[:depth:-1]:
                    self._unclosed(unclosed)
                del stack[depth:]
                return
        opened = f"<{stack[-1].tag}> of line {stack[-1].line.number} is open" if stack[-1].tag else "no block is open"
        self._report.at(text, line, f"</{tag}> closes nothing: {opened}")

    def _unclosed(self, block: _Open) -> None:
        if block.tag:
            opener = block.line.name if len(block.line.name) < 80 else f"<{block.tag} …>"
            self._report.at(block.text, block.line, f"{opener} is never closed", hint=f"</{block.tag}> is missing")

    # -- directives -----------------------------------------------------------------

    def _directive(self, block: _Open, text: Text, line: Line) -> None:
        scope = block.scope
        assert scope is not None
        if scope is Scope.BOUNCE_CATEGORIES and line.name[0] == "/":
            line = Line(line.number, "", without_comment(text.row(line.number).strip(" \t\r")))
            row: Directive | None = CATEGORY
        else:
            row = find(line.name, scope)
        if row is None or row.state is State.REMOVED:
            self._unknown(block, text, line, row)
        elif row.name == "include":
            self._include(block, text, line)
        else:
            entry = self._entry(row, scope, text, line)
            if entry is not None:
                self._note(row)
                block.items.append(entry)

    def _entry(self, row: Directive, scope: Scope, text: Text, line: Line) -> Entry | None:
        """The directive with its value; None when that was refused. A value of None that clears is `fill.cleared`'s to know."""
        if row.clears and line.value == '""':
            return Entry(row, None, text, line)
        try:
            return Entry(row, self._value(row.kind, line.value), text, line)
        except ValueProblem as problem:
            forgiven = _may_be_left_out(problem, row, scope)
            if not line.value and not problem.hint:
                problem.message = "the value is missing"
            self._report.value(text, line, problem, row.kind.expected, forgiven)
            if forgiven and self._report.tolerant and problem.instead is not None:
                return Entry(row, problem.instead, text, line)
            self.refused.add(row.name)
            return None

    def _value(self, kind: Kind, value: str) -> Any:
        key = (id(kind), value)
        found = self._values.get(key, self)
        if found is self:
            found = self._values[key] = kind.parse(value)
        return found

    def _note(self, row: Directive) -> None:
        if row.state is not State.EFFECTIVE or row.deprecated:
            self.used.setdefault(row.name if row.name else "bounce-category-patterns", row)

    def _unknown(self, block: _Open, text: Text, line: Line, removed: Directive | None) -> None:
        assert block.scope is not None
        where = f"in <{block.tag}>" if block.tag else "outside of blocks"
        scopes = scopes_of(line.name)
        if removed is not None:
            self._report.at(text, line, f"unknown directive `{line.name}` {where}", hint=removed.reason, forgiven=True)
        elif block.scope is Scope.BOUNCE_CATEGORIES:
            expected = CATEGORY.kind.expected
            self._report.at(text, line, "this is no rule", expected=expected, hint="a rule is /expression/ category", forgiven=True)
        elif line.name.startswith("/"):
            self._report.at(text, line, f"a rule may not stand {where}", hint="rules belong in <bounce-category-patterns>", forgiven=True)
        elif scopes:
            places = " or ".join("the open, outside of blocks" if s is Scope.GLOBAL else f"<{s.value}>" for s in scopes)
            self._report.at(text, line, f"`{line.name}` belongs in {places}, not {where}", forgiven=True)
        else:
            guarded = block.tag in _WHO
            near = nearest(line.name, names_in(block.scope)) if guarded or not self._report.full else ""
            hint = f"did you mean `{near}`?" if near else ""
            message = f"unknown directive `{line.name}` {where}"
            self._report.at(text, line, message, hint=hint, forgiven=near not in _GUARDS, secret=is_secret(near))

    def _include(self, block: _Open, text: Text, line: Line) -> None:
        row = find("include", block.scope or Scope.GLOBAL)
        assert row is not None
        try:
            pattern = row.kind.parse(line.value)
        except ValueProblem as problem:
            self._report.value(text, line, problem, row.kind.expected)
            return
        for included in self._files.included(text, line, pattern):
            with included:
                self.read(included.text, block.items, block.scope or Scope.GLOBAL)


def _may_be_left_out(problem: ValueProblem, row: Directive, scope: Scope) -> bool:
    """A rule whose expression is broken, or a value with words that nobody knows; but nothing that says who may relay, or who is who."""
    if scope is Scope.BOUNCE_CATEGORIES or (problem.expression and scope in _RULES):
        return True
    return problem.unknown and scope not in (Scope.SOURCE, Scope.USER) and not row.name.startswith(("relay-", "http-access"))


# Who may relay, and who is who: nothing of it is left out because it was misspelt or misplaced. An unknown word that resembles none of
# these may be (real files have many of them).
_WHO = frozenset({"source", "smtp-user"})
_GUARDS = frozenset({
    "allow-auth", "allow-unencrypted-plain-auth", "always-allow-relaying", "authentication-method", "http-access", "password",
    "relay-address", "relay-domain", "require-auth", "require-starttls-before-auth", "smtp-service", "source",
})  # fmt: skip
# Blocks that need no name.
_NAMELESS = frozenset({
    "address-list", "aliases", "bounce-category-patterns", "bounce-processor", "dns", "email-patterns", "feedback-loop-processor",
    "mx-rollup-list", "pattern-list", "signals", "signals-filter", "sparkpost-analytics", "transmissions-api", "user-lookup", "vault",
})  # fmt: skip
