"""One queue, domain or job (`queueDetail`, `domainDetail`, `jobDetail` of the monitor), settings, addresses out of use, precached domains.

PowerMTA's keys of these are not known but for those of a queue; ours are named in its manner. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from postwright.control.pmta.forms import Answer, Node, Tree, one_line
from postwright.control.pmta.lists import queue_lines, queue_tree, table
from postwright.control.pmta.words import kilobytes, when
from postwright.engine.views.detail_facts import DisabledView, DomainView, JobView, Link, PrecacheView, QueueView
from postwright.engine.views.settings import SettingsSection, SettingsView
from postwright.engine.views.sums import Sum
from postwright.engine.why_facts import Limit, Why
from postwright.engine.why_lines import why_lines


def queue(view: QueueView, now: float) -> Answer:
    """One queue: its row as lists have it, why it waits, its connections."""
    tree: Tree = {"queue": {**queue_tree(view.row), **_why(view.why), "connection": [_link(one) for one in view.connections]}}
    return Answer(tree, (*why_lines(view.why, now), *_links(view.connections), "", *queue_lines([view.row], 1)))


def _why(why: Why) -> Tree:
    return {
        "waitOrigin": why.origin,
        "ready": why.ready,
        "scheduled": why.scheduled,
        "inFlight": why.in_flight,
        "drainSeconds": why.seconds,
        "drainBecause": why.because,
        "modeReason": why.mode_reason,
        "limit": [_limit(one) for one in why.limits],
        "disabledSource": [{"ip": one.address, "until": when(one.until), "because": one.because} for one in why.disabled],
    }


def _limit(limit: Limit) -> Tree:
    return {
        "reason": limit.reason,
        "used": limit.used,
        "max": limit.limit,
        "until": when(limit.until or 0.0),
        "origin": limit.origin,
        "source": limit.source,
        "place": limit.place,
    }


def _link(link: Link) -> Tree:
    return {
        "host": link.host,
        "ip": link.address,
        "source": link.source,
        "seconds": round(link.since),
        "msg": link.served,
        "busy": link.busy,
    }


def _links(links: Sequence[Link]) -> Iterator[str]:
    if links:
        yield ""
        rows = [[one_line(one.host), one.address, one.source or "-", one.served, f"{one.since:.0f} s"] for one in links]
        yield from table(("connected to", "address", "from", "msgs", "since"), rows)


def domain(view: DomainView) -> Answer:
    """One domain with its queues."""
    one = view.sum
    tree: Tree = {
        "domain": {"name": one.name, "rcp": one.recipients, "kb": kilobytes(one.octets), "conn": one.connections},
        "queue": [queue_tree(row) for row in view.rows],
    }
    return Answer(tree, tuple(queue_lines(view.rows, one.queues)))


def job(view: JobView) -> Answer:
    """One job with its queues."""
    rows: list[Tree] = [{"name": one.name, "rcp": one.recipients, "kb": kilobytes(one.octets)} for one in view.queues]
    tree: Tree = {"job": {"id": view.name, "rcp": view.recipients, "kb": kilobytes(view.octets), "paused": view.paused}, "queue": rows}
    head = f"Job {one_line(view.name)}: {view.recipients} recipients, {kilobytes(view.octets)} kbytes{', paused' if view.paused else ''}"
    return Answer(tree, (head, "", *table(("queue", "#rcpt", "kbytes"), [_cells(one) for one in view.queues])))


def _cells(one: Sum) -> list[object]:
    return [one_line(one.name), one.recipients, kilobytes(one.octets)]


# settings ---------------------------------------------------------------------------------------------------------------


def settings(view: SettingsView) -> Answer:
    """`show settings` and `show vmta-settings`: titled sections of names and values, and tables."""
    tree: dict[str, Node] = {"name": view.subject, "section": [_section(one) for one in view.sections]}
    if view.tables:
        tree["table"] = [
            {"row": [{_key(name): cell for name, cell in zip(one.columns, row, strict=True)} for row in one.rows]} for one in view.tables
        ]
    return Answer(tree, tuple(_settings_text(view)))


def _section(section: SettingsSection) -> Tree:
    return {
        "title": section.title,
        "setting": [{"name": row.name, "value": row.value, "file": row.file, "line": row.line} for row in section.rows],
    }


def _key(title: str) -> str:
    words = title.split()
    return words[0].lower() + "".join(words[1:])


def _settings_text(view: SettingsView) -> Iterator[str]:
    width = max((len(row.name) for one in view.sections for row in one.rows), default=0)
    for section in view.sections:
        yield f"{section.title} for {one_line(view.subject)}"
        yield "-" * (width + 20)
        for row in section.rows:
            yield f"{row.name:{width}}  {one_line(row.value)}".rstrip()
        yield ""
    for one in view.tables:
        yield from table(one.columns, [[one_line(cell) for cell in row] for row in one.rows])
        yield ""


# the rest ---------------------------------------------------------------------------------------------------------------


def disabled(view: DisabledView) -> Answer:
    """`show disabled sources`."""
    rows: list[Tree] = [{"queue": row.queue, "ip": row.address, "until": when(row.until)} for row in view.rows]
    lines = [[one_line(row.queue), row.address or "(any)", when(row.until) or "enabled by an operator"] for row in view.rows]
    footer = f"{len(rows)} of {view.matching} disabled sources."
    return Answer({"source": rows}, (*table(("queue", "source IP", "disabled until"), lines), "", footer))


def precache(view: PrecacheView) -> Answer:
    """`show precache`."""
    rows: list[Tree] = [{"name": row.name, "cached": row.shards == view.of, "until": when(row.until)} for row in view.rows]
    lines = [[one_line(row.name), f"{row.shards} of {view.of}", when(row.until) or "-"] for row in view.rows]
    cached = sum(row.shards == view.of for row in view.rows)
    return Answer(
        {"domain": rows}, (*table(("domain", "cached by", "until"), lines), "", f"{cached} of {len(rows)} precached domains known.")
    )
