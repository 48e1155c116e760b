"""A disk that fails on demand and forgets what was not synced: the file layer of the store, over a real folder.

    fail["sync"] = errno.EIO        every sync fails until the entry is removed
    fail_at("write", 3, errno.EIO)  the third write from now fails, once
    short = 10                      the next write stops after that many octets, without an error (the caller goes on)
    crash_at = 17                   the 17th call from the start, and every later one, raises PowerCut (an OSError)
    power_cut(chance)               makes the folder look as it may after the lights went out

What `power_cut` may do is what a file system may do: octets behind the last sync of a file are kept, lost, cut short or left as zeros;
a new name is gone unless its folder was synced; a removed one is back unless its folder was synced; so are octets cut off.
Calls come from two threads; they are counted under a lock. Nothing here waits.
"""

from __future__ import annotations

import errno
import os
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from postwright.store.files import RealFiles

CALLS = ("create", "write", "sync", "truncate", "unlink", "sync_dir", "read", "free")


class PowerCut(OSError):
    """The machine is off: this call has not happened, and no later one will."""

    def __init__(self) -> None:
        super().__init__(errno.EIO, "power cut")


class _Known(Struct):
    """What would survive of one file: `synced` octets; its name if `named`; `cut_off` octets that a truncation took, not yet for good."""

    synced: int = 0
    named: bool = False
    cut_off: bytes = b""


class FaultyFiles(RealFiles):
    """See the module. `counts` tells the calls so far, by name; `free_space` what `free` answers, None for the truth."""

    def __init__(self) -> None:
        self.fail: dict[str, int] = {}
        self.counts = dict.fromkeys(CALLS, 0)
        self.calls = 0
        self.crash_at: int | None = None
        self.crashed = False
        self.on_crash: Callable[[], None] = lambda: None
        self.short: int | None = None
        self.free_space: int | None = None
        self._once: dict[tuple[str, int], int] = {}
        self._files: dict[Path, _Known] = {}
        self._paths: dict[int, Path] = {}
        self._removed: dict[Path, bytes] = {}
        self._lock = threading.Lock()

    def fail_at(self, call: str, number: int, code: int) -> None:
        """The `number`th call of that name from now on fails once with errno `code`."""
        self._once[call, self.counts[call] + number] = code

    def _count(self, call: str) -> None:
        with self._lock:
            self.calls += 1
            self.counts[call] += 1
            if self.crashed or (self.crash_at is not None and self.calls >= self.crash_at):
                first, self.crashed = not self.crashed, True
                if first:
                    self.on_crash()
                raise PowerCut
            code = self._once.pop((call, self.counts[call]), None) or self.fail.get(call)
        if code is not None:
            raise OSError(code, os.strerror(code))

    # -- the file layer -----------------------------------------------------------------

    def create(self, path: Path) -> int:
        """See `Files.create`."""
        self._count("create")
        fd = super().create(path)
        self._files[path] = _Known()
        self._paths[fd] = path
        return fd

    def open_read(self, path: Path) -> int:
        """See `Files.open_read`."""
        self._count("read")
        return super().open_read(path)

    def writev(self, fd: int, parts: Sequence[bytes]) -> None:
        """See `Files.writev`. A write that fails has written half of it."""
        try:
            self._count("write")
        except OSError:
            data = b"".join(parts)
            os.write(fd, data[: len(data) // 2])
            raise
        if self.short is not None:
            data, size, self.short = b"".join(parts), self.short, None
            self._finish(fd, [data], os.write(fd, data[:size]))
            return
        super().writev(fd, parts)

    def sync(self, fd: int) -> None:
        """See `Files.sync`. It only takes note: a test's folder need not survive the machine that it runs on."""
        self._count("sync")
        known = self._files.get(self._paths.get(fd, Path()))
        if known is not None:
            known.synced, known.cut_off = os.fstat(fd).st_size, b""

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """See `Files.pread`."""
        self._count("read")
        return super().pread(fd, size, offset)

    def close(self, fd: int) -> None:
        """See `Files.close`. Never fails, so that nothing leaks."""
        self._paths.pop(fd, None)
        super().close(fd)

    def unlink(self, path: Path) -> None:
        """See `Files.unlink`."""
        self._count("unlink")
        content = path.read_bytes()
        super().unlink(path)
        known = self._files.pop(path, _Known(named=True))
        if known.named:
            self._removed[path] = content

    def truncate(self, path: Path, size: int) -> None:
        """See `Files.truncate`."""
        self._count("truncate")
        known = self._files.setdefault(path, _Known(path.stat().st_size, named=True))
        with path.open("rb") as file:
            file.seek(size)
            known.cut_off = file.read()
        super().truncate(path, size)
        known.synced = min(known.synced, size)

    def sync_dir(self, path: Path) -> None:
        """See `Files.sync_dir`."""
        self._count("sync_dir")
        # another thread may make or remove a file meanwhile
        for file, known in list(self._files.items()):
            if file.parent == path:
                known.named = True
        for file in list(self._removed):
            if file.parent == path:
                self._removed.pop(file, None)

    def free(self, path: Path) -> int:
        """See `Files.free`."""
        if "free" in self.fail:
            raise OSError(self.fail["free"], os.strerror(self.fail["free"]))
        return super().free(path) if self.free_space is None else self.free_space

    # -- the lights go out ----------------------------------------------------------------

    def power_cut(self, chance: random.Random) -> None:
        """Leave of each file what was synced, and of the rest what chance leaves."""
        for path, known in self._files.items():
            if not path.exists():
                continue
            if not known.named and chance.random() < 0.5:
                path.unlink()
                continue
            data = path.read_bytes()
            if known.cut_off and chance.random() < 0.5:
                data += known.cut_off
            path.write_bytes(data[: known.synced] + _torn(data[known.synced :], chance))
        for path, content in self._removed.items():
            if chance.random() < 0.5:
                path.write_bytes(content)
        self._files.clear()
        self._removed.clear()


def _torn(data: bytes, chance: random.Random) -> bytes:
    match chance.randrange(4):
        case 0:
            return b""
        case 1:
            return data
        case 2:
            return data[: chance.randint(0, len(data))]
        case _:
            begin = chance.randint(0, len(data))
            end = chance.randint(begin, len(data))
            return data[:begin] + bytes(end - begin) + data[end:]
