"""The line of ready entries of one queue: who goes next.

One share of one rank, as nearly every queue has, is a plain list or deque in the order in which entries became due. Only when a second
share or rank is ready is a `FairLine` made around it, and it is a plain one again when one is left; both cost the same however many wait.

    latency class   urgent, normal and bulk get 16, 4 and 1 recipients of a round while all of them have work; nobody starves
    priority        strict inside a class: the higher first (powermta.md, `recipient-priority`)
    share           of one rank: deficit round robin among jobs or users, `weight` recipients of a round each

What is counted is recipients, as the rates of a queue count them; an entry of a thousand costs its share a thousand. An entry is taken
whole, so a share may overdraw, and stays away for as many rounds as it owes: also if it has nothing more to send, else whoever sends one
large message after another would always be new. Shares stand in the round in which they have credit again (a calendar), so
that a take costs the same however many shares there are and however much they owe. Deterministic; nothing is raised.
"""

from __future__ import annotations

import re
from bisect import insort
from collections import OrderedDict, deque
from collections.abc import Container, Iterator, Mapping, Sequence
from fnmatch import translate
from heapq import heappop, heappush
from typing import Final

from postwright.model.rank import class_number
from postwright.model.work import Entry

SHORT = 32  # entries: taking the first of a list this short moves 256 octets, which is nothing

Plain = list[Entry] | deque[Entry]
"""Entries of one share and rank; a deque once there are SHORT, as it takes 600 octets before the first."""

_IN_ORDER: Final = (1, 0, 2)  # numbers of the classes: urgent, normal, bulk
CLASS_WEIGHTS: Final = (4, 16, 1)  # by the same numbers
_GONE: Final = -1


class Shares:
    """What makes a share (`fair-share-by`: "job", "user", "none"), and what it weighs.

    `users` weights by lower-case name, where users share; then `rules`, pairs of a pattern (`*`, `?`) and a weight, of which the first that
    fits counts; else a share weighs 1.
    """

    __slots__ = ("_rules", "_users", "by")

    def __init__(self, by: str = "job", rules: Sequence[tuple[str, int]] = (), users: Mapping[str, int] | None = None) -> None:
        self.by = by
        self._rules = [(re.compile(translate(pattern), re.IGNORECASE).match, weight) for pattern, weight in rules]
        self._users = users if users and by == "user" else {}

    def of(self, entry: Entry) -> str:
        """The name of the entry's share."""
        if self.by == "job":
            return entry.job
        return entry.user.lower() if self.by == "user" else ""  # who logs in as Ann and as ann gets no second share

    def weight(self, name: str) -> int:
        """Recipients of a round, at least one."""
        if self._users and (own := self._users.get(name.lower())):
            return own
        return next((weight for fits, weight in self._rules if fits(name)), 1)


BY_JOB: Final = Shares()


class Share:
    """`credit` recipients may still go; `round` is where it stands in the calendar, with credit when that round is reached."""

    __slots__ = ("credit", "entries", "name", "round", "weight")

    def __init__(self, name: str, weight: int, entries: Plain) -> None:
        self.name = name
        self.weight = weight
        self.entries = entries
        self.credit = weight
        self.round = 0

    def append(self, entry: Entry) -> None:
        self.entries.append(entry)
        if len(self.entries) == SHORT:
            self.entries = deque(self.entries)

    def take(self) -> Entry:
        entries = self.entries
        return entries.popleft() if isinstance(entries, deque) else entries.pop(0)


