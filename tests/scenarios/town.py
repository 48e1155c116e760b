"""A relay and the small internet around it: what a story says to them and asks of them."""

from __future__ import annotations

from tests.scenarios.clients import send_from
from tests.scenarios.internet import Internet

from postwright.testing.relay_process import RelayProcess


class Town:
    """`port`: the listeners'. `receiver`: see `Internet.receiver`."""

    def __init__(self, relay: RelayProcess, port: int, internet: Internet) -> None:
        self.relay = relay
        self.port = port
        self.receiver = internet.receiver

    async def row(self, kind: str, recipient: str) -> dict[str, str]:
        """The accounting record of this type for this recipient, once it is there; there must be one only."""
        try:
            await self.relay.until(lambda: self.rows(kind, recipient), f"a record {kind} for {recipient}")
        except TimeoutError as error:
            waiting = [queue for shard in self.relay.status().shards for queue in shard.top_queues]
            raise TimeoutError(f"{error}; there wait {waiting}") from None
        [row] = self.rows(kind, recipient)
        return row

    def rows(self, kind: str, recipient: str) -> list[dict[str, str]]:
        """All records of this type for this recipient, so far."""
        return [row for row in self.relay.records(kind) if row["rcpt"] == recipient]

    async def send(self, *recipients: str, **more: object) -> str:
        """A message by a session of its own, see `clients.send_from`; it must be taken. Returns its id."""
        return await send_from(self.port, *recipients, **more)  # type: ignore[arg-type]

    def last_error(self, queue: str) -> str:
        """What `postwright status` shows as the last error of a queue, or nothing."""
        queues = [found for shard in self.relay.status().shards for found in shard.top_queues]
        return next((found.last_error for found in queues if found.name == queue), "")
