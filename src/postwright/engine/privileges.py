"""Dropping root: `run-as-root no` means that every process of the relay runs as an ordinary user once the ports are bound.

The user is the one named by `--user`, else `postwright`, else `pmta` (so that files of a PowerMTA that was replaced stay readable).
Fails at start, with the cure in the text, rather than going on as root against the operator's word.
"""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path

from postwright.engine.pickup_folder import TAKEN
from postwright.model.errors import PostwrightError
from postwright.policy.settings import Settings

_SHARED = tuple(Path(path) for path in ("/", "/var", "/var/lib", "/var/log", "/var/spool", "/tmp"))


class PrivilegeError(PostwrightError):
    """The relay was told not to run as root and cannot become another user."""


def wanted_user(settings: Settings, user: str) -> pwd.struct_passwd | None:
    """The user to become, or None when nothing is to be done (not root, or `run-as-root yes` and no user named)."""
    if os.geteuid() != 0 or (settings.general.run_as_root and not user):
        return None
    for name in (user,) if user else ("postwright", "pmta"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    if user:
        raise PrivilegeError(f"there is no user {user!r}; make it with: useradd --system --no-create-home {user}")
    raise PrivilegeError(
        "run-as-root is no, but there is neither a user postwright nor pmta; "
        "make one with: useradd --system --no-create-home postwright (or name one with --user, or set run-as-root yes)"
    )


def prepare(settings: Settings, state_dir: Path, user: str) -> None:
    """While still root: give the state, spool, accounting and log folders to the user that we will be."""
    target = wanted_user(settings, user)
    if target is None:
        return
    folders = [state_dir, *(Path(spool.path) for spool in settings.spools)]
    folders += [Path(acct.path).parent for acct in settings.acct_files if not acct.path.startswith("|")]
    if settings.general.log_file:
        folders.append(Path(settings.general.log_file).parent)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        # only what is directly ours: a log folder such as /var/log keeps its owner if others write there
        if folder not in _SHARED:
            _give(folder, target)
    for tree in (state_dir / "spool", state_dir / "run", state_dir / "events", *(Path(spool.path) for spool in settings.spools)):
        _give_tree(tree, target)  # what an earlier run as root has left
    for board in state_dir.glob("*.board"):  # what the shards of an earlier run have shared
        _give(board, target)
    if settings.pickup[0]:
        _give_pickup([Path(folder) for folder in settings.pickup], target)
    if settings.general.log_file:
        Path(settings.general.log_file).touch(mode=0o640)
        _give(Path(settings.general.log_file), target)


def _give_pickup(folders: list[Path], target: pwd.struct_passwd) -> None:
    """What we make is ours; a folder that is there keeps its owner, who lets certain programs write there. In it is one for us alone."""
    for folder in folders:
        if not folder.is_dir():
            folder.mkdir(parents=True)
            _give(folder, target)
    ours = folders[0] / TAKEN
    if not ours.is_symlink():
        ours.mkdir(mode=0o700, exist_ok=True)
        _give_tree(ours, target)


def give(path: Path, settings: Settings, user: str) -> None:
    """Give one file of ours to the user that we will be."""
    target = wanted_user(settings, user)
    if target is not None:
        _give(path, target)


def _give(path: Path, target: pwd.struct_passwd) -> None:
    """Only what is root's, and never through a link: whoever can write there could point it at anything."""
    if path.exists() and not path.is_symlink() and path.lstat().st_uid == 0:
        os.chown(path, target.pw_uid, target.pw_gid, follow_symlinks=False)


def _give_tree(top: Path, target: pwd.struct_passwd) -> None:
    for folder, _, files in os.walk(top):
        for path in (Path(folder), *(Path(folder) / name for name in files)):
            _give(path, target)


def drop(settings: Settings, user: str) -> None:
    """Become the user, for good: groups, group and user; then prove that there is no way back."""
    target = wanted_user(settings, user)
    if target is not None:
        become(target)


def become(target: pwd.struct_passwd) -> None:
    """The same for a user who is known. Raises PrivilegeError or OSError, after which nobody must go on."""
    os.setgroups(os.getgrouplist(target.pw_name, target.pw_gid))
    os.setresgid(target.pw_gid, target.pw_gid, target.pw_gid)
    os.setresuid(target.pw_uid, target.pw_uid, target.pw_uid)
    if os.geteuid() == 0 or os.getuid() == 0:
        raise PrivilegeError("privileges could not be dropped")
    for path, mode in ((sys.executable, os.X_OK), (__file__, os.R_OK)):
        if not os.access(path, mode):
            raise PrivilegeError(f"the user {target.pw_name} cannot reach {path}, and so run no shard: install it below /opt")
