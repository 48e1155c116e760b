"""Mail that must have TLS on the whole way (REQUIRETLS, RFC 8689): a session of its own, verified, or none.

The ordinary session of a queue may be in the clear, or with whoever answers; what such a sender wrote must never see it. So a worker that
meets such a message leaves it to us: each route of its plan is dialled with the certificate checked against the host's name, and the host
must offer REQUIRETLS in turn. The name itself must be one that nobody in between could have put there: out of a signed MX, or allowed by an
enforced MTA-STS policy, or written down by the operator (`smtp-hosts`). If no host can, the message goes back: with 5.7.30 where one had
TLS but not the extension, with 5.7.10 where none had TLS that counts (section 4.2.1). A host that is merely not there is tried again later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from postwright.engine.hub import Hub
from postwright.engine.outgoing import not_offered
from postwright.engine.settle import NO_SESSION, Session
from postwright.model.message import Message
from postwright.model.outcome import Disposition, Failure, Fault, Judgement, Kind, Stage, TransactionResult
from postwright.model.route import Plan, TlsLevel
from postwright.model.work import Lease
from postwright.net.channel import Channel
from postwright.policy.trouble import Rules, judge, of_failure
from postwright.schedule.queue import Queue
from postwright.wire.client_states import Transaction

NO_TLS = "5.7.10"  # encryption needed, or not with whom it should be

_UNVOUCHED = Failure(Stage.RESOLVE, None, Fault.NOT_OFFERED, "neither DNSSEC nor an enforced MTA-STS policy vouches for the name of a host")


def is_verified(channel: Channel) -> bool:
    """Has this session TLS with a host whose certificate was checked?"""
    return bool(channel.tls) and channel.options.tls is TlsLevel.VERIFIED


def describe(channel: Channel) -> Session:
    """What records say of a session."""
    return Session(
        mta=f"{channel.route.host} ({channel.route.address})",
        source_ip=channel.local_address,
        destination_ip=channel.route.address,
        esmtp=",".join(channel.capabilities.keywords),
        tls=channel.tls,
        cipher=channel.cipher,
        knows_dsn=channel.capabilities.dsn,
        dlv_type="lmtp" if channel.options.lmtp else "smtp",
    )


async def send(
    node: Hub,
    queue: Queue,
    lease: Lease,
    message: Message,
    transaction: Transaction,
    plan: Plan,
    rules: Rules,
    *,
    configured: bool,
) -> None:
    """One transaction over a verified session, from the dial to `node.apply` and the goodbye. Its connection counts against the queue's
    limits until it is gone; it does not wait for a place. `configured`: the operator named the hosts himself."""
    node.scheduler.opening(queue, node.clock.now())
    session, judgement, channel = NO_SESSION, None, None
    failures: list[Failure] = []
    try:
        try:
            channel = await _dial(node, queue, transaction, plan, failures, configured=configured)
            if channel is not None:
                session = describe(channel)
                result: TransactionResult = await channel.run(transaction)
                judgement = judge(result, rules)
        finally:  # recipients do not wait for the goodbye
            node.apply(queue, lease, message, judgement or _no_way(failures, len(lease.entry.recipients)), session)
        if channel is not None:
            await _close(channel)
    finally:
        node.scheduler.closed(queue, was_open=False)
        node.pump_soon()


async def _dial(
    node: Hub, queue: Queue, transaction: Transaction, plan: Plan, failures: list[Failure], *, configured: bool
) -> Channel | None:
    """The first host that may have it and can take it; `failures` get what the others lack."""
    routes = await node.transport.vouched_for(queue.key.domain, plan.routes, configured=configured)
    if not routes:
        failures.append(_UNVOUCHED)
    for route in routes:
        channel = await node.logins.open(node.dialer, route, replace(plan.options, tls=TlsLevel.VERIFIED))
        node.transport.dialled(queue.key.domain, route, channel)
        if not isinstance(channel, Channel):
            failures.append(channel)
            continue
        misfit = channel.misfit(transaction)
        if misfit is None:
            return channel
        failures.append(misfit)
        await _close(channel)
    return None


async def _close(channel: Channel) -> None:
    """Politely, and until it is gone: before that another one would be one too many for the receiver."""
    gone = asyncio.Event()
    channel.on_close = lambda _: gone.set()
    channel.close()
    if not channel.closed:
        await gone.wait()


def _no_way(failures: Sequence[Failure], count: int) -> Judgement:
    """No host took it: transient while one of them may yet."""
    hopeful = next((failure for failure in failures if not _lacks_tls(failure)), None)
    if hopeful is not None or not failures:
        failure = hopeful or Failure(Stage.CONNECT, None, Fault.LOCAL, "interrupted")
        found = of_failure(failure)
        fate = found if found.kind is Kind.TRANSIENT else replace(found, kind=Kind.TRANSIENT, status="4" + found.status[1:])
    else:
        # a host that had the TLS and not the rest says more of what is missing than one that had neither
        misfits = [failure for failure in failures if failure.stage is Stage.MAIL]
        fate = not_offered(misfits[-1]) if misfits else _no_tls(failures[-1])
    return Judgement((fate,) * count, keep_session=False)


def _no_tls(failure: Failure) -> Disposition:
    why = failure.reply.text if failure.reply is not None else f"{failure.fault.value}: {failure.detail}"
    return Disposition(Kind.PERMANENT, NO_TLS, f"x-pmta;the sender requires TLS on the whole way: {why}"[:1000])


def _lacks_tls(failure: Failure) -> bool:
    if failure.stage is Stage.AUTH:
        return False  # our login is no matter of the message's
    if failure.fault in (Fault.TLS, Fault.NOT_OFFERED):
        return True
    return failure.stage is Stage.STARTTLS and failure.reply is not None and failure.reply.permanent
