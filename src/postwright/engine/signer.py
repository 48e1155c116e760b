"""The hand that signs (DKIM), one for each shard: takes a transaction that is ready to leave and puts the signatures before its content.

What is cheap (Ed25519, RSA of 1024 bits) is done at once. RSA takes from a quarter of a millisecond to one and a half, and is done in a
process beside the shard: the loop goes on accepting mail, and the transaction waits without anybody else waiting. Where there is no such
process (in a simulation; when it has died) the loop does it, `TURN` of them before whoever else waits for the loop has had a turn. The
figures behind that are in docs/decisions/dkim-signing-where.md.

A signature by RSA of the same octets is not made twice while it is remembered: mail to many domains is signed once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog
from msgspec import Struct

from postwright.content.dkim_canon import Mail
from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_sign import Unsigned, unsigned
from postwright.engine.dkim_keys import Broken
from postwright.engine.signing import Order, Signing
from postwright.engine.signing_helper import Signed, SigningHelper
from postwright.model.message import ContentFacts, Message
from postwright.wire.client_states import Transaction

REMEMBERED: Final = 512  # signatures
TURN: Final = 4  # messages signed by RSA-2048 in one turn of the loop: a millisecond

Done = Callable[[Broken | None], None]
"""Called with None when a transaction is signed, with Broken when it cannot be now."""
_Name = tuple[int, bytes]  # of a key, and the hash of what it signs


class _Job(Struct):
    """Signatures to be made for one transaction, and whom to tell. `missing` of them are not there yet."""

    transaction: Transaction
    orders: Sequence[Order]
    fields: Sequence[Unsigned]
    names: Sequence[_Name]
    done: Done
    signatures: list[bytes]
    missing: int


class Signer:
    """`apart`: what is dear is done in a process; `close` ends that."""

    def __init__(self, loop: asyncio.AbstractEventLoop, log: structlog.stdlib.BoundLogger) -> None:
        self.apart = False
        self._loop = loop
        self._log = log
        self._remembered: dict[_Name, tuple[SigningKey, bytes]] = {}
        self._gathered: list[_Job] = []
        self._helper = SigningHelper(loop, self._lost)

    def close(self) -> None:
        """Ends the process; what it has not done is not signed."""
        self.apart = False
        self._helper.close()

    def sign(self, signing: Signing, message: Message, transaction: Transaction, now: float, done: Done) -> bool | Broken:
        """True: `transaction` is signed, or nobody signs it. False: it will be, and then `done` is called. Broken: it cannot be now."""
        content, size = transaction.content, transaction.facts.header_size
        octets = content[0] if len(content) == 1 else b"".join(content)
        mail = Mail(octets[:size], octets[size:])
        orders = signing.orders(mail, message.envelope.dkim)
        if isinstance(orders, Broken):
            return orders
        fields = [unsigned(mail, o.key.kind, o.selector, o.domain, o.identity, o.style, now) for o in orders]
        for order in orders:
            if order.key.dear:
                return self._dear(transaction, orders, fields, done)
        if orders:
            signatures = [order.key.sign(field.octets, order.style.digest) for order, field in zip(orders, fields, strict=True)]
            _put_before(transaction, fields, signatures)
        return True

    async def signed(self, signing: Signing, message: Message, transaction: Transaction, now: float) -> Broken | None:
        """`sign` as an awaitable: None when that is done, Broken as before."""
        signed: asyncio.Future[Broken | None] = self._loop.create_future()

        def done(broken: Broken | None) -> None:
            if not signed.done():  # who waited has been cancelled
                signed.set_result(broken)

        found = self.sign(signing, message, transaction, now, done)
        if found is False:
            return await signed
        return found if isinstance(found, Broken) else None

    def _dear(self, transaction: Transaction, orders: Sequence[Order], fields: Sequence[Unsigned], done: Done) -> bool:
        names = [(id(o.key), hashlib.new(o.style.digest, field.octets).digest()) for o, field in zip(orders, fields, strict=True)]
        remembered = [self._remembered.get(name) for name in names]
        signatures = [found[1] if found is not None else b"" for found in remembered]
        missing = signatures.count(b"")
        if not missing:
            _put_before(transaction, fields, signatures)
            return True
        job = _Job(transaction, orders, fields, names, done, signatures, missing)
        if not (self.apart and self._asked(job)):
            self._here(job)
        return False

    def _asked(self, job: _Job) -> bool:
        """The process was asked for all that is dear, and what is not was done; False and nothing was."""
        helper = self._helper
        if not helper.ready():
            return False
        for number, order in enumerate(job.orders):
            if job.signatures[number]:
                continue
            if order.key.dear:
                helper.ask(order.key, job.names[number][1], partial(self._came, job, number))
            else:
                job.signatures[number] = order.key.sign(job.fields[number].octets, order.style.digest)
                job.missing -= 1
        return True

    def _came(self, job: _Job, number: int, signature: bytes) -> None:
        job.signatures[number] = signature
        job.missing -= 1
        if not job.missing:
            self._finish(job)

    def _lost(self, waiting: list[Signed], why: str) -> None:
        self._log.error("the signing process is gone: the shard signs by itself", why=why, waiting=len(waiting))
        jobs = {id(one.args[0]): one.args[0] for one in waiting if isinstance(one, partial)}
        for job in jobs.values():
            self._here(job)

    def _here(self, job: _Job) -> None:
        if not self._gathered:
            self._loop.call_soon(self._turn)
        self._gathered.append(job)

    def _turn(self) -> None:
        """A few of those that wait; the others after everybody else's turn."""
        jobs, self._gathered = self._gathered[:TURN], self._gathered[TURN:]
        if self._gathered:
            self._loop.call_soon(self._turn)
        for job in jobs:
            try:
                for number, order in enumerate(job.orders):
                    if not job.signatures[number]:
                        job.signatures[number] = order.key.sign(job.fields[number].octets, order.style.digest)
            except Exception as error:  # an OpenSSL that refuses SHA-1, say: the others of this turn must not wait for ever for that
                self._log.error("a DKIM key cannot sign", selector=order.selector, domain=order.domain, error=type(error).__name__)
                reason = f"the DKIM key {order.selector} of {order.domain} cannot sign ({order.style.digest})"
                self._loop.call_soon(job.done, Broken(reason))
                continue
            self._finish(job)

    def _finish(self, job: _Job) -> None:
        remembered = self._remembered
        for name, order, signature in zip(job.names, job.orders, job.signatures, strict=True):
            if len(remembered) >= REMEMBERED:
                del remembered[next(iter(remembered))]
            remembered[name] = (order.key, signature)  # the key, too, so that no other one gets its id
        _put_before(job.transaction, job.fields, job.signatures)
        self._loop.call_soon(job.done, None)  # whatever goes wrong with this message there, the others have their signatures


def _put_before(transaction: Transaction, fields: Sequence[Unsigned], signatures: Sequence[bytes]) -> None:
    """The signatures become the first fields."""
    added = b"".join([field.signed(signature) for field, signature in zip(fields, signatures, strict=True)])
    transaction.content = (added, *transaction.content)
    f, more = transaction.facts, len(added)
    transaction.facts = ContentFacts(
        f.size + more, f.header_size + more, f.longest_line, f.dots, f.eight_bit, f.utf8_headers, f.binary, f.hops
    )
