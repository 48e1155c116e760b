"""The users file: one user a line, with hashes instead of passwords. Reads it, says what is wrong with it, and changes it safely.

    postwright-users 1
    # a comment
    alice@example.com password=$argon2id$… scram-sha-256=10000,SALT,STORED,SERVER source=mailings
    bob               password=$scrypt$…   disabled

docs/reference/users-file.md has the format. A file is good or bad as a whole: a line that is wrong is a `UsersFileError` with its number,
so that a slip of an editor is seen and does not lock one user out silently; whoever reads again keeps what he had. Every line is looked at
when the file is read, and taken apart when its user logs in: tens of thousands of users cost their lines' octets and little more.

Changes go to a new file beside it that is synced and then takes its place, under a lock, with the old one's owner and mode.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from msgspec import Struct

from postwright.engine import password_hash
from postwright.model.credentials import ScramKeys
from postwright.model.errors import PostwrightError
from postwright.model.saslprep import prepared
from postwright.policy import bindings

VERSION = 1
HEAD = f"postwright-users {VERSION}"
MOST_OCTETS = 512 * 1024 * 1024
LONGEST = 8192  # octets of a line
SCRAM_FIELDS = {"SHA-1": "scram-sha-1", "SHA-256": "scram-sha-256"}  # by the names of IANA's hashes


def _binding(name: str, value: bytes) -> bool:
    """One of `policy.bindings`, its lists with commas; says itself what is wrong with it."""
    bindings.FORMS[name](unquote(value.decode(), errors="strict"))
    return True


_key = rb"[1-9][0-9]{3,6},[A-Za-z0-9+/]{11,86}={0,2},[A-Za-z0-9+/]{%d}=,[A-Za-z0-9+/]{%d}="
_scram_sha_1 = re.compile(_key % (27, 27)).fullmatch
_scram_sha_256 = re.compile(_key % (43, 43)).fullmatch
_forms: dict[bytes, Callable[[bytes], object]] = {
    b"scram-sha-1": lambda value: _scram_sha_1(value) and _scram(value.decode()),
    b"scram-sha-256": lambda value: _scram_sha_256(value) and _scram(value.decode()),
    b"source": lambda value: value and _name(value),
    **{name.encode(): partial(_binding, name) for name in bindings.FORMS},
}
_flags = frozenset((b"disabled", bindings.FLAG.encode()))
_plain_name = re.compile(rb"[A-Za-z0-9._@+-]+").fullmatch


class UsersFileError(PostwrightError, ValueError):
    """The file cannot be used: where, and why."""


class UserEntry(Struct, frozen=True):
    """One user. `password` a PHC string or "" (then no password is right), `scram` by hash, `source` the name of a `<source>`.

    `bound` is what he is bound to, as written, by the names of `policy.bindings.FORMS`.
    """

    name: str
    password: str = ""
    scram: dict[str, ScramKeys] = {}
    source: str = ""
    disabled: bool = False
    bound: dict[str, str] = {}
    check_from_header: bool = False

    def __repr__(self) -> str:
        return f"UserEntry({self.name!r}, source={self.source!r}, disabled={self.disabled})"


Stamp = tuple[int, int, int, int]
NO_FILE: Stamp = (0, 0, 0, 0)


class UsersTable(Struct):
    """A file as read at one moment. `lines` by the name in its canonical form."""

    path: str = ""
    stamp: Stamp = NO_FILE
    lines: dict[str, bytes] = {}

    def find(self, name: str) -> UserEntry | None:
        """The user of that name, disabled or not."""
        line = self.lines.get(canonical(name))
        return entry(line) if line is not None else None

    def entries(self) -> Iterator[UserEntry]:
        """All users, in the order of the file."""
        return map(entry, self.lines.values())


def canonical(name: str) -> str:
    """The form in which names are compared: prepared (RFC 4013), in lower case."""
    return prepared(name).lower()


def stamp_of(path: Path) -> Stamp:
    """What changes when the file does; NO_FILE while there is none. Raises OSError for one that cannot be looked at."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return NO_FILE
    return found.st_mtime_ns, found.st_ino, found.st_size, found.st_ctime_ns


