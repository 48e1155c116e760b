"""The iprev check (RFC 8601 section 3): do the names of the client's address lead back to it?

Begun when a session begins, as the answer takes a moment, and waited for at the first MAIL. It ends by itself, whatever name servers do:
who cannot tell says `temperror`. The judgement over a result is `policy.iprev`'s; here it is only fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Protocol

from postwright.content.authres import Result
from postwright.model.reply import Reply
from postwright.model.route import MxStatus
from postwright.net.resolver import AddressAnswer, NamesAnswer, TextAnswer
from postwright.policy.iprev import Iprev, judged, refusal
from postwright.policy.settings import SourceSettings

PATIENCE = 20.0  # seconds, well inside the five minutes that RFC 5321 section 4.5.3.2.2 has clients wait for the answer to MAIL


class Names(Protocol):
    """What is asked of a resolver."""

    async def names(self, address: str) -> NamesAnswer: ...

    async def addresses(self, host: str) -> AddressAnswer: ...

    async def texts(self, name: str) -> TextAnswer: ...

    async def records(self, name: str, kind: str) -> NamesAnswer: ...


class PeerCheck:
    """The check of one session's client. `close` it with the session."""

    __slots__ = ("_task", "peer")

    def __init__(self, resolver: Names, peer: str) -> None:
        self.peer = peer
        self._task = asyncio.ensure_future(_patiently(resolver, peer))

    def before(self, source: SourceSettings, then: Callable[[], Reply]) -> asyncio.Future[Reply] | Reply:
        """What `then` says, once the result is there, or the refusal that `reject-iprev-check-*` ask for."""
        if self._task.done():
            return refusal(self._task.result(), source) or then()
        return asyncio.ensure_future(self._wait(source, then))

    async def _wait(self, source: SourceSettings, then: Callable[[], Reply]) -> Reply:
        # Shielded: a client that comes back after a reset asks for the same result.
        return refusal(await asyncio.shield(self._task), source) or then()

    def result(self, trace: bool) -> Result:
        """For Authentication-Results, with the look-ups in it where `trace` (`trace-iprev-check`). Call after `before` was answered."""
        found = self._task.result()
        remarks = (*((found.name,) if found.name else ()), *(found.trace if trace else ()))
        return Result("iprev", found.result, (("policy.iprev", self.peer),), remarks)

    def close(self) -> None:
        """The session is over."""
        self._task.cancel()


async def _patiently(resolver: Names, peer: str) -> Iprev:
    try:
        async with asyncio.timeout(PATIENCE):
            return await _check(resolver, peer)
    except TimeoutError:
        return Iprev("temperror", trace=("no answer in time",))


async def _check(resolver: Names, peer: str) -> Iprev:
    try:
        address = ip_address(peer)
    except ValueError:  # it came by a way that has no addresses
        return Iprev("permerror")
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # an IPv4 client at a listener for both
    pointer = await resolver.names(str(address))
    hosts = []
    if pointer.status is MxStatus.FOUND:
        answers = await asyncio.gather(*[resolver.addresses(name) for name in pointer.names])
        hosts = [(name, answer.status, answer.addresses) for name, answer in zip(pointer.names, answers, strict=True)]
    return judged(address, pointer.status, hosts)