class Turns:
    """The shares of one rank. `count` entries wait; each share of `shares` stands in the bucket of its round.

    The first bucket is the round that runs. Whose turn it is stays at its head until somebody asks for the next: what is put back at once
    (the rest of a large entry) finds its turn not over.
    """

    __slots__ = ("_buckets", "_rounds", "count", "shares")

    def __init__(self) -> None:
        self.count = 0
        self.shares: OrderedDict[str, Share] = OrderedDict()
        self._buckets: dict[int, list[Share] | deque[Share]] = {0: []}  # deques once there are SHORT, as for entries
        self._rounds = [0]  # a heap of those that have a bucket: only as many as somebody owes

    def join(self, share: Share, *, first: bool = False) -> Share:
        """A new share in the round that runs: behind all others, or before them."""
        self.shares[share.name] = share
        self.count += len(share.entries)
        self._stand(share, self._rounds[0], first=first)
        return share

    def _stand(self, share: Share, at: int, *, first: bool = False) -> None:
        share.round = at
        bucket = self._buckets.get(at)
        if bucket is None:
            bucket = self._buckets[at] = []
            heappush(self._rounds, at)
        if first:
            bucket.insert(0, share)
        else:
            bucket.append(share)
        if len(bucket) == SHORT and type(bucket) is list:
            self._buckets[at] = deque(bucket)

    def take(self) -> Entry:
        """The next entry. There has to be one."""
        share = self._turn()
        entry = share.take()
        share.credit -= len(entry.recipients)
        self.count -= 1
        return entry

    def _turn(self) -> Share:
        """Whose turn it is. Each look that finds nobody takes away what an earlier step put there, so looks are no more than steps."""
        while True:
            now = self._rounds[0]
            bucket = self._buckets[now]
            if not bucket:
                del self._buckets[heappop(self._rounds)]
                continue
            share = bucket[0]
            if share.round == now and share.credit > 0 and share.entries:
                return share
            if type(bucket) is list:
                bucket.pop(0)
            else:
                bucket.popleft()  # type: ignore[union-attr]  # a list went above
            if share.round == now:
                self._turn_over(share, now)
            # else it stands in another round since something was put back

    def _turn_over(self, share: Share, now: int) -> None:
        if share.credit > 0:  # nothing to send, nothing owed
            self._leave(share)
            return
        rounds = -share.credit // share.weight + 1
        share.credit += rounds * share.weight
        self._stand(share, now + rounds)

    def _leave(self, share: Share) -> None:
        share.round = _GONE
        del self.shares[share.name]

    def put_back(self, share: Share, entry: Entry) -> None:
        """Before all others of its share, which gets back what it cost; and, if that was why it had to wait, before all others."""
        share.entries.insert(0, entry)
        share.credit += len(entry.recipients)
        self.count += 1
        earlier = min((share.credit - 1) // share.weight, share.round - self._rounds[0])
        if earlier > 0:
            share.credit -= earlier * share.weight
            self._stand(share, share.round - earlier, first=True)

    def take_older(self, received_before: float) -> Entry | None:
        """The first of a share, if it came in before; free of charge. Shares that were looked at in vain are asked last at the next time,
        so that taking all that is old is one pass."""
        shares = self.shares
        for _ in range(len(shares)):
            share = next(iter(shares.values()))
            entries = share.entries
            if entries and entries[0].received_at <= received_before:
                self.count -= 1
                entry = share.take()
                if not share.entries and share.credit > 0:
                    self._leave(share)
                return entry
            shares.move_to_end(share.name)
        return None

    def drop(self, gone: Container[int]) -> None:
        """Take out the entries with these ids (of objects). A pass."""
        self.count = 0
        for share in self.shares.values():
            share.entries = without(share.entries, gone)
            self.count += len(share.entries)


class FairLine:
    """Entries of several shares or ranks."""

    __slots__ = ("_count", "_credit", "_levels", "_ranks", "shares")

    def __init__(self, shares: Shares, plain: Plain) -> None:
        """Around the entries of a plain line."""
        self.shares = shares
        self._count = 0
        self._levels: dict[int, Turns] = {}  # by rank; each has entries
        self._ranks: tuple[list[int], ...] = ([], [], [])  # by class, the highest last
        self._credit = list(CLASS_WEIGHTS)
        if plain:
            name = shares.of(plain[0])
            self._level(plain[0].rank).join(Share(name, shares.weight(name), plain))
            self._count = len(plain)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Entry]:
        """All, by class, priority and share; not the order in which they will go."""
        for number in _IN_ORDER:
            for rank in reversed(self._ranks[number]):
                for share in self._levels[rank].shares.values():
                    yield from share.entries

    def lines(self) -> list[Sequence[Entry]]:
        """The lists of its shares."""
        return [share.entries for level in self._levels.values() for share in level.shares.values()]

    def _level(self, rank: int) -> Turns:
        level = self._levels.get(rank)
        if level is None:
            level = self._levels[rank] = Turns()
            insort(self._ranks[class_number(rank)], rank)
        return level

    def _forget(self, rank: int) -> None:
        del self._levels[rank]
        self._ranks[class_number(rank)].remove(rank)

    def append(self, entry: Entry) -> None:
        """Behind all others of its share and rank."""
        level = self._level(entry.rank)
        name = self.shares.of(entry)
        share = level.shares.get(name)
        if share is None:
            level.join(Share(name, self.shares.weight(name), [entry]))
        else:
            share.append(entry)
            level.count += 1
        self._count += 1

    def take(self) -> Entry | None:
        """The next, paid for by its share and its class; None when there is none."""
        if not self._count:
            return None
        number = self._class()
        rank = self._ranks[number][-1]
        level = self._levels[rank]
        entry = level.take()
        self._credit[number] -= len(entry.recipients)
        self._taken(rank, level)
        return entry

    def _taken(self, rank: int, level: Turns) -> None:
        self._count -= 1
        if not level.count:
            self._forget(rank)

    def _class(self) -> int:
        """The first class with work and credit. Where none has any, new rounds begin; nobody saves up credit or loses debts."""
        credit, ranks = self._credit, self._ranks
        for number in _IN_ORDER:
            if ranks[number] and credit[number] > 0:
                return number
        rounds = min([-credit[number] // CLASS_WEIGHTS[number] + 1 for number in _IN_ORDER if ranks[number]])
        for number, weight in enumerate(CLASS_WEIGHTS):
            credit[number] = min(weight, credit[number] + rounds * weight)
        return next(number for number in _IN_ORDER if ranks[number] and credit[number] > 0)

    def put_back(self, entry: Entry) -> None:
        """An entry that was taken: before all others of its rank, and nobody has paid for it."""
        number = class_number(entry.rank)
        self._credit[number] = min(CLASS_WEIGHTS[number], self._credit[number] + len(entry.recipients))
        level = self._level(entry.rank)
        name = self.shares.of(entry)
        share = level.shares.get(name)
        if share is None:
            level.join(Share(name, self.shares.weight(name), [entry]), first=True)
        else:
            level.put_back(share, entry)
        self._count += 1

    def take_older(self, received_before: float) -> Entry | None:
        """One that came in before, or None: of each share and rank the first is looked at, those behind it came later, mostly."""
        for number in _IN_ORDER:
            for rank in reversed(self._ranks[number]):
                level = self._levels[rank]
                entry = level.take_older(received_before)
                if entry is not None:
                    self._taken(rank, level)
                    return entry
        return None

    def drop(self, gone: Container[int]) -> None:
        """Take out the entries with these ids (of objects). A pass."""
        for rank, level in list(self._levels.items()):
            level.drop(gone)
            if not level.count:
                self._forget(rank)
        self._count = sum(level.count for level in self._levels.values())

    def weigh(self, shares: Shares) -> None:
        """Other weights, of the same shares."""
        self.shares = shares
        for level in self._levels.values():
            for share in level.shares.values():
                share.weight = shares.weight(share.name)

    def alone(self) -> Plain | None:
        """The entries, when one share of one rank is left and nobody owes anything to anybody: then a plain line will do."""
        if len(self._levels) > 1:
            return None
        if not self._levels:
            return []
        rank, level = next(iter(self._levels.items()))
        if len(level.shares) > 1:
            return None
        own = class_number(rank)
        if any(self._credit[number] < weight for number, weight in enumerate(CLASS_WEIGHTS) if number != own):
            return None
        return next(iter(level.shares.values())).entries


Line = list[Entry] | deque[Entry] | FairLine


def alike(one: Entry, other: Entry, shares: Shares) -> bool:
    """May these two stand in one plain line?"""
    return one.rank == other.rank and shares.of(one) == shares.of(other)


def put_back(line: Line, entry: Entry, shares: Shares) -> Line:
    """The line with an entry that was taken from it in front."""
    if not isinstance(line, FairLine):
        if not line or alike(line[0], entry, shares):
            line.insert(0, entry)
            return line
        line = FairLine(shares, line)
    line.put_back(entry)
    return line


def without(entries: Plain, gone: Container[int]) -> Plain:
    """A plain line less the entries with these ids (of objects)."""
    left = [entry for entry in entries if id(entry) not in gone]
    return left if len(left) < SHORT else deque(left)


def drop(line: Line, gone: Container[int]) -> Line:
    """The line less the entries with these ids (of objects). A pass."""
    if not isinstance(line, FairLine):
        return without(line, gone)
    line.drop(gone)
    return settled(line)


def settled(line: FairLine) -> Line:
    """The line as it is kept after something was taken: plain, if that will do."""
    plain = line.alone()
    return line if plain is None else plain


def take_older(line: Line, received_before: float) -> Entry | None:
    """See `FairLine.take_older`; of a plain line, only the first is looked at."""
    if isinstance(line, FairLine):
        return line.take_older(received_before)
    if not line or line[0].received_at > received_before:
        return None
    return line.popleft() if isinstance(line, deque) else line.pop(0)


def shared_by(line: Line, before: Shares, shares: Shares) -> Line:
    """The line under new settings. Another kind of share is a pass over it, another weight one over its shares."""
    if before.by == shares.by:
        if isinstance(line, FairLine):
            line.weigh(shares)
        return line
    again = FairLine(shares, [])
    for entry in line:
        again.append(entry)
    return settled(again)
