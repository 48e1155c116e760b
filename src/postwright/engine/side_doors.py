"""The ways into a shard that are no listeners: the pickup folder, and the socket on which processes of ours hand in mail.

Opened when the spool has been read, closed before it is; a folder that cannot be used is told in the log and tried again.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from postwright.engine.injection import Injection, socket_path
from postwright.engine.node import Node
from postwright.engine.pickup import Pickup
from postwright.policy.settings import Settings


class SideDoors:
    """Of one shard."""

    def __init__(self, node: Node) -> None:
        self._number = node.number
        self._pickup = Pickup(node)
        self._injection = Injection(node.intake, node.placing.claims)

    async def open(self, settings: Settings, run_dir: Path) -> None:
        """Raises OSError when the socket cannot be made."""
        await self._injection.start(socket_path(run_dir, self._number))
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """By these settings from now on."""
        self._pickup.apply(settings)

    async def close(self, within: float) -> None:
        """Nothing more comes in; what was under way has its answer, or its file stays."""
        await asyncio.gather(self._pickup.stop(), self._injection.stop(within))
