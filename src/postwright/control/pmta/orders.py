"""PowerMTA's answers to orders, and its list of recipients that wait: trees and text made of what the relay says. Pure.

Of most of these answers only the words are known (powermta.md section 3); the keys are ours, in the manner of its others.
"""

from __future__ import annotations

import msgspec

from postwright.control.pmta.forms import Answer, Tree, failed
from postwright.control.pmta.words import kilobytes
from postwright.engine.frames import Told
from postwright.engine.orders.asking import Outcome
from postwright.engine.orders.listing import Page, Waiting


def said(told: Told) -> Answer:
    """What came of an order, or would; an order that was refused is a bad answer."""
    lines = tuple(told.lines)
    if not told.ok:
        return failed(*lines)
    tree: dict[str, object] = {"text": "\n".join(lines)}
    outcome = _outcome(told.body)
    if outcome is not None:
        tally = outcome.tally
        tree["dryRun"] = outcome.dry_run
        if tally is not None:
            figures = {"rcp": tally.recipients, "msg": tally.messages, "queues": tally.queues, "kb": kilobytes(tally.octets)}
            tree |= {**figures, "inFlight": tally.in_flight}
        if outcome.matching is not None:
            tree["matching"] = outcome.matching
        if outcome.undo:
            tree["undo"] = outcome.undo
    return Answer(tree, lines)  # type: ignore[arg-type]  # leaves are texts, numbers and truths


def _outcome(body: bytes) -> Outcome | None:
    try:
        return msgspec.json.decode(body, type=Outcome)
    except msgspec.MsgspecError:
        return None


def waiting(told: Told) -> Answer:
    """`list`, and `/listqueue`."""
    if not told.body:
        return failed(*told.lines)
    page = msgspec.json.decode(told.body, type=Page)
    return Answer({"recipient": [_row(row) for row in page.rows], "more": page.more}, tuple(told.lines), told.ok)


def _row(row: Waiting) -> Tree:
    return {
        "rcpt": row.rcpt,
        "orig": row.orig,
        "queue": row.queue,
        "jobId": row.job,
        "envId": row.envid,
        "id": row.message,
        "kb": kilobytes(row.octets),
        "queued": int(row.received),
        "attempts": row.attempts,
        "nextTry": int(row.due),
        "priority": row.priority,
        "paused": row.paused,
    }
