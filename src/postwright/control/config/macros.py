"""Domain macros: what `$name` stands for, also several in one pattern (`$a.$b` is every combination) and macros within macros.

A macro may be used above its definition. A loop, an unknown name and an expansion beyond all bounds are reported, at the line that is to
blame, and expand to nothing. Time and memory are linear in the result.
"""

from __future__ import annotations

import re
from itertools import product

from postwright.control.config.reader import Entry
from postwright.control.config.report import Report
from postwright.control.config.rules import Macro

MAX_NAMES = 4_000_000  # of one expansion
MAX_NESTING = 100  # macros within macros

_use = re.compile(r"\$([A-Za-z0-9_]+)")


class _Loop(Exception):
    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(names)
        self.names = names


class _TooMany(Exception):
    pass


class Macros:
    """All macros of a configuration; the later definition of a name wins."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._defined: dict[str, Entry] = {}
        self._expanded: dict[str, tuple[str, ...]] = {}
        self._loops: set[frozenset[str]] = set()

    def define(self, entry: Entry) -> None:
        """Takes a `domain-macro` line."""
        macro: Macro = entry.value
        if not macro.words:
            self._report.at(entry.text, entry.line, "domain-macro: the list is missing", expected=entry.row.kind.expected)
        self._defined[macro.name] = entry

    def words(self) -> dict[str, tuple[str, ...]]:
        """Every macro as it was written."""
        return {name: entry.value.words for name, entry in self._defined.items()}

    def check(self) -> None:
        """Expands each macro, so that a loop is found even where nobody uses it."""
        for name, entry in self._defined.items():
            self.expand(f"${name}", entry)

    def expand(self, pattern: str, user: Entry) -> tuple[str, ...]:
        """The names that `pattern`, written on the line of `user`, stands for; without a `$` itself. () if that was reported."""
        if "$" not in pattern:
            return (pattern,)
        try:
            return self._pattern(pattern, ())
        except _Loop as loop:
            if frozenset(loop.names) in self._loops:
                return ()
            self._loops.add(frozenset(loop.names))
            place = self._defined[loop.names[0]]
            circle = " → ".join(f"${name}" for name in loop.names)
            self._report.at(place.text, place.line, f"the macro goes round in a circle: {circle}", offset=0)
        except _TooMany:
            self._report.at(
                user.text, user.line, f"`{pattern}` stands for more than {MAX_NAMES} names, or macros more than {MAX_NESTING} deep"
            )
        except KeyError as missing:
            self._report.at(user.text, user.line, f"there is no domain-macro `{missing.args[0]}`")
        return ()

    def _pattern(self, pattern: str, within: tuple[str, ...]) -> tuple[str, ...]:
        parts = _use.split(pattern)  # text, name, text, name … text
        choices = [self._macro(part.lower(), within) if number % 2 else (part,) for number, part in enumerate(parts)]
        total = 1
        for choice in choices:
            total *= len(choice)
        if total > MAX_NAMES:
            raise _TooMany
        if len(parts) == 3 and not parts[0] and not parts[2]:
            return choices[1]
        return tuple(map("".join, product(*choices)))

    def _macro(self, name: str, within: tuple[str, ...]) -> tuple[str, ...]:
        found = self._expanded.get(name)
        if found is not None:
            return found
        if name in within:
            raise _Loop((*within[within.index(name) :], name))
        if len(within) >= MAX_NESTING:
            raise _TooMany
        words = self._defined[name].value.words
        names: dict[str, None] = {}
        for word in words:
            if "$" in word:
                names.update(dict.fromkeys(self._pattern(word, (*within, name))))
            else:
                names[word] = None
            if len(names) > MAX_NAMES:
                raise _TooMany
        result = self._expanded[name] = tuple(names)
        return result
