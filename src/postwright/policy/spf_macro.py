"""Macros of SPF (RFC 7208 section 7): read once, expanded for each message.

A macro-string becomes a tuple of literal texts and `Macro`s. Reading raises `SpfSyntaxError`, and nothing else whatever the text is;
expanding never fails, and stops when it has more than anybody could use. Nothing is looked up: what `%{p}` stands for is given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from msgspec import Struct

MAX_NAME = 253  # octets of a name in text form
MAX_EXPLANATION = 1000  # octets that we keep of an explanation

_LETTERS = frozenset("slodiphv")
_EXPLANATION_LETTERS = _LETTERS | frozenset("crt")  # section 7.2: these three in explanations only
_ESCAPES = {"%": "%", "_": " ", "-": "%20"}
# A macro-expand, a run of macro-literals, or what is neither. Blanks are for explain-string alone (section 6.2).
_token = re.compile(
    r"(?P<macro>%\{(?P<letter>[A-Za-z])(?P<digits>[0-9]*)(?P<reverse>[rR]?)(?P<delimiters>[.\-+,/_=]*)\})"
    r"|(?P<escape>%[%_-])|(?P<literal>[\x21-\x24\x26-\x7e]+)|(?P<blank> +)|(?P<bad>.)",
    re.DOTALL,
)
_toplabel = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?").fullmatch


class SpfSyntaxError(ValueError):
    """A record is not what section 12 allows. The text says where; parts of it are the record's, so escape it before showing it."""


class Macro(Struct, frozen=True, gc=False):
    """`%{letter…}`: `keep` right-hand parts (0: all), `reverse` their order, cut at `delimiters`, `escape` as in a URL."""

    letter: str
    keep: int = 0
    reverse: bool = False
    delimiters: str = ""
    escape: bool = False

    def value(self, raw: str) -> str:
        """Section 7.3: what the letter stands for, transformed."""
        if self.keep or self.reverse or self.delimiters:
            parts = re.split(f"[{re.escape(self.delimiters or '.')}]", raw)
            if self.reverse:
                parts.reverse()
            raw = ".".join(parts[-self.keep :])
        return quote(raw, safe="") if self.escape else raw


MacroString = tuple[str | Macro, ...]


def macro_string(text: str, *, explanation: bool = False) -> MacroString:
    """Raises SpfSyntaxError. `explanation`: an explain-string, which may have blanks and the letters c, r, t."""
    return _read(text, explanation)[0]


def domain_spec(text: str) -> MacroString:
    """A macro-string that ends in a macro, or in a dot and a top label with an optional dot (section 7.1). Raises SpfSyntaxError."""
    parts, ends_in_macro = _read(text, False)
    if not ends_in_macro:
        _, dot, label = text.removesuffix(".").rpartition(".")
        if not dot or _toplabel(label) is None or label.isdigit():
            raise SpfSyntaxError(f"no domain: {text[:80]}")
    return parts


def letters_of(parts: MacroString) -> frozenset[str]:
    """The macro letters that have to be known before `parts` can be expanded."""
    return frozenset([part.letter for part in parts if isinstance(part, Macro)])


def expand_name(parts: MacroString, values: Mapping[str, str]) -> str:
    """A name to ask for, in lower case without its last dot. One of more than 253 octets loses labels on the left until it fits
    (section 7.3), so it is made from the right, and no more of it than counts."""
    pieces: list[str] = []
    size = 0
    for part in reversed(parts):
        pieces.append(_text(part, values))
        size += len(pieces[-1])
        if size > MAX_NAME + 1:
            break
    name = "".join(reversed(pieces)).removesuffix(".").lower()
    if len(name) > MAX_NAME:
        cut, tail = name[-MAX_NAME - 1], name[-MAX_NAME:]
        name = tail if cut == "." else tail.partition(".")[2]
    return name


def expand_text(parts: Iterable[str | Macro], values: Mapping[str, str]) -> str:
    """An explanation, cut at `MAX_EXPLANATION`."""
    pieces: list[str] = []
    size = 0
    for part in parts:
        pieces.append(_text(part, values))
        size += len(pieces[-1])
        if size > MAX_EXPLANATION:
            break
    return "".join(pieces)[:MAX_EXPLANATION]


def _text(part: str | Macro, values: Mapping[str, str]) -> str:
    return part if isinstance(part, str) else part.value(values.get(part.letter, ""))


def _read(text: str, explanation: bool) -> tuple[MacroString, bool]:
    """The parts, and whether the last is a macro-expand."""
    if not text and not explanation:
        raise SpfSyntaxError("a value is missing")
    parts: list[str | Macro] = []
    last = ""
    for token in _token.finditer(text):
        last = token.lastgroup or ""
        if token["literal"] is not None or (token["blank"] is not None and explanation):
            parts.append(token[0])
        elif token["escape"] is not None:
            parts.append(_ESCAPES[token[0][1]])
            last = "escape"
        elif token["macro"] is not None:
            parts.append(_macro(token, _EXPLANATION_LETTERS if explanation else _LETTERS))
            last = "macro"
        else:
            raise SpfSyntaxError(f"no macro, or a character that may not stand there: {text[token.start() : token.start() + 20]}")
    return tuple(parts), last in ("macro", "escape")


def _macro(token: re.Match[str], letters: frozenset[str]) -> Macro:
    letter = token["letter"]
    if letter.lower() not in letters:
        raise SpfSyntaxError(f"unknown macro: {token[0][:20]}")
    digits = token["digits"].lstrip("0")
    if token["digits"] and not digits:  # section 7.3
        raise SpfSyntaxError(f"a macro that keeps nothing: {token[0][:20]}")
    keep = int(digits or 0) if len(digits) < 4 else 999  # a name has 127 labels at most, and `int` has a bound of its own
    return Macro(letter.lower(), keep, bool(token["reverse"]), token["delimiters"], letter.isupper())
