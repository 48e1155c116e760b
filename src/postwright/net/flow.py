"""What a session has to write, held back when the kernel takes no more.

`Outflow.send` writes at once what the transport will take; content of any size goes in chunks, the next when the one before has
left. With the limits set here `paused` is exact in the clear: False means that the kernel has every octet (under TLS all but 64 KB,
which the transport below keeps for itself). Copies nothing of content, but for
small pieces joined under TLS (each write is a record of its own there). Raises nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

CHUNK = 262144  # octets handed over at once, and so what `data-send-timeout` speaks of
_JOIN = 65536
_RECORD = 512  # what TLS may add to a few lines


class Outflow:
    """Belongs to one transport; `paused` is kept by the protocol's pause_writing and resume_writing."""

    __slots__ = ("_backlog", "_joins", "_transport", "octets", "paused")

    def __init__(self, transport: asyncio.WriteTransport, *, tls: bool) -> None:
        # 1 and not 0: asyncio's TLS pauses when there are `high` octets or more.
        transport.set_write_buffer_limits(high=1, low=0)
        self._transport = transport
        self._joins = tls
        self._backlog: deque[bytes | memoryview] = deque()
        self.paused = False
        self.octets = 0

    @property
    def clear(self) -> bool:
        """Every octet has left."""
        return not self.paused and not self._backlog

    def left(self, behind: int) -> bool:
        """All has left but for the last `behind` octets, or may have."""
        if self.clear or not behind:
            return self.clear
        # What the transport holds is counted after encryption, and as nothing once the connection is gone: in doubt it has left.
        held = self._transport.get_write_buffer_size() + sum(map(len, self._backlog))
        return held <= behind + (_RECORD if self._joins else 0)

    def send(self, parts: Sequence[bytes]) -> None:
        """Write in order, now or later."""
        size = sum(map(len, parts))
        self.octets += size
        if self._backlog or self.paused or size > CHUNK:
            for part in parts:
                self._backlog.extend(_slices(part))
            self.drain()
        elif len(parts) == 1:
            self._transport.write(parts[0])
        elif self._joins and size <= _JOIN:
            self._transport.write(b"".join(parts))
        else:
            self._transport.writelines(parts)

    def drain(self) -> None:
        """Hand over what waits, until the transport pauses us."""
        backlog = self._backlog
        while backlog and not self.paused:
            self._transport.write(backlog.popleft())

    def drop(self) -> None:
        """Nothing more will leave."""
        self._backlog.clear()


def _slices(part: bytes) -> list[bytes | memoryview]:
    if len(part) <= CHUNK:
        return [part]
    view = memoryview(part)
    return [view[at : at + CHUNK] for at in range(0, len(part), CHUNK)]
