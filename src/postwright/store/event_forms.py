"""How an event looks outside: a JSON object, a row of CSV, a line for a person. Values are those of the accounting files.

Pure. The JSON object has the names of columns as its keys, texts as values, and leaves out what is empty; `eventId` and `time` (seconds,
with their fraction) come first. docs/reference/events.md is what readers may rely on.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from postwright.model.columns import OPTIONAL
from postwright.model.privacy import Privacy
from postwright.store.accounting_rows import EVENT_ID, RowForm, RowMaker
from postwright.store.event_reader import Event

_encode = msgspec.json.Encoder().encode


class EventForm:
    """Events of some types in one form. `form` is that of an accounting file, None for all columns that there are."""

    def __init__(self, kinds: Collection[str], form: RowForm | None = None, privacy: Privacy | None = None) -> None:
        fingerprint = privacy.fingerprint if privacy is not None else ""
        every: dict[str, tuple[str, ...]] = dict.fromkeys(kinds, ("*", *OPTIONAL))
        self._maker = RowMaker(form or RowForm(tuple(kinds), every, privacy=fingerprint), privacy)
        self.kinds = frozenset(kinds)
        self._shows_id = EVENT_ID in self._maker.header
        self.header_line = self._maker.header_line

    def values(self, event: Event) -> dict[str, str | float]:
        """The JSON object."""
        record = event.record
        found: dict[str, str | float] = {"eventId": event.id, "time": record.time_logged}
        for name, value in zip(self._maker.header, self._maker.values(record), strict=True):
            if value and name != EVENT_ID:
                found[name] = value
        return found

    def json(self, event: Event) -> bytes:
        """The JSON object as octets. Texts that are no Unicode never got into the log."""
        return _encode(self.values(event))

    def row(self, event: Event) -> bytes:
        """A row of CSV with its line end."""
        return self._maker.row(event.record, event.id if self._shows_id else "")

    def line(self, event: Event) -> str:
        """A line for a person: when, what, whom, and how it went."""
        get = self.values(event).get
        parts = [str(get("timeLogged", ""))[:19], event.record.type, get("rcpt") or get("queue") or "-", get("dsnStatus"), get("dsnDiag")]
        text = "  ".join([*(str(part) for part in parts if part), f"[{event.id}]"])
        # what strangers wrote moves no cursor and changes no colour
        return text if text.isprintable() else "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])
