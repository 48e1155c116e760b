"""The login helper's rights: root's are given up where PAM needs none, and a keytab that only root can read is good all the same.

What drops them is a process of its own; who runs the tests as another user than root has nothing to drop there.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from postwright.engine import auth_process, gssapi, privileges
from postwright.engine.auth_frames import Equip
from postwright.engine.auth_rights import Rights
from postwright.policy.settings import GeneralSettings, Settings, UserSettings

SYSTEM = UserSettings("alice", authentication_method="system")

# Prints what a helper could do after `settle`, then what it makes of equipment that comes later. Whether the new user reaches Python is
# asked of installations, not of the folder in which tests are run.
CHILD = """
import json, os, sys
from msgspec.structs import replace
from postwright.engine.auth_frames import Equip
from postwright.engine.auth_rights import Rights
from postwright.engine.gssapi import Credential, GssError, library
library()
os.access = lambda path, mode: True
keytab, other = sys.argv[1:]
first = Equip(keytab=keytab, run_as="nobody")
rights = Rights()
settled = rights.settle(first)
try:
    Credential(settled.keytab_copy, "smtp")
    credential = True
except (OSError, GssError):
    credential = False
try:
    open(keytab).close()
    reads = True
except PermissionError:
    reads = False
told = {
    "root": 0 in os.getresuid() + os.getresgid() + tuple(os.getgroups()),
    "reads": reads,
    "credential": credential,
    "same": rights.settle(replace(first, kerberos_service="smtp@x")) == replace(settled, kerberos_service="smtp@x"),
    "pam": rights.settle(replace(first, run_as="")) is None,
    "other": rights.settle(replace(first, keytab=other)) is None,
}
print(json.dumps(told))
"""


def keytab() -> bytes:
    """A file of one key (MIT's format, version 2)."""

    def counted(octets: bytes) -> bytes:
        return struct.pack(">H", len(octets)) + octets

    name = struct.pack(">H", 2) + counted(b"CORP.EXAMPLE") + counted(b"smtp") + counted(b"relay.example") + struct.pack(">I", 3)
    entry = name + struct.pack(">IBH", 0, 1, 18) + counted(bytes(range(32)))
    return b"\5\2" + struct.pack(">i", len(entry)) + entry


@pytest.mark.skipif(os.geteuid() != 0, reason="rights can only be given up by who has them")
def test_a_helper_for_kerberos_gives_up_root_and_keeps_its_keys() -> None:
    try:
        gssapi.library()
    except OSError as error:
        pytest.skip(str(error))
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others, and this one is like /etc
        os.chmod(folder, 0o755)
        file = Path(folder, "relay.keytab")
        file.touch(mode=0o600)
        file.write_bytes(keytab())
        command = [sys.executable, "-c", CHILD, file, Path(folder, "other")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert json.loads(done.stdout) == {"root": False, "reads": False, "credential": True, "same": True, "pam": True, "other": True}


def test_who_has_no_rights_gives_none_up() -> None:
    assert Rights().settle(Equip(keytab="x")) == Equip(keytab="x")


def test_a_user_who_is_not_there_is_no_reason_to_go_on_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(privileges.PrivilegeError, match="no user 'nobody-of-ours'"):
        Rights().settle(Equip(run_as="nobody-of-ours"))


def test_pam_alone_wants_root() -> None:
    kerberos = Settings(general=GeneralSettings(kerberos_keytab="k"))
    assert auth_process.equipment(kerberos, "postwright").run_as == "postwright"
    assert auth_process.equipment(Settings(users={"alice": SYSTEM}), "postwright").run_as == ""
