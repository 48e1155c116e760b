"""Received octets on their way to being lines and contents.

Three small holders that remember how far they have looked, so that nothing is searched twice however the network cuts it, and
that never hold more than they were told. They know line ends and the end of data, no commands. Nothing here raises.
"""

from __future__ import annotations

import re

_CRLF = b"\r\n"
_SMALL = 4096  # octets: a peer that sends two at a time must not make us keep an object of forty for each two
_END = b"\r\n.\r\n"
# A regular expression that begins with a dot steps over octets that are none quicker than `find` does over what is no CRLF (27 to 41 us for
# 100 KB). Behind the last dot, which is found at the speed of memory, it has nothing to look for: Base64 has none but that of the end.
_dotted = re.compile(rb"\.(?<=\r\n\.)").search


class LineBuffer:
    """Octets not yet taken. A line ends at LF, so that a client that says bare LF is answered at once instead of waited for."""

    __slots__ = ("_at", "_data", "_seen", "_widest")

    def __init__(self, widest: int) -> None:
        self._data = b""
        self._at = 0
        self._seen = 0
        self._widest = widest

    def feed(self, data: bytes) -> None:
        """More from the peer."""
        if self._at == len(self._data):
            self._data = data
            self._at = self._seen = 0
        else:
            # What stays is one unfinished line, or input that came while a reply was owed: the caller reads no more by then.
            self._data = self._data[self._at :] + data
            self._seen -= self._at
            self._at = 0

    def line(self) -> bytes | None:
        """The next line with its LF; None if it has not come whole. Of a line wider than `widest` only its first octets are kept."""
        data = self._data
        end = data.find(b"\n", self._seen)
        if end < 0:
            self._seen = len(data)
            if len(data) - self._at > self._widest:
                self._data = data[self._at : self._at + self._widest + 1]
                self._at, self._seen = 0, len(self._data)
            return None
        line = data[self._at : end + 1]
        self._at = self._seen = end + 1
        return line

    def take(self, most: int) -> bytes:
        """Up to `most` octets, whatever they are; uncopied when that is all there is."""
        data, at = self._data, self._at
        if len(data) - at <= most:
            self._data = b""
            self._at = self._seen = 0
            return data[at:] if at else data
        self._at = self._seen = at + most
        return data[at : at + most]

    def peek(self) -> bytes:
        """What is there, untouched; a copy."""
        return self._data[self._at :]

    def __len__(self) -> int:
        return len(self._data) - self._at

    def clear(self) -> int:
        """Forget all; how much it was."""
        dropped = len(self)
        self._data = b""
        self._at = self._seen = 0
        return dropped


class DotContent:
    """Content of DATA until CRLF.CRLF, and nothing else ends it (RFC 5321 section 4.1.1.4).

    Octets beyond `most` (None: no bound) are counted and dropped; `too_big` says so. `dots` says whether a line of it begins with a
    dot, doubled or not, once the end has come: the search for the end meets the first of them anyway.
    """

    __slots__ = ("_most", "_parts", "_tail", "dots", "size", "too_big")

    def __init__(self, most: int | None) -> None:
        self._parts: list[bytes] = []
        self.size = 0
        self._tail = b"\r\n"  # the CRLF of the DATA command: ".CRLF" at once is an empty message
        self._most = most
        self.dots = False
        self.too_big = False

    def feed(self, data: bytes) -> int:
        """How many octets of `data` belong to the content with its end, or -1 if the end has not come."""
        end = self._across(data)
        if end < 0:
            end = self._within(data)
        if end >= 0:
            self._keep(data[:end] if end < len(data) else data)
            return end
        self._keep(data)
        self._tail = data[-4:] if len(data) >= 4 else (self._tail + data)[-4:]
        return -1

    def _across(self, data: bytes) -> int:
        """The end where it lies across the seam: it begins earlier than any that lies wholly within `data`."""
        tail = self._tail
        seam = tail + data[:4]
        at = seam.find(b"\r\n.")
        while at >= 0:
            if seam.startswith(_CRLF, at + 3):
                return at + 5 - len(tail)
            if len(seam) >= at + 5:
                self.dots = True
            at = seam.find(b"\r\n.", at + 3)
        return -1

    def _within(self, data: bytes) -> int:
        at = 0
        if not self.dots:
            tail = max(len(data) - 3, 0)  # ".CRLF"
            found = _dotted(data, 0, data.rfind(b".", 0, tail) + 1) or _dotted(data, tail)
            if found is None:
                return -1
            at = found.start()
            if data.startswith(_CRLF, at + 1):
                return at + 3
            if at + 3 > len(data):
                return -1  # what follows the dot comes with the next octets: `_across` will see it
            self.dots = True
        end = data.find(_END, at)
        return end + 5 if end >= 0 else -1

    def _keep(self, data: bytes) -> None:
        self.size += len(data)
        if self._most is not None and self.size > self._most:
            self.too_big = True
            self._parts.clear()
        else:
            _add(self._parts, data)

    @property
    def held(self) -> int:
        """Octets kept so far."""
        return 0 if self.too_big else self.size

    def drop(self) -> None:
        """Keep nothing, whatever comes; `too_big` from now on."""
        self._most, self.too_big = 0, True
        self._parts.clear()

    def raw(self) -> bytes:
        """After the end: the octets before it, still dot-stuffed. Joined once."""
        parts = self._parts
        if not parts:
            return b""
        if len(parts[-1]) >= 3:
            parts[-1] = parts[-1][:-3]
            return parts[0] if len(parts) == 1 else b"".join(parts)
        return b"".join(parts)[:-3]


class ChunkContent:
    """Content by BDAT (RFC 3030): chunks of known sizes. Octets beyond `most` are counted and dropped."""

    __slots__ = ("_most", "_parts", "size", "too_big")

    def __init__(self, most: int | None) -> None:
        self._parts: list[bytes] = []
        self.size = 0
        self._most = most
        self.too_big = False

    def feed(self, data: bytes) -> None:
        """Some octets of a chunk."""
        self.size += len(data)
        if self._most is not None and self.size > self._most:
            self.too_big = True
            self._parts.clear()
        else:
            _add(self._parts, data)

    @property
    def held(self) -> int:
        """Octets kept so far."""
        return 0 if self.too_big else self.size

    def drop(self) -> None:
        """Keep nothing, whatever comes; `too_big` from now on."""
        self._most, self.too_big = 0, True
        self._parts.clear()

    def raw(self) -> bytes:
        """All of it, joined once."""
        return b"".join(self._parts)


def _add(parts: list[bytes], data: bytes) -> None:
    if parts and len(data) < _SMALL and len(parts[-1]) < _SMALL:
        parts[-1] += data
    else:
        parts.append(data)
