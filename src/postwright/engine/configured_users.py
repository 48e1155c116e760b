"""The users of the configuration (`<smtp-user>`) as a store of credentials: names and passwords that can be read.

Nothing waits and nothing is cached. A user without a password, or whose `authentication-method` is another, has none to show.
"""

from __future__ import annotations

from postwright.model.credentials import CredentialKinds, ScramKeys
from postwright.policy import passwords
from postwright.policy.settings import Settings, UserSettings


class ConfiguredUsers:
    """See the module; the face is `engine.login.Credentials`."""

    def __init__(self, settings: Settings) -> None:
        self._users = settings.users

    def kinds(self) -> CredentialKinds:
        readable = any(self._readable(user) is not None for user in self._users)
        return CredentialKinds(passwords=bool(self._users), secrets=readable)

    def check_password(self, user: str, password: str) -> UserSettings | None:
        stored = self.secret(user)
        return self._users[user.lower()] if passwords.check(stored, password) else None

    def secret(self, user: str) -> str | None:
        known = self._readable(user)
        return known.password if known is not None else None

    def scram_keys(self, user: str, hash: str) -> ScramKeys | None:
        return None

    def find(self, user: str) -> UserSettings | None:
        return self._users.get(user.lower())

    def certificate_user(self, certificate: bytes) -> UserSettings | None:
        return None

    def _readable(self, user: str) -> UserSettings | None:
        known = self._users.get(user.lower())
        usable = known is not None and known.authentication_method == "password" and bool(known.password)
        return known if usable else None
