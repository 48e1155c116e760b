"""The hand that signs (DKIM), one for each shard: takes a transaction that is ready to leave and puts the signatures before its content.

What is cheap is done at once; a signature by RSA is made in a thread, in which OpenSSL lets go of Python, and its transaction waits for
it without anybody else waiting (docs/decisions/dkim-signing-where.md has the figures). In a simulation, where nobody called `start`, all is done at once.
A signature of the same octets by the same key is not made twice while it is remembered: a message to many domains is signed once.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from postwright.content.dkim_canon import Mail
from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_sign import Unsigned, unsigned
from postwright.engine.dkim_keys import Broken
from postwright.engine.signing import Order, Signing
from postwright.model.message import Message
from postwright.wire.client_states import Transaction

REMEMBERED: Final = 512  # signatures

_Wanted = tuple[SigningKey, str, bytes]  # key, hash, octets to sign


class _Job(Struct):
    """Signatures to be made for one transaction, and whom to tell."""

    transaction: Transaction
    orders: Sequence[Order]
    fields: Sequence[Unsigned]
    done: Callable[[], None]
    signatures: list[bytes] = []


class Signer:
    """`start` begins the thread, `close` ends it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._remembered: dict[tuple[int, bytes], tuple[SigningKey, bytes]] = {}
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """From now on what is dear is done in a thread."""
        self._thread = threading.Thread(target=self._work, name="dkim", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; what it has not begun is not signed."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def sign(self, signing: Signing, message: Message, transaction: Transaction, now: float, done: Callable[[], None]) -> bool | Broken:
        """True: `transaction` is signed, or nobody signs it. False: it will be, and then `done` is called. Broken: it cannot be now."""
        mail = _mail(transaction)
        orders = signing.orders(mail, message.envelope.dkim)
        if isinstance(orders, Broken):
            return orders
        if not orders:
            return True
        fields = [unsigned(mail, o.key.kind, o.selector, o.domain, o.identity, o.style, now) for o in orders]
        job = _Job(transaction, orders, fields, done)
        if self._thread is not None and any(order.key.kind == "rsa" for order in orders):
            self._jobs.put(job)
            return False
        job.signatures = [self._signature(order, field.octets) for order, field in zip(orders, fields, strict=True)]
        _put_before(job)
        return True

    async def signed(self, signing: Signing, message: Message, transaction: Transaction, now: float) -> Broken | None:
        """`sign` as an awaitable: None when that is done, Broken as before."""
        signed = asyncio.Event()
        found = self.sign(signing, message, transaction, now, signed.set)
        if found is False:
            await signed.wait()
        return found if isinstance(found, Broken) else None

    def _signature(self, order: Order, octets: bytes) -> bytes:
        name = (id(order.key), hashlib.sha256(octets).digest())
        found = self._remembered.get(name)
        if found is not None:
            return found[1]
        signature = order.key.sign(octets, order.style.digest)
        if len(self._remembered) >= REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[name] = (order.key, signature)
        return signature

    def _work(self) -> None:
        """The thread. Nothing here raises: a key that was tried signs whatever octets there are."""
        while (job := self._jobs.get()) is not None:
            job.signatures = [self._signature(order, field.octets) for order, field in zip(job.orders, job.fields, strict=True)]
            try:
                self._loop.call_soon_threadsafe(self._finished, job)
            except RuntimeError:
                return  # the loop is closed: so is the relay

    def _finished(self, job: _Job) -> None:
        _put_before(job)
        job.done()


def _mail(transaction: Transaction) -> Mail:
    """The content as its receiver will see it."""
    content, size = transaction.content, transaction.facts.header_size
    octets = content[0] if len(content) == 1 else b"".join(content)
    return Mail(octets[:size], octets[size:])


def _put_before(job: _Job) -> None:
    """The signatures become the first fields."""
    transaction = job.transaction
    added = b"".join([field.signed(signature) for field, signature in zip(job.fields, job.signatures, strict=True)])
    facts = transaction.facts
    transaction.content = (added, *transaction.content)
    transaction.facts = replace(facts, size=facts.size + len(added), header_size=facts.header_size + len(added))
