"""`type file`: each recipient's mail into a file of its own, or at the end of an mbox.

    newfile-plain    FOLDER/ID-N.msg, the message as it would be sent
    newfile-pickup   the same with x-sender and x-receiver lines before it, as a pickup folder takes it
    append-mbox      at the end of FILE, with a From_ line and `>From` quoted

A new file is written as `.tmp`, synced, and then named: whoever reads the folder sees whole files only. Its name is the message's number
and the recipient's, so what is written again after a crash replaces what was there. An mbox is locked (flock) and synced; what a full
disk left half is cut off again. Writing is done in a thread. A name that an address has a part in never leaves its folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import time
from pathlib import Path

from postwright.engine.transports import delivered, later, never
from postwright.engine.transports.macros import expand, values
from postwright.engine.workers import Workers
from postwright.model.errors import LoginUnavailable
from postwright.model.message import Message, format_id
from postwright.model.outcome import Disposition
from postwright.net.clock import Clock
from postwright.wire.client_states import Transaction

LOCK_WAIT = 5.0  # seconds for a mailbox that somebody else has locked
_PARTS = ("to", "from", "user", "domain", "envid")
_from_line = re.compile(rb"^(>*From )", re.MULTILINE)


class Files:
    """See `Transport`. `form` as file-format, `destination` as file-destination."""

    name = "file"
    reports = True

    def __init__(self, form: str, destination: str, workers: Workers, clock: Clock, *, keep_case: bool) -> None:
        self._form = form
        self._destination = destination
        self._workers = workers
        self._clock = clock
        self._keep_case = keep_case

    async def deliver(self, message: Message, transaction: Transaction) -> list[Disposition]:
        return [await self._one(message, transaction, number) for number in range(len(transaction.recipients))]

    async def _one(self, message: Message, transaction: Transaction, number: int) -> Disposition:
        recipient = transaction.recipients[number]
        known = values(message, transaction, recipient, self._clock.now(), keep_case=self._keep_case)
        strange = next((name for name in _PARTS if _leaves(known[name]) and f"${name}" in self._destination.lower()), "")
        if strange:
            return never("5.1.3", f"no file can be named after this ${strange}")
        place = Path(expand(self._destination, known))
        content = b"".join(transaction.content)
        index = _index(message, transaction, number)
        try:
            if self._form == "append-mbox":
                await self._workers.run(lambda: _append(place, transaction.reverse_path.text, content, known["ctime"]))
            else:
                head = _pickup_head(transaction, number) if self._form == "newfile-pickup" else b""
                await self._workers.run(lambda: _new_file(place, f"{format_id(message.id)}-{index}", head + content))
        except OSError as error:
            return later("4.3.0", f"{error.strerror or error} ({place})")
        except LoginUnavailable:
            return later("4.3.2", "too much is being written")
        return delivered("written")


def _leaves(value: str) -> bool:
    return "/" in value or "\0" in value or value in (".", "..") or value.startswith(".")


def _index(message: Message, transaction: Transaction, number: int) -> int:
    """The recipient's number in the message, the same at each attempt."""
    wanted = transaction.recipients[number]
    known = message.envelope.recipients
    itself = next((index for index, one in enumerate(known) if one is wanted), None)  # the same address may be there twice
    return itself if itself is not None else next((index for index, one in enumerate(known) if one == wanted), number)


def _pickup_head(transaction: Transaction, number: int) -> bytes:
    lines = [f"x-sender: {transaction.reverse_path.text}", f"x-receiver: {transaction.recipients[number].address.text}"]
    if transaction.envid:
        lines.append(f"x-envid: {transaction.envid}")
    return "".join(f"{line}\r\n" for line in lines).encode()


def _new_file(folder: Path, name: str, content: bytes) -> None:
    draft, place = folder / f"{name}.tmp", folder / f"{name}.msg"
    try:
        with open(draft, "wb", opener=_private) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, place)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    _sync(folder)


def _private(name: str, flags: int) -> int:
    """Mail is nobody's but its reader's: not for all, whatever our umask."""
    return os.open(name, flags, 0o660)


def _append(place: Path, sender: str, content: bytes, ctime: str) -> None:
    body = _from_line.sub(rb">\1", content.replace(b"\r\n", b"\n"))
    whole = f"From {sender or 'MAILER-DAEMON'} {ctime}\n".encode() + body + (b"\n" if body.endswith(b"\n") else b"\n\n")
    with open(place, "ab", buffering=0, opener=_private) as file:  # a buffer would write again what was cut off
        _lock(file.fileno())
        end = file.seek(0, os.SEEK_END)
        try:
            rest = memoryview(whole)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(end)
            raise


def _lock(fd: int) -> None:
    """flock, without waiting for ever: a reader that keeps its lock must not keep our threads. Raises OSError."""
    until = time.monotonic() + LOCK_WAIT
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise OSError(errno.EAGAIN, "somebody else has locked the mailbox") from None
            time.sleep(0.02)
        else:
            return


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
