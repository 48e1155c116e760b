"""The private keys that settings name (`domain-key`), read when settings are put in force and never while mail goes.

A file is read once for each reload, and its key made once for each content: who reloads with the same keys pays for nothing. A key is tried
(it signs, and its public half verifies) instead of being proved prime by prime, which takes RSA-2048 some 30 ms: a thousand domains would
start in half a minute. What cannot be used is a `Broken`, told at load and by whoever wants to sign with it; nothing is raised.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from typing import Final, Literal, Protocol
from weakref import WeakValueDictionary

from msgspec import Struct

from postwright.content.dkim_key import LARGEST, KeyProblem, SigningKey, private_key
from postwright.policy.settings import DomainKey, Settings

VAULT: Final = "{vault}"

# By the hash of what the file holds: keys live as long as some settings in force name them.
_known: WeakValueDictionary[bytes, SigningKey] = WeakValueDictionary()


class Broken(Struct, frozen=True):
    """Why a key cannot sign, in words for an operator, without the file's name. `final`: mail that it should sign does not wait for it."""

    reason: str
    final: bool = False


class Vault(Protocol):
    """Where keys are that are in no file."""

    def get(self, file: str) -> SigningKey | Broken: ...


class KeyFiles:
    """All key files of some settings, by path."""

    def __init__(self, settings: Settings, vault: Vault | None = None) -> None:
        self._vault = vault
        files = sorted({key.file for key in domain_keys(settings) if not key.file.startswith(VAULT)})
        self._keys: dict[str, SigningKey | Broken] = {file: read(file) for file in files}

    def get(self, key: DomainKey) -> SigningKey | Broken:
        """The key of a line."""
        if key.file.startswith(VAULT):
            return self._vault.get(key.file) if self._vault is not None else Broken("lies in a vault, which is not asked here")
        return self._keys.get(key.file) or Broken("was not read")

    def broken(self) -> Iterator[tuple[str, str]]:
        """(file, why) of those that cannot be used."""
        for file, found in self._keys.items():
            if isinstance(found, Broken):
                yield file, found.reason


def domain_keys(settings: Settings) -> Iterable[DomainKey]:
    """Every `domain-key` line."""
    yield from settings.domain_keys
    for vmta in settings.vmtas.values():
        yield from vmta.domain_keys
    for pool in settings.pools.values():
        yield from pool.domain_keys
    for keys in settings.domain_key_lists.values():
        yield from keys


def read(file: str) -> SigningKey | Broken:
    """The key in a file."""
    try:
        with open(file, "rb") as opened:
            octets = opened.read(LARGEST + 1)
    except OSError as error:
        return Broken(error.strerror or "cannot be read")
    except ValueError:
        return Broken("cannot be a file's name")
    return made(octets)


def judge(file: str, found: SigningKey | Broken) -> tuple[Literal["error", "warning"], str] | None:
    """What an operator wants to know of a key file and what was found in it: ("error" or "warning", words)."""
    if isinstance(found, Broken):
        return "error", f"{file} {found.reason}"
    if os.stat(file).st_mode & stat.S_IROTH:
        return "warning", f"{file} can be read by everybody on this machine, and who has it can sign as you"
    return None


def made(octets: bytes) -> SigningKey | Broken:
    """The key of a PEM text, made once."""
    name = hashlib.sha256(octets).digest()
    found = _known.get(name)
    if found is None:
        try:
            found = private_key(octets)
        except KeyProblem as error:
            return Broken(str(error))
        _known[name] = found
    return found
