"""The first rows of many, in the order that was asked for: from all queues of a shard, and from the answers of all shards.

Rows are offered as a pass comes by; never more than some times those that are wanted are held. A cursor is the place of the last row that
was shown: its name, or its figure and its name, so that what comes and goes between two pages moves nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest
from typing import Generic, Protocol, TypeVar

from postwright.engine.views.asked import Order


class Row(Protocol):
    """What is sorted."""

    @property
    def name(self) -> str: ...
    @property
    def recipients(self) -> int: ...
    @property
    def octets(self) -> int: ...


R = TypeVar("R", bound=Row)
T = TypeVar("T")

Place = tuple[int, str]


def place(order: Order, name: str, recipients: int, octets: int) -> Place:
    """Where such a row stands: the lower, the earlier."""
    if order.sort == "rcpt":
        return -recipients, name
    return (-octets, name) if order.sort == "size" else (0, name)


def place_of(order: Order, row: Row) -> Place:
    """See `place`."""
    return place(order, row.name, row.recipients, row.octets)


def cursor(order: Order, row: Row) -> str:
    """What continues behind this row."""
    figure, name = place_of(order, row)
    return name if order.sort == "name" else f"{-figure}:{name}"


def start(order: Order) -> Place | None:
    """The place that the cursor of `order` names; None: from the first on. Raises ValueError."""
    if not order.after:
        return None
    if order.sort == "name":
        return 0, order.after
    figure, colon, name = order.after.partition(":")
    if not colon or not (figure.isascii() and figure.isdecimal()) or len(figure) > 18:
        raise ValueError(f"{order.after!r} is no cursor of a list by {order.sort}")
    return -int(figure), name


class First(Generic[T]):
    """The first `order.most` of what is offered, behind the cursor; and one more, by which it is known that there are more."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._start = start(order)
        self._held: list[tuple[Place, T]] = []
        self._worst: Place | None = None  # nothing behind this is wanted

    def offer(self, at: Place, item: T) -> None:
        """It may be one of them."""
        if (self._start is not None and at <= self._start) or (self._worst is not None and at >= self._worst):
            return
        self._held.append((at, item))
        if len(self._held) >= 4 * self._order.most + 64:
            self._held = self._best()
            self._worst = self._held[-1][0]

    def taken(self) -> list[T]:
        """They are these, in order."""
        return [item for _, item in self._best()]

    def _best(self) -> list[tuple[Place, T]]:
        return nsmallest(self._order.most + 1, self._held, key=_at)


def _at(held: tuple[Place, object]) -> Place:
    return held[0]


def first(order: Order, rows: Iterable[R]) -> tuple[list[R], str]:
    """The first of these rows behind the cursor, and the cursor for more ("" when there are none)."""
    behind = start(order)
    ordered = sorted(rows, key=lambda row: place_of(order, row))
    if behind is not None:
        ordered = [row for row in ordered if place_of(order, row) > behind]
    shown = ordered[: order.most]
    return shown, cursor(order, shown[-1]) if len(ordered) > len(shown) else ""
