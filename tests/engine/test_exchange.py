"""The exchange between shards by itself: order, what is kept over a break, who is heard and who is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from postwright.engine import exchange
from postwright.engine import frames as f
from postwright.engine.bus import Link, connect_unix, encode
from postwright.engine.exchange import Exchange
from postwright.model.message import SpoolRef
from postwright.model.record import Record
from postwright.store.spool import DEFERRED, SETTLED, Mark

REF = SpoolRef(0, 1, 0, 0, 1)
PATIENCE = 10.0


def handed(message_id: int, *recipients: int) -> f.Handed:
    return f.Handed(message_id, REF, "example.com", "v", recipients or (0,), 0.0, 0, 0.0, 1.0, "", 50)


class FakeOwner:
    """Writes down what the exchange asks of its shard; outcomes are stored when the test says so."""

    def __init__(self) -> None:
        self.said: list[tuple[object, ...]] = []
        self.waiting: list[Callable[[], None]] = []
        self.marks: list[Mark] = []
        self.news = asyncio.Event()

    def _note(self, *what: object) -> None:
        self.said.append(what)
        self.news.set()

    def take_over(self, shard: int, entries: list[f.Handed]) -> None:
        self._note("take over", shard, [(e.message_id, e.recipients, e.attempts) for e in entries])

    def store_outcomes(self, shard: int, marks: list[Mark], stored: Callable[[], None]) -> None:
        self.waiting.append(stored)
        self.marks += marks
        self._note("store", shard, [mark.message_id for mark in marks])

    def hand_again(self, shard: int) -> None:
        self._note("hand again", shard)

    def forget(self, shard: int) -> None:
        self._note("forget", shard)

    def forget_waiting(self, shard: int) -> list[f.Place]:
        self._note("forget waiting", shard)
        return [f.Place(7, SpoolRef(shard, 1, 2, 3, 4), (0,))]

    def forgot(self, shard: int, in_flight: list[f.Place]) -> None:
        self._note("forgot", shard, [place.message_id for place in in_flight])

    def left(self, shard: int) -> None:
        return

    def learnt(self, rollups: list[f.Rolled]) -> None:
        self._note("learnt", [one.domain for one in rollups])

    def stale(self, shard: int, places: list[f.Place]) -> None:
        self._note("stale", shard, places)

    def given_back(self, shard: int, places: list[f.Place]) -> None:
        self._note("given back", shard, places)

    async def hears(self, *what: object) -> None:
        async with asyncio.timeout(PATIENCE):
            while what not in self.said:
                self.news.clear()
                await self.news.wait()
        self.said.remove(what)


class Pair:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.owners = [FakeOwner(), FakeOwner()]
        self.ends = [Exchange(number, 2, folder, self.owners[number]) for number in range(2)]

    async def begin(self) -> None:
        for end in self.ends:
            await end.start()
        for number in range(2):
            await self.owners[number].hears("hand again", 1 - number)

    async def begin_again(self, number: int) -> None:
        """The process of that shard has died and is there again."""
        self.ends[number].cut()
        await self.owners[1 - number].hears("forget", number)
        self.owners[number] = FakeOwner()
        self.ends[number] = Exchange(number, 2, self.folder, self.owners[number])
        await self.ends[number].start()
        await self.owners[1 - number].hears("hand again", number)
        await self.owners[number].hears("hand again", 1 - number)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # the exchange has no event for it
            await asyncio.sleep(0)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    made = Pair(tmp_path)
    await made.begin()
    yield made
    for end in made.ends:
        end.cut()
    await asyncio.sleep(0)


async def test_one_shard_alone_needs_no_sockets(tmp_path: Path) -> None:
    alone = Exchange(0, 1, tmp_path / "run", FakeOwner())
    await alone.start()
    await alone.stop()
    assert not (tmp_path / "run").exists()


async def test_what_is_handed_over_in_one_turn_comes_in_one_batch_and_in_order(pair: Pair) -> None:
    for number in range(1, 4):
        pair.ends[0].hand_over(1, handed(number))
    await pair.owners[1].hears("take over", 0, [(1, (0,), 0), (2, (0,), 0), (3, (0,), 0)])


async def test_outcomes_are_kept_until_they_are_stored(pair: Pair) -> None:
    pair.ends[1].outcome(0, Mark(1, (0,), SETTLED))
    await pair.owners[0].hears("store", 1, [1])
    assert pair.ends[1].unstored == 1
    pair.owners[0].waiting.pop()()
    await until(lambda: not pair.ends[1].unstored)


async def test_outcomes_that_were_not_stored_come_again_after_a_break(pair: Pair) -> None:
    pair.ends[1].outcome(0, Mark(1, (0,), SETTLED))
    await pair.owners[0].hears("store", 1, [1])
    await pair.begin_again(0)
    await pair.owners[0].hears("store", 1, [1])


async def test_a_shard_that_came_back_is_put_right_about_what_it_does_not_know(pair: Pair) -> None:
    pair.ends[1].outcome(0, Mark(1, (0,), SETTLED))
    pair.ends[1].outcome(0, Mark(1, (2,), DEFERRED, 99.0, 4, 1.0))
    await pair.owners[0].hears("store", 1, [1, 1])
    await pair.begin_again(0)
    pair.ends[0].hand_over(1, handed(1, 0, 1, 2))
    pair.ends[0].hand_over(1, handed(2, 0))
    await pair.owners[1].hears("take over", 0, [(1, (1,), 0), (1, (2,), 4), (2, (0,), 0)])


async def test_and_when_it_has_stored_it_its_word_counts(pair: Pair) -> None:
    pair.ends[1].outcome(0, Mark(1, (0,), DEFERRED, 99.0, 4, 1.0))
    await pair.owners[0].hears("store", 1, [1])
    pair.owners[0].waiting.pop()()
    await until(lambda: not pair.ends[1].unstored)
    pair.ends[0].hand_over(1, handed(1, 0))
    await pair.owners[1].hears("take over", 0, [(1, (0,), 0)])


async def test_what_is_given_back_while_nobody_is_there_is_said_later(pair: Pair) -> None:
    place = f.Place(5, REF, (0, 1))
    pair.ends[0].cut()
    await pair.owners[1].hears("forget", 0)
    await until(lambda: pair.ends[1]._ways[0].link is None)
    pair.ends[1].give_back(0, f.Stale([place]))
    pair.ends[1].give_back(0, f.GivenBack([place]))
    pair.ends[1].hand_over(0, handed(1))  # kept by nobody: it will be handed again as a whole
    pair.owners[0] = FakeOwner()
    pair.ends[0] = Exchange(0, 2, pair.folder, pair.owners[0])
    await pair.ends[0].start()
    await pair.owners[0].hears("stale", 1, [place])
    await pair.owners[0].hears("given back", 1, [place])
    assert not [what for what in pair.owners[0].said if what[0] == "take over"]


async def test_a_second_link_of_a_shard_means_that_the_first_is_gone(pair: Pair) -> None:
    links: list[str] = []
    with connect_unix(pair.folder / "shard-1.sock") as sock:
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        _, second = await loop.create_connection(lambda: Link(lambda *_: None, lambda _, reason: links.append(reason)), sock=sock.dup())
        second.send(f.Join(f.VERSION, 0))
        await pair.owners[1].hears("forget", 0)
        second.send(f.HandOver([handed(7)]))
        await pair.owners[1].hears("take over", 0, [(7, (0,), 0)])
        second.abort()


@pytest.mark.parametrize("first", [f.Join(f.VERSION + 1, 0), f.Join(f.VERSION, 9), f.Join(f.VERSION, 1), f.HandOver([handed(1)])])
async def test_whoever_is_no_shard_of_ours_is_not_heard(pair: Pair, first: f.Frame) -> None:
    def speak() -> bytes:
        with connect_unix(pair.folder / "shard-1.sock", PATIENCE) as sock:
            sock.sendall(encode(first) + encode(f.HandOver([handed(66)])))
            return sock.recv(1)

    try:
        assert await asyncio.to_thread(speak) == b""
    except ConnectionResetError:
        pass  # closed with something unread: as good
    assert not pair.owners[1].said


async def test_a_shard_forgets_what_waits_and_says_what_stays(pair: Pair) -> None:
    """Behind what has become of the rest, and what was given back: whoever hears it knows all."""
    one, two = pair.ends
    two.outcome(0, Mark(1, (0,), SETTLED))
    place = f.Place(5, handed(5).ref, (0,))
    two.give_back(0, f.GivenBack([place]))
    one.hand_over(1, handed(9))
    assert one.anew(1)  # and what had not left stays here
    await pair.owners[1].hears("forget waiting", 0)
    await pair.owners[0].hears("forgot", 1, [7])
    assert pair.owners[0].said == [("store", 1, [1]), ("given back", 1, [place])]
    assert not pair.owners[1].said


async def test_nobody_is_told_to_forget_who_is_away(pair: Pair) -> None:
    pair.ends[1].cut()
    await pair.owners[0].hears("forget", 1)
    assert not pair.ends[0].anew(1)
    pair.ends[0].tell(1, [f.Rolled("a.example", "big.rollup", (), 1.0)])
    await asyncio.sleep(0)


async def test_shards_tell_what_they_have_learnt_in_bounded_frames(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.engine.exchange.FRAME_RECIPIENTS", 2)
    pair.ends[0].tell(1, [f.Rolled(f"{name}.example", "big.rollup", ("mx",), 1.0) for name in "abc"])
    await pair.owners[1].hears("learnt", ["a.example", "b.example"])
    await pair.owners[1].hears("learnt", ["c.example"])


async def test_what_is_said_to_a_shard_that_has_died_is_for_the_one_that_comes(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our link to it may not have noticed yet; what went into it would be gone."""
    place = f.Place(5, handed(5).ref, (0,))
    owner = pair.owners[1]

    def forget(shard: int) -> None:
        pair.ends[1].give_back(0, f.GivenBack([place]))
        owner._note("forget", shard)

    monkeypatch.setattr(owner, "forget", forget)
    await pair.begin_again(0)
    await pair.owners[0].hears("given back", 1, [place])


