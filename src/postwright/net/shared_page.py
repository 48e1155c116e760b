"""Memory that the processes of a relay share: a file of a fixed size, mapped; what stands in it is the business of the boards.

A page that is made anew is all zeros. Being a file it outlives its processes.
"""

from __future__ import annotations

import mmap
import os
from hashlib import blake2b
from pathlib import Path


def open_file(path: Path, size: int) -> int:
    """A descriptor of the file `path`, made when it is not there, of at least `size` octets. Raises OSError."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(file).st_size < size:
            os.ftruncate(file, size)
    except OSError:
        os.close(file)
        raise
    return file


def open_page(path: Path, size: int) -> mmap.mmap:
    """The first `size` octets of that file. Raises OSError."""
    file = open_file(path, size)
    try:
        return mmap.mmap(file, size)
    finally:
        os.close(file)


def tag(key: str) -> int:
    """What stands for `key` in a page: 64 bits of its hash, never 0, the same in every process."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little") or 1
