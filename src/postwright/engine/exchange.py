"""Shard to shard: messages handed over by reference, outcomes handed back, and what holds when either side dies.

Every shard dials every other and sends only on the link it dialled, so each ordered pair has one stream, in order.

    hand over    the accepting shard sends (reference, recipients) to the shard that owns the queue; its spool stays the truth
    outcome      the owner sends back marks; it keeps them until they are told to be stored, and sends them again after a break
    owner dies   its memory is gone: when the link is up again, the accepting shard hands over again all that is not settled
    stop         whoever has delivered all it will says farewell, and keeps its spool open until it has heard the others' farewells
    accepter dies  the owner forgets what it had queued from it (except what is in flight) and is handed it anew

Entries leave at the end of the turn of the loop that they came in. Outcomes wait for company, at most `GATHER` seconds, as nobody waits for
them: each batch wakes the accepting shard, has it write a mark, and is answered. A break may cost a duplicate, never silence. Nothing here
decides where mail goes; it carries.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from msgspec.structs import replace

from postwright.engine import frames as f
from postwright.engine.bus import Link, listen_unix, short_path
from postwright.model.record import Record
from postwright.store.spool import SETTLED, Mark

REDIAL = 0.05
FRAME_RECIPIENTS = 10_000  # in one frame; each may bring an accounting record of some KB, and the bus takes 64 MB
RETRY = 1.0
GATHER = 0.01


def _itself(link: Link) -> Link:
    return link


class Owner(Protocol):
    """What the exchange asks of its shard."""

    def take_over(self, shard: int, entries: list[f.Handed]) -> None:
        """Another shard hands over recipients of our queues."""

    def store_outcomes(self, shard: int, marks: list[Mark], stored: Callable[[], None]) -> None:
        """Another shard says what became of recipients that we accepted; call `stored` when the marks are durable."""

    def hand_again(self, shard: int) -> None:
        """Another shard is (again) there and knows nothing: hand over all that is live and its own."""

    def forget(self, shard: int) -> None:
        """Another shard is gone: what it had handed over and is not in flight will be handed over anew."""

    def stale(self, shard: int, places: list[f.Place]) -> None:
        """Another shard could not find these by their references: hand them over again."""

    def left(self, shard: int) -> None:
        """The link to another shard is gone: it will answer nothing that we asked it."""

    def forget_waiting(self, shard: int) -> list[f.Place]:
        """Another shard, which is there, will hand over anew all that is not in flight here, which is returned."""

    def forgot(self, shard: int, in_flight: list[f.Place]) -> None:
        """Another shard has forgotten what we had handed it, as it was told (`anew`), but for these."""

    def learnt(self, rollups: list[f.Rolled]) -> None:
        """Another shard says what the DNS said of domains."""

    def given_back(self, shard: int, places: list[f.Place]) -> None:
        """Another shard says that these are not of its queues (settings have changed): hand them to whom they belong."""


class _Way:
    """Our sending side towards one other shard."""

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.link: Link | None = None
        self.entries: list[f.Handed] = []
        self.marks: list[Mark] = []
        self.unstored: deque[tuple[int, list[Mark]]] = deque()
        self.batch = 0
        self.news: dict[tuple[int, int], Mark] = {}  # (message id, recipient): what the other's disk does not know yet
        self.returned: list[f.Stale | f.GivenBack | f.Forgot] = []  # waits for a link


class Exchange:
    """All links of one shard to the others. With one shard it does nothing."""

    def __init__(self, number: int, shards: int, folder: Path, owner: Owner) -> None:
        self._number = number
        self._folder = folder
        self._owner = owner
        self._ways = {other: _Way(other) for other in range(shards) if other != number}
        self._tasks: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None
        self._callers: dict[Link, int] = {}
        self._parted: set[int] = set()  # shards that have said farewell, until they join again
        self._said_farewell = False
        self._storing = 0  # batches of outcomes that our spool has, and that are not on disk yet
        self._acknowledged = asyncio.Event()  # some batch is stored
        self._closing = False
        self._flushing = False
        self._gathering: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Listen for the others and begin to dial them."""
        if not self._ways:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        sock = listen_unix(self._folder / f"shard-{self._number}.sock")
        self._server = await loop.create_unix_server(lambda: Link(self._heard, self._caller_gone, "from"), sock=sock)
        self._tasks = [loop.create_task(self._dial(way)) for way in self._ways.values()]

    @property
    def told_all(self) -> bool:
        """Every shard that is there has stored what we told it, and has told us all that it will, which is stored and answered.

        A shard is there when one of us two has reached the other. The other way may still be dialled: a relay that is stopped at once after
        its start has mail under way all the same.
        """
        there = {way.shard for way in self._ways.values() if way.link is not None}.union(self._callers.values())
        waits = any(way.unstored or way.marks for way in self._ways.values() if way.shard in there)
        return not waits and not self._storing and self._parted >= there

    def say_farewell(self) -> None:
        """We deliver no more. Call once, when the last outcome was given."""
        self._said_farewell = True
        self._flush()
        for way in self._ways.values():
            if way.link is not None:
                way.link.send(f.Farewell())

    async def stop(self) -> None:
        """Send what is waiting, then close all links."""
        self._closing = True
        self._flush()
        for task in self._tasks:
            task.cancel()
        for way in self._ways.values():
            if way.link is not None:
                way.link.close()
        if self._server is not None:
            self._server.close()

    def cut(self) -> None:
        """Drop every link without a word, as a crash does."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        for link in [*self._callers, *[way.link for way in self._ways.values() if way.link is not None]]:
            link.abort()
        if self._server is not None:
            self._server.close()

    @property
    def unstored(self) -> int:
        """Outcome marks that other shards have not yet told to be on disk."""
        return sum(len(marks) for way in self._ways.values() for _, marks in way.unstored) + sum(len(w.marks) for w in self._ways.values())

    async def stored(self) -> None:
        """Until every shard has on disk what it was told before this was asked; for ever, if one is away."""
        self._flush()
        told = {way.shard: way.batch for way in self._ways.values()}
        while any(way.unstored and way.unstored[0][0] <= told[way.shard] for way in self._ways.values()):
            self._acknowledged.clear()
            await self._acknowledged.wait()

    def hand_over(self, shard: int, entry: f.Handed) -> None:
        """Give an entry to its owner; while the owner is away nothing is kept, since `hand_again` will come."""
        way = self._ways[shard]
        if way.link is not None:
            way.entries.append(entry)
            self._soon()

    def outcome(self, shard: int, mark: Mark) -> None:
        """Tell the accepting shard what became of recipients; kept until it says that they are stored."""
        way = self._ways[shard]
        for part in _parts(mark):
            way.marks.append(part)
            way.news.update([((part.message_id, index), part) for index in part.recipients])
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER, self._flush)

    def give_back(self, shard: int, frame: f.Stale | f.GivenBack) -> None:
        """What was handed over cannot be found, or is not ours; said as soon as there is a link."""
        way = self._ways[shard]
        if way.marks:
            self._flush()  # it must know what became of them before it hands them on
        for places in _portions(frame.places):
            part = replace(frame, places=places)
            if way.link is not None:
                way.link.send(part)
            else:
                way.returned.append(part)

    def tell(self, shard: int, rollups: list[f.Rolled]) -> None:
        """What the DNS said of domains. Not kept for a shard that is away: it is told everything when it comes."""
        link = self._ways[shard].link
        if link is not None:
            for at in range(0, len(rollups), FRAME_RECIPIENTS):
                link.send(f.Learnt(rollups[at : at + FRAME_RECIPIENTS]))

    def anew(self, shard: int) -> bool:
        """It forgets what it has of ours, and says so (`Owner.forgot`); the caller hands it over again. False: it is away."""
        way = self._ways[shard]
        if way.link is None:
            return False
        way.entries = []
        way.link.send(f.Anew())
        return True

    def _forget_waiting(self, shard: int) -> None:
        self._flush()  # it must know what has become of its mail before it hands it over again
        way, answer = self._ways[shard], f.Forgot(self._owner.forget_waiting(shard))
        if way.link is not None:
            way.link.send(answer)
        else:
            way.returned.append(answer)  # behind what was given back before

    def _soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        for way in self._ways.values():
            if way.entries and way.link is not None:
                for entries in _portions(way.entries):
                    way.link.send(f.HandOver(entries))
                way.entries = []
            for marks in _portions(way.marks):
                way.batch += 1
                way.unstored.append((way.batch, marks))
                if way.link is not None:
                    way.link.send(f.Outcomes(way.batch, marks))
            way.marks = []

    # -- dialling ---------------------------------------------------------------

    async def _dial(self, way: _Way) -> None:
        loop = asyncio.get_running_loop()
        path = self._folder / f"shard-{way.shard}.sock"
        while not self._closing:
            gone: asyncio.Future[None] = loop.create_future()

            def closed(link: Link, reason: str, gone: asyncio.Future[None] = gone) -> None:
                if not gone.done():
                    gone.set_result(None)

            link = Link(self._ignore, closed, f"to {way.shard}")
            try:
                with short_path(path) as short:
                    await loop.create_unix_connection(partial(_itself, link), short.name)
            except OSError:
                await asyncio.sleep(REDIAL)
                continue
            try:
                self._connected(way, link)
            except Exception as error:  # a defect of ours: said, and tried again, since without a link mail for that shard stands still
                loop.call_exception_handler({"message": f"the link to shard {way.shard} could not be begun", "exception": error})
                link.abort()
                await asyncio.sleep(RETRY)
            await gone
            way.link = None
            way.entries = []
            self._owner.left(way.shard)

    def _connected(self, way: _Way, link: Link) -> None:
        """The other side is there and may be new: tell outcomes first, so that what is settled is not handed over again."""
        link.send(f.Join(version=f.VERSION, shard=self._number))
        for batch, marks in way.unstored:
            link.send(f.Outcomes(batch, marks))
        for frame in way.returned:
            link.send(frame)
        way.returned = []
        way.link = link
        if self._said_farewell:
            link.send(f.Farewell())
        self._owner.hand_again(way.shard)

    def _ignore(self, link: Link, frame: f.Frame) -> None:
        return

    # -- hearing ----------------------------------------------------------------

    def _heard(self, link: Link, frame: f.Frame) -> None:
        if self._closing:
            link.abort()
            return
        if isinstance(frame, f.Join):
            if frame.version != f.VERSION or frame.shard not in self._ways:
                link.close()
                return
            self._joined(link, frame.shard)
            return
        shard = self._callers.get(link)
        if shard is None:
            link.close()
        elif isinstance(frame, f.HandOver):
            self._owner.take_over(shard, self._unsettled(self._ways[shard], frame.entries))
        elif isinstance(frame, f.Outcomes):
            self._storing += 1
            self._owner.store_outcomes(shard, frame.marks, lambda: self._say_stored(shard, frame.batch))
        elif isinstance(frame, f.Farewell):
            self._parted.add(shard)
        elif isinstance(frame, f.OutcomesStored):
            _stored(self._ways[shard], frame.batch)
            self._acknowledged.set()
        elif isinstance(frame, f.Stale):
            self._owner.stale(shard, frame.places)
        elif isinstance(frame, f.GivenBack):
            self._owner.given_back(shard, frame.places)
        elif isinstance(frame, f.Learnt):
            self._owner.learnt(frame.rollups)
        elif isinstance(frame, f.Anew):
            self._forget_waiting(shard)
        elif isinstance(frame, f.Forgot):
            self._owner.forgot(shard, frame.in_flight)

    def _joined(self, link: Link, shard: int) -> None:
        """A shard speaks to us, perhaps for the second time, and before we have heard that the first link is gone."""
        for old in [old for old, other in self._callers.items() if other == shard]:
            del self._callers[old]
            old.abort()
            self._dead(shard)
        self._parted.discard(shard)
        self._callers[link] = shard

    def _unsettled(self, way: _Way, entries: list[f.Handed]) -> list[f.Handed]:
        """A shard that came back hands over what its disk says; what we know better, and it has not stored yet, is put right."""
        news = way.news
        if not news or not any((entry.message_id, index) in news for entry in entries for index in entry.recipients):
            return entries
        return [corrected for entry in entries for corrected in _corrected(entry, news)]

    def _say_stored(self, shard: int, batch: int) -> None:
        self._storing -= 1
        way = self._ways[shard]
        if way.link is not None:
            self._flush()  # what was handed over before the marks were made must arrive before they are forgotten there
            way.link.send(f.OutcomesStored(batch))

    def _caller_gone(self, link: Link, reason: str) -> None:
        shard = self._callers.pop(link, None)
        if shard is not None and not self._closing:
            self._dead(shard)

    def _dead(self, shard: int) -> None:
        """A shard is gone, and with it our link to it, which may not have noticed yet: what is said to it now is for the one that comes."""
        link, self._ways[shard].link = self._ways[shard].link, None
        if link is not None:
            link.abort()
        self._owner.forget(shard)


def _stored(way: _Way, batch: int) -> None:
    """The other shard has the marks of `batch` and all before it on disk."""
    while way.unstored and way.unstored[0][0] <= batch:
        _, marks = way.unstored.popleft()
        for mark in marks:
            for index in mark.recipients:
                if way.news.get((mark.message_id, index)) is mark:
                    del way.news[mark.message_id, index]


def _corrected(entry: f.Handed, news: dict[tuple[int, int], Mark]) -> list[f.Handed]:
    """The entry without what is settled; what was deferred since stands for itself."""
    groups: dict[int, tuple[Mark | None, list[int]]] = {}
    for index in entry.recipients:
        mark = news.get((entry.message_id, index))
        groups.setdefault(id(mark), (mark, []))[1].append(index)
    found: list[f.Handed] = []
    for mark, indexes in groups.values():
        if mark is None:
            found.append(replace(entry, recipients=tuple(indexes)))
        elif mark.kind != SETTLED:
            history = {"due": mark.due, "attempts": mark.attempts, "first_attempt": mark.first_attempt}
            found.append(replace(entry, recipients=tuple(indexes), **history))
    return found


class _Speaks(Protocol):
    """Something that speaks of recipients."""

    recipients: tuple[int, ...]


S = TypeVar("S", bound=_Speaks)


def _portions(items: list[S]) -> Iterator[list[S]]:
    """In order, so many at a time as fit a frame: one that does not would end the link, again and again."""
    portion: list[S] = []
    size = 0
    for item in items:
        if portion and size + len(item.recipients) > FRAME_RECIPIENTS:
            yield portion
            portion, size = [], 0
        portion.append(item)
        size += len(item.recipients)
    if portion:
        yield portion


def _parts(mark: Mark) -> list[Mark]:
    """A mark of very many recipients as several, each with the records of its own."""
    if len(mark.recipients) <= FRAME_RECIPIENTS:
        return [mark]
    cut = [mark.recipients[at : at + FRAME_RECIPIENTS] for at in range(0, len(mark.recipients), FRAME_RECIPIENTS)]
    part_of = {index: number for number, indexes in enumerate(cut) for index in indexes}
    records: list[list[Record]] = [[] for _ in cut]
    for record in mark.records:
        records[part_of[record.recipient]].append(record)
    return [replace(mark, recipients=indexes, records=tuple(own)) for indexes, own in zip(cut, records, strict=True)]
