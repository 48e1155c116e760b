"""Mail onto a disk, in a worker thread: a new file that is whole or not there, or the end of an mbox that is whole or as it was.

    new_file   NAME.tmp is written and synced, then named NAME.msg; the same name again replaces it
    append     flock, what is about to be done is noted beside the mbox and synced, the mail is appended and synced, the note removed

Who dies while he appends leaves the note; the next one cuts off what the note tells of, if nothing else came behind it, so that the mail,
which nobody remembers as delivered, is there once when it is delivered again. Below `base` no link is followed, whoever made it: a name
that an address has a part in stays below it. Everything raises OSError.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec
from msgspec import Struct

LOCK_WAIT = 5.0  # seconds for an mbox that somebody else has locked
_NOTE_MOST: Final = 4096
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Note(Struct, frozen=True):
    """An append that is under way: `size` octets behind `end`, beginning with `head`."""

    end: int
    size: int
    head: bytes


def new_file(base: str, folders: Sequence[str], name: str, octets: bytes) -> None:
    """BASE/FOLDERS.../NAME.msg; folders below the base are made."""
    draft = f"{name}.tmp"
    with _folder(base, folders) as at:
        try:
            with _opened(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, at) as fd:
                _write(fd, octets)
                os.fsync(fd)
            os.replace(draft, f"{name}.msg", src_dir_fd=at, dst_dir_fd=at)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(draft, dir_fd=at)
            raise
        os.fsync(at)


def append(base: str, folders: Sequence[str], name: str, octets: bytes) -> None:
    """One mail, From_ line and all, at the end of BASE/FOLDERS.../NAME."""
    with _folder(base, folders) as at, _locked(name, at) as fd:
        note = f".{name}.appending"
        _undo(fd, note, at)
        end = os.fstat(fd).st_size
        if end and os.pread(fd, 1, end - 1) != b"\n":
            octets = b"\n" + octets  # somebody else's last line has no end: what follows would be a part of it
        try:
            _take_note(note, at, Note(end, len(octets), octets[:200]))
            _write(fd, octets)
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, end)
            with contextlib.suppress(OSError):
                os.unlink(note, dir_fd=at)
            raise
        os.unlink(note, dir_fd=at)
        os.fsync(at)  # or the note would come back with the power, and the mail be cut off that somebody has been told of


def _undo(fd: int, note: str, at: int) -> None:
    """Cut off what somebody began to append and nobody remembers."""
    try:
        with _opened(note, os.O_RDONLY, at) as noted:
            text = os.read(noted, _NOTE_MOST)
    except FileNotFoundError:
        return
    try:
        begun = msgspec.json.decode(text, type=Note)
    except msgspec.DecodeError:
        begun = None  # he died over the note, and had not begun yet
    size = os.fstat(fd).st_size
    if begun is not None and begun.end < size <= begun.end + begun.size:
        there = os.pread(fd, len(begun.head), begun.end)
        if begun.head.startswith(there):
            os.ftruncate(fd, begun.end)
            os.fsync(fd)
    os.unlink(note, dir_fd=at)


def _take_note(name: str, at: int, note: Note) -> None:
    with _opened(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, at) as fd:
        _write(fd, msgspec.json.encode(note))
        os.fsync(fd)


@contextmanager
def _folder(base: str, folders: Sequence[str]) -> Iterator[int]:
    at = os.open(base, _FOLDER)  # as the operator wrote it, links and all
    try:
        for folder in folders:
            inner = _inner(folder, at)
            os.close(at)
            at = inner
        yield at
    finally:
        os.close(at)


def _inner(folder: str, at: int) -> int:
    try:
        return os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o770, dir_fd=at)
            os.fsync(at)
        return os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=at)


@contextmanager
def _opened(name: str, flags: int, at: int) -> Iterator[int]:
    """Mail is nobody's but its reader's: not for all, whatever our umask."""
    fd = os.open(name, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660, dir_fd=at)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _locked(name: str, at: int) -> Iterator[int]:
    """The mbox of that name, locked; not one that a reader has renamed meanwhile."""
    until = time.monotonic() + LOCK_WAIT
    while True:
        with _opened(name, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, at) as fd:
            if _lock(fd, until) and _still_there(name, at, fd):
                yield fd
                return
        if time.monotonic() >= until:
            raise OSError(errno.EAGAIN, "somebody else has locked the mailbox")


def _still_there(name: str, at: int, fd: int) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(name, dir_fd=at, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _lock(fd: int, until: float) -> bool:
    """flock, without waiting for ever: a reader that keeps its lock must not keep our threads."""
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)
        else:
            return True


def _write(fd: int, octets: bytes) -> None:
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(fd, rest) :]
