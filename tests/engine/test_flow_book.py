"""What went where: added up by domain and virtual MTA, in totals that survive the queues, in bounded memory."""

from __future__ import annotations

from postwright.engine.flow_book import ALL, MOST, Flow, FlowBook, FlowRow, FlowsView, merged
from postwright.model.work import QueueKey
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay


class Owner:
    flow: Flow | None = None


def moved(book: FlowBook, owner: Owner, key: QueueKey, delivered: int) -> None:
    flow = owner.flow or book.begin(owner, key)
    flow.delivered += delivered


def test_added_up_by_domain_and_by_virtual_mta() -> None:
    book = FlowBook()
    moved(book, Owner(), QueueKey("a.example", "m1"), 3)
    moved(book, Owner(), QueueKey("a.example", "m2"), 4)
    moved(book, Owner(), QueueKey("b.example", "m2"), 1)
    told = book.told(10)
    assert told.domains == [FlowRow("a.example", 7), FlowRow("b.example", 1)]
    assert told.vmtas == [FlowRow("m2", 5), FlowRow("m1", 3)]


def test_a_queue_begins_anew_after_each_gathering_and_totals_grow() -> None:
    book, owner = FlowBook(), Owner()
    for _ in range(3):
        moved(book, owner, QueueKey("a.example", "m"), 2)
        moved(book, owner, QueueKey("a.example", "m"), 2)
        book.gather()
        assert owner.flow is None
    assert book.told(1).domains == [FlowRow("a.example", 12)]


def test_the_quiet_are_forgotten_before_the_busy() -> None:
    book = FlowBook()
    for number in range(MOST):
        moved(book, Owner(), QueueKey(f"{number}.example", "m"), 1)
    book.gather()
    moved(book, Owner(), QueueKey("0.example", "m"), 1)
    moved(book, Owner(), QueueKey("new.example", "m"), 1)
    assert merged([book.told(1), book.told(1)], 1).every == FlowRow(ALL, 2 * (MOST + 2))  # the forgotten, too
    told = {row.name: row.delivered for row in book.told(2 * MOST).domains}
    assert len(told) == MOST
    assert told["0.example"] == 2
    assert "1.example" not in told


def test_shards_together_and_only_the_busiest() -> None:
    one = FlowsView([FlowRow("a", 1, 2, 3), FlowRow("b", 1)], [])
    other = FlowsView([FlowRow("b", 9), FlowRow("c", 0, 0, 1)], [FlowRow("m", 1)])
    assert merged([one, other], 2) == FlowsView([FlowRow("b", 10), FlowRow("a", 1, 2, 3)], [FlowRow("m", 1)])
    assert one.domains[0].delivered == 1  # what a shard said is not written upon


def test_a_relay_counts_every_recipient_once() -> None:
    with World(relay(domain("*", retry_after=(60.0,)))) as world:
        world.domain("example.com", rules=["rcpt:late@* first=1 451 later", "rcpt:gone@* 550 5.1.1 no such user"])
        world.domain("sender.example")
        world.submit("me@sender.example", ["late@example.com", "gone@example.com", "you@example.com"])
        world.run_until_empty()
        told = world.node.flows.told(10)
    assert told.domains == [FlowRow("example.com", 2, 1, 1), FlowRow("sender.example", 1)]
    assert told.vmtas == [FlowRow("{default}", 3, 1, 1)]
