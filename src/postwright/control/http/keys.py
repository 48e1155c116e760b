"""API keys: made once, shown once, kept as digests in http-keys.json of the state folder; with a name, scopes, networks and an end.

A key is 40 letters and digits by chance (238 bits) behind `pw_`, of the form of PowerMTA's `http-api-key`. A secret of that size needs no
slow hash: SHA-256 cannot be searched back, and a lookup costs no more than that. Changes go to a new file that takes the old one's place,
under a lock, with its owner. Raises KeysError for a file that cannot be read, and for names and scopes that are none.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import ipaddress
import os
import re
import secrets
import string
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from postwright.model.errors import PostwrightError

SCOPES = {
    "read": "see status, queues, domains, jobs, virtual MTAs, sources, rules and orders",
    "logs": "see whom mail is to and from: the log, queued recipients, events, messages, suppression",
    "queues": "pause, resume, set, schedule and delete queues, jobs and sources",
    "suppression": "add and remove whom must not be sent to",
    "submit": "hand in messages, and see and cancel one's own",
    "config": "read, change and roll back the configuration",
    "admin": "everything",
}
_ALPHABET = string.ascii_letters + string.digits
_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}").fullmatch
MOST = 10_000
MOST_OCTETS = 16 * 1024 * 1024


class KeysError(PostwrightError, ValueError):
    """The file or a wish about it is wrong; the text says how."""


class Key(Struct, frozen=True):
    """One key; `digest` SHA-256 in hex of what its owner sends. `made` and `expires` Unix seconds (0: never ends).

    `user` is the <smtp-user> whose rights and limits count for mail that is handed in with it, "" for nobody's.
    """

    name: str
    digest: str
    scopes: tuple[str, ...]
    made: float
    expires: float = 0.0
    networks: tuple[str, ...] = ()
    user: str = ""


class _File(Struct):
    version: int
    keys: list[Key]


def digest(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class KeyFile:
    """The file at `path`. `by_digest` is as of the last `refresh`; a file that has become useless leaves what there was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] = (0, 0)
        self.by_digest: dict[str, Key] = {}

    def refresh(self) -> None:
        """Look whether it has changed (one stat). Raises KeysError."""
        try:
            told = os.stat(self._path)
        except FileNotFoundError:
            self._stamp, self.by_digest = (0, 0), {}
            return
        except OSError as error:
            raise KeysError(f"{self._path}: {error.strerror}") from error
        stamp = (told.st_mtime_ns, told.st_ino)
        if stamp != self._stamp:
            self._stamp = stamp  # also of a bad one: it is complained of once
            self.by_digest = {key.digest: key for key in read(self._path)}


def read(path: Path) -> list[Key]:
    """All keys, [] without a file. Raises KeysError."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_OCTETS + 1)
        if len(text) > MOST_OCTETS:
            raise KeysError(f"{path}: larger than {MOST_OCTETS} octets")
        found = msgspec.json.decode(text, type=_File)
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as error:
        raise KeysError(f"{path}: {error}") from error
    if found.version != 1:
        raise KeysError(f"{path}: of version {found.version}; this program knows 1")
    return found.keys


def add(
    path: Path, name: str, scopes: list[str], now: float, expires: float = 0.0, networks: list[str] | None = None, user: str = ""
) -> str:
    """Make a key and keep its digest; returns the key, which nobody can show again. Raises KeysError or OSError."""
    _check(name, scopes, networks or [])
    secret = "pw_" + "".join(secrets.choice(_ALPHABET) for _ in range(40))
    with _locked(path):
        keys = read(path)
        if any(key.name == name for key in keys):
            raise KeysError(f"there is a key {name} already")
        if len(keys) >= MOST:
            raise KeysError(f"there are {MOST} keys, and no more are kept")
        _write(path, [*keys, Key(name, digest(secret), tuple(dict.fromkeys(scopes)), now, expires, tuple(networks or ()), user)])
    return secret


def remove(path: Path, name: str) -> None:
    """Forget a key. Raises KeysError when there is none of that name, or OSError."""
    with _locked(path):
        keys = read(path)
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            raise KeysError(f"there is no key {name}")
        _write(path, left)


def _check(name: str, scopes: list[str], networks: list[str]) -> None:
    if not _name(name):
        raise KeysError("a key's name is 1 to 64 letters, digits, . _ @ and -")
    if not scopes:
        raise KeysError(f"a key needs a scope: {', '.join(SCOPES)}")
    for scope in scopes:
        if scope not in SCOPES:
            raise KeysError(f"{scope!r} is no scope; there are: {', '.join(SCOPES)}")
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise KeysError(str(error)) from error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """No link is followed, here or in `_write`: the folder is the relay user's, and root would give him what his link names."""
    with open(os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "wb") as lock:
        if os.fstat(lock.fileno()).st_nlink == 1:  # nor a file that has another name elsewhere
            _keep_owner(path.parent, lock.fileno())
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, keys: list[Key]) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)  # of a run that was killed
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        _keep_owner(path if path.exists() else path.parent, file.fileno())
        file.write(msgspec.json.format(msgspec.json.encode(_File(1, keys)), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def _keep_owner(like: Path, fd: int) -> None:
    """Root makes a file for the user whose relay reads it."""
    if os.geteuid() == 0:
        told = os.stat(like)
        os.fchown(fd, told.st_uid, told.st_gid)
