"""Root given up: who we become, what is given to him, and never through a link."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from postwright.engine import privileges
from postwright.engine.privileges import PrivilegeError
from postwright.policy.settings import AcctFileSettings, Settings, SpoolSettings
from postwright.testing.world_settings import relay

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user; run the tests as root to see this one")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach (pytest's own are root's alone)."""
    with tempfile.TemporaryDirectory(prefix="pw-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def settings(run_as_root: bool, folder: Path | None = None) -> Settings:
    made = relay(general={"run_as_root": run_as_root, "log_file": str(folder / "logs" / "log") if folder else ""})
    if folder is None:
        return made
    return replace(made, spools=(SpoolSettings(str(folder / "spool")),), acct_files=(AcctFileSettings(str(folder / "acct" / "a.csv")),))


def test_who_is_not_root_becomes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert privileges.wanted_user(settings(False), "nobody") is None


def test_the_user_named_comes_before_postwright_and_that_before_pmta(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    asked: list[str] = []

    def unknown(name: str) -> pwd.struct_passwd:
        asked.append(name)
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", unknown)
    with pytest.raises(PrivilegeError, match="useradd"):
        privileges.wanted_user(settings(False), "")
    assert asked == ["postwright", "pmta"]
    with pytest.raises(PrivilegeError, match="no user 'someone'"):
        privileges.wanted_user(settings(True), "someone")
    assert privileges.wanted_user(settings(True), "") is None


@as_root
def test_what_is_roots_is_given_and_nothing_else(open_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    victim = open_folder / "victim"
    victim.write_text("root's own")
    tree = open_folder / "spool" / "shard-0"
    tree.mkdir(parents=True)
    (tree / "segment").write_text("left by a run as root")
    (tree / "link").symlink_to(victim)
    (tree / "others").write_text("x")
    os.chown(tree / "others", 1, 1)
    privileges.prepare(settings(False, open_folder), open_folder / "state", "nobody")
    owners = {path.name: path.lstat().st_uid for path in (tree / "segment", tree, tree / "others", victim, open_folder / "logs" / "log")}
    assert owners == {"segment": nobody, "shard-0": nobody, "others": 1, "victim": 0, "log": nobody}
    assert (open_folder / "acct").stat().st_uid == nobody


@as_root
def test_there_is_no_way_back() -> None:
    program = """
import os, sys
from postwright.engine import privileges
from postwright.testing.world_settings import relay
sys.executable = "/bin/sh"  # that nobody may not be able to run this Python is another story
privileges.__file__ = "/bin/sh"
privileges.drop(relay(general={"run_as_root": False}), "nobody")
assert os.getresuid()[0] == os.getresuid()[1] == os.getresuid()[2] != 0, os.getresuid()
assert 0 not in os.getresgid() and 0 not in os.getgroups(), (os.getresgid(), os.getgroups())
for attempt in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0])):
    try:
        attempt()
    except PermissionError:
        continue
    sys.exit("root is back")
print("dropped")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "dropped\n", done.stderr


@as_root
def test_a_user_who_cannot_run_us_is_said_at_once(open_folder: Path) -> None:
    hidden = open_folder / "hidden"
    hidden.mkdir(mode=0o700)
    program = """
import sys
from postwright.engine import privileges
from postwright.testing.world_settings import relay
sys.executable = sys.argv[1]
privileges.drop(relay(general={"run_as_root": False}), "nobody")
"""
    python = hidden / "python"
    python.symlink_to(sys.executable)
    done = subprocess.run([sys.executable, "-c", program, str(python)], capture_output=True, text=True, check=False, timeout=60)
    assert f"the user nobody cannot reach {python}" in done.stderr


@as_root
def test_giving_one_file(open_folder: Path) -> None:
    path = open_folder / "control.sock"
    path.touch()
    privileges.give(path, settings(True), "")
    assert path.stat().st_uid == 0
    privileges.give(path, settings(False), "nobody")
    assert path.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    privileges.give(open_folder / "not there", settings(False), "nobody")
