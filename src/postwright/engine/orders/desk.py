"""The book of orders on disk: the supervisor has it, so that an order holds for all shards, also for those that are down.

A file of JSON in the state folder. It is on disk, synced, before an order is answered or any shard is told of it; shards read it when they
begin, before they queue anything. A file that cannot be written refuses the order (OSError), one that cannot be read is said in the log
and moved aside: pauses that nobody can read must not be overwritten. What is over leaves the disk soon (`tidy`), so that a start, which
lets orders about mail stand once more, does not bring back one that has long been carried out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from postwright.engine import state_folder
from postwright.engine.orders.book import Book, current, next_end, rearmed

FILE = state_folder.ORDERS
REARMED = 3600.0  # seconds for which orders about mail stand after a start
TRIED_AGAIN = 60.0  # seconds after which a disk that took nothing is asked once more


def read_book(folder: Path) -> Book:
    """What stands on disk. Raises OSError (there is none: an empty book) and ValueError, when it cannot be read."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Book)
    except FileNotFoundError:
        return Book()
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"{FILE}: {error}") from None


def write_book(folder: Path, book: Book) -> None:
    """On disk when this returns. Raises OSError."""
    draft = folder / f".{FILE}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(book))
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, folder / FILE)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class Desk:
    """`now` gives Unix seconds. `book` is what stands, as it is on disk."""

    def __init__(self, folder: Path, now: Callable[[], float], log: structlog.stdlib.BoundLogger) -> None:
        self._folder = folder
        self._log = log
        self.now = now
        self.book = Book()
        self._ends: float | None = None  # when the first of what stands is over

    def load(self) -> None:
        """What an earlier life has left. Before any shard begins."""
        try:
            self._keep(read_book(self._folder))
        except (OSError, ValueError) as error:
            broken = self._folder / f"{FILE}.broken"
            self._log.error("the orders of before cannot be read: nothing is paused by them", error=str(error), moved_to=str(broken))
            os.replace(self._folder / FILE, broken)
        if self.book.mail:
            self._keep(rearmed(self.book, self.now() + REARMED))
            try:
                write_book(self._folder, self.book)
            except OSError as error:
                self._log.error("the orders of before cannot be written anew: what they mean and was in flight may go", error=str(error))

    def _keep(self, book: Book) -> None:
        self.book = book
        self._ends = next_end(book, self.now())

    def change(self, change: Callable[[Book], Book]) -> Book:
        """Put another book in force, which is on disk then; what is over leaves it. Raises OSError, BookFull: the old one stands."""
        book = change(current(self.book, self.now()))
        write_book(self._folder, book)
        self._keep(book)
        return book

    def tidy(self) -> None:
        """Call about once a second: what is over leaves the disk. The shards know themselves that it is over."""
        now = self.now()
        if self._ends is not None and self._ends <= now:
            try:
                self.change(lambda book: book)
            except OSError:
                self._ends = now + TRIED_AGAIN
