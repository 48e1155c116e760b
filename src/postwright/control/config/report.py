"""Gathers the problems of one load, and knows what the tolerant mode forgives.

One problem a place: a second complaint about the same line is mostly the first one again. The list is bounded, so that a file which is no
configuration at all does not become a report of its own size.
"""

from __future__ import annotations

from msgspec import structs

from postwright.control.config.directive import ValueProblem
from postwright.control.config.lines import Line, Text
from postwright.control.config.problems import Class, Level, Problem, is_secret, masked

MOST = 1000
LONGEST = 400  # characters of a message


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


class Report:
    """Collects; `problems` is the result, in the order of files and lines as they were read."""

    def __init__(self, tolerant: bool = False, offline: bool = False) -> None:
        self.tolerant = tolerant
        self.offline = offline
        self.problems: list[Problem] = []
        self.dropped = 0
        self._seen: dict[tuple[str, int, Class], Level] = {}

    @property
    def full(self) -> bool:
        """There are so many already that a further one need not be explained."""
        return len(self.problems) >= MOST

    @property
    def failed(self) -> bool:
        """There is an error among them."""
        return any(problem.level == "error" for problem in self.problems)

    def at(
        self,
        text: Text,
        line: Line,
        message: str,
        *,
        offset: int = -1,
        level: Level = "error",
        forgiven: bool = False,
        expected: str = "",
        hint: str = "",
        kind: Class = "language",
        secret: bool = False,
    ) -> None:
        """A problem of a line: of its name, or of its value at `offset`.

        `forgiven`: a warning in tolerant mode; `secret`: show the name alone, whatever it looks like.
        """
        if forgiven and self.tolerant and level == "error":
            level = "warning"
        if self.offline and kind == "environment":
            return
        key = (text.name, line.number, kind)
        if self._seen.get(key) == "error" or (key in self._seen and level != "error"):
            return  # but an error is never hidden behind a warning
        self._seen[key] = level
        row = text.row(line.number)
        column = text.column(line, offset)
        shown = masked(row, secret)
        # a place within what is masked would tell of its length
        self.add(Problem(level, text.name, line.number, min(column, len(shown) + 1), message, shown, expected, hint, kind))

    def value(self, text: Text, line: Line, problem: ValueProblem, expected: str, forgiven: bool = False) -> None:
        """A value that its directive does not take."""
        secret = is_secret(line.name)
        message = "the value is not what this directive takes" if secret else f"{line.name or 'rule'}: {problem.message}"
        self.at(text, line, message, offset=problem.offset, expected=expected, hint="" if secret else problem.hint, forgiven=forgiven)

    def row(self, text: Text, number: int, column: int, message: str) -> None:
        """A row that could not even be cut into words."""
        shown = masked(text.row(number))
        self.add(Problem("error", text.name, number, min(column, len(shown) + 1), message, shown))

    def add(self, problem: Problem) -> None:
        """Any problem. Octets that were no UTF-8 end here: what comes out can be printed, and written as JSON."""
        if len(problem.message) > LONGEST:  # it repeats a value, and that may be a line of any length
            problem = structs.replace(problem, message=f"{problem.message[: LONGEST - 1]}…")
        if not all(field.isascii() for field in (problem.file, problem.message, problem.text, problem.hint)):
            fields = {name: _printable(getattr(problem, name)) for name in ("file", "message", "text", "hint")}
            problem = structs.replace(problem, **fields)
        if len(self.problems) >= MOST and problem.level != "error":
            self.dropped += 1
            return
        if len(self.problems) >= 2 * MOST:
            self.dropped += 1
            return
        self.problems.append(problem)

    def finished(self) -> tuple[Problem, ...]:
        """All of them by file and line, and a note if there were too many to keep."""
        order: dict[str, int] = {"": len(self.problems)}
        for problem in self.problems:
            order.setdefault(problem.file, len(order) - 1)
        self.problems.sort(key=lambda problem: (order[problem.file], problem.line or 1 << 30))
        if self.dropped:
            self.problems.append(Problem("note", "", 0, 0, f"{self.dropped} more problems are not shown"))
            self.dropped = 0
        return tuple(self.problems)
