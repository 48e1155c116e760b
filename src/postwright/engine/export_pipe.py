"""`<acct-file |program>`: a program that gets the header and then rows on its standard input (powermta.md section 5).

It is started once and stays; when it ends, or reads nothing for `write-timeout` while rows wait, that is logged in PowerMTA's words (`Error
starting|writing to|executing "CMD": DETAILS`), and it is started again after `retry-interval` or at a reload. No shell is between: the
command is split into words as a shell would.

A program does not say what it has dealt with, but the kernel says what it has not read. Only what was read counts as had, so rows that
lay in the pipe when a program died are given to the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shlex
import signal
import struct
import termios
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque

from postwright.engine.export_feed import OutletError
from postwright.store.event_forms import EventForm
from postwright.store.event_reader import Event

LAST_WORDS = 500  # octets of what the program said on standard error that are told when it ends
PATIENCE = 5.0  # seconds that a program has to end when its input has ended


class Pipe:
    """An `Outlet`. `command` without the `|`; times in seconds."""

    def __init__(self, command: str, form: EventForm, write_timeout: float, retry_interval: float) -> None:
        self._command = command
        self._form = form
        self._write_timeout = write_timeout
        self._retry_interval = retry_interval
        self._process: Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._fd = -1
        self._said = b""
        self._written = 0
        self._read = 0  # octets that it had read when that was looked at last, and when (monotonic) it had read more than before
        self._moved = 0.0
        self._ends: deque[int] = deque()  # octets written up to the end of each batch that may not have been read

    async def open(self) -> None:
        """Start the program, give it the header."""
        try:
            words = shlex.split(self._command)
            await self._start(words)
        except (OSError, ValueError, IndexError) as error:
            raise self._error("starting", str(error) or "there is no command") from None
        await self._write(self._form.header_line)

    async def _start(self, words: list[str]) -> None:
        theirs, self._fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._fd, False)
        try:
            self._process = await asyncio.create_subprocess_exec(
                words[0], *words[1:], stdin=theirs, stdout=DEVNULL, stderr=PIPE, start_new_session=True
            )
        finally:
            os.close(theirs)
        self._said, self._written = b"", 0
        self._read, self._moved = 0, time.monotonic()
        self._ends.clear()
        self._listening = asyncio.get_running_loop().create_task(self._listen(self._process))

    async def _listen(self, process: Process) -> None:
        assert process.stderr is not None
        while data := await process.stderr.read(4096):
            self._said = (self._said + data)[-LAST_WORDS:]

    async def put(self, events: list[Event]) -> None:
        """Rows, as fast as the program reads."""
        row = self._form.row
        await self._write(b"".join([row(event) for event in events]))
        self._ends.append(self._written)

    async def _write(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            try:
                at += os.write(self._fd, data[at : at + 65536])
            except BlockingIOError:
                await self._writable()
            except OSError as error:
                await self._judge_end()
                raise self._error("writing to", str(error)) from None
        self._written += len(data)

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()

        def tell() -> None:
            if not ready.done():
                ready.set_result(None)

        loop.add_writer(self._fd, tell)
        try:
            await asyncio.wait_for(ready, self._write_timeout)
        except TimeoutError:
            raise self._hangs() from None
        finally:
            loop.remove_writer(self._fd)

    async def settled(self) -> int:
        """Batches of which the program has read the last octet."""
        process = self._process
        assert process is not None
        if process.returncode is not None:
            await self._judge_end()
        read, count = self._written - self._unread(), 0
        self._watch(read)
        while self._ends and self._ends[0] <= read:
            self._ends.popleft()
            count += 1
        return count

    def _watch(self, read: int) -> None:
        """Who hangs over rows that fit into its pipe hangs, too, though no write of ours waits for it. `read` octets of all."""
        now = time.monotonic()
        if read > self._read or not self._ends:
            self._read, self._moved = read, now
        elif now - self._moved > self._write_timeout:
            raise self._hangs()

    def _hangs(self) -> OutletError:
        return self._error("writing to", f"it has read nothing for {self._write_timeout:g} seconds")

    def _unread(self) -> int:
        try:
            return int(struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, b"\0\0\0\0"))[0])
        except OSError:  # a system that does not tell
            return 0

    async def _judge_end(self) -> None:
        """Raises OutletError if the program has ended."""
        process = self._process
        assert process is not None
        with contextlib.suppress(TimeoutError):  # one that has only closed its input has not ended
            await asyncio.wait_for(process.wait(), 0.5)
        if process.returncode is None:
            return
        if self._listening is not None:
            await asyncio.wait({self._listening}, timeout=0.5)
        code = process.returncode
        how = f"it ended with status {code}" if code >= 0 else f"it was ended by signal {-code}"
        # rows have what strangers wrote, and the program may say it again: to `postwright status`, for one
        said = "".join([c if c.isprintable() else " " for c in self._said.decode("utf-8", "backslashreplace")]).strip()
        raise self._error("executing", f"{how}; it said: {said}" if said else how)

    def _error(self, doing: str, details: str) -> OutletError:
        return OutletError(f'Error {doing} "{self._command}": {details}', details, self._retry_interval)

    async def finish(self) -> None:
        """Nothing is only gathered."""

    async def close(self) -> None:
        """The end of its input; a program that does not end then is ended."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            await _end(process)
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None


async def _end(process: Process) -> None:
    """Its input is closed: it may end by itself, then it is asked to, then it is made to."""
    for number in (0, signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), PATIENCE)
            return
