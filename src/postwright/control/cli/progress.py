"""How far long work is: a bar on the terminal that standard error is, and nothing anywhere else. What a command prints stays as it is.

    with shown("imported", total=len(files)) as tell:
        for number, file in enumerate(files, 1): …; tell(number)

`tell` takes how much is done by now; it may be called as often as one likes, the bar is drawn some times a second. A total of None is a
count without an end that is known. The bar is gone when the work is: the command's own last line says what came of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

Tell = Callable[[float], None]
T = TypeVar("T")


@contextmanager
def shown(what: str, total: float | None = None, *, octets: bool = False, beside: bool = False) -> Iterator[Tell]:
    """`octets`: they are what is counted. `beside`: lines go to standard output meanwhile, so where that is a terminal there is no bar."""
    if not sys.stderr.isatty() or (beside and sys.stdout.isatty()):
        yield lambda done: None
        return
    with _bar(octets) as bar:
        task = bar.add_task(what, total=total)

        def tell(done: float) -> None:
            bar.update(task, completed=done)

        yield tell


def _bar(octets: bool) -> Progress:
    from rich import progress as p  # 40 ms that only a person at a terminal pays for
    from rich.console import Console

    count = p.DownloadColumn(binary_units=True) if octets else p.MofNCompleteColumn()
    columns = (p.TextColumn("{task.description}"), p.BarColumn(), count, p.TimeRemainingColumn())
    return p.Progress(*columns, console=Console(stderr=True), transient=True)


def counted(items: Iterable[T], tell: Tell) -> Iterator[T]:
    """The same items, each told."""
    for number, item in enumerate(items, 1):
        yield item
        tell(number)
