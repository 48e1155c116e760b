"""What `<user-lookup>` says: where users are asked for over HTTP, and for how long an answer is taken for true. Plain frozen values."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from postwright.policy.list_settings import Origin

REPLIES: Final = ("hash", "password", "scram-sha-1", "scram-sha-256")


class UserLookup(Struct, frozen=True):
    """`<user-lookup>` (ours). Times in seconds. `replies_have` says what every reply has, and so what AUTH may offer.

    `send_password`: the server is shown the password and judges it. The secret never shows in a repr.
    """

    url: str = ""
    secret: str = ""
    secret_file: str = ""
    send_password: bool = False
    replies_have: tuple[str, ...] = ("hash",)
    cache_for: float = 300.0
    negative_cache_for: float = 30.0
    request_timeout: float = 3.0
    ca_file: str = ""
    origin: Origin = Origin()

    def __repr__(self) -> str:
        return f"UserLookup({self.url!r})"
