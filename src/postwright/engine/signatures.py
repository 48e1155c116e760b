"""The arithmetic of signing, one for each shard: signatures of octets by keys, for whoever signs mail (`engine.signer`).

What is cheap (Ed25519, RSA of 1024 bits) is done at once. RSA takes from a quarter of a millisecond to one and a half, and is done in a
process beside the shard: the loop goes on accepting mail, and who wants the signature waits without anybody else waiting. Where there is
no such process (in a simulation; when it has died) the loop does it, `TURN` of them before whoever else waits for the loop has had a
turn. The figures behind that are in docs/decisions/dkim-signing-where.md.

A signature by RSA of the same octets is not made twice while it is remembered: mail to many domains is signed once. A key that cannot
sign (SHA-1 where OpenSSL forbids it) is a `Broken` for who wanted that signature, and for nobody else. Nothing is raised.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Final, Protocol

import structlog
from msgspec import Struct

from postwright.content.dkim_key import SigningKey
from postwright.engine.dkim_keys import Broken
from postwright.engine.signing_helper import Signed, SigningHelper

REMEMBERED: Final = 512  # signatures
TURN: Final = 4  # messages signed by RSA-2048 in one turn of the loop: a millisecond


class Named(Protocol):
    """Who wants a signature."""

    @property
    def name(self) -> str:
        """The key's, for reasons."""


class Work(Struct, frozen=True, gc=False):
    """One signature that is wanted: of `octets`, by their hash (`digest`: sha256 or sha1)."""

    key: SigningKey
    octets: bytes
    who: Named
    digest: str = "sha256"

    @property
    def name(self) -> str:
        """Of the key."""
        return self.who.name


Made = list[bytes] | Broken
"""A signature for each work, or why there is none: the key of one of them cannot sign."""
_Name = tuple[int, bytes]  # of a key, and the hash of what it signs


class _Job(Struct):
    """Signatures that somebody waits for, since `begun`. `missing` of them are not there yet; `refused`: who could not make
    one."""

    works: Sequence[Work]
    names: Sequence[_Name]
    then: Callable[[Made], None]
    signatures: list[bytes]
    missing: int
    begun: float
    refused: Broken | None = None


class Signatures:
    """`apart`: what is dear is done in a process; `close` ends that."""

    def __init__(self, loop: asyncio.AbstractEventLoop, log: structlog.stdlib.BoundLogger) -> None:
        self.apart = False
        self._loop = loop
        self._log = log
        self._remembered: dict[_Name, tuple[SigningKey, bytes]] = {}
        self._gathered: list[_Job] = []
        self._helper = SigningHelper(loop, self._lost)
        self.made = 0  # signatures computed since the start, those that were remembered not among them
        self.seconds = 0.0  # from the wish for a signature to the signature, added up

    def close(self) -> None:
        """Ends the process; what it has not done is not signed."""
        self.apart = False
        self._helper.close()

    def make(self, works: Sequence[Work], then: Callable[[Made], None]) -> Made | None:
        """The signatures, if they can be had at once. None: `then` is called with them, later and once."""
        for work in works:
            if work.key.dear:
                return self._dear(works, then)
        return self._cheap(works)

    def _cheap(self, works: Sequence[Work]) -> Made:
        begun = perf_counter()
        made = [self._one(work) for work in works]
        self.seconds += perf_counter() - begun
        return [one for one in made if one] if all(made) else _refused(works[made.index(b"")])

    def _one(self, work: Work) -> bytes:
        """b"" from a key that cannot sign."""
        self.made += 1
        try:
            return work.key.sign(work.octets, work.digest)
        except Exception as error:  # an OpenSSL that refuses SHA-1, say: others of this turn must not wait for ever for that
            self._log.error("a DKIM key cannot sign", key=work.name, error=type(error).__name__)
            return b""

    def _dear(self, works: Sequence[Work], then: Callable[[Made], None]) -> Made | None:
        """What is cheap among them is made at once, so that a job waits for nothing else than what is dear, and for at least one."""
        begun = perf_counter()
        names = [(id(work.key), hashlib.new(work.digest, work.octets).digest()) for work in works]
        remembered = [self._remembered.get(name) for name in names]
        signatures = [found[1] if found is not None else b"" for found in remembered]
        for number, work in enumerate(works):
            if not (signatures[number] or work.key.dear):
                signatures[number] = self._one(work)
                if not signatures[number]:
                    return _refused(work)
        missing = signatures.count(b"")
        if not missing:
            return signatures
        job = _Job(works, names, then, signatures, missing, begun)
        if not (self.apart and self._asked(job)):
            self._here(job)
        return None

    def _asked(self, job: _Job) -> bool:
        """The process was asked for all that is missing; False and nothing was."""
        helper = self._helper
        if not helper.ready():
            return False
        for number, work in enumerate(job.works):
            if not job.signatures[number]:
                helper.ask(work.key, job.names[number][1], partial(self._came, job, number))
        return True

    def _came(self, job: _Job, number: int, signature: bytes) -> None:
        self.made += 1
        if not signature:
            self._log.error("a DKIM key cannot sign", key=job.works[number].name, error="the signing process refuses")
            job.refused = _refused(job.works[number])
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
            for number, work in enumerate(job.works):
                if not job.signatures[number] and job.refused is None:
                    job.signatures[number] = self._one(work)
                    job.refused = None if job.signatures[number] else _refused(work)
            self._finish(job)

    def _finish(self, job: _Job) -> None:
        """Whatever goes wrong with this message where it goes on, the others have their signatures: so that is another turn's."""
        self.seconds += perf_counter() - job.begun
        if job.refused is not None:
            self._loop.call_soon(job.then, job.refused)
            return
        remembered = self._remembered
        for name, work, signature in zip(job.names, job.works, job.signatures, strict=True):
            if len(remembered) >= REMEMBERED:
                del remembered[next(iter(remembered))]
            remembered[name] = (work.key, signature)  # the key, too, so that no other one gets its id
        self._loop.call_soon(job.then, job.signatures)


def _refused(work: Work) -> Broken:
    return Broken(f"the DKIM key {work.name} cannot sign ({work.digest})")
