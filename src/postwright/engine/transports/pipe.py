"""`type pipe`: a program for each recipient, the message on its standard input, its exit status as the answer (sysexits, powermta.md
section 6).

Lines end in LF, as programs here expect. There is no shell: the command line is cut into words when the settings are read, and a macro's
value never becomes another word. A program that takes too long is killed with all that it started, and its recipient is tried again. Of
what it says on standard error the first line goes into the record.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from postwright.engine.transports import delivered, later, never
from postwright.engine.transports.macros import expand, values, words
from postwright.model.envelope import Recipient
from postwright.model.message import Message
from postwright.model.outcome import Disposition
from postwright.net.clock import Clock
from postwright.wire.client_states import Transaction

TIMEOUT = 600.0  # seconds that a program may take
SAID = 200  # characters of its words that are kept
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
    reports = True

    def __init__(self, command: str, clock: Clock, *, keep_case: bool, timeout: float = TIMEOUT) -> None:
        self._words = words(command)
        self._clock = clock
        self._keep_case = keep_case
        self._timeout = timeout

    async def deliver(self, message: Message, transaction: Transaction) -> list[Disposition]:
        return [await self._one(message, transaction, recipient) for recipient in transaction.recipients]

    async def _one(self, message: Message, transaction: Transaction, recipient: Recipient) -> Disposition:
        known = values(message, transaction, recipient, self._clock.now(), keep_case=self._keep_case)
        arguments = [expand(word, known) for word in self._words]
        if any("\0" in argument for argument in arguments):
            return never("5.1.3", "an address with a NUL octet")
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
                env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
            )
        except OSError as error:
            return later("4.3.5", f"{arguments[0]} cannot be run: {error.strerror}")
        try:
            async with asyncio.timeout(self._timeout):
                _, said = await process.communicate(b"".join(transaction.content).replace(b"\r\n", b"\n"))
        except TimeoutError:
            await _kill(process)
            return later("4.3.0", f"the program did not end within {self._timeout:g} s")
        except BaseException:
            await _kill(process)
            raise
        return of_status(process.returncode or 0, said)


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
