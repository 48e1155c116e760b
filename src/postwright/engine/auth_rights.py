"""What the login helper may do: root's rights while PAM needs them, and those of the relay's user else.

Kerberos needs none but to read the keytab, and what strangers send is parsed in C. So a helper without PAM takes a copy of the keytab
into memory, becomes the relay's user for good, and works with that. What would want the rights again (PAM, another keytab) is a reason to
end: the keeper, which has them still, starts the next helper. A user that cannot be become is an error, and nobody goes on as root.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from msgspec.structs import replace

from postwright.engine import privileges
from postwright.engine.auth_frames import Equip

KEYTAB_MOST = 1 << 20  # octets; a key has about a hundred

Stamp = tuple[int, ...]


class Rights:
    """One per helper process."""

    def __init__(self) -> None:
        self._given_up = False
        self._copied: tuple[str, Stamp] = ("", ())
        self._copy = ""

    def settle(self, equipment: Equip) -> Equip | None:
        """What to work with; None: it wants what this process has given up, so another one has to be started.

        Raises OSError or PrivilegeError, after which the process must not go on.
        """
        if self._given_up:
            if not equipment.run_as or (equipment.keytab, _stamp(equipment.keytab)) != self._copied:
                return None
            return replace(equipment, keytab_copy=self._copy)
        if not equipment.run_as or os.geteuid() != 0:
            return equipment
        try:
            target = pwd.getpwnam(equipment.run_as)
        except KeyError:
            raise privileges.PrivilegeError(f"there is no user {equipment.run_as!r} for the login helper") from None
        self._copied = equipment.keytab, _stamp(equipment.keytab)
        self._copy = _copy(equipment.keytab, target)
        privileges.become(target)
        self._given_up = True
        return replace(equipment, keytab_copy=self._copy)


def _stamp(path: str) -> Stamp:
    """What changes when the file does; of one that cannot be looked at, nothing."""
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _copy(path: str, owner: pwd.struct_passwd) -> str:
    """A file in memory that `owner` alone can read, under a name that holds in this process; "" for a keytab that cannot be read, which
    whoever wants to use it will tell."""
    try:
        with Path(path).open("rb") as file:
            octets = file.read(KEYTAB_MOST)
    except OSError:
        return ""
    fd = os.memfd_create("keytab", os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as copy:
        copy.write(octets)
    os.fchmod(fd, 0o400)
    os.fchown(fd, owner.pw_uid, owner.pw_gid)
    return f"/proc/self/fd/{fd}"
