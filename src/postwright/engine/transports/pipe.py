"""`type pipe`: a program for each recipient, the message on its standard input, its exit status as the answer (sysexits, powermta.md
section 6).

Lines end in LF, as programs here expect. There is no shell: the command line is cut into words when the settings are read, and a macro's
value never becomes another word. A program that takes too long is killed with all that it started, and its recipient is tried again. Of
what it says on standard error the first line goes into the record. Its own end counts: what it leaves running in the background
holds nothing up. A relay that runs as root runs no programs as root (`unprivileged`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pwd
import signal
import tempfile
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

from postwright.engine.transports import PutOff, delivered, later, never
from postwright.engine.transports.macros import as_option, expand, values, words
from postwright.model.envelope import Recipient
from postwright.model.message import Message
from postwright.model.outcome import Disposition
from postwright.net.clock import Clock
from postwright.wire.client_states import Transaction

USERS = ("postwright", "pmta", "nobody")  # in whose name a relay that runs as root runs programs: the first that there is
TIMEOUT = 600.0  # seconds that a program may take
SAID = 200  # characters of its words that are kept
_KEPT = 4096  # octets of them that are heard
_LATER = {71: "4.3.0", 74: "4.3.0", 75: "4.0.0"}  # OSERR, IOERR, TEMPFAIL
_NEVER = {
    64: "5.5.4",  # USAGE
    65: "5.5.2",  # DATAERR
    66: "5.3.0",  # NOINPUT
    67: "5.1.1",  # NOUSER
    68: "5.1.2",  # NOHOST
    69: "5.3.0",  # UNAVAILABLE
    70: "5.3.0",  # SOFTWARE
    72: "5.3.0",  # OSFILE
    73: "5.2.0",  # CANTCREAT
    76: "5.5.0",  # PROTOCOL
    77: "5.7.1",  # NOPERM
    78: "5.3.5",  # CONFIG
}


class Pipe:
    """See `Transport`. Raises ValueError for a command without a program."""

    name = "pipe"
    most: int | None = 1
    reports = True

    def __init__(
        self, command: str, clock: Clock, *, keep_case: bool, timeout: float = TIMEOUT, become: Callable[[], None] | None = None
    ) -> None:
        self._words = words(command)
        self._clock = clock
        self._keep_case = keep_case
        self._timeout = timeout
        self._become = become

    async def deliver(self, message: Message, transaction: Transaction) -> list[Disposition] | PutOff:
        fates = []
        for recipient in transaction.recipients:
            try:
                fates.append(await self._one(message, transaction, recipient))
            except OSError as error:  # there is no such program, or no room for another process: not for the next message either
                return PutOff(later("4.3.5", f"{self._words[0]} cannot be run: {error.strerror}"))
        return fates

    async def _one(self, message: Message, transaction: Transaction, recipient: Recipient) -> Disposition:
        known = values(message, transaction, recipient, self._clock.now(), keep_case=self._keep_case)
        arguments = [expand(word, known) for word in self._words]
        if any("\0" in argument for argument in arguments):
            return never("5.1.3", "an address with a NUL octet")
        if any(as_option(word, argument) for word, argument in zip(self._words, arguments, strict=True)):
            return never("5.1.3", "the program would take the address for an option")
        listener = _Listener()
        try:
            return await self._run(arguments, b"".join(transaction.content).replace(b"\r\n", b"\n"), listener)
        finally:
            listener.close()

    async def _run(self, arguments: list[str], content: bytes, listener: _Listener) -> Disposition:
        with _in_memory(content) as stdin:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=stdin,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=listener.end,
                start_new_session=True,
                preexec_fn=self._become,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            )
        try:
            async with asyncio.timeout(self._timeout):
                await process.wait()
        except TimeoutError:
            await _kill(process)
            return later("4.3.0", f"the program did not end within {self._timeout:g} s")
        except BaseException:
            await _kill(process)
            raise
        return of_status(process.returncode or 0, listener.said())


def unprivileged() -> Callable[[], None] | None:
    """What a program's process does first when we are root: it becomes somebody else for good. None when we are somebody else already.

    Raises OSError when there is nobody that it could become: what strangers write is not given to programs of root's.
    """
    if os.geteuid() != 0:
        return None
    for name in USERS:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return partial(_become, user.pw_uid, user.pw_gid, os.getgrouplist(name, user.pw_gid))
    raise OSError(errno.EPERM, f"programs are not run as root, and there is no user {' or '.join(USERS)}")


def _become(user: int, group: int, groups: list[int]) -> None:
    os.setgroups(groups)
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)


class _Listener:
    """Hears what a program says on standard error, keeps the beginning, and never makes it wait.

    A pipe of our own, as asyncio's would have us wait until everybody has closed it, whatever a program leaves in the background too.
    """

    def __init__(self) -> None:
        self._ear, self.end = os.pipe()  # neither is inherited, but as what it is given for
        os.set_blocking(self._ear, False)
        self._kept = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._ear, self._hear)

    def _hear(self) -> int:
        try:
            heard = os.read(self._ear, 65536)
        except BlockingIOError:
            return 0
        self._kept = (self._kept + heard)[:_KEPT]
        return len(heard)

    def said(self) -> bytes:
        """What there was by now, at most `_KEPT` octets."""
        while len(self._kept) < _KEPT and self._hear():
            pass
        return self._kept

    def close(self) -> None:
        """Nobody listens any more."""
        self._loop.remove_reader(self._ear)
        os.close(self._ear)
        os.close(self.end)


def _in_memory(content: bytes) -> BinaryIO:
    """A file that no disk has, to be read from its beginning: a program that does not read it breaks nothing."""
    memory = getattr(os, "memfd_create", None)  # Linux has it
    file: BinaryIO = os.fdopen(memory("message", os.MFD_CLOEXEC), "w+b") if memory is not None else tempfile.TemporaryFile()  # noqa: SIM115
    file.write(content)
    file.seek(0)
    return file


async def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def of_status(status: int, said: bytes) -> Disposition:
    """What an exit status means; below 0 a signal has ended the program."""
    line = said.decode("utf-8", "replace").strip().partition("\n")[0][:SAID]
    words_ = "".join(letter if letter.isprintable() else "?" for letter in line)
    text = f"the program ended with status {status}{f': {words_}' if words_ else ''}"
    if status == 0:
        return delivered("taken by the program")
    if status in _NEVER:
        return never(_NEVER[status], text)
    return later(_LATER.get(status, "4.3.0"), text)
