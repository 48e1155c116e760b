"""What accounting files want to know: of which queues (`queue-filter`), and which header fields of a message (`record-fields`, maps).

Pure, decided once per generation of settings: a relay whose files ask for no header field looks none up. Nothing is raised for settings
that the load has let pass.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from postwright.model.columns import ARF, DEFAULTS, HEADER, SECRET, behind, columns
from postwright.policy.patterns import DomainPatterns
from postwright.policy.service_settings import AcctFileSettings

REMEMBERED = 10_000
"""Queues whose verdict is kept: a file is asked of one for every record."""

OF_MESSAGES = ("d", "b", "t", "r")
"""Record types whose header fields are those of the message itself; the others are about reports."""


class QueueFilter:
    """`queue-filter`: queue names, `[!]DOMAIN[/VMTA]`, the first that fits decides; what fits none is not wanted.

    Raises ValueError for a pattern that is none.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._rules = [self._rule(name) for name in names]
        self._known: dict[str, bool] = {}

    @staticmethod
    def _rule(name: str) -> tuple[bool, DomainPatterns, str]:
        domain, _, vmta = name.removeprefix("!").partition("/")
        return not name.startswith("!"), DomainPatterns((domain,)), (vmta or "{default}").lower()

    def __call__(self, queue: str) -> bool:
        """Are records of this queue (`domain/vmta`) wanted?"""
        found = self._known.get(queue)
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            found = self._known[queue] = self._judged(queue)
        return found

    def _judged(self, queue: str) -> bool:
        domain, _, vmta = queue.lower().partition("/")
        for wanted, domains, name in self._rules:
            if name in ("*", vmta) and domains.matches(domain):
                return wanted
        return False


def kinds_wanted(files: Iterable[AcctFileSettings]) -> frozenset[str]:
    """Record types that some file wants: others are not even made."""
    return frozenset(kind for file in files for kind in file.records)


def headers_wanted(files: Iterable[AcctFileSettings], kinds: Collection[str] = OF_MESSAGES) -> frozenset[str]:
    """Names of header fields (lower case) that some file has a column for, or maps into one, in records of `kinds`."""
    return frozenset().union(*[_headers(file, kind) for file in files for kind in file.records if kind in kinds])


def arf_wanted(files: Iterable[AcctFileSettings]) -> frozenset[str]:
    """Names of fields of feedback reports (lower case) that some file has a column for."""
    return frozenset().union(*[behind(ARF, columns("f", file.record_fields.get("f"))) for file in files if "f" in file.records])


def _headers(file: AcctFileSettings, kind: str) -> frozenset[str]:
    wish = file.record_fields.get(kind)
    mapped = [header for of, header, _ in file.map_header_to_field if of == kind]
    return behind(HEADER, (*(columns(kind, wish) if wish else DEFAULTS[kind]), *mapped)) - SECRET
