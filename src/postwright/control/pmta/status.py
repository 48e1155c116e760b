"""`show status` and `/status`: PowerMTA's tree of it (powermta.md section 4) and its page of text (section 3). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from postwright.control.pmta.forms import Answer, Tree, one_line
from postwright.control.pmta.words import kilobytes, uptime, when
from postwright.engine.views.figures import Figures
from postwright.engine.views.status import Backlog, StatusView
from postwright.engine.views.traffic import Connections

PRODUCT: Final = "Postwright"
KINDS: Final = ("smtp", "pipe", "discard", "file", "alias", "bounceProcessor", "feedbackLoopProcessor")
"""PowerMTA's kinds of queues, which are always told; those that only we have are told when something waits in them."""

_PERIODS: Final = (
    ("total", "Total"),
    ("lastHr", "Last Hour"),
    ("topPerHr", "Top/Hour"),
    ("lastMin", "Last Min."),
    ("topPerMin", "Top/Min."),
)


def answer(view: StatusView) -> Answer:
    """The whole answer."""
    return Answer(tree(view), tuple(text(view)))


def tree(view: StatusView) -> Tree:
    """`mta` and `status`."""
    return {"mta": _mta(view), "status": _status(view)}


def _mta(view: StatusView) -> Tree:
    host = view.host
    return {
        "product": {"name": PRODUCT, "version": view.version, "buildDate": "", "revision": "", "bits": 64},
        "lak": {"serial": "", "instances": 0},
        "os": {"name": host.system, "version": host.release, "build": host.build},
        "cpu": {"type": host.processor, "count": host.processors},
        "ram": {"real": host.memory},
        "fullHostName": view.host_name,
        "userString": "",
        "hostId": "",
    }


def _status(view: StatusView) -> Tree:
    return {
        "timeNow": when(view.now),
        "startupTime": when(view.started),
        "shuttingDown": view.stopping,
        "traffic": _traffic(view),
        "conn": {
            "smtpIn": _connections(view.traffic.inbound, view.most_inbound),
            "smtpOut": _connections(view.traffic.outbound, view.most_outbound),
        },
        "resolver": {
            "namesCached": view.resolver.cached,
            "queriesPending": view.resolver.pending,
            "queriesActive": view.resolver.active,
        },
        "queue": {kind: _backlog(backlog) for kind, backlog in _kinds(view).items()},
        "spool": {
            "initPct": round(view.spool.init_percent, 1),
            "dirs": view.spool.folders,
            "files": {"inUse": view.spool.files, "recycled": 0, "total": view.spool.files},
            "totalRcp": view.spool.recipients,
            "maxRcp": view.spool.most_recipients or 0,
        },
        "status": state(view),
    }


def _periods(view: StatusView) -> dict[str, Figures]:
    traffic = view.traffic
    figures = (traffic.total, traffic.last_hour, traffic.top_hour, traffic.last_minute, traffic.top_minute)
    return {key: figure for (key, _), figure in zip(_PERIODS, figures, strict=True)}


def _traffic(view: StatusView) -> Tree:
    periods: dict[str, Tree] = {key: _both_ways(figures) for key, figures in _periods(view).items()}
    return {**periods, "perf": {"lastMin": {"in": {"count": view.traffic.last_minute.in_msgs}}}}


def _both_ways(figures: Figures) -> Tree:
    return {
        "out": {"rcp": figures.out_rcpts, "msg": figures.out_msgs, "kb": kilobytes(figures.out_octets)},
        "in": {"rcp": figures.in_rcpts, "msg": figures.in_msgs, "kb": kilobytes(figures.in_octets)},
        "bounceProcessed": {"msg": figures.bounce_reports},
        "feedbackLoopProcessed": {"msg": figures.complaints},
    }


def _connections(connections: Connections, most: int | None) -> Tree:
    return {"cur": connections.now, "max": most or 0, "top": connections.top}


def _backlog(backlog: Backlog) -> Tree:
    return {"rcp": backlog.recipients, "dom": backlog.domains, "kb": kilobytes(backlog.octets)}


def _kinds(view: StatusView) -> dict[str, Backlog]:
    return {**{kind: Backlog() for kind in KINDS}, **view.queues}


def state(view: StatusView) -> str:
    """In a word or two."""
    if view.stopping:
        return "shutting down"
    return "running" if view.answering == view.shards else f"running, {view.answering} of {view.shards} shards answer"


# text -------------------------------------------------------------------------------------------------------------------


def text(view: StatusView) -> Iterator[str]:
    """A page of 80 columns."""
    yield f"{PRODUCT} v{view.version} status on {one_line(view.host_name)} on {when(view.now)}"
    yield ""
    yield f"{'Traffic':<10}{'-' * 12} inbound {'-' * 12}  {'-' * 12} outbound {'-' * 11}"
    yield f"{'':<10}{_columns('rcpts', 'msgs', 'kbytes')}  {_columns('rcpts', 'msgs', 'kbytes')}"
    for (_, title), figures in zip(_PERIODS, _periods(view).values(), strict=True):
        inward = _columns(figures.in_rcpts, figures.in_msgs, kilobytes(figures.in_octets))
        outward = _columns(figures.out_rcpts, figures.out_msgs, kilobytes(figures.out_octets))
        yield f"{title:<10}{inward}  {outward}"
    yield ""
    yield from _beside(_connection_table(view), _name_table(view))
    yield ""
    yield from _beside(_queue_table(view), _spool_table(view))
    yield ""
    yield f"Status {state(view)}   Started {when(view.started)}   Uptime {uptime(view.now - view.started)}"


def _columns(*values: object) -> str:
    return "".join(f"{value:>11}" for value in values)


def _beside(left: list[str], right: list[str]) -> Iterator[str]:
    right = [*right, *[""] * (len(left) - len(right))]
    for one, other in zip(left, right, strict=True):
        yield f"{one:<44}{other}".rstrip()


def _connection_table(view: StatusView) -> list[str]:
    rows = [f"{'Connections':<12}{'active':>9}{'top':>9}{'maximum':>10}"]
    for title, one, most in (
        ("Inbound", view.traffic.inbound, view.most_inbound),
        ("Outbound", view.traffic.outbound, view.most_outbound),
    ):
        rows.append(f"{title:<12}{one.now:>9}{one.top:>9}{most if most is not None else 'unlimited':>10}")
    return rows


def _name_table(view: StatusView) -> list[str]:
    return [f"{'Domain Names':<14}{'cached':>10}{'pending':>10}", f"{'':<14}{view.resolver.cached:>10}{view.resolver.pending:>10}"]


def _queue_table(view: StatusView) -> list[str]:
    smtp, other = Backlog(), Backlog()
    for kind, backlog in view.queues.items():
        into = smtp if kind == "smtp" else other
        into.recipients += backlog.recipients
        into.domains += backlog.domains
        into.octets += backlog.octets
    rows = [f"{'Queues':<8}{'rcpts':>10}{'domains':>10}{'kbytes':>12}"]
    for title, one in (("SMTP", smtp), ("Other", other)):
        rows.append(f"{title:<8}{one.recipients:>10}{one.domains:>10}{kilobytes(one.octets):>12}")
    return rows


def _spool_table(view: StatusView) -> list[str]:
    spool = view.spool
    return [
        f"{'Spool':<14}{'in use':>10}{'recycled':>10}",
        f"{'Files':<14}{spool.files:>10}{0:>10}",
        f"{'Init.':<14}{spool.init_percent:>9.1f}%",
    ]
