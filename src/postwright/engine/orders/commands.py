"""Orders on the supervisor's side: a verb of the control socket for each, with PowerMTA's words where it has some (powermta.md section 3).

Every order that changes something may be asked for with `dry-run`: then it is counted and nothing is done. What stands (a pause, what is
deleted) is on disk before any shard hears of it. `by` says who asks, `reason` why; `for` ends a pause by itself.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import msgspec
from msgspec.structs import replace

from postwright.engine import frames as f
from postwright.engine.lock_lines import shown
from postwright.engine.orders import asking
from postwright.engine.orders.asking import Arguments, Outcome, Steering
from postwright.engine.orders.book import Book, BookFull, JobRule, MailOrder, QueueRule, current, with_end, with_job, with_mail, with_queues
from postwright.engine.orders.changing import Scheduled
from postwright.engine.orders.listing import MOST, Page
from postwright.engine.orders.listing_lines import list_lines
from postwright.engine.orders.selection import Selection, accepted_until, pattern_of
from postwright.engine.orders.standing_lines import standing_lines
from postwright.engine.orders.tally import Tally

STANDS: Final = 86400.0  # seconds that a deletion stands: what is in flight may come back
GRACE: Final = 60.0  # when nothing is: what is on its way from one shard to another has come by then
PRIORITY_STANDS: Final = 7 * 86400.0
LONGEST_NAME: Final = 500
_ENDS: Final = "these attempts end"


# -- pauses ------------------------------------------------------------------------------------


async def _pause(relay: Steering, arguments: Arguments) -> f.Told:
    return await (_pause_job if "job" in arguments else _pause_queue)(relay, arguments, paused=True)


async def _resume(relay: Steering, arguments: Arguments) -> f.Told:
    return await (_pause_job if "job" in arguments else _pause_queue)(relay, arguments, paused=False)


async def _pause_queue(relay: Steering, arguments: Arguments, *, paused: bool) -> f.Told:
    queue, dry_run = pattern_of(_name(arguments, "queue")).text, asking.flag(arguments, "dry-run")
    rule = QueueRule(queue, paused, asking.why(arguments, relay.desk.now()))
    change = None if dry_run else partial(with_queues, rule=rule)
    tally, errors = await _put_in_force(relay, change, Selection(queue=queue), at_once=paused)
    verb, other = ("pause", "resume") if paused else ("resume", "pause")
    outcome = Outcome(verb, dry_run, tally, until=rule.why.until, undo=f"{other} queue {asking.quoted(queue)}")
    if dry_run:
        return asking.told([f"Would {verb} {shown(queue)}: {asking.counts(tally)}."], errors, outcome)
    lines = [f"Queue(s) {verb}d.", f"{shown(queue)}: {asking.counts(tally)}."]
    if paused:
        lines += [] if tally.queues else ["Nothing waits in such a queue now; what comes is held."]
        lines += [*asking.in_flight(tally, _ENDS), *_until(rule.why.until)]
    return asking.told([*lines, f"Undo: postwright {outcome.undo}"], errors, outcome)


async def _pause_job(relay: Steering, arguments: Arguments, *, paused: bool) -> f.Told:
    job, now = _name(arguments, "job"), relay.desk.now()
    if "*" in job:
        raise ValueError("a pause is of one job, by its whole name")
    known = any(rule.job == job for rule in current(relay.desk.book, now).jobs)
    rule, dry_run = JobRule(job, asking.why(arguments, now)) if paused else None, asking.flag(arguments, "dry-run")
    change = None if dry_run else partial(with_job, job=job, rule=rule)
    tally, errors = await _put_in_force(relay, change, Selection(job=job), at_once=paused)
    tally.in_flight = 0  # of all jobs in those queues
    verb, other = ("pause", "resume") if paused else ("resume", "pause")
    until = rule.why.until if rule is not None else None
    outcome = Outcome(verb, dry_run, tally, until=until, undo=f"{other} job {asking.quoted(job)}")
    if dry_run:
        return asking.told([f"Would {verb} job {shown(job)}: {asking.counts(tally)}."], errors, outcome)
    lines = [f"{verb}d job.", f"{shown(job)}: {asking.counts(tally)}."]
    lines += _until(until) if paused else [] if known else ["It was not paused."]
    return asking.told([*lines, f"Undo: postwright {outcome.undo}"], errors, outcome)


async def _put_in_force(
    relay: Steering, change: Callable[[Book], Book] | None, selected: Selection, *, at_once: bool
) -> tuple[Tally, list[str]]:
    """Change the book (None: nothing), and tell how much it is about. `at_once`: a pause does not wait until all is counted, for which a
    shard that reads its spool may take minutes. What is resumed is counted before it goes."""
    errors: list[str] = []
    if change is not None and at_once:
        relay.desk.change(change)
        errors += await asking.broadcast(relay)
    tally, silent = await asking.counted(relay, selected)
    if change is not None and not at_once:
        relay.desk.change(change)
        errors += await asking.broadcast(relay)
    return tally, list(dict.fromkeys([*silent, *errors]))


def _name(arguments: Arguments, of: str) -> str:
    """What is written down must be short, and nobody means all queues by saying nothing."""
    name = arguments.get(of, "").strip()
    if not name:
        raise ValueError(f"say which {of}")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"the name of a {of} has {LONGEST_NAME} characters at most")
    return name


def _until(until: float | None) -> list[str]:
    return [] if until is None else [f"Until {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(until))}, when it resumes by itself."]


# -- mail ----------------------------------------------------------------------------------------


async def _delete(relay: Steering, arguments: Arguments) -> f.Told:
    now = relay.desk.now()
    selected = asking.selection_to_change(arguments, now)
    if not selected.bounded:
        raise ValueError("say whose mail: --queue or --jobId is needed (--queue='*/*' is all mail)")
    if asking.flag(arguments, "dry-run"):
        tally, errors = await asking.counted(relay, selected)
        lines = [f"Would delete {asking.counts(tally)}.", *asking.in_flight(tally, "what of it is meant ends with its attempt")]
        return asking.told(lines, errors, Outcome("delete", True, tally))
    dsn, accounted = asking.flag(arguments, "dsn"), not asking.flag(arguments, "no-accounting")
    order = MailOrder(0, await _bounded(relay, selected), replace(asking.why(arguments, now), until=now + STANDS), None, dsn, accounted)
    tally, errors = await _order_mail(relay, order, "order-delete")
    lines = [f"{asking.counts(tally)} deleted.", *asking.in_flight(tally, "what of it is meant will not be tried again")]
    return asking.told(lines, errors, Outcome("delete", tally=tally))


async def _prioritise(relay: Steering, arguments: Arguments) -> f.Told:
    now, text = relay.desk.now(), arguments.get("priority", "")
    selected = asking.selection_to_change(arguments, now)
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and int(text) <= 100):
        raise ValueError(f"{text!r} is no priority: 0 to 100, the highest first")
    if not selected.bounded and not selected.reads:
        raise ValueError("say whose mail: --queue, --jobId, --orig, --rcpt or --envId")
    if asking.flag(arguments, "dry-run"):
        tally, errors = await asking.counted(relay, selected)
        return asking.told([f"Would set priority {int(text)} for {asking.counts(tally)}."], errors, Outcome("set-priority", True, tally))
    until = now + PRIORITY_STANDS
    order = MailOrder(0, await _bounded(relay, selected), replace(asking.why(arguments, now), until=until), priority=int(text))
    tally, errors = await _order_mail(relay, order, "order-priority")
    return asking.told([f"Priority {int(text)} set for {asking.counts(tally)}."], errors, Outcome("set-priority", tally=tally))


async def _bounded(relay: Steering, selected: Selection) -> Selection:
    """Mail that is there now is meant, and none that comes later."""
    if selected.newest:
        return selected
    horizons, _ = await asking.ask(relay, "order-horizon", int)
    return replace(selected, newest=max([accepted_until(relay.desk.now() + 0.001), *horizons]))


async def _order_mail(relay: Steering, order: MailOrder, verb: str) -> tuple[Tally, list[str]]:
    """It stands, and then it is done to what waits."""
    number = relay.desk.change(lambda book: with_mail(book, order)).number
    order = replace(order, number=number)
    errors = await asking.broadcast(relay)
    found, silent = await asking.ask(relay, verb, Tally, order=order)
    tally = asking.summed(found)
    errors += [one for one in silent if one not in errors]
    if order.priority is None and not tally.in_flight and not errors:
        relay.desk.change(lambda book: with_end(book, number, relay.desk.now() + GRACE))
        errors += await asking.broadcast(relay)
    return tally, errors


async def _list(relay: Steering, arguments: Arguments) -> f.Told:
    text = arguments.get("maxitems", "") or "100"
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"maxitems is {text!r}, which is no number")
    most = max(1, min(int(text[:9]), MOST))
    selected = asking.selection(arguments, relay.desk.now())
    pages, errors = await asking.ask(relay, "order-list", Page, selection=selected, most=str(most), paused=asking.flag(arguments, "paused"))
    rows = sorted((row for page in pages for row in page.rows), key=lambda row: (row.queue, row.message))
    page = Page(rows[:most], more=len(rows) > most or any(one.more for one in pages))
    return f.Told(ok=not errors, lines=[*list_lines(page, arguments), *errors], body=msgspec.json.encode(page))


async def _schedule(relay: Steering, arguments: Arguments) -> f.Told:
    queue, dry_run = pattern_of(_name(arguments, "queue")).text, asking.flag(arguments, "dry-run")
    every = asking.flag(arguments, "retry-recipients")
    found, errors = await asking.ask(relay, "order-schedule", Scheduled, queue=queue, recipients=every, dry_run=dry_run)
    total = Scheduled()
    for one in found:
        total.add(one)
    would = "would be " if dry_run else ""
    lines = [f"{total.queues} of {total.matching} matching queues {would}scheduled."]
    if total.recipients:
        lines.append(f"{total.recipients:,} recipients in them waited for their next retry.")
    tally = Tally(recipients=total.recipients, queues=total.queues)
    return asking.told(lines, errors, Outcome("schedule", dry_run, tally, total.matching))


# -- the relay's own ------------------------------------------------------------------------------


async def _reset(relay: Steering, arguments: Arguments) -> f.Told:
    relay.traffic.reset(time.monotonic(), relay.desk.now())
    return f.Told(ok=True, lines=["Traffic counters reset."])


async def _secrets(relay: Steering, arguments: Arguments) -> f.Told:
    found, errors = await asking.ask(relay, "order-secrets", int)
    body = msgspec.json.encode({"cleared": sum(found)})
    return f.Told(ok=not errors, lines=["Secrets cache cleared.", *errors], body=body)


async def _standing(relay: Steering, arguments: Arguments) -> f.Told:
    book = current(relay.desk.book, relay.desk.now())
    return f.Told(ok=True, lines=standing_lines(book), body=msgspec.json.encode(book))


def _told_of_mistakes(
    order: Callable[[Steering, Arguments], Awaitable[f.Told]],
) -> Callable[[Steering, Arguments], Awaitable[f.Told]]:
    """Wrong arguments, a full book and a disk that takes nothing are told; nothing is done then."""

    async def careful(relay: Steering, arguments: Arguments) -> f.Told:
        try:
            return await order(relay, arguments)
        except (ValueError, BookFull) as error:
            return asking.refused(error)
        except OSError as error:
            return asking.refused(f"nothing was done: the order cannot be written down ({error})")

    return careful


ORDER_COMMANDS: Final[Mapping[str, Callable[[Steering, Arguments], Awaitable[f.Told]]]] = {
    name: _told_of_mistakes(order)
    for name, order in {
        "order-pause": _pause,
        "order-resume": _resume,
        "order-delete": _delete,
        "order-priority": _prioritise,
        "order-list": _list,
        "order-schedule": _schedule,
        "order-reset": _reset,
        "order-secrets": _secrets,
        "order-standing": _standing,
    }.items()
}
