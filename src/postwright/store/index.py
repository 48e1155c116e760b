"""What is alive in the spool, in memory: where each message lies, which of its recipients are left, and how far they got.

Nothing here waits or touches a file. A million messages must fit a small machine, so a message with one recipient that was never
deferred costs a dictionary entry and the reference that the scheduler holds anyway; recipients of larger ones are bits of a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from postwright.model.message import SpoolRef
from postwright.store.spool import State

_NEVER = (0.0, 0, 0.0)
_FIRST = (0,)

History = tuple[int, float, int, float]
"""Bits of recipients, and their due time, attempts, first attempt."""


class _Entry(Struct, gc=False):
    """A message with several recipients or a history.

    `times`: when it is due and when it was first tried. Two floats in one object: a million of them wait when a large receiver is down,
    and each object of its own costs 32 octets.
    """

    ref: SpoolRef
    left: int
    times: complex = 0j
    attempts: int = 0


def bits(indexes: Iterable[int]) -> int:
    """Recipient indexes as bits of a number."""
    value = 0
    for index in indexes:
        value |= 1 << index
    return value


def indexes(value: int) -> tuple[int, ...]:
    """The inverse of `bits`, in order."""
    if value == 1:
        return _FIRST
    return tuple([index for index, digit in enumerate(reversed(f"{value:b}")) if digit == "1"])


def group(left: int, histories: Iterable[History]) -> tuple[State, ...]:
    """Live recipients by their history; of several that speak of one recipient the first counts. Those with none come first."""
    states: list[State] = []
    for mask, due, attempts, first in histories:
        mine = mask & left
        if mine:
            states.append((indexes(mine), due, attempts, first))
            left ^= mine
    if left:
        states.insert(0, (indexes(left), *_NEVER))
    return tuple(states)


class Index:
    """Messages by id. Ids that are not alive are no error anywhere: marks may come twice."""

    __slots__ = ("_messages", "_others", "recipients")

    def __init__(self) -> None:
        self.recipients = 0  # live ones, of all messages
        self._messages: dict[int, SpoolRef | _Entry] = {}
        self._others: dict[int, tuple[History, ...]] = {}  # of recipients whose history is not their entry's own

    def __len__(self) -> int:
        return len(self._messages)

    def __contains__(self, message_id: int) -> bool:
        return message_id in self._messages

    def add(self, message_id: int, ref: SpoolRef, recipients: int) -> None:
        """A new message with all its recipients alive."""
        self.recipients += recipients
        self._messages[message_id] = ref if recipients == 1 else _Entry(ref, (1 << recipients) - 1)

    def restore(self, message_id: int, ref: SpoolRef, states: tuple[State, ...]) -> None:
        """A message as recovery found it."""
        who, due, attempts, first = states[0]
        self.recipients += sum([len(state[0]) for state in states])
        if len(states) == 1 and not attempts and who == _FIRST:
            # with several recipients, of which others are settled, bit 0 alone is left: the same thing
            self._messages[message_id] = ref
            return
        entry = self._messages[message_id] = _Entry(ref, bits(who), complex(due, first), attempts)
        others = tuple([(bits(more), due, attempts, first) for more, due, attempts, first in states[1:]])
        if others:
            self._others[message_id] = others
        for mask, *_ in others:
            entry.left |= mask

    def settle(self, message_id: int, recipients: tuple[int, ...]) -> SpoolRef | None:
        """These are final. Returns the message's place when none is left (it is forgotten then), else None."""
        found = self._messages.get(message_id)
        if found is None:
            return None
        if type(found) is SpoolRef:
            if 0 not in recipients:
                return None
            del self._messages[message_id]
            self.recipients -= 1
            return found
        assert isinstance(found, _Entry)
        gone = found.left & bits(recipients)
        self.recipients -= gone.bit_count()
        found.left ^= gone
        if found.left:
            return None
        del self._messages[message_id]
        self._others.pop(message_id, None)
        return found.ref

    def defer(self, message_id: int, recipients: tuple[int, ...], due: float, attempts: int, first: float) -> None:
        """These were tried in vain."""
        found = self._messages.get(message_id)
        if found is None:
            return
        if type(found) is SpoolRef:
            if 0 in recipients:
                self._messages[message_id] = _Entry(found, 1, complex(due, first), attempts)
            return
        assert isinstance(found, _Entry)
        mask = bits(recipients)
        if found.left & ~mask:
            self._split(message_id, found.left, mask, (due, attempts, first))
        else:
            found.times, found.attempts = complex(due, first), attempts
            self._others.pop(message_id, None)

    def _split(self, message_id: int, left: int, mask: int, history: tuple[float, int, float]) -> None:
        """Some of the recipients have a history of their own now; those with the entry's own stay where they are."""
        others = [(mask, *history)]
        for old, due, attempts, first in self._others.get(message_id, ()):
            rest = old & ~mask & left
            if not rest:
                continue
            if (due, attempts, first) == history:
                others[0] = (others[0][0] | rest, *history)
            else:
                others.append((rest, due, attempts, first))
        self._others[message_id] = tuple(others)

    def ref(self, message_id: int) -> SpoolRef | None:
        """Where it lies."""
        found = self._messages.get(message_id)
        return found.ref if isinstance(found, _Entry) else found

    def move(self, message_id: int, ref: SpoolRef) -> None:
        """It lies somewhere else now."""
        found = self._messages[message_id]
        if isinstance(found, _Entry):
            found.ref = ref
        else:
            self._messages[message_id] = ref

    def left(self, message_id: int) -> int:
        """Bits of the live recipients, 0 if none."""
        found = self._messages.get(message_id)
        if found is None:
            return 0
        return found.left if isinstance(found, _Entry) else 1

    def live_recipients(self, message_id: int) -> tuple[int, ...] | None:
        """Indexes of the live recipients, None if there are none."""
        left = self.left(message_id)
        return indexes(left) if left else None

    def deferral(self, message_id: int) -> tuple[float, int, float]:
        """Due time, attempts and first attempt of the history that comes due first; zeros without any."""
        histories = [(due, attempts, first) for _, due, attempts, first in self.states(message_id) or () if attempts]
        return min(histories) if histories else _NEVER

    def states(self, message_id: int) -> tuple[State, ...] | None:
        """Live recipients by history; None if none."""
        found = self._messages.get(message_id)
        if found is None:
            return None
        if not isinstance(found, _Entry):
            return ((_FIRST, *_NEVER),)
        own = found.left
        histories = self._others.get(message_id, ())
        for mask, *_ in histories:
            own &= ~mask
        if own and found.attempts:
            histories = ((own, found.times.real, found.attempts, found.times.imag), *histories)
        return group(found.left, histories)

    def items(self) -> Iterator[tuple[int, SpoolRef]]:
        """Ids that are alive now, and their places when their turn comes; those that have ended by then are left out.

        Only the ids are copied: a million pairs would be 64 MB that the process then keeps.
        """
        for message_id in list(self._messages):
            ref = self.ref(message_id)
            if ref is not None:
                yield message_id, ref
