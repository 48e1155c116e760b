"""Header fields that are taken out and put in when a message is sent: what depends on the queue and not on who brought it.

Fields come in behind the first Received, our own: whoever reads a header from its top finds the trace first (RFC 5321 section 4.4). The
body is not looked at, and any octets have an answer. Pure.
"""

from __future__ import annotations

import re

from postwright.content.headers import find, has, without

MOST = 65536  # octets of fields that are put in
_RECEIVED = frozenset((b"received",))
_VMTA = b"x-virtual-mta"
# RFC 5322 sections 2.2 and 2.2.3: a name of printable ASCII without a colon, a value, and lines that go on with a blank
_field = re.compile(rb"[!-9;-~]++[ \t]*+:[^\r\n]*+(?:\r\n[ \t]++[^\s][^\r\n]*+)*+\r\n")


def problem(fields: bytes) -> str:
    """Why these octets (lines ending in CRLF) are no header fields; "" when they are."""
    if len(fields) > MOST:
        return f"more than {MOST} octets"
    if b"\0" in fields:
        return "a NUL octet"
    at = 0
    while at < len(fields):
        match = _field.match(fields, at)
        if match is None:
            line = fields.count(b"\r\n", 0, at) + 1
            return f"line {line} is no header field: Name: value, further lines of it begin with a blank"
        longest = max(map(len, match[0].split(b"\r\n")))
        if longest > 998:
            return f"a line of {longest} octets; 998 are allowed (RFC 5322 section 2.1.1)"
        at = match.end()
    return ""


def changed(
    content: bytes, header_size: int, *, remove: frozenset[bytes] = frozenset(), insert: bytes = b"", vmta: str = ""
) -> bytes | None:
    """The content without the fields of these names (lower case), and with `insert`; None when that is what it is already.

    `header_size` is that of `ContentFacts`; `vmta` puts in X-Virtual-MTA, unless there is one.
    """
    if vmta and not has(content, header_size, _VMTA):
        insert += b"X-Virtual-MTA: " + vmta.encode() + b"\r\n"
    spans = [(field.start, field.end) for field in find(content, header_size, remove)] if remove else []
    if not spans and not insert:
        return None
    at = _behind_trace(content, header_size)
    before, behind = [span for span in spans if span[0] < at], [span for span in spans if span[0] >= at]
    head = b"".join(without(content[:at], before))
    rest = b"".join(without(content[at:], [(start - at, end - at) for start, end in behind]))
    return head + insert + rest


def _behind_trace(content: bytes, header_size: int) -> int:
    """Where the first field ends, if it is a Received; else the beginning."""
    first = next(iter(find(content, header_size, _RECEIVED)), None)
    return first.end if first is not None and first.start == 0 else 0
