"""What `postwright suppress` does with the store: entries out of people's words, CSV in and out.

Works on the file in the state folder, with or without a running relay, which sees a change within a second. A CSV file has a header that
names its columns (`key`, or what others call it: `address`, `email`, `recipient`, `hash`; and `scope`, `reason`, `source`, `added`,
`expires`), or no header, and then the first column is the key. A line that cannot be read is told and passed over, the others go in.

Raises SuppressionError for the store and ValueError for words that mean nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from msgspec import Struct

from postwright.model.address import parse_mailbox
from postwright.model.errors import AddressError, SuppressionError
from postwright.model.suppression import Suppressed, keys_of, parse_key, parse_scope
from postwright.store.suppression import BATCH, FILE, SuppressionStore

COLUMNS = ("key", "scope", "reason", "source", "added", "expires")
_KEY_NAMES = ("key", "address", "email", "e-mail", "mail", "recipient", "rcpt", "hash")
TROUBLES_TOLD = 20


class Imported(Struct):
    """What an import came to. `troubles`: the first lines that could not be read, as `line N: why`."""

    read: int = 0
    changed: int = 0
    refused: int = 0
    troubles: list[str] = []

    def refuse(self, line: int, why: str) -> None:
        self.refused += 1
        if len(self.troubles) < TROUBLES_TOLD:
            self.troubles.append(f"line {line}: {why}")


def open_store(state_dir: Path, *, create: bool) -> SuppressionStore:
    """The store of a state folder. Raises SuppressionError, also when there is none and none is to be made."""
    path = state_dir / FILE
    if not create and not path.exists():
        raise SuppressionError(f"there is no suppression store yet in {state_dir}; `postwright suppress add` makes it")
    if create and not state_dir.is_dir():
        raise SuppressionError(f"{state_dir} is no folder; name the relay's with --state-dir")
    return SuppressionStore(path, create=create)


@contextmanager
def opened(state_dir: Path, *, create: bool) -> Iterator[SuppressionStore]:
    """The store while it is needed. Raises as `open_store` does."""
    store = open_store(state_dir, create=create)
    try:
        yield store
    finally:
        store.close()


def there(state_dir: Path) -> bool:
    """Is there a store?"""
    return (state_dir / FILE).exists()


def holding(store: SuppressionStore, address: str, now: float) -> list[Suppressed]:
    """Every entry that holds this mailbox, in whatever scope. Raises ValueError."""
    return list(store.entries(now, keys=keys_of(parse_mailbox(address, smtputf8=True), store.digests())))


def parse_time(text: str) -> float | None:
    """Unix seconds, or a date with or without a time (UTC where it says no zone); "" and `never` are None. Raises ValueError."""
    text = text.strip()
    if text.lower() in ("", "never"):
        return None
    try:
        if text.replace(".", "", 1).isdigit():
            datetime.fromtimestamp(seconds := float(text), UTC)  # milliseconds are no time that could be shown again
            return seconds
        when = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is no time: 2026-12-31, 2026-12-31 18:00, Unix seconds, or never") from None
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()


# -- CSV ------------------------------------------------------------------------------------


def import_csv(
    store: SuppressionStore, lines: Iterable[str], usual: Suppressed, now: float, progress: Callable[[Imported], None] = lambda so_far: None
) -> Imported:
    """Put a CSV file's entries into the store; what a line does not say is as in `usual`. `progress` hears after each batch."""
    done = Imported()
    batch: list[Suppressed] = []
    for entry in _entries(lines, usual, now, done):
        batch.append(entry)
        if len(batch) >= BATCH:
            done.changed += store.add(batch)
            batch.clear()
            progress(done)
    done.changed += store.add(batch)
    progress(done)
    return done


def _entries(lines: Iterable[str], usual: Suppressed, now: float, done: Imported) -> Iterator[Suppressed]:
    rows = csv.reader(line.replace("\0", "") for line in lines)
    names: list[str] | None = None
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            done.refuse(rows.line_num, str(error))
            continue
        if not row or not "".join(row).strip() or row[0].lstrip().startswith("#"):
            continue
        if names is None:
            names = _header(row)
            if names is not None:
                continue
            names = ["key"]
        try:
            entry = _entry(dict(zip(names, row, strict=False)), usual, now)
        except (ValueError, AddressError) as error:
            done.refuse(rows.line_num, str(error))
            continue
        done.read += 1
        yield entry


def _header(row: list[str]) -> list[str] | None:
    """The names of the columns, if this row is a header; the first that is a key's is called `key`."""
    names = [cell.strip().lower().removeprefix("\ufeff") for cell in row]
    key = next((name for name in _KEY_NAMES if name in names), None)
    return None if key is None else ["key" if name == key else name for name in names]


def _entry(row: dict[str, str], usual: Suppressed, now: float) -> Suppressed:
    added = parse_time(row.get("added", ""))
    return Suppressed(
        parse_key(row.get("key", "").removeprefix("\ufeff")),
        parse_scope(row["scope"].strip()) if row.get("scope", "").strip() else usual.scope,
        row.get("reason", "").strip() or usual.reason,
        row.get("source", "").strip() or usual.source,
        now if added is None else added,
        parse_time(row["expires"]) if row.get("expires", "").strip() else usual.expires,
    )


def export_csv(entries: Iterable[Suppressed], to: TextIO) -> int:
    """Entries as a CSV file that `import_csv` reads; returns how many."""
    writer = csv.writer(to)
    writer.writerow(COLUMNS)
    count = 0
    for entry in entries:
        times = shown_time(entry.added), shown_time(entry.expires)
        writer.writerow([entry.key, shown_scope(entry.scope), entry.reason, entry.source, *times])
        count += 1
    return count


def shown_time(seconds: float | None) -> str:
    """`2026-12-31 18:00:00+00:00`, UTC; `never` for None."""
    return "never" if seconds is None else datetime.fromtimestamp(int(seconds), UTC).isoformat(" ")


def shown_scope(scope: str) -> str:
    """A scope as `parse_scope` takes it."""
    return scope or "global"
