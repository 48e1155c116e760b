"""A user as some store knows him: by what he can prove himself, and what he is bound to once he has. Plain values."""

from __future__ import annotations

from msgspec import Struct

from postwright.model.credentials import ScramKeys
from postwright.policy.settings import UserSettings


class KnownUser(Struct, frozen=True):
    """`settings` is what a login is bound to. `plain` a password that can be read, `hash` a PHC string; both "" when there is none.

    `system`: PAM judges the password. `vouched`: the store itself was shown the password and says that it is right (True) or not.
    """

    settings: UserSettings
    plain: str = ""
    hash: str = ""
    scram: dict[str, ScramKeys] = {}
    system: bool = False
    disabled: bool = False
    vouched: bool | None = None

    def __repr__(self) -> str:
        return f"KnownUser({self.settings.name!r}, disabled={self.disabled})"
