"""Rows of deliveries and bounces as the reports want them: columns of numbers and domains, made once for all reports that ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from postwright.engine.acct.fields import domain_of, seconds, whole_number
from postwright.store.accounting_reader import Batch

_NO_SIZE = 10**12  # octets


class Traffic:
    """Rows of one type out of a batch; each is one recipient."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.count = len(batch.rows)

    def column(self, name: str) -> Sequence[str]:
        """As it stands in the file."""
        return self._batch.column(name)

    @cached_property
    def domains(self) -> list[str]:
        """Of the recipients, lower case."""
        return list(map(domain_of, self._batch.column("rcpt")))

    @cached_property
    def logged(self) -> list[int]:
        """When it was delivered or bounced, Unix seconds, 0 where it is not known."""
        return list(map(seconds, self._batch.column("timeLogged")))

    @cached_property
    def queued(self) -> list[int]:
        """When it was accepted."""
        return list(map(seconds, self._batch.column("timeQueued")))

    @cached_property
    def spent(self) -> list[int]:
        """Seconds from acceptance to the end, -1 where they are not known."""
        return [max(0, end - start) if start and end else -1 for start, end in zip(self.queued, self.logged, strict=True)]

    @cached_property
    def sizes(self) -> list[int]:
        """Octets, 0 where the row does not say, or says what no message has: sums stay within 64 bits."""
        return [size if size < _NO_SIZE else 0 for size in map(whole_number, self._batch.column("dlvSize"))]

    @cached_property
    def senders(self) -> list[tuple[str, str]]:
        """Virtual MTA and source address of each."""
        return list(zip(self._batch.column("vmta"), self._batch.column("dlvSourceIp"), strict=True))

    @cached_property
    def permanent(self) -> list[bool]:
        """Was the status 5.X.X? Of a bounce that is not, it was a transient one for too long."""
        return [status.startswith("5") for status in self._batch.column("dsnStatus")]


def split(batch: Batch) -> tuple[Traffic, Traffic]:
    """What was delivered and what was bounced here (`d`, `b`); other records are no recipient's end."""
    rows = batch.rows
    delivered = [row for row in rows if row[0] == "d"]
    bounced = [row for row in rows if row[0] == "b"] if len(delivered) < len(rows) else []
    return Traffic(Batch(batch.layout, delivered)), Traffic(Batch(batch.layout, bounced))
