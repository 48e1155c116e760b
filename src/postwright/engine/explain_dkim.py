"""Whether and with which key a queue's mail would be signed and sealed: the message is put before the same `Signing` as at delivery.

Nothing is signed; of a key only selector, domain and line are told.
"""

from __future__ import annotations

from collections.abc import Iterator

from postwright.content.dkim_canon import Mail
from postwright.engine.dkim_keys import Broken
from postwright.engine.dry_run import DryRun, Way
from postwright.engine.explain_values import Fact
from postwright.engine.outgoing import transaction_of
from postwright.engine.sealing import Sealing
from postwright.engine.signing import Order, Signing
from postwright.model.message import Message
from postwright.model.work import Lease
from postwright.policy.resolve import Explained

_ROWS = ("dkim-sign", "dkim-identity", "dkim-algorithm", "second-dkim-sign", "second-dkim-identity", "second-dkim-algorithm", "arc-seal",
         "arc-seal-identity", "signing-failure")  # fmt: skip


def signature(run: DryRun, message: Message, way: Way, rows: dict[str, Explained]) -> Iterator[Fact]:
    """`dkim-sign` and what it comes to for this message."""
    shown = [rows[name] for name in _ROWS if rows[name].origin.file or name == "dkim-sign"]
    yield from (Fact(row.directive, row.value, row.origin, "domain") for row in shown)
    signing = run.node.state(way.queue).ways.signing
    if signing is None:
        return
    orders = _orders(run, signing, message, way)
    broken = isinstance(orders, Broken)
    if isinstance(orders, Broken):
        yield Fact("signature", _failing(signing, orders))
        orders = []
    for order in orders:
        yield Fact("domain-key", f"{order.selector}._domainkey.{order.domain}, for {order.identity}", order.origin)
    if not orders and signing.signs and not broken:
        yield Fact("domain-key", "none fits: the mail goes unsigned")
    if signing.seals is not None:
        yield _seal(signing, signing.seals, message)


def _failing(signing: Signing, broken: Broken) -> str:
    """What `signing-failure` makes of it."""
    fate = signing.fate(broken)
    then = "and the mail goes without it" if fate is None else "and so the mail is bounced" if fate.final else "and so the mail waits"
    return f"cannot be made, {then}: {broken.reason}"


def _seal(signing: Signing, seals: Sealing, message: Message) -> Fact:
    judged = message.envelope.judged
    if judged is None:
        return Fact("seal", "none: nobody looked at the chain of this message when it came (check-arc-inbound)")
    order = seals.order(judged)
    if isinstance(order, Broken):
        return Fact("seal", _failing(signing, order))
    if order is None:
        return Fact("seal", "none: no domain-key fits")
    return Fact("seal", f"{order.selector}._domainkey.{order.domain}, for {judged.host}, cv={judged.state}", order.origin)


def _orders(run: DryRun, signing: Signing, message: Message, way: Way) -> list[Order] | Broken:
    node = run.node
    entry = next(iter(node.scheduler.entries(way.queue)))
    _, content = node.read(entry)
    transaction = transaction_of(message, Lease(way.queue.key, entry), content, node.state(way.queue).ways, node.clock.now())
    octets, size = b"".join(transaction.content), transaction.facts.header_size
    return signing.orders(Mail(octets[:size], octets[size:]), message.envelope.dkim)
