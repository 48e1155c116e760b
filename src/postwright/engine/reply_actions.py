"""What the rules of `smtp-pattern-list` do to a queue: mode, retry, bounce. `policy.feedback` says which rule fits and what it means for
the recipients of a transaction; here the scheduler hears of the rest, and what has to be done by delivery comes back to it.

A queue lives in one shard, so nobody else has to be told. The log names the line of the rule, never the peer's words.
"""

from __future__ import annotations

from collections.abc import Iterable

from postwright.engine import queue_records
from postwright.engine.hub import Hub
from postwright.model.outcome import Disposition, Stage
from postwright.policy.feedback import Heard, bounce_of
from postwright.policy.trouble import of_reply
from postwright.schedule.queue import Queue


def act(node: Hub, queue: Queue, heard: Iterable[Heard], source: str) -> Disposition | None:
    """Do what these rules want of the queue, in their order; `source` is the address that the reply went to. Returns the fate of all that
    is in the queue when it is to bounce (bounce-queue)."""
    fate = None
    for one in heard:
        action, now = one.rule.action, node.clock.now()
        if action.mode:
            _change_mode(node, queue, one, now)
        if action.disable_source_ip:
            node.disable_source(queue, source, f"by {one.rule.origin}: {one.reply.text}", action.reenable_after)
        if action.defer_queue:
            begins = queue.retry_at <= now
            node.scheduler.defer(queue, now, one.reply.text)
            if begins:
                queue_records.tell(node, queue, of_reply(one.reply, Stage.END_OF_DATA))
        if action.bounce_queue and fate is None:
            fate = bounce_of(one.reply)
    return fate


def _change_mode(node: Hub, queue: Queue, heard: Heard, now: float) -> None:
    action = heard.rule.action
    was = queue.backoff is not None
    if action.mode == "backoff":
        node.scheduler.back_off(queue, now, str(heard.rule.origin), action.backoff_to_normal_after)
    else:
        node.scheduler.normal(queue)
    if was != (queue.backoff is not None):
        most = node.state(queue).ways.settings.max_events_recorded
        text = f"{action.mode} by {heard.rule.origin}: {heard.reply.text}"
        node.events.error(str(queue.key), now, "mode", text, most)
        node.log.info("mode of a queue", queue=str(queue.key), mode=action.mode, by=str(heard.rule.origin), code=heard.reply.code)
        node.pump_soon()
