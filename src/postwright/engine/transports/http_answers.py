"""What the answer to a POST means for a message, and for those behind it. Pure; total: nothing here raises.

2xx is delivered, all else is tried again (powermta.md section 4). A status that says nothing of the message puts the whole queue off, with
the server's Retry-After if it names a time: else each of a million messages would learn by itself that a server is down.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from postwright.engine.transports import PutOff
from postwright.model.outcome import Disposition, Kind

WORDS_MOST: Final = 200  # characters of a server's text in a diagnostic
WAIT_MOST: Final = 86400.0

# of the URL, the key or the server as a whole: the next message would be answered the same
_OF_THE_SITE: Final = frozenset((401, 403, 404, 405, 407, 408, 410, 429, 502, 503, 504))
_SAYS_WHEN: Final = frozenset((429, 503))  # RFC 6585 section 4, RFC 9110 section 15.6.4


def of_answer(status: int, words: str, retry_after: str, now: float) -> Disposition | PutOff:
    """`words`: how the answer begins; `retry_after`: the header field (RFC 9110 section 10.2.3); `now` Unix seconds."""
    diagnostic = f"http;{status} {words}".rstrip()
    if 200 <= status < 300:
        return Disposition(Kind.DELIVERED, "2.0.0", diagnostic)
    fate = Disposition(Kind.TRANSIENT, "4.5.0", diagnostic)
    # a redirection is followed by nobody: the operator has said where
    if status in _OF_THE_SITE or 300 <= status < 400:
        return PutOff(fate, seconds_of(retry_after, now) if status in _SAYS_WHEN else None)
    return fate


def seconds_of(retry_after: str, now: float) -> float | None:
    """The wait that a server asks for, a second to a day; None for none that makes sense."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return min(max(float(text), 1.0), WAIT_MOST)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max((at - datetime.fromtimestamp(now, UTC)).total_seconds(), 1.0), WAIT_MOST)


def printable(octets: bytes) -> str:
    """The first line of a stranger's words, fit for a log: no control characters, of bounded length."""
    line = octets[: 4 * WORDS_MOST].strip().partition(b"\n")[0].decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in line.strip())[:WORDS_MOST]
