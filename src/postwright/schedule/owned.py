"""How much waits for each owner (job and user in one text, `model.work.owned_by`), in all queues of a shard, in flight or not.

Kept by the scheduler as entries come and go, for owners that have a name; who has nothing any more is forgotten, so that there are never
more of them than entries. Nothing is raised.
"""

from __future__ import annotations

from collections.abc import Iterator

from postwright.model.work import Entry, job_of


class Owned:
    """Recipients, and octets of the contents of entries."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}

    def came(self, entry: Entry) -> None:
        """An entry that has an owner is counted."""
        self.change(entry.owner, len(entry.recipients), entry.ref.content_size)

    def went(self, entry: Entry) -> None:
        """It is gone."""
        self.change(entry.owner, -len(entry.recipients), -entry.ref.content_size)

    def change(self, owner: str, recipients: int, octets: int) -> None:
        """So many more, or fewer."""
        counts = self._counts.get(owner)
        if counts is None:
            counts = self._counts[owner] = [0, 0]
        counts[0] += recipients
        counts[1] += octets
        if not counts[0]:
            del self._counts[owner]

    def __iter__(self) -> Iterator[tuple[str, int, int]]:
        """Owner, recipients, octets."""
        for owner, (recipients, octets) in self._counts.items():
            yield owner, recipients, octets

    def jobs(self) -> Iterator[tuple[str, int, int]]:
        """Job, recipients, octets; a job that several users have comes several times."""
        for owner, recipients, octets in self:
            if job := job_of(owner):
                yield job, recipients, octets
