"""What a listener asks about a connection before there is a session: one look-up for each, answered by the engine.

`Terms` are shared by all connections of a kind. A door that raises costs that connection, and no other.
"""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct


class Terms(Struct, frozen=True, gc=False):
    """What holds for a connection of one source at one listener.

    `group` has its slots counted ("": none); `waits`: for a slot, instead of 421; `pause`: seconds before the greeting in which it may say
    nothing; `rated`: its network's rate of connections is counted.
    """

    group: str = ""
    waits: bool = False
    pause: float = 0.0
    rated: bool = False


ANYBODY: Final = Terms()


class Door(Protocol):
    """The rules of one listener."""

    def proxied(self, peer: str) -> bool:
        """Must a connection from `peer` begin with a PROXY header?"""

    def terms(self, peer: str) -> Terms:
        """What holds for a client at `peer`."""

    def barred(self, peer: str) -> bool:
        """Is `peer` kept out for a while, for the passwords that it has guessed?"""

    def hurried(self, peer: str) -> bool:
        """Count one more connection from `peer`, for which the terms are `rated`. True: that is one too many."""


class OpenDoor:
    """Everybody is welcome."""

    def proxied(self, peer: str) -> bool:
        return False

    def terms(self, peer: str) -> Terms:
        return ANYBODY

    def barred(self, peer: str) -> bool:
        return False

    def hurried(self, peer: str) -> bool:
        return False
