"""What shards and supervisor tell each other of logins that failed, and of the locks that they lead to. Plain values; part of the bus."""

from __future__ import annotations

from msgspec import Struct

from postwright.policy.locks import Failure, Lock


class LoginFailed(Struct, tag="login-failed"):
    """Shard to supervisor: count this, and tell me how long the refusal is to wait."""

    number: int
    failure: Failure


class LoginWorked(Struct, tag="login-worked"):
    """Shard to supervisor: that user has logged in from there. Sent every ten seconds at most for the same two."""

    user: str
    peer: str


class LoginDelay(Struct, tag="login-delay"):
    """Supervisor to shard: the answer to `LoginFailed`, after the locks that came of it."""

    number: int
    seconds: float


class LocksChanged(Struct, tag="locks-changed"):
    """Supervisor to all shards, and to a new one: locks that have begun, and (kind, who) of those that have ended."""

    begun: list[Lock] = []
    ended: list[tuple[str, str]] = []


LockTalk = LoginFailed | LoginWorked | LoginDelay | LocksChanged
