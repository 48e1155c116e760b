"""The users of the configuration (`<smtp-user>`) as a store of credentials: passwords that can be read, certificates, names for PAM.

Nothing waits. SCRAM's keys are derived from the passwords once (milliseconds each, so in a thread) and kept as long as the password; their
salts come from the shards' common secret, so that neither a restart nor another shard shows another salt. Certificate files are read when
settings are put in force; one that cannot be read, or that two users have, is a ValueError then.
"""

from __future__ import annotations

from functools import partial

from postwright.engine import certificates
from postwright.engine.known_user import KnownUser
from postwright.engine.users_file import canonical
from postwright.engine.workers import Workers, started
from postwright.model.credentials import SCRAM_ITERATIONS, ScramKeys
from postwright.model.saslprep import prepared
from postwright.policy.settings import Settings, UserSettings
from postwright.wire.scram import HASHES, derive_keys, steady_salt

Derived = dict[tuple[str, str, str], ScramKeys]  # (canonical name, prepared password, hash)


class ConfiguredUsers:
    """See the module. `before` is the generation whose derived keys are still good. Raises ValueError for a certificate."""

    def __init__(self, settings: Settings, before: ConfiguredUsers | None = None) -> None:
        self._users = {canonical(user.name): user for user in settings.users.values()}
        self.certificates = _certificates(settings)
        self._derived: Derived = dict(before._derived) if before is not None else {}
        wanted = {(name, prepared(user.password)) for name, user in self._users.items()}
        self._derived = {key: keys for key, keys in self._derived.items() if key[:2] in wanted}

    def find(self, user: str) -> KnownUser | None:
        """The user of that name."""
        name = canonical(user)
        known = self._users.get(name)
        if known is None:
            return None
        method = known.authentication_method
        plain = prepared(known.password) if method == "password" else ""
        keys = {hash: self._derived[name, plain, hash] for hash in HASHES if (name, plain, hash) in self._derived} if plain else {}
        return KnownUser(known, plain, scram=keys, system=method == "system")

    def passwords(self) -> int:
        """How many have a password that can be read."""
        return sum(bool(user.password) and user.authentication_method == "password" for user in self._users.values())

    def systems(self) -> int:
        """How many are judged by PAM."""
        return sum(user.authentication_method == "system" for user in self._users.values())

    def derive(self, secret: bytes, workers: Workers) -> None:
        """Begin to derive the keys that are not there yet; a login that comes before them waits for its own (`derived`)."""
        readable = [(name, prepared(user.password)) for name, user in self._users.items() if user.authentication_method == "password"]
        missing = [(*one, hash) for one in readable for hash in HASHES if one[1] and (*one, hash) not in self._derived]
        if missing:
            started(partial(_derive_all, secret, missing), workers, self._derived.update)

    def derived(self, secret: bytes, user: str, hash: str) -> ScramKeys:
        """The keys of a user with a readable password. Takes milliseconds: in a thread."""
        known = self.find(user)
        assert known is not None
        return known.scram.get(hash) or derived(secret, canonical(user), known.plain, hash)


def _derive_all(secret: bytes, missing: list[tuple[str, str, str]]) -> Derived:
    return {key: derived(secret, *key) for key in missing}


def derived(secret: bytes, name: str, password: str, hash: str) -> ScramKeys:
    """The keys of a readable password (prepared) and a canonical name: the same at each start. Takes milliseconds: in a thread."""
    return derive_keys(password, steady_salt(secret, name, hash), SCRAM_ITERATIONS, hash)


def _certificates(settings: Settings) -> dict[bytes, UserSettings]:
    """Users by the public keys of their `tls-certificate` files; only those with `authentication-method certificate`."""
    found: dict[bytes, UserSettings] = {}
    for user in settings.users.values():
        if user.authentication_method != "certificate" or not user.tls_certificate:
            continue
        try:
            (certificate, *_) = certificates.read(user.tls_certificate).certificates
        except certificates.CertificateError as error:
            raise ValueError(f"smtp-user {user.name}: {error}") from None
        other = found.setdefault(certificates.key_digest(certificate), user)
        if other is not user:
            raise ValueError(f"smtp-user {user.name} has the same tls-certificate as {other.name}; a certificate has to tell who it is")
    return found
