"""Cuts the text behind a directive's name into words, quoted strings and expressions, and knows where each of them began.

Quotes hold blanks; within them a backslash escapes `"`, `\\`, blank and `$`, and a doubled quote stands for one. Outside of quotes a
backslash is a letter. An expression runs from its slash to the next slash without a backslash before it. What cannot be cut is a
`ValueProblem` with the column; nothing else is raised.
"""

from __future__ import annotations

import re

from postwright.control.config.directive import ValueProblem

_word = re.compile(r'[^\s",][^\s,]*')
_plain = re.compile(r"\S+")
_blank = re.compile(r"[ \t]*")
_escape = re.compile(r'\\(["\\ $])|""')
_regex = re.compile(r"/((?:[^/\\]|\\.)*)/", re.DOTALL)
# doubled quotes count as inside; the first quote that is followed by none ends it
_quoted = re.compile(r'"((?:[^"\\]|\\.|"")*)"(?!")', re.DOTALL)


class Scanner:
    """A cursor over `text`; each `take_…` moves it on, and skips the blanks behind what it took."""

    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._skip()

    def _skip(self) -> None:
        found = _blank.match(self.text, self.at)
        if found is not None:
            self.at = found.end()

    def done(self) -> bool:
        """Nothing is left."""
        return self.at >= len(self.text)

    def peek(self) -> str:
        """The next character, "" at the end."""
        return self.text[self.at : self.at + 1]

    def take_word(self, what: str, commas: bool = True) -> str:
        """A word or a quoted string; without `commas` a comma ends the word. `what` is the complaint's noun when nothing is left."""
        if self.peek() == '"':
            return self.take_quoted()
        found = (_plain if commas else _word).match(self.text, self.at)
        if found is None:
            raise ValueProblem(f"{what} is missing", self.at)
        self.at = found.end()
        self._skip()
        return found[0]

    def take_quoted(self) -> str:
        """A string in double quotes, its escapes undone."""
        if self.text.startswith('""', self.at) and not self.text.startswith('"""', self.at):
            found_empty = self._empty()
            if found_empty:
                return ""
        found = _quoted.match(self.text, self.at)
        if found is None:
            raise ValueProblem("the quotation mark is never closed", self.at, 'write \\" for a quotation mark inside')
        self.at = found.end()
        self._skip()
        return unquote(found[1])

    def _empty(self) -> bool:
        after = self.text[self.at + 2 : self.at + 3]
        if after and after not in " \t,":
            return False
        self.at += 2
        self._skip()
        return True

    def take_regex(self) -> str:
        """An expression as it was written, slashes and all."""
        if self.peek() != "/":
            raise ValueProblem("a regular expression between slashes is missing", self.at, "write /expression/", expression=True)
        found = _regex.match(self.text, self.at)
        if found is None:
            hint = "it ends at the next / without \\ before it; # begins a comment: write \\x23"
            raise ValueProblem("the regular expression is never closed", self.at, hint, expression=True)
        self.at = found.end()
        self._skip()
        return found[0]

    def take_comma(self) -> bool:
        """Passes a comma, if there is one."""
        if self.peek() != ",":
            return False
        self.at += 1
        self._skip()
        return True

    def rest(self) -> str:
        """All that is left."""
        rest = self.text[self.at :].rstrip()
        self.at = len(self.text)
        return rest

    def end(self, hint: str = "") -> None:
        """Raises unless all was taken."""
        if not self.done():
            raise ValueProblem("there is more on the line than this directive takes", self.at, hint)


def unquote(inside: str) -> str:
    """The text between two quotation marks without its escapes."""
    if "\\" not in inside and '"' not in inside:
        return inside
    return _escape.sub(lambda found: found[1] or '"', inside)


def one_word(text: str) -> str:
    """The one word (or quoted string) that `text` is."""
    if text and '"' not in text and not (" " in text or "\t" in text):
        return text
    scanner = Scanner(text)
    word = scanner.take_word("the value")
    scanner.end()
    return word


def comma_list(text: str) -> list[tuple[str, int]]:
    """The items of a comma separated list, each with its place; blanks around commas do not count. No item may be empty."""
    scanner = Scanner(text)
    items: list[tuple[str, int]] = []
    while True:
        at = scanner.at
        items.append((scanner.take_word("an item of the list", commas=False), at))
        if scanner.done():
            return items
        if not scanner.take_comma():
            raise ValueProblem("a comma is missing between two items", scanner.at)
