"""Mail that the relay writes itself and that is no answer to anybody's: on disk, then queued like all other mail."""

from __future__ import annotations

from typing import Protocol

from postwright.model.address import parse_mailbox
from postwright.model.envelope import Envelope, Notify, Recipient
from postwright.model.message import Arrival, IdMaker, Message, SpoolRef
from postwright.net.clock import Clock
from postwright.policy.resolve import Resolved
from postwright.store.spool import Spool
from postwright.wire.body import scan


class Owner(Protocol):
    """The shard that writes; `engine.node` is the real one."""

    clock: Clock
    spool: Spool
    ids: IdMaker
    resolved: Resolved

    def accepted(self, message: Message, ref: SpoolRef) -> None:
        """A message of ours is on disk."""


async def send(node: Owner, sender: str, recipient: str, content: bytes) -> None:
    """Commit one message to our spool; done when it is on disk. Nobody hears of its failure but the log and the accounting.

    Raises ValueError for what is no address, SpoolError when there is no room.
    """
    now = node.clock.now()
    host = next(iter(node.resolved.settings.general.host_name), "localhost")
    message = Message(
        id=node.ids.next(now),
        received_at=now,
        envelope=Envelope(parse_mailbox(sender), [Recipient(parse_mailbox(recipient), notify=int(Notify.NEVER))]),
        facts=scan(content),
        arrival=Arrival(kind="dsn", peer_name=host),
        vmta="{default}",
    )
    node.accepted(message, await node.spool.commit(message, (content,)))
