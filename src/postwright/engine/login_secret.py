"""A secret of the whole relay that outlives it: 32 octets in the state folder, the same for all shards and after a restart.

Out of it come salts for keys that are derived anew and keys for users who do not exist (SCRAM): were it another one at each start or in
each shard, a stranger who asks twice would see whose salt changes, and so who exists. It opens nothing by itself.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

LENGTH = 32
NAME = "login.secret"


def load(folder: Path, name: str = NAME) -> bytes:
    """The secret of this folder, made when there is none; whoever comes first makes it for all. Raises OSError."""
    path = folder / name
    found = _read(path)
    if found is not None:
        return found
    draft = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(secrets.token_bytes(LENGTH))
            file.flush()
            os.fsync(fd)
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # unlike a rename it takes nobody else's away
    finally:
        draft.unlink()
    made = _read(path)
    if made is None:
        raise OSError(f"{path} has not {LENGTH} octets; remove it, and it will be made again")
    return made


def _read(path: Path) -> bytes | None:
    """None when there is no such file, or one of another length (which `load` tells of)."""
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return None
    return found if len(found) == LENGTH else None