def too_open(path: Path) -> str:
    """What is wrong with the file's mode, "" for nothing: others must not read it, nor anybody but its owner write."""
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return ""
    return f"{path} has mode {mode:04o}; hashes of passwords are its owner's business: chmod 600 {path}" if mode & 0o037 else ""


# -- reading ------------------------------------------------------------------------------------


def read(path: Path) -> UsersTable:
    """The users of a file; none when there is no file. Raises UsersFileError for a line that is wrong, or a file that cannot be read."""
    stamp = _stamp(path)
    if stamp == NO_FILE:
        return UsersTable(str(path))
    try:
        data = path.read_bytes() if stamp[2] <= MOST_OCTETS else b""
    except OSError as error:
        raise UsersFileError(f"{path}: {error.strerror}") from None
    return UsersTable(str(path), stamp, parse(data, str(path)))


def _stamp(path: Path) -> Stamp:
    try:
        stamp = stamp_of(path)
    except OSError as error:
        raise UsersFileError(f"{path}: {error.strerror}") from None
    if stamp[2] > MOST_OCTETS:
        raise UsersFileError(f"{path}: longer than {MOST_OCTETS >> 20} MB; so many users are for <user-lookup>")
    return stamp


def parse(data: bytes, name: str = "users") -> dict[str, bytes]:
    """Each user's line by canonical name. Raises UsersFileError, `name` and the line's number first."""
    found: dict[str, bytes] = {}
    headed = False
    for number, raw in enumerate(data.split(b"\n"), 1):
        line = raw.strip()
        if not line or line.startswith(b"#"):
            continue
        try:
            if headed:
                _add(found, line)
            else:
                _check_head(line)
                headed = True
        except ValueError as error:
            raise UsersFileError(f"{name}:{number}: {error}") from None
    if not headed:
        raise UsersFileError(f"{name}:1: the first line has to be `{HEAD}`")
    return found


def _check_head(line: bytes) -> None:
    word, _, version = line.partition(b" ")
    if word != b"postwright-users":
        raise ValueError(f"the first line has to be `{HEAD}`")
    if version.strip() != b"%d" % VERSION:
        raise ValueError(f"this is version {_shown(version)} of the format; this Postwright reads version {VERSION}")


def _add(found: dict[str, bytes], line: bytes) -> None:
    if len(line) > LONGEST:
        raise ValueError(f"longer than {LONGEST} octets")
    words = line.split()
    word = words[0]
    key = word.decode().lower() if _plain_name(word) else canonical(_name(word))
    if key in found:
        raise ValueError(f"a second line of user `{_shown(word)}`")
    seen: set[bytes] = set()
    for field in words[1:]:
        _check_field(field, seen)
    found[key] = b" ".join(words)


def _check_field(field: bytes, seen: set[bytes]) -> None:
    name, equals, value = field.partition(b"=")
    if name in seen:
        raise ValueError(f"a second `{_shown(name)}`")
    seen.add(name)
    if name == b"password" and equals:
        password_hash.read(value.decode())  # says itself what is wrong
    elif name in _forms and equals:
        if not _forms[name](value):
            raise ValueError(f"`{name.decode()}` has not the form that it should")
    elif name not in _flags or equals:
        raise ValueError(f"unknown field `{_shown(name)}`; there are {', '.join(_known())}")


def _known() -> list[str]:
    return ["password=", *(f"{name.decode()}=" for name in _forms), *(flag.decode() for flag in _flags)]


def _name(word: bytes) -> str:
    name = unquote(word.decode(), errors="strict")  # a UnicodeDecodeError is a ValueError
    if not name or not name.isprintable():
        raise ValueError("a name that is empty, or has characters that cannot be printed")
    return name


def _shown(word: bytes) -> str:
    return word[:64].decode("ascii", "backslashreplace")


def entry(line: bytes) -> UserEntry:
    """The user of a line that `parse` has let pass."""
    word, *fields = line.split()
    given = dict([field.decode().partition("=")[::2] for field in fields])
    scram = {hash: _scram(given[field]) for hash, field in SCRAM_FIELDS.items() if field in given}
    return UserEntry(
        name=_name(word),
        password=given.get("password", ""),
        scram=scram,
        source=unquote(given.get("source", "")),
        disabled="disabled" in given,
        bound={name: unquote(given[name]) for name in bindings.FORMS if name in given},
        check_from_header=bindings.FLAG in given,
    )


