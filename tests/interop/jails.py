"""A program of the system in a root of its own: for mail systems whose users and paths are compiled in.

A `Jail` is a folder with the program, the libraries it wants and a passwd; `running` changes root to it. Nothing of the machine's own is
read or written, and the machine needs no user of that name. It takes the superuser, for chroot.
Raises OSError, and CalledProcessError for a program whose libraries cannot be told.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

STOP_TIMEOUT = 10.0
_LIBRARY = re.compile(r"^\s*(?:(\S+) => )?(/\S+) \(0x", re.MULTILINE)


def unwrapped(program: Path) -> tuple[str, Path]:
    """Where its libraries are ("a:b:", or ""), and the executable, of a program that tests/system/install may have wrapped."""
    text = program.read_bytes()
    if not text.startswith(b"#!"):
        return "", program
    libraries, executable = re.search(rb'LD_LIBRARY_PATH="([^"$]*)', text), re.search(rb"\nexec ['\"]([^'\"]+)['\"]", text)
    assert libraries is not None, program
    assert executable is not None, program
    return libraries[1].decode(), Path(executable[1].decode())


class Jail:
    """`users`: name to number; each has a group of its own with that number. `folder` must be reachable for everybody."""

    def __init__(self, folder: Path, users: Mapping[str, int]) -> None:
        self.folder = folder
        for name in ("dev", "etc", "tmp", "lib", "lib64", "usr/lib", "var/run"):
            (folder / name).mkdir(parents=True, mode=0o755, exist_ok=True)
        everybody = {"root": 0, "nobody": 65534, **users}
        home = {name: "/var/lib/opensmtpd/empty" if name.startswith("opensmtp") else "/" for name in everybody}
        self.write("etc/passwd", "".join(f"{name}:x:{uid}:{uid}::{home[name]}:/usr/sbin/nologin\n" for name, uid in everybody.items()))
        self.write("etc/group", "".join(f"{name}:x:{uid}:\n" for name, uid in everybody.items()))
        self.write("etc/hosts", "127.0.0.1 localhost\n")
        self.write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n")
        self.write(
            "dev/null", "", 0o666
        )  # no device: those need more rights than root has in a container, and a file system that allows them

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        file.chmod(mode)

    def make(self, path: str, mode: int, owner: int = 0, group: int = 0) -> None:
        """A folder."""
        folder = self.folder / path
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
        os.chown(folder, owner, group)

    def put(self, program: Path, path: str) -> None:
        """The program at this path, without set-id bits, and its libraries where the loader looks without being told."""
        libraries, executable = unwrapped(program)
        copy = self.folder / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(executable, copy)
        copy.chmod(0o755)
        environment = {**os.environ, "LD_LIBRARY_PATH": libraries}
        told = subprocess.run(["ldd", copy], env=environment, capture_output=True, text=True, check=True, timeout=STOP_TIMEOUT)
        for name, found in _LIBRARY.findall(told.stdout):
            target = self.folder / (f"usr/lib/{name}" if name else found.lstrip("/"))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found, target)
            target.chmod(0o755)

    @contextmanager
    def running(self, command: Sequence[str], output: Path) -> Iterator[subprocess.Popen[bytes]]:
        """The program, in a process group of its own, which is ended with the block. What it prints goes to `output`."""
        with output.open("wb") as file:
            process = subprocess.Popen(
                ["chroot", self.folder, *command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asks the group to end, and insists."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_TIMEOUT if sign == signal.SIGTERM else None)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
