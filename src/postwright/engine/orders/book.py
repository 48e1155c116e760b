"""What stands of orders: which queues and jobs are paused, what was ordered away or to another priority. Values, and what changes them.

Of rules about queues the last one that fits a queue decides, so that "pause all, but not example.com" is two orders in that order. An
order makes those before it pointless that mean nothing else; they leave the book, which therefore stays short. A rule with an end is
after it as if it had never been. Pure; time is an argument.

An order about mail stands for as long as some of that mail may turn up: what is in flight when it is given comes back, and so does
what a shard that is down has in its spool. New mail is not meant: ids grow, and `Selection.newest` is the highest that there was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from postwright.engine.orders.selection import Selection, pattern_of

T = TypeVar("T")

MOST_RULES = 1000  # of queues, and of jobs
MOST_STANDING = 200  # orders about mail; each is asked of what comes back from an attempt
MOST_MESSAGES = 1000  # and of one message each, which are found by its id


class BookFull(ValueError):
    """There are as many rules as may be."""


class Why(Struct, frozen=True, omit_defaults=True):
    """Who gave an order, when (Unix seconds), why, and until when it holds (None: until it is taken back)."""

    by: str = ""
    at: float = 0.0
    reason: str = ""
    until: float | None = None

    def holds(self, now: float) -> bool:
        """Not over yet?"""
        return self.until is None or self.until > now


class QueueRule(Struct, frozen=True):
    """Queues that fit `queue` are paused, or are not though an earlier rule says so."""

    queue: str
    paused: bool
    why: Why = Why()


class JobRule(Struct, frozen=True):
    """This job is paused."""

    job: str
    why: Why = Why()


class MailOrder(Struct, frozen=True, omit_defaults=True):
    """What is `selected` is deleted (`priority` None) or has that priority. `dsn`: its senders hear of it; `accounted`: with records."""

    number: int
    selected: Selection
    why: Why = Why()
    priority: int | None = None
    dsn: bool = False
    accounted: bool = True


class Book(Struct, frozen=True):
    """All that stands, in the order in which it was ordered. `number` is the last that a mail order got."""

    version: int = 1
    number: int = 0
    queues: tuple[QueueRule, ...] = ()
    jobs: tuple[JobRule, ...] = ()
    mail: tuple[MailOrder, ...] = ()


def with_queues(book: Book, rule: QueueRule) -> Book:
    """One more rule about queues. Raises BookFull."""
    pattern = pattern_of(rule.queue)
    kept = [one for one in book.queues if not pattern.covers(pattern_of(one.queue))]
    return replace(book, queues=_checked(_trimmed([*kept, rule])))


def with_job(book: Book, job: str, rule: JobRule | None) -> Book:
    """The job is paused, or (None) is not any more. Raises BookFull."""
    kept = tuple(one for one in book.jobs if one.job != job)
    return replace(book, jobs=_checked((*kept, rule)) if rule is not None else kept)


def with_mail(book: Book, order: MailOrder) -> Book:
    """One more order about mail, with a number of its own. The oldest of its kind goes when there are too many: its mail is long gone."""
    numbered = replace(order, number=book.number + 1)
    mail, most = (*book.mail, numbered), MOST_MESSAGES if order.selected.message else MOST_STANDING
    alike = [one.number for one in mail if bool(one.selected.message) == bool(order.selected.message)]
    gone = frozenset(alike[:-most])
    return replace(book, number=numbered.number, mail=tuple([one for one in mail if one.number not in gone]))


def rearmed(book: Book, until: float) -> Book:
    """Orders about mail stand until then at least: what was in flight when the relay was ended comes back when it begins."""
    mail = [one if one.why.until is None else replace(one, why=replace(one.why, until=max(one.why.until, until))) for one in book.mail]
    return replace(book, mail=tuple(mail))


def with_end(book: Book, number: int, until: float) -> Book:
    """That order about mail stands until then."""
    mail = tuple([replace(one, why=replace(one.why, until=until)) if one.number == number else one for one in book.mail])
    return replace(book, mail=mail)


def current(book: Book, now: float) -> Book:
    """What of it still holds."""
    return replace(
        book,
        queues=_trimmed([one for one in book.queues if one.why.holds(now)]),
        jobs=tuple([one for one in book.jobs if one.why.holds(now)]),
        mail=tuple([one for one in book.mail if one.why.holds(now)]),
    )


def next_end(book: Book, now: float) -> float | None:
    """When the first of what holds ends."""
    whys = [*[rule.why for rule in book.queues], *[rule.why for rule in book.jobs], *[order.why for order in book.mail]]
    return min([why.until for why in whys if why.until is not None and why.until > now], default=None)


def _trimmed(rules: Sequence[QueueRule]) -> tuple[QueueRule, ...]:
    """Without what says that queues go on before anything says that they do not."""
    first = next((at for at, rule in enumerate(rules) if rule.paused), len(rules))
    return tuple(rules[first:])


def _checked(rules: tuple[T, ...]) -> tuple[T, ...]:
    if len(rules) > MOST_RULES:
        raise BookFull(f"{MOST_RULES} pauses stand already: resume some, or pause by a pattern")
    return rules
