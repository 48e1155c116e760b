"""Whether a content that has come whole may be taken: line ends, length of lines, size, hops. And what else a session counts.

Pure; the server engine asks it once for each message. What it gives back has no bare CR, bare LF or NUL unless it came as BINARYMIME.
"""

from __future__ import annotations

from postwright.model.message import ContentFacts
from postwright.model.reply import Reply
from postwright.wire import commands, refusals
from postwright.wire.body import TEXT_LINE, repair, scan
from postwright.wire.events import Content
from postwright.wire.options import Limits, ServerOptions


class Quotas:
    """What a session has used of the limits of RFC 9422 that go beyond a single command."""

    __slots__ = ("_domains", "_mails")

    def __init__(self) -> None:
        self._mails = 0
        self._domains: frozenset[str] = frozenset()

    def mail(self, most: int) -> bool:
        """One MAIL command more: MAILMAX."""
        self._mails += 1
        return self._mails <= most

    def domain(self, domain: str, most: int, *, first: bool) -> bool:
        """A recipient of `domain` is asked for, the `first` of its transaction or not: RCPTDOMAINMAX."""
        domains = (frozenset() if first else self._domains) | {domain}
        if len(domains) > most:
            return False
        self._domains = domains
        return True


def wire_limit(limits: Limits) -> int | None:
    """Octets to keep of dot-stuffed content: stuffing adds at most a third (a line of one dot), so half as much again is ample."""
    size = limits.message_size
    return None if size is None else size + size // 2 + 5


def judge(content: bytes, facts: ContentFacts, options: ServerOptions, binary: bool) -> Content | Reply:
    """The content, mended where the options say so, or the reply that refuses it. `binary`: it was announced as BINARYMIME."""
    limits = options.limits
    if facts.binary and not binary:
        longest = limits.text_line
        if facts.longest_line > TEXT_LINE and longest is not None and facts.longest_line > longest:
            return refusals.TEXT_TOO_LONG
        fixed = repair(content)
        if fixed != content:
            if options.bare != "repair":
                return refusals.BARE_IN_CONTENT
            content, facts = fixed, scan(fixed)
    if limits.message_size is not None and facts.size > limits.message_size:
        return commands.TOO_BIG
    if limits.hops is not None and facts.hops > limits.hops:
        return refusals.TOO_MANY_HOPS
    return Content(content, facts)
