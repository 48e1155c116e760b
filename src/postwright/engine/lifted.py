"""Mail whose sender would rather have it delivered than protected: `TLS-Required: No` (RFC 8689 section 5).

Where a domain's DANE records or MTA-STS policy leave no way to any host, the next messages of the queue are looked at; those that say so
are sent all the same, over a session of their own, with as much TLS as there is. Reports on TLS say it of themselves, so that they reach
who has to mend what they tell of. A look costs a read of each message, and is had only by queues that would have had to wait: nothing is
looked for before. MAIL with REQUIRETLS goes before the field, as do all other wishes of the envelope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from postwright.content import headers
from postwright.engine import secured
from postwright.engine.hub import Hub
from postwright.engine.outgoing import transaction_of
from postwright.engine.queue_state import QueueState
from postwright.engine.settle import NO_SESSION
from postwright.model.errors import SpoolError
from postwright.model.message import Message
from postwright.model.outcome import Disposition, Failure, Fault, Judgement, Kind
from postwright.model.route import Plan, TlsRule
from postwright.model.work import Lease
from postwright.net.channel import Channel
from postwright.policy import transport
from postwright.policy.trouble import judge
from postwright.schedule.queue import Queue

LOOKED_AT: Final = 50  # messages of a queue, each time that it is tried: the others have their turn when these have gone or failed
_FIELD: Final = b"tls-required"
_UNTOUCHED: Final = Disposition(Kind.UNTOUCHED, "", "")


def wanted(plan: Plan, failures: Sequence[Failure]) -> bool:
    """Is it a policy that keeps the mail here? Either it left no host, or each that it left failed by what it must show."""
    if not plan.routes:
        return plan.status == transport.FAILED
    rules = {route.demand.rule if route.demand is not None else None for route in plan.routes}
    return not rules & {None, TlsRule.STS_TESTING} and all(one.fault in (Fault.TLS, Fault.NOT_OFFERED) for one in failures)


async def send(node: Hub, queue: Queue, state: QueueState, without: Callable[[], Awaitable[Plan | None]]) -> None:
    """Look, and send what may go; the rest is back in its place. `without` gives the plan that no policy has seen."""
    others: list[tuple[Lease, Message]] = []
    going: list[tuple[Lease, Message, bytes]] = []
    while len(others) + len(going) < LOOKED_AT and (lease := node.scheduler.lease(queue, node.clock.now())) is not None:
        node.begin(lease)
        try:
            message, content = node.read(lease.entry)
        except KeyError:
            node.lost(queue, lease)
        except SpoolError as error:
            node.unreadable(queue, lease, error)
        else:
            if _may_go(message, content):
                going.append((lease, message, content))
            else:
                others.append((lease, message))
    for lease, message in reversed(others):
        node.apply(queue, lease, message, _left(lease), NO_SESSION)
    plan = await without() if going else None
    for lease, message, content in going:
        await _send(node, queue, state, plan, lease, message, content)


def _may_go(message: Message, content: bytes) -> bool:
    if message.envelope.wishes is not None:
        return False
    found = headers.find(content, message.facts.header_size, frozenset((_FIELD,)))
    return len(found) == 1 and found[0].value.lower() == b"no"


def _left(lease: Lease) -> Judgement:
    return Judgement((_UNTOUCHED,) * len(lease.entry.recipients))


async def _send(node: Hub, queue: Queue, state: QueueState, plan: Plan | None, lease: Lease, message: Message, content: bytes) -> None:
    """One message to the first host that takes a session; without any it waits with the others."""
    session, judgement = NO_SESSION, _left(lease)
    try:
        for route in plan.routes if plan is not None else ():
            channel = await node.logins.open(node.dialer, route, state.ways.options)
            if not isinstance(channel, Channel):
                continue
            transaction = transaction_of(message, lease, content, state.ways, node.clock.now())
            if channel.misfit(transaction) is None:
                session = secured.describe(channel)
                judgement = judge(await channel.run(transaction), state.ways.rules)
            channel.close()
            break
    finally:
        node.apply(queue, lease, message, judgement, session)
