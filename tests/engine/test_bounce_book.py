"""Bounces by category: the last day of them, an example a domain, and never more than fits."""

from __future__ import annotations

from postwright.engine.bounce_book import EXAMPLES, HOURS, MOST_CATEGORIES, OTHERS, BounceBook, Example, merged
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

NOW = 1_760_000_400.0


def noted(*bounces: tuple[str, Example]) -> BounceBook:
    book = BounceBook()
    for category, example in bounces:
        book.note(category, example)
    return book


def bounce(
    category: str = "bad-mailbox", *, at: float = NOW, domain: str = "example.org", text: str = "550 no such user"
) -> tuple[str, Example]:
    return category, Example(at, f"{domain}/{{default}}", "mx (192.0.2.1)", "5.1.1", text)


def test_counted_by_category_and_hour_the_most_frequent_first() -> None:
    book = noted(bounce("quota-issues"), bounce(), bounce(at=NOW - 3600), bounce(at=NOW - 3600))
    told = book.told(NOW)
    assert [(one.name, one.total, one.hours[-2:]) for one in told] == [("bad-mailbox", 3, [2, 1]), ("quota-issues", 1, [0, 1])]


def test_a_day_later_they_are_forgotten() -> None:
    book = noted(bounce())
    assert book.told(NOW + (HOURS - 1) * 3600)[0].hours[0] == 1
    assert book.told(NOW + HOURS * 3600) == []


def test_one_domain_does_not_hide_the_others() -> None:
    book = noted(bounce(domain="small.example", text="552 full"), *(bounce(text=f"550 {n}") for n in range(100)))
    assert [example.text for example in book.told(NOW)[0].examples] == ["550 99", "552 full"]


def test_it_stays_small_whatever_is_refused() -> None:
    several = range(EXAMPLES + 5)
    told = noted(*(bounce(f"{n}", domain=f"{m}.example") for n in range(MOST_CATEGORIES + 20) for m in several)).told(NOW)
    assert len(told) == MOST_CATEGORIES + 1
    assert told[0].name == OTHERS
    assert all(len(one.examples) == EXAMPLES for one in told)


def test_books_of_shards_are_one() -> None:
    first = noted(bounce(at=NOW - 10, text="old"), bounce("quota-issues"))
    second = noted(bounce(at=NOW - 3600), bounce(text="new"))
    told = merged([first.told(NOW), second.told(NOW)])
    assert [(one.name, one.total) for one in told] == [("bad-mailbox", 3), ("quota-issues", 1)]
    assert [example.text for example in told[0].examples] == ["new", "old"]  # one a domain and shard, the newest first


def test_a_relay_notes_what_its_receivers_refuse_and_nothing_else() -> None:
    with World(relay(domain("*", retry_after=(60.0,)))) as world:
        world.domain("example.com", rules=["rcpt:late@* first=1 451 later", f"rcpt:gone@* 550 5.1.1 no such user {'far ' * 80}"])
        world.domain("sender.example")
        world.submit("me@sender.example", ["late@example.com", "gone@example.com", "you@example.com"])
        world.run_until_empty()
        [told] = world.node.bounce_book.told(world.clock.now())
    assert (told.name, told.total, len(told.examples)) == ("bad-mailbox", 1, 1)
    assert (told.examples[0].queue, told.examples[0].status[:5], len(told.examples[0].text)) == ("example.com/{default}", "5.1.1", 300)
