"""`postwright check spf`: SPF of a client, a HELO name and a sender as the relay would judge it, with every look-up told as it is answered.

Asks as the relay does, with an empty cache. Changes nothing. Lines go to `tell`, what the DNS says made printable first. Raises ValueError
for a client or a name server that is no address.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

from postwright.engine.resolve import ResolveOrder, printable, told_resolver
from postwright.engine.spf_check import evaluate, in_a_labels
from postwright.policy.spf import MAX_VOID, Question, Spf, client_address

__all__ = ["MAX_VOID", "SpfOrder", "check_spf"]


class SpfOrder(Struct, frozen=True):
    """`sender` "" for the null reverse-path; the others as `ResolveOrder` has them."""

    client: str
    helo: str
    sender: str = ""
    servers: tuple[str, ...] = ()
    tcp: bool = False
    dump: bool = False
    timeout: float = 3.0
    max_void: int = MAX_VOID


async def check_spf(order: SpfOrder, tell: Callable[[str], None]) -> Spf:
    """The result; look-ups, result, and what decided go to `tell`."""
    question = Question(client_address(order.client), in_a_labels(order.sender), order.helo, now=time.time())
    resolve = ResolveOrder(question.mailbox[1], order.servers, tcp=order.tcp, dump=order.dump, timeout=order.timeout)
    resolver = told_resolver(resolve, tell)
    try:
        found = await evaluate(question, resolver, order.max_void, [])
    finally:
        await resolver.close()
    for line in _lines(found):
        tell(printable(line))
    return found


def _lines(found: Spf) -> list[str]:
    identity = "helo" if found.of_helo else "mailfrom"
    decided = [("mechanism", found.matched), ("reason", found.reason), ("explanation", found.explanation)]
    return [f"{identity} domain = {found.domain}", *[f"{name} = {text}" for name, text in decided if text], f"result = {found.result}"]