def read_scram(hash: str, text: str) -> ScramKeys:
    """Keys as they are written in a line. Raises ValueError."""
    if not _forms[SCRAM_FIELDS[hash].encode()](text.encode()):
        raise ValueError(f"{SCRAM_FIELDS[hash]} has not the form that it should")
    return _scram(text)


def _scram(text: str) -> ScramKeys:
    iterations, salt, stored, server = text.split(",")
    return ScramKeys(b64decode(salt), int(iterations), b64decode(stored), b64decode(server))


# -- writing ------------------------------------------------------------------------------------


def render(user: UserEntry) -> str:
    """The user's line."""
    words = [_quoted(user.name)]
    if user.password:
        words.append(f"password={user.password}")
    words += [f"{SCRAM_FIELDS[hash]}={_render_keys(keys)}" for hash, keys in user.scram.items()]
    if user.source:
        words.append(f"source={_quoted(user.source)}")
    words += [f"{name}={_quoted(text)}" for name, text in user.bound.items()]
    if user.check_from_header:
        words.append(bindings.FLAG)
    if user.disabled:
        words.append("disabled")
    return " ".join(words)


def _render_keys(keys: ScramKeys) -> str:
    parts = (b64encode(part).decode() for part in (keys.salt, keys.stored_key, keys.server_key))
    return ",".join([str(keys.iterations), *parts])


def _quoted(text: str) -> str:
    """What would be read as something else is written %XX; other scripts stay legible."""
    kept = [c if c.isprintable() and c not in " %=#" else "".join([f"%{octet:02X}" for octet in c.encode()]) for c in text]
    return "".join(kept)


class Draft:
    """The file while it is being changed: comments and the order of lines stay."""

    def __init__(self, path: Path) -> None:
        self.table = read(path)
        text = path.read_text("utf-8") if self.table.stamp != NO_FILE else f"{HEAD}\n"
        self._lines = text.removesuffix("\n").split("\n")  # no other character ends a line here

    def put(self, user: UserEntry) -> None:
        """Add a user, or replace the one of that name."""
        line, at = render(user), self._where(user.name)
        key = canonical(user.name)
        parse(f"{HEAD}\n{line}".encode())  # nothing is written that would not be read
        self.table.lines[key] = line.encode()
        if at is None:
            self._lines.append(line)
        else:
            self._lines[at] = line

    def remove(self, name: str) -> bool:
        """Remove a user; False when there is none of that name."""
        at = self._where(name)
        if at is None:
            return False
        del self._lines[at]
        del self.table.lines[canonical(name)]
        return True

    def _where(self, name: str) -> int | None:
        line = self.table.lines.get(canonical(name))
        if line is None:
            return None
        return next(at for at, found in enumerate(self._lines) if b" ".join(found.encode().split()) == line)

    def text(self) -> str:
        """The whole file."""
        return "".join([line + "\n" for line in self._lines])


@contextlib.contextmanager
def editing(path: Path) -> Iterator[Draft]:
    """Change the file: yields a `Draft` under the lock, and writes it when the block ends well. Raises UsersFileError or OSError."""
    path = Path(os.path.realpath(path))  # a link stays one
    with _locked(path):
        draft = Draft(path)
        before = draft.text()
        yield draft
        if draft.text() != before or draft.table.stamp == NO_FILE:
            _replace(path, draft.text().encode())


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The lock is a file of its own: the users file itself is another file after each change. No link: root would make what it names."""
    fd = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _replace(path: Path, data: bytes) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            _like_before(path, fd)
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.replace(draft, path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _like_before(path: Path, fd: int) -> None:
    """Owner and mode of the file that is replaced; those of its folder's owner for a new one, so that the relay's user may read it."""
    before = path if path.exists() else path.parent
    found = os.stat(before)
    if before is path:
        os.fchmod(fd, stat.S_IMODE(found.st_mode))
    if os.geteuid() == 0:
        os.fchown(fd, found.st_uid, found.st_gid)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