async def test_whoever_has_done_stays_until_the_others_have_told_him_all(pair: Pair) -> None:
    one, two = pair.ends
    one.say_farewell()
    two.outcome(0, Mark(1, (0,), SETTLED))
    await pair.owners[0].hears("store", 1, [1])
    assert not one.told_all  # nobody has said that this was the last of it
    assert not two.told_all  # nor that it is stored
    two.say_farewell()
    two.hand_over(0, handed(9))  # comes behind the farewell
    await pair.owners[0].hears("take over", 1, [(9, (0,), 0)])
    assert not one.told_all  # it has heard of it, and not yet stored it: two would wait in vain
    pair.owners[0].waiting.pop()()
    assert one.told_all
    await until(lambda: two.told_all)


async def test_a_stop_at_once_after_the_start_waits_for_a_shard_that_has_not_reached_us_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Pair(tmp_path)
    one, two = made.ends
    monkeypatch.setattr(exchange, "REDIAL", 0.2)  # one has dialled in vain and tries again only then
    await one.start()
    await asyncio.sleep(0)
    await two.start()
    await made.owners[1].hears("hand again", 0)
    two.hand_over(0, handed(1))
    await made.owners[0].hears("take over", 1, [(1, (0,), 0)])
    two.say_farewell()
    one.outcome(1, Mark(1, (0,), SETTLED))
    one.say_farewell()
    assert not one.told_all
    assert not two.told_all
    await made.owners[1].hears("store", 0, [1])
    assert not two.told_all
    made.owners[1].waiting.pop()()
    await until(lambda: one.told_all and two.told_all)
    for end in made.ends:
        end.cut()
    await asyncio.sleep(0)


