"""What happens in one folder, told by the kernel (inotify) where it can: names whose files are whole, and names whose files somebody is
still writing. By ctypes, as Python has no such call; without it `watching` is False and the caller has to look by itself.

It reads when the loop says that there is something, never blocks, and never raises after it was opened. Events that were lost (a full
queue) count as "look again".
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
from collections.abc import Callable
from pathlib import Path

_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
_ONLY_A_FOLDER = 0x01000000
_WANTED = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _ONLY_A_FOLDER
_HEAD = struct.Struct("iIII")
_NAMES_MOST = 100_000  # that are remembered as whole or being written: beyond, times alone tell


class FolderWatch:
    """`woken` is called whenever something may be there to be taken."""

    def __init__(self, folder: Path, woken: Callable[[], None]) -> None:
        self._woken = woken
        self._loop = asyncio.get_running_loop()
        self._whole: set[str] = set()
        self._written: set[str] = set()
        self._number = _open(folder)
        if self._number >= 0:
            self._loop.add_reader(self._number, self._read)

    @property
    def watching(self) -> bool:
        """Does the kernel tell?"""
        return self._number >= 0

    def is_whole(self, name: str) -> bool:
        """Somebody has moved it here, or has closed it after writing."""
        return name in self._whole

    def is_written(self, name: str) -> bool:
        """Somebody has made it here and was not seen to close it."""
        return name in self._written

    def forget(self, name: str) -> None:
        """It is no longer here."""
        self._whole.discard(name)
        self._written.discard(name)

    def close(self) -> None:
        """Watch no more."""
        if self._number >= 0:
            self._loop.remove_reader(self._number)
            os.close(self._number)
            self._number = -1

    def _read(self) -> None:
        try:
            data = os.read(self._number, 1 << 16)
        except OSError:
            return
        at = 0
        while at + _HEAD.size <= len(data):
            _, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            self._note(mask, os.fsdecode(data[at : at + length].rstrip(b"\0")))
            at += length
        self._woken()

    def _note(self, mask: int, name: str) -> None:
        if mask & _CREATE:
            if len(self._written) < _NAMES_MOST:
                self._written.add(name)
        elif mask & (_CLOSE_WRITE | _MOVED_TO):
            self._written.discard(name)
            if len(self._whole) < _NAMES_MOST:
                self._whole.add(name)
        elif mask & (_MOVED_FROM | _DELETE):
            self.forget(name)


def _open(folder: Path) -> int:
    """A descriptor that tells of `folder`, -1 where none can be had (another system, too many watches)."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        number: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if number < 0:
            return -1
        if libc.inotify_add_watch(number, os.fsencode(folder), _WANTED) < 0:
            os.close(number)
            return -1
    except (OSError, AttributeError):
        return -1
    return number
