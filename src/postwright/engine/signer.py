"""The hand that signs (DKIM) and seals (ARC), one for each shard: takes a transaction that is ready to leave and puts signatures before it.

What is to be signed is worked out here, step by step (`Steps`): each step wants signatures and goes on when they are there, at once or
later (`engine.signatures`). Bringing a large message into canonical form takes the loop longer than a signature, and is done in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Final

import structlog
from msgspec import Struct

from postwright.content.dkim_canon import RELAXED, Mail
from postwright.content.dkim_sign import unsigned
from postwright.engine.dkim_keys import Broken
from postwright.engine.sealing import Seal, unsealed
from postwright.engine.signatures import Made, Signatures, Work
from postwright.engine.signing import Order, Signing
from postwright.model.message import ContentFacts, Message
from postwright.wire.client_states import Transaction

LARGE: Final = 1 << 20  # octets of a message that is brought into form elsewhere: some milliseconds

Done = Callable[[Broken | None], None]
"""Called with None when a transaction is signed, with Broken when it cannot be now."""
Steps = Generator[Sequence[Work], list[bytes], None]
"""Yields what has to be signed, is sent the signatures, ends when the transaction is signed."""


class _Job(Struct, gc=False):
    """One transaction that is being signed."""

    steps: Steps
    signing: Signing
    done: Done


class Signer:
    """`close` ends what `signatures` has begun."""

    def __init__(self, loop: asyncio.AbstractEventLoop, log: structlog.stdlib.BoundLogger) -> None:
        self.signatures = Signatures(loop, log)
        self._loop = loop
        self._log = log
        self._large: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """Ends the process that signs; what it has not done is not signed."""
        self.signatures.close()
        for task in self._large:
            task.cancel()

    def sign(self, signing: Signing, message: Message, transaction: Transaction, now: float, done: Done) -> bool | Broken:
        """True: `transaction` is signed, or nobody signs it. False: it will be, and then `done` is called. Broken: it cannot be now."""
        large = transaction.facts.size > LARGE
        mail = Mail(_beginning(transaction), b"") if large else _mail(transaction)
        orders = signing.orders(mail, message.envelope.dkim)
        if isinstance(orders, Broken):
            if (fate := signing.fate(orders)) is not None:
                return fate
            orders = []
        judged = message.envelope.judged
        seal = None if judged is None or signing.seals is None else signing.seals.order(judged)
        if isinstance(seal, Broken):
            if (fate := signing.fate(seal)) is not None:
                return fate
            seal = None
        if not orders and seal is None:
            return True
        if large:
            begin = partial(_steps, transaction, orders, seal, now, message.received_at)
            task = self._loop.create_task(self._apart(transaction, orders, seal, begin, signing, done))
            self._large.add(task)
            task.add_done_callback(self._large.discard)
            return False
        return self._go_on(_Job(_steps(transaction, orders, seal, now, message.received_at, mail), signing, done), None)

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

    def _go_on(self, job: _Job, made: list[bytes] | None) -> bool | Broken:
        """As far as it goes without waiting; what is returned is as `sign` says."""
        steps = job.steps
        try:
            works = next(steps) if made is None else steps.send(made)
            while True:
                found = self.signatures.make(works, lambda later: self._came(job, later))
                if found is None:
                    return False
                if isinstance(found, Broken):
                    return job.signing.fate(found) or True
                works = steps.send(found)
        except StopIteration:
            return True

    def _came(self, job: _Job, made: Made) -> None:
        try:
            found = (job.signing.fate(made) or True) if isinstance(made, Broken) else self._go_on(job, made)
        except Exception as error:
            found = self._defect(error)
        if found is not False:
            job.done(found if isinstance(found, Broken) else None)

    def _defect(self, error: Exception) -> Broken:
        """Of ours, or no memory is left: this message waits, and its connection does not."""
        self._log.error("a message could not be signed", exc_info=error)
        return Broken(f"signing failed: {type(error).__name__}")

    async def _apart(
        self,
        transaction: Transaction,
        orders: Sequence[Order],
        seal: Seal | None,
        begin: Callable[[Mail], Steps],
        signing: Signing,
        done: Done,
    ) -> None:
        try:
            mail = await asyncio.to_thread(_brought_into_form, transaction, orders, seal)
            found = self._go_on(_Job(begin(mail), signing, done), None)
        except Exception as error:
            found = self._defect(error)
        if found is not False:
            done(found if isinstance(found, Broken) else None)


def _mail(transaction: Transaction) -> Mail:
    content, size = transaction.content, transaction.facts.header_size
    octets = content[0] if len(content) == 1 else b"".join(content)
    return Mail(octets[:size], octets[size:])


def _beginning(transaction: Transaction) -> bytes:
    """The header section alone: to copy all of a large message takes the loop long, too."""
    found, lacks = [], transaction.facts.header_size
    for part in transaction.content:
        found.append(part[:lacks])
        lacks -= len(found[-1])
    return b"".join(found)


def _steps(transaction: Transaction, orders: Sequence[Order], seal: Seal | None, now: float, received_at: float, mail: Mail) -> Steps:
    if orders:
        fields = [unsigned(mail, o.key.kind, o.selector, o.domain, o.identity, o.style, now) for o in orders]
        signatures = yield [Work(order.key, field.octets, order, order.style.digest) for order, field in zip(orders, fields, strict=True)]
        added = b"".join([field.signed(signature) for field, signature in zip(fields, signatures, strict=True)])
        put_before(transaction, added)
        mail = mail.behind(added) if seal is not None else mail
    if seal is not None:
        yield from _sealed(transaction, mail, seal, received_at)


def _sealed(transaction: Transaction, mail: Mail, seal: Seal, received_at: float) -> Steps:
    """ARC, over the DKIM signatures. t= is when the message came, as that is when its chain was what cv= says; and so all receivers of a
    message, today and at a retry, get the same two signatures, which are made once."""
    made = unsealed(mail, seal, received_at)
    if made is None:
        return
    (signature,) = yield [Work(seal.key, made.octets, seal)]
    (over_all,) = yield [Work(seal.key, made.sealed_octets(signature), seal)]
    put_before(transaction, made.fields(signature, over_all))


def _brought_into_form(transaction: Transaction, orders: Sequence[Order], seal: Seal | None) -> Mail:
    """With all that takes long with a large body; the mail remembers it."""
    mail = _mail(transaction)
    for order in orders:
        mail.body_hash(order.style.body_form, order.style.digest)
    if seal is not None:
        mail.body_hash(RELAXED, "sha256")
    return mail


def put_before(transaction: Transaction, added: bytes) -> None:
    """These fields become the first."""
    transaction.content = (added, *transaction.content)
    f, more = transaction.facts, len(added)
    transaction.facts = ContentFacts(
        f.size + more, f.header_size + more, f.longest_line, f.dots, f.eight_bit, f.utf8_headers, f.binary, f.hops
    )
