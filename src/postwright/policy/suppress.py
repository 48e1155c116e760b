"""`suppression-lists`: recipients that nothing may be sent to (powermta.md section 6).

A list holds mailboxes, local parts, `/expressions/`, patterns of domains, and the lines of files, which may be millions. Those are kept as
one sorted text, the size of the file: a set would need four times as much memory in every shard, and an answer takes twenty steps either
way. Letters' case does not count. Compiled once, from texts that somebody else has read; asking never fails.
"""

from __future__ import annotations

from collections.abc import Iterable

from postwright.model.address import Address, canonical_domain
from postwright.model.errors import AddressError
from postwright.policy.list_settings import AddressList
from postwright.policy.patterns import DomainPatterns, Search, expression


class Suppression:
    """One `<address-list>`. `files` are the contents of its `address-file`s. Raises ValueError for a pattern that is none."""

    __slots__ = ("_domains", "_exact", "_lines", "_searches", "name")

    def __init__(self, name: str, entries: AddressList, files: Iterable[bytes] = ()) -> None:
        self.name = name
        self._searches: list[Search] = []
        self._exact: set[bytes] = set()
        for entry in entries.addresses:
            if len(entry) > 1 and entry.startswith("/") and entry.endswith("/"):
                self._searches.append(expression(entry[1:-1]))
            else:
                self._exact.add(_line(entry))
        self._domains = DomainPatterns(entries.domains) if entries.domains else None
        self._lines = [lines for content in files if (lines := SortedLines(content))]

    def holds(self, address: Address) -> bool:
        """Nothing may be sent to `address`."""
        if self._domains is not None and self._domains.matches(address.domain):
            return True
        local = address.local.lower()
        whole = f"{local}@{address.domain}"
        for key in (whole.encode("utf-8", "replace"), local.encode("utf-8", "replace")):
            if key in self._exact or any(key in lines for lines in self._lines):
                return True
        return any(search(whole) for search in self._searches)


def holding(lists: Iterable[Suppression], address: Address) -> Suppression | None:
    """The first of the lists that holds `address`."""
    return next((suppression for suppression in lists if suppression.holds(address)), None)


class SortedLines:
    """The lines of a text as a set: lower case, blanks at their ends, empty lines and `#` comments left out."""

    __slots__ = ("_text",)

    def __init__(self, text: bytes) -> None:
        # Bytes have no lower case beyond ASCII, and a file that is not UTF-8 is no reason to mail those who have said no.
        text = text.removeprefix(b"\xef\xbb\xbf").replace(b"\r", b"\n")
        folded = text.lower() if text.isascii() else text.decode("utf-8", "surrogateescape").lower().encode("utf-8", "surrogateescape")
        lines = folded.split(b"\n")
        if b" " in folded or b"\t" in folded or b"#" in folded:
            lines = [line.strip() for line in lines if not line.lstrip().startswith(b"#")]
        if not folded.isascii():
            lines = [_line(line.decode("utf-8", "surrogateescape")) for line in lines]
        lines.sort()
        self._text = b"\n".join([b"", *lines, b""]) if lines else b""

    def __bool__(self) -> bool:
        return bool(self._text.strip())

    def __contains__(self, line: bytes) -> bool:
        """Halves the text until one line is left. The text begins and ends with LF, so every line stands between two."""
        text = self._text
        low, high = 0, len(text) - 1  # both at a LF
        while low < high:
            start = text.rfind(b"\n", low, (low + high) // 2 + 1)
            end = text.find(b"\n", start + 1)
            found = text[start + 1 : end]
            if found == line:
                return bool(line)
            if found < line:
                low = end
            else:
                high = start
        return False


def _line(entry: str) -> bytes:
    """An entry as it is compared: lower case, the domain in A-labels."""
    local, at, domain = entry.rpartition("@")
    if at:
        try:
            domain = canonical_domain(domain)
        except AddressError:
            domain = domain.lower()
    else:
        domain = domain.lower()
    return f"{local.lower()}{at}{domain}".encode("utf-8", "surrogateescape")