async def test_nobody_waits_for_a_shard_that_is_gone(pair: Pair) -> None:
    pair.ends[1].cut()
    await until(lambda: pair.ends[0].told_all)


async def test_a_polite_end_says_what_is_left(pair: Pair) -> None:
    pair.ends[0].hand_over(1, handed(3))
    await pair.ends[0].stop()
    await pair.owners[1].hears("take over", 0, [(3, (0,), 0)])


async def test_a_defect_at_the_begin_of_a_link_is_said_and_the_link_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.engine.exchange.RETRY", 0.0)
    said: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["exception"]))
    made = Pair(tmp_path)
    first = made.owners[0].hand_again

    def broken(shard: int) -> None:
        made.owners[0].hand_again = first  # type: ignore[method-assign]
        raise ZeroDivisionError("a defect")

    made.owners[0].hand_again = broken  # type: ignore[method-assign]
    await made.begin()
    assert [type(error) for error in said] == [ZeroDivisionError]
    made.ends[0].hand_over(1, handed(3))
    await made.owners[1].hears("take over", 0, [(3, (0,), 0)])
    for end in made.ends:
        end.cut()
    await asyncio.sleep(0)


async def test_no_frame_is_larger_than_the_bus_takes(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "FRAME_RECIPIENTS", 4)
    for number in range(1, 4):
        pair.ends[0].hand_over(1, handed(number, 0, 1, 2))
    for number in range(1, 4):
        await pair.owners[1].hears("take over", 0, [(number, (0, 1, 2), 0)])
    records = tuple(Record("b", 1.0, 9, index) for index in range(10))
    pair.ends[1].outcome(0, Mark(9, tuple(range(10)), SETTLED, records=records))
    pair.ends[1].outcome(0, Mark(10, (0,), SETTLED))
    stored: list[Mark] = []
    for _ in range(3):
        await pair.owners[0].hears("store", 1, [9] if len(stored) < 2 else [9, 10])
        stored.append(pair.owners[0].marks.pop(0))
    assert [(mark.recipients, [record.recipient for record in mark.records]) for mark in stored] == [
        ((0, 1, 2, 3), [0, 1, 2, 3]),
        ((4, 5, 6, 7), [4, 5, 6, 7]),
        ((8, 9), [8, 9]),
    ]
    for answer in pair.owners[0].waiting:
        answer()
    await until(lambda: not pair.ends[1].unstored)
    assert not pair.ends[1]._ways[0].news
    pair.ends[1].give_back(0, f.GivenBack([f.Place(1, REF, (0, 1, 2)), f.Place(2, REF, (0, 1, 2))]))
    await pair.owners[0].hears("given back", 1, [f.Place(1, REF, (0, 1, 2))])
    await pair.owners[0].hears("given back", 1, [f.Place(2, REF, (0, 1, 2))])
