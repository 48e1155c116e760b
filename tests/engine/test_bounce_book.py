"""Bounces by category: the last day of them, an example a domain, and never more than fits."""

from __future__ import annotations

from postwright.engine.bounce_book import EXAMPLES, HOURS, MOST_CATEGORIES, OTHERS, BounceBook, merged
from postwright.model.record import Record

NOW = 1_760_000_400.0


def bounce(category: str = "bad-mailbox", *, at: float = NOW, domain: str = "example.org", text: str = "550 no such user") -> Record:
    return Record("b", at, bounce_cat=category, queue=f"{domain}/{{default}}", dsn_mta="mx (192.0.2.1)", dsn_status="5.1.1", dsn_diag=text)


def test_counted_by_category_and_hour_the_most_frequent_first() -> None:
    book = BounceBook()
    book.note([bounce("quota-issues"), bounce(), bounce(at=NOW - 3600), bounce(at=NOW - 3600)])
    told = book.told(NOW)
    assert [(one.name, one.total, one.hours[-2:]) for one in told] == [("bad-mailbox", 3, [2, 1]), ("quota-issues", 1, [0, 1])]


def test_only_bounces_count() -> None:
    book = BounceBook()
    book.note([Record("d", NOW), Record("t", NOW, bounce_cat="quota-issues")])
    assert book.told(NOW) == []


def test_a_day_later_they_are_forgotten() -> None:
    book = BounceBook()
    book.note([bounce()])
    assert book.told(NOW + (HOURS - 1) * 3600)[0].hours[0] == 1
    assert book.told(NOW + HOURS * 3600) == []


def test_one_domain_does_not_hide_the_others() -> None:
    book = BounceBook()
    book.note([bounce(domain="small.example", text="552 full")] + [bounce(text=f"550 {n}") for n in range(100)])
    assert [example.text for example in book.told(NOW)[0].examples] == ["550 99", "552 full"]


def test_it_stays_small_whatever_is_refused() -> None:
    book = BounceBook()
    book.note(bounce(f"category-{n}", domain=f"{m}.example", text="x" * 10_000) for n in range(MOST_CATEGORIES + 20) for m in range(EXAMPLES + 5))
    told = book.told(NOW)
    assert len(told) == MOST_CATEGORIES + 1
    assert told[0].name == OTHERS
    assert all(len(one.examples) == EXAMPLES and all(len(example.text) <= 300 for example in one.examples) for one in told)


def test_books_of_shards_are_one() -> None:
    first, second = BounceBook(), BounceBook()
    first.note([bounce(at=NOW - 10, text="old"), bounce("quota-issues")])
    second.note([bounce(at=NOW - 3600), bounce(text="new")])
    told = merged([first.told(NOW), second.told(NOW)])
    assert [(one.name, one.total) for one in told] == [("bad-mailbox", 3), ("quota-issues", 1)]
    assert [example.text for example in told[0].examples] == ["new", "old"]  # one a domain and shard, the newest first
