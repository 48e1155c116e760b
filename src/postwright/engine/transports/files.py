"""`type file`: each recipient's mail into a file of its own, or at the end of an mbox.

    newfile-plain    FOLDER/ID-N.msg, the message as it would be sent
    newfile-pickup   the same with x-sender and x-receiver lines before it, as a pickup folder takes it
    append-mbox      at the end of FILE, with a From_ line and `>From` quoted

The name of a new file is the message's number and the recipient's, so what is written again after a crash replaces what was there. How
it is written, and that no name leaves its folder, is `disk`'s; what an address has made no name of a file is refused here. Writing is done
in a thread, and nobody's mail waits in one for a mailbox that we ourselves have locked.
"""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import Callable
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from postwright.engine.transports import PutOff, delivered, disk, later, never
from postwright.engine.transports.macros import Place, expand, place, values
from postwright.engine.workers import Workers
from postwright.model.message import Message, format_id
from postwright.model.outcome import Disposition
from postwright.net.clock import Clock
from postwright.wire.client_states import Transaction

NAME_MOST: Final = 230  # octets; systems take 255, and some of them are for names beside it
# the disk's, and so the next message's too
_OF_THE_DISK: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE))
_control = re.compile(r"[\x00-\x1f\x7f]").search
_blank = re.compile(r"\s")
_from_line = re.compile(rb"^(>*From )", re.MULTILINE)


class Files:
    """See `Transport`. `form` as file-format, `destination` as file-destination. Raises ValueError for one that is no path."""

    name = "file"
    most: int | None = 1
    reports = True

    def __init__(self, form: str, destination: str, workers: Workers, clock: Clock, *, keep_case: bool) -> None:
        self._form = form
        self._place = place(destination, mailbox=form == "append-mbox")
        self._workers = workers
        self._clock = clock
        self._keep_case = keep_case
        self._boxes: WeakValueDictionary[tuple[str, ...], asyncio.Lock] = WeakValueDictionary()  # that somebody writes to

    async def deliver(self, message: Message, transaction: Transaction) -> list[Disposition] | PutOff:
        fates = []
        for number in range(len(transaction.recipients)):
            try:
                fates.append(await self._one(message, transaction, number))
            except OSError as error:
                why = later("4.3.1" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "4.3.0", _told(error, self._place))
                if error.errno in _OF_THE_DISK:
                    return PutOff(why)
                fates.append(why)
        return fates

    async def _one(self, message: Message, transaction: Transaction, number: int) -> Disposition:
        known = values(message, transaction, transaction.recipients[number], self._clock.now(), keep_case=self._keep_case)
        names = tuple([expand(part, known) for part in self._place.parts])
        if not all(map(fit, names)):
            return never("5.1.3", "no file can be named after this address")
        content = b"".join(transaction.content)
        if self._form == "append-mbox":
            whole = mbox_entry(transaction.reverse_path.text, content, known["ctime"])
            async with self._boxes.setdefault(names, asyncio.Lock()):
                await self._write(partial(disk.append, self._place.base, names[:-1], names[-1], whole))
        else:
            head = pickup_head(transaction, number) if self._form == "newfile-pickup" else b""
            name = f"{format_id(message.id)}-{_index(message, transaction, number)}"
            await self._write(partial(disk.new_file, self._place.base, names, name, head + content))
        return delivered("written")

    async def _write(self, work: Callable[[], None]) -> None:
        await self._workers.run(work)


def _told(error: OSError, where: Place) -> str:
    return f"{error.strerror or error} ({where.text})"


def fit(name: str) -> bool:
    """Can this be the name of a file in a folder, and of one that is not hidden?"""
    return bool(name) and "/" not in name and not name.startswith(".") and not _control(name) and len(name.encode()) <= NAME_MOST


def _index(message: Message, transaction: Transaction, number: int) -> int:
    """The recipient's number in the message, the same at each attempt."""
    wanted = transaction.recipients[number]
    known = message.envelope.recipients
    itself = next((index for index, one in enumerate(known) if one is wanted), None)  # the same address may be there twice
    return itself if itself is not None else next((index for index, one in enumerate(known) if one == wanted), number)


def pickup_head(transaction: Transaction, number: int) -> bytes:
    """The envelope as a pickup folder reads it."""
    lines = [f"x-sender: {transaction.reverse_path.text}", f"x-receiver: {transaction.recipients[number].address.text}"]
    if transaction.envid:
        lines.append(f"x-envid: {transaction.envid}")
    return "".join(f"{line}\r\n" for line in lines).encode()


def mbox_entry(sender: str, content: bytes, ctime: str) -> bytes:
    """A mail in an mbox: lines end in LF, what looks like a From_ line is quoted so that it can be undone, an empty line ends it.

    RFC 5321 section 4.4: who makes the final delivery says by whom it was sent, in Return-Path.
    """
    body = _from_line.sub(rb">\1", content.replace(b"\r\n", b"\n"))
    who = _blank.sub("-", sender) or "MAILER-DAEMON"
    return f"From {who} {ctime}\nReturn-Path: <{sender}>\n".encode() + body + (b"\n" if body.endswith(b"\n") else b"\n\n")
