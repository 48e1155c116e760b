"""`<bounce-processor>` and `<feedback-loop-processor>`: whose mail is read as reports, and what becomes of that mail afterwards.

Compiled once per generation from values and the contents of files that somebody else has read; asking never fails. It reads no report:
that is `content.reports`; who may be suppressed for one is not decided here either. An address list takes no mail by itself: the
domains of these addresses are `relay-domain`s as any that we take mail for, so that a wide pattern opens no relay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import re2

from postwright.model.address import Address
from postwright.policy.service_settings import ProcessorSettings
from postwright.policy.suppress import Suppression

MATCHED, UNMATCHED, ERROR = "matched", "unmatched", "error"

_MOST_TEXT = 1 << 16  # characters of a mail that an operator's patterns see
_MEMORY = 64 << 20


class BodyPattern:
    """A line of a `body-pattern-file`: `/expression/` with named groups (`rcpt`, `orig`, `dlvSourceIp`, ...). Raises ValueError."""

    __slots__ = ("_search", "where")

    def __init__(self, line: str, where: str) -> None:
        self.where = where
        if len(line) < 3 or not (line.startswith("/") and line.endswith("/")):
            raise ValueError(f"{where}: a pattern is written /.../")
        options = re2.Options()
        options.case_sensitive = False
        options.log_errors = False
        options.max_mem = _MEMORY
        try:
            compiled = re2.compile(line[1:-1], options=options)
        except re2.error as error:
            raise ValueError(f"{where}: not an expression of RE2: {error}") from None
        if not compiled.groupindex:
            raise ValueError(f"{where}: the pattern has no named group, (?P<rcpt>...) or another")
        self._search = compiled.search

    def find(self, text: str) -> dict[str, str] | None:
        """What its groups caught, names in lower case; None when it does not fit."""
        match = self._search(text[:_MOST_TEXT])
        return None if match is None else {name.lower(): _clean(value) for name, value in match.groupdict().items() if value}


def body_patterns(octets: bytes, file: str) -> list[BodyPattern]:
    """The patterns of a file, one a line, `#` before comments. Raises ValueError with file and line."""
    lines = enumerate(octets.decode("utf-8", "replace").splitlines(), 1)
    return [BodyPattern(text.strip(), f"{file}:{number}") for number, text in lines if text.strip() and not text.lstrip().startswith("#")]


class Processor:
    """One of the two blocks. `files` are the contents of all files that it names. Raises ValueError for a pattern that is none."""

    __slots__ = ("_addresses", "_deliver", "_forward", "logs", "patterns", "rate")

    def __init__(self, settings: ProcessorSettings, files: Mapping[str, bytes]) -> None:
        entries = settings.addresses
        self.rate = settings.max_report_rate
        self._addresses = Suppression("", entries, [files[name] for name in entries.files])
        matched, unmatched = settings.deliver_matched_email, settings.deliver_unmatched_email
        if unmatched is None:
            unmatched = not settings.forward_unmatched_to if settings.deliver_email is None else settings.deliver_email
        self._deliver = {MATCHED: matched or bool(settings.deliver_email), UNMATCHED: unmatched}
        # what could not be read is mail that was not recognised, unless somebody wants it
        self._deliver[ERROR] = unmatched and not settings.forward_errors_to
        self._forward = {UNMATCHED: settings.forward_unmatched_to, ERROR: settings.forward_errors_to or settings.forward_unmatched_to}
        names = settings.patterns.body_pattern_file if settings.patterns is not None else ()
        self.patterns = [pattern for name in names for pattern in body_patterns(files[name], name)]
        self.logs = settings.patterns is not None and settings.patterns.log_match_info

    def claims(self, address: Address) -> bool:
        """Mail to `address` is for this processor."""
        return self._addresses.holds(address)

    def delivers(self, verdict: str) -> bool:
        """Mail of this verdict goes on to whom it was for."""
        return self._deliver[verdict]

    def forwards(self, verdict: str) -> tuple[str, ...]:
        """Who else gets it."""
        return self._forward.get(verdict, ())

    def find(self, text: str) -> tuple[BodyPattern, dict[str, str]] | None:
        """The first pattern that fits, and what it caught."""
        return next(((pattern, found) for pattern in self.patterns if (found := pattern.find(text)) is not None), None)


def files_of(processors: Iterable[ProcessorSettings | None]) -> list[str]:
    """The files that must be read to compile these."""
    found: list[str] = []
    for one in processors:
        if one is not None:
            found += [*one.addresses.files, *(one.patterns.body_pattern_file if one.patterns is not None else ())]
    return found


def _clean(value: str) -> str:
    """One line of printable text, as the readers of reports give it."""
    return "".join([c if c.isprintable() else " " for c in value[:1024]]).strip()
