"""Orders as a shard carries them out: a question with arguments (all text), an answer in JSON once it is done, however long that takes.

Whoever asks has the arguments checked before (`commands`); what is wrong all the same is a ValueError, which is told. `OSError` is for the
disk. Orders that change something take turns (`StandingOrders.lock`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeVar

import msgspec

from postwright.engine.orders import changing, deleting, listing
from postwright.engine.orders.book import Book, MailOrder
from postwright.engine.orders.selection import Selection
from postwright.engine.receiver_logins import ReceiverLogins
from postwright.engine.vault_keys import VaultKeys
from postwright.policy.resolve import Resolved

Arguments = dict[str, str]
T = TypeVar("T")


class Ordered(deleting.Deleter, Protocol):
    """The shard."""

    vault: VaultKeys
    logins: ReceiverLogins
    resolved: Resolved


async def _apply(node: Ordered, arguments: Arguments) -> None:
    await node.orders.apply(_decoded(arguments, "book", Book))


async def _count(node: Ordered, arguments: Arguments) -> object:
    return await deleting.count(node, _decoded(arguments, "selection", Selection))


async def _delete(node: Ordered, arguments: Arguments) -> object:
    return await deleting.delete(node, _decoded(arguments, "order", MailOrder))


async def _prioritise(node: Ordered, arguments: Arguments) -> object:
    return await changing.prioritise(node, _decoded(arguments, "order", MailOrder))


async def _list(node: Ordered, arguments: Arguments) -> object:
    selection = _decoded(arguments, "selection", Selection)
    return await listing.page(node, selection, int(arguments["most"]), paused="paused" in arguments)


async def _schedule(node: Ordered, arguments: Arguments) -> object:
    every, dry_run = "recipients" in arguments, "dry-run" in arguments
    return await changing.schedule(node, arguments["queue"], recipients=every, dry_run=dry_run)


async def _horizon(node: Ordered, arguments: Arguments) -> object:
    return node.ids.horizon


async def _secrets(node: Ordered, arguments: Arguments) -> object:
    forgotten = node.logins.forget() + node.vault.forget()
    await node.vault.fetch(node.resolved.settings)
    return forgotten


def _decoded(arguments: Arguments, name: str, kind: type[T]) -> T:
    return msgspec.json.decode(arguments[name], type=kind)


SHARD_ORDERS: Final[Mapping[str, Callable[[Ordered, Arguments], Awaitable[object]]]] = {
    "order-book": _apply,
    "order-count": _count,
    "order-delete": _delete,
    "order-priority": _prioritise,
    "order-list": _list,
    "order-schedule": _schedule,
    "order-horizon": _horizon,
    "order-secrets": _secrets,
}


async def carry_out(node: Ordered, verb: str, argument: bytes) -> bytes:
    """The answer to one of `SHARD_ORDERS`. Raises ValueError and OSError."""
    return msgspec.json.encode(await SHARD_ORDERS[verb](node, msgspec.json.decode(argument or b"{}", type=Arguments)))
