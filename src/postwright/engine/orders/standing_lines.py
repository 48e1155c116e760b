"""What stands of orders, as lines for a person. Pure; reasons and names are shown with controls escaped."""

from __future__ import annotations

from datetime import datetime

from postwright.engine.lock_lines import shown
from postwright.engine.orders.book import Book, JobRule, MailOrder, QueueRule, Why


def standing_lines(book: Book) -> list[str]:
    """A line for each, in the order in which they were given."""
    lines = [*map(queue_line, book.queues), *map(job_line, book.jobs)]
    lines += [f"mail {_order(order)}{_why(order.why)}" for order in book.mail]
    return lines or ["Nothing is paused, and no order stands."]


def queue_line(rule: QueueRule) -> str:
    """`queue example.com/* paused since ... by root: they block us`."""
    return f"queue {shown(rule.queue)} {'paused' if rule.paused else 'goes on'}{_why(rule.why)}"


def job_line(rule: JobRule) -> str:
    """`job spring-sale paused since ...`."""
    return f"job {shown(rule.job)} paused{_why(rule.why)}"


def _order(order: MailOrder) -> str:
    chosen = order.selected
    named = {"queue": chosen.queue, "job": chosen.job, "orig": chosen.orig, "rcpt": chosen.rcpt, "envid": chosen.envid}
    what = " ".join(f"{name}={shown(value)}" for name, value in named.items() if value) or "all"
    return f"{what} {'deleted' if order.priority is None else f'has priority {order.priority}'}"


def _why(why: Why) -> str:
    until = f" until {_when(why.until)}" if why.until is not None else ""
    reason = f": {shown(why.reason)}" if why.reason else ""
    return f" since {_when(why.at)}{until} by {shown(why.by) or 'somebody'}{reason}"


def _when(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"
