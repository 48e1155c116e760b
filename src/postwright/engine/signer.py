"""The hand that signs (DKIM), one for each shard: takes a transaction that is ready to leave and puts the signatures before its content.

What is cheap (Ed25519, RSA of 1024 bits) is done at once. RSA of 2048 bits, a quarter of a millisecond, is done on the loop as well, but
only `TURN` of them before whoever else waits for the loop has had a turn. What is dearer is done in a thread, in which OpenSSL lets go of
Python. The figures behind that are in docs/decisions/dkim-signing-where.md. A simulation has no threads: there all is done on the loop.

A signature by RSA of the same octets is not made twice while it is remembered: mail to many domains is signed once.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Final

from msgspec import Struct

from postwright.content.dkim_canon import Mail
from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_sign import Unsigned, unsigned
from postwright.engine.dkim_keys import Broken
from postwright.engine.signing import Order, Signing
from postwright.model.message import ContentFacts, Message
from postwright.wire.client_states import Transaction

REMEMBERED: Final = 512  # signatures
TURN: Final = 4  # messages signed by RSA-2048 in one turn of the loop: a millisecond

_Name = tuple[int, bytes]  # of a key, and the hash of what it signs


class _Job(Struct):
    """Signatures to be made for one transaction, and whom to tell."""

    transaction: Transaction
    orders: Sequence[Order]
    fields: Sequence[Unsigned]
    names: Sequence[_Name]
    done: Callable[[], None]
    signatures: Sequence[bytes] = ()

    def work(self) -> None:
        """The arithmetic. Nothing here raises: a key that was tried signs whatever octets there are."""
        self.signatures = _signatures(self.orders, self.fields)


class Signer:
    """`threaded`: what is dear is done in a thread, begun when there is something; `close` ends it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, threaded: bool = False) -> None:
        self.threaded = threaded
        self._loop = loop
        self._remembered: dict[_Name, tuple[SigningKey, bytes]] = {}
        self._gathered: list[_Job] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """Ends the thread; what it has not begun is not signed."""
        self.threaded = False
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def sign(self, signing: Signing, message: Message, transaction: Transaction, now: float, done: Callable[[], None]) -> bool | Broken:
        """True: `transaction` is signed, or nobody signs it. False: it will be, and then `done` is called. Broken: it cannot be now."""
        content, size = transaction.content, transaction.facts.header_size
        octets = content[0] if len(content) == 1 else b"".join(content)
        mail = Mail(octets[:size], octets[size:])
        orders = signing.orders(mail, message.envelope.dkim)
        if isinstance(orders, Broken):
            return orders
        fields = [unsigned(mail, o.key.kind, o.selector, o.domain, o.identity, o.style, now) for o in orders]
        if any(order.key.cost for order in orders):
            return self._dear(_Job(transaction, orders, fields, _names(orders, fields), done))
        if orders:
            _put_before(transaction, fields, _signatures(orders, fields))
        return True

    async def signed(self, signing: Signing, message: Message, transaction: Transaction, now: float) -> Broken | None:
        """`sign` as an awaitable: None when that is done, Broken as before."""
        signed = asyncio.Event()
        found = self.sign(signing, message, transaction, now, signed.set)
        if found is False:
            await signed.wait()
        return found if isinstance(found, Broken) else None

    def _dear(self, job: _Job) -> bool:
        remembered = [self._remembered.get(name) for name in job.names]
        known = [found[1] for found in remembered if found is not None]
        if len(known) == len(remembered):
            _put_before(job.transaction, job.fields, known)
            return True
        if self.threaded and any(order.key.cost == "thread" for order in job.orders):
            self._elsewhere(job)
        else:
            if not self._gathered:
                self._loop.call_soon(self._turn)
            self._gathered.append(job)
        return False

    def _turn(self) -> None:
        """A few of those that wait; the others after everybody else's turn."""
        jobs, self._gathered = self._gathered[:TURN], self._gathered[TURN:]
        if self._gathered:
            self._loop.call_soon(self._turn)
        for job in jobs:
            job.work()
            self._finish(job)

    def _elsewhere(self, job: _Job) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="dkim", daemon=True)
            self._thread.start()
        self._jobs.put(job)

    def _work(self) -> None:
        """The thread."""
        while (job := self._jobs.get()) is not None:
            job.work()
            try:
                self._loop.call_soon_threadsafe(self._finish, job)
            except RuntimeError:
                return  # the loop is closed, and so is the relay

    def _finish(self, job: _Job) -> None:
        remembered = self._remembered
        for name, order, signature in zip(job.names, job.orders, job.signatures, strict=True):
            if len(remembered) >= REMEMBERED:
                del remembered[next(iter(remembered))]
            remembered[name] = (order.key, signature)  # the key, too, so that no other one gets its id
        _put_before(job.transaction, job.fields, job.signatures)
        job.done()


def _signatures(orders: Sequence[Order], fields: Sequence[Unsigned]) -> list[bytes]:
    return [order.key.sign(field.octets, order.style.digest) for order, field in zip(orders, fields, strict=True)]


def _names(orders: Sequence[Order], fields: Sequence[Unsigned]) -> list[_Name]:
    return [(id(order.key), hashlib.sha256(field.octets).digest()) for order, field in zip(orders, fields, strict=True)]


def _put_before(transaction: Transaction, fields: Sequence[Unsigned], signatures: Sequence[bytes]) -> None:
    """The signatures become the first fields."""
    added = b"".join([field.signed(signature) for field, signature in zip(fields, signatures, strict=True)])
    transaction.content = (added, *transaction.content)
    f, more = transaction.facts, len(added)
    transaction.facts = ContentFacts(
        f.size + more, f.header_size + more, f.longest_line, f.dots, f.eight_bit, f.utf8_headers, f.binary, f.hops
    )
