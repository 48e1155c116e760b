"""SMTP replies as a client reads them (RFC 5321 section 4.2, RFC 2034): multi-line, enhanced codes, bounded.

`ReplyParser.feed` takes bytes as they come and gives whole replies. It forgives what real receivers do (bare LF, overlong
lines, text without a blank, 8-bit text, a status of another class, garbage inside a multi-line reply) and gives up, by `error`,
on what cannot be a reply at all or is larger than any reply has a right to be. Nothing is raised.
"""

from __future__ import annotations

import re
from functools import lru_cache

from postwright.model.reply import Reply

# RFC 5321 section 4.5.3.1.5 allows 512 octets a line; receivers that paste a policy URL exceed it, so we bear four times as much
# before we cut the text, and give up only where no line can be meant any more.
MAX_TEXT = 2048
MAX_LINE = 16384
MAX_LINES = 256  # EHLO of the most talkative receivers has some 30
MAX_REPLY = 65536

_line = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?\s*", re.DOTALL).fullmatch
_status = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)").match

_Part = tuple[int, str, str]


@lru_cache(512)
def _read(line: bytes) -> Reply | _Part | None:
    """A one-line reply, a part of a multi-line one (code, status, text), or None for garbage.

    Cached, as nearly every reply of a session is a repetition (`250 2.1.0 Ok`); what carries a queue id passes through.
    """
    match = _line(line)
    if match is None:
        return None
    code = int(match[1])
    status, text = _split(code, _clean(match[3] or b""))
    return (code, status, text) if match[2] == b"-" else Reply(code, status, (text,))


def _clean(raw: bytes) -> str:
    """Text fit for a log: one line, printable. RFC 6531 section 3.7.4 lets replies be UTF-8; others send Latin-1."""
    raw = raw.rstrip(b"\r \t")[:MAX_TEXT]
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text if text.isprintable() else "".join([c if c.isprintable() else " " for c in text]).rstrip()


def _split(code: int, text: str) -> tuple[str, str]:
    """The enhanced status code in front of the text; one whose class contradicts the code is text (RFC 2034 section 4)."""
    match = _status(text)
    if match is None or ord(text[0]) - 48 != code // 100:
        return "", text
    return match[1], text[match.end() :]


class ReplyParser:
    """`feed` bytes, get replies. After `error` is set nothing more is parsed."""

    __slots__ = ("_parts", "_rest", "_size", "error")

    def __init__(self) -> None:
        self._rest = b""
        self._parts: list[_Part] = []
        self._size = 0
        self.error = ""

    @property
    def partial(self) -> bool:
        """Bytes of an unfinished reply are at hand."""
        return bool(self._rest or self._parts)

    def feed(self, data: bytes) -> list[Reply]:
        """The replies completed by `data`."""
        if self.error:
            return []
        if self._rest:
            data = self._rest + data
        # A bare LF ends a line too: a client that is strict here would only wait for ever, and nothing can be smuggled to us
        # that the receiver could not say outright.
        lines = data.split(b"\n")
        self._rest = lines.pop()
        replies: list[Reply] = []
        for line in lines:
            reply = _read(line) if len(line) <= MAX_LINE else None
            if type(reply) is Reply and not self._parts:
                replies.append(reply)
            elif not self._odd(line, reply, replies):
                return replies
        if len(self._rest) > MAX_LINE:
            self.error = "a reply line without end"
        return replies

    def _odd(self, line: bytes, reply: Reply | _Part | None, replies: list[Reply]) -> bool:
        """Everything but a reply on a line of its own. False when the peer does not speak SMTP."""
        self._size += len(line)
        parts = self._parts
        if type(reply) is Reply:
            replies.append(_join(parts, reply))
            self._parts, self._size = [], 0
        elif isinstance(reply, tuple):
            parts.append(reply)
        elif parts and len(line) <= MAX_LINE:
            # A line break inside somebody's text; the reply goes on with its next coded line.
            parts.append((parts[-1][0], "", _clean(line)))
        else:
            self.error = f"not a reply: {_clean(line)[:80]!r}"
        if len(parts) > MAX_LINES or self._size > MAX_REPLY:
            self.error = "a reply without end"
        return not self.error


def _join(parts: list[_Part], last: Reply) -> Reply:
    """All lines must bear one code (RFC 5321 section 4.2.1); where they do not, the last line is the one that ends the reply."""
    status = last.status or next((status for _, status, _ in parts if status and status[0] == str(last.code)[0]), "")
    return Reply(last.code, status, (*[text for _, _, text in parts], *last.lines))
