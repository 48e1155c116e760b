"""The book of orders and the desk that keeps it: which rules stay, what a restart finds, what a disk that takes nothing means."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from postwright.engine.orders.book import (
    MOST_MESSAGES,
    MOST_RULES,
    MOST_STANDING,
    Book,
    BookFull,
    JobRule,
    MailOrder,
    QueueRule,
    Why,
    current,
    next_end,
    with_end,
    with_job,
    with_mail,
    with_queues,
)
from postwright.engine.orders.desk import FILE, REARMED, TRIED_AGAIN, Desk, read_book
from postwright.engine.orders.selection import Selection, accepted_until
from postwright.model.message import IdMaker

NOW = 1_700_000_000.0


def ordered(*rules: str) -> list[str]:
    """`+PATTERN` pauses, `-PATTERN` resumes, in this order; what the book has then."""
    book = Book()
    for rule in rules:
        book = with_queues(book, QueueRule(rule[1:], rule[0] == "+"))
    return [("+" if rule.paused else "-") + rule.queue for rule in book.queues]


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        (["+a.example/*", "+a.example/*"], ["+a.example/*"]),
        (["+a.example/*", "-a.example/*"], []),
        (["+a.example/m", "+b.example/m", "-*/m"], []),
        (["+a.example/m", "+*/*"], ["+*/*"]),
        (["+*/*", "-a.example/*"], ["+*/*", "-a.example/*"]),
        (["+*/*", "-a.example/*", "+a.example/m"], ["+*/*", "-a.example/*", "+a.example/m"]),
        (["+*/*", "-a.example/*", "-*/*"], []),
        (["-a.example/*"], []),
    ],
)
def test_what_says_nothing_any_more_leaves_the_book(rules: list[str], left: list[str]) -> None:
    assert ordered(*rules) == left


def test_what_is_over_is_as_if_it_had_never_been() -> None:
    book = with_queues(Book(), QueueRule("*/*", True, Why(until=NOW + 10)))
    book = with_queues(book, QueueRule("a.example/*", False))
    book = with_job(book, "j", JobRule("j", Why(until=NOW + 5)))
    assert next_end(book, NOW) == NOW + 5
    assert current(book, NOW + 7).jobs == ()
    assert current(book, NOW + 11) == Book(number=book.number)


def test_the_book_is_bounded() -> None:
    book = Book(queues=tuple(QueueRule(f"d{number}.example/m", True) for number in range(MOST_RULES)))
    with pytest.raises(BookFull, match="by a pattern"):
        with_queues(book, QueueRule("one.more/m", True))
    assert len(with_queues(book, QueueRule("*/m", True)).queues) == 1
    for number in range(MOST_STANDING + 5):
        book = with_mail(book, MailOrder(0, Selection(job=str(number))))
    assert (len(book.mail), book.number, book.mail[0].selected.job) == (MOST_STANDING, MOST_STANDING + 5, "5")
    for number in range(1, 2000):
        book = with_mail(book, MailOrder(0, Selection(message=number)))
    assert len(book.mail) == MOST_STANDING + MOST_MESSAGES, "those of one message do not push the others out"
    assert book.mail[-1].selected.message == 1999


def test_an_order_about_mail_gets_another_end() -> None:
    book = with_mail(with_mail(Book(), MailOrder(0, Selection(job="a"), Why(until=NOW))), MailOrder(0, Selection(job="b"), Why(until=NOW)))
    assert [order.why.until for order in with_end(book, 2, NOW + 9).mail] == [NOW, NOW + 9]


def test_ids_tell_what_was_accepted_before() -> None:
    ids = [IdMaker(shard).next(NOW) for shard in (0, 255)]
    assert all(accepted_until(NOW) < one <= accepted_until(NOW + 0.001) for one in ids)
    maker = IdMaker(3)
    last = maker.next(NOW)
    horizon = maker.horizon
    assert last <= horizon
    maker.seen(horizon)
    assert maker.next(NOW) > horizon
    assert accepted_until(0.0) == 0


def desk(folder: Path, now: float = NOW) -> Desk:
    made = Desk(folder, lambda: now, structlog.get_logger())
    made.load()
    return made


def test_what_stands_is_on_disk_for_its_owner_only_and_comes_back(tmp_path: Path) -> None:
    one = desk(tmp_path)
    one.change(lambda book: with_queues(book, QueueRule("*/m", True, Why("root", NOW, "why"))))
    one.change(lambda book: with_mail(book, MailOrder(0, Selection(job="j", newest=7), Why(until=NOW + 60))))
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    later = desk(tmp_path, NOW + 5000)
    assert later.book.queues == one.book.queues
    assert later.book.mail[0].why.until == NOW + 5000 + REARMED, "what was in flight when the relay was ended comes back now"
    assert read_book(tmp_path) == later.book


def test_what_has_ended_leaves_the_disk_and_a_start_does_not_bring_it_back(tmp_path: Path) -> None:
    now = NOW
    one = Desk(tmp_path, lambda: now, structlog.get_logger())
    for number, lasting in enumerate((60.0, 90.0)):
        order = MailOrder(0, Selection(job=f"j{number}", newest=7), Why(until=NOW + lasting))
        one.change(partial(with_mail, order=order))
    for now, left in (NOW + 59, 2), (NOW + 60, 1), (NOW + 90, 0):  # noqa: B007  # the desk asks it
        one.tidy()
        assert len(read_book(tmp_path).mail) == left
    assert desk(tmp_path, now).book == Book(number=2)


def test_a_disk_that_took_nothing_is_asked_again_when_something_ends(tmp_path: Path) -> None:
    now = NOW
    one = Desk(tmp_path, lambda: now, structlog.get_logger())
    one.change(lambda book: with_mail(book, MailOrder(0, Selection(job="j", newest=7), Why(until=NOW + 60))))
    (draft := tmp_path / f".{FILE}").mkdir()
    now = NOW + 60
    one.tidy()
    assert one.book.mail
    draft.rmdir()
    now += TRIED_AGAIN
    one.tidy()
    assert read_book(tmp_path).mail == one.book.mail == ()


@pytest.mark.parametrize("what", ["text", "folder"])
def test_a_file_that_cannot_be_read_is_kept_and_told(tmp_path: Path, what: str) -> None:
    (tmp_path / FILE).write_text("{no json") if what == "text" else (tmp_path / FILE).mkdir()
    with capture_logs() as lines:
        one = desk(tmp_path)
    assert one.book == Book()
    assert [line["log_level"] for line in lines] == ["error"]
    one.change(lambda book: with_queues(book, QueueRule("*/m", True)))
    assert (broken := tmp_path / f"{FILE}.broken").exists()
    assert what == "folder" or broken.read_text() == "{no json"


def test_a_disk_that_takes_nothing_refuses_the_order(tmp_path: Path) -> None:
    one = desk(tmp_path)
    (tmp_path / f".{FILE}").mkdir()
    with pytest.raises(OSError, match="directory"):
        one.change(lambda book: with_queues(book, QueueRule("*/m", True)))
    assert one.book == Book()
