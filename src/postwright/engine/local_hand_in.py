"""How `sendmail` hands a message over, from a process that has no rights here: by SMTP to a listener of this machine, or, when none takes
it now, as a file in the pickup folder, where the relay finds it later (what Postfix calls maildrop).

Blocking; one message, one session, bounded by a patience. The outcome is a value. A message is put into the folder only when it is certain
that the session did not take it.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from postwright.engine.pickup_folder import sync_folder
from postwright.engine.scripts import Asked, ScriptError, To, script
from postwright.model.address import Address
from postwright.model.envelope import Notify, Recipient
from postwright.model.outcome import Failure, Fault, TransactionResult
from postwright.model.reply import Reply
from postwright.model.route import SessionOptions, TlsLevel
from postwright.wire.body import scan
from postwright.wire.client import SmtpClient
from postwright.wire.client_encode import Unsendable
from postwright.wire.client_states import Done, Ended, Ready, Transaction

PATIENCE = 300.0  # seconds for one reply (RFC 5321 section 4.5.3.2)
CONNECT = 5.0


class Handover(Struct, frozen=True):
    """What is to be sent. `ret` and `envid` as RFC 3461 has them; `body` "7BIT" or "8BITMIME"."""

    sender: Address
    recipients: tuple[Recipient, ...]
    content: bytes
    ret: str = ""
    envid: str = ""


class Taken(Struct, frozen=True):
    """It is the relay's now. `refused`: recipients that are not, with the replies."""

    where: str
    refused: tuple[tuple[Recipient, Reply], ...] = ()


class NotTaken(Struct, frozen=True):
    """`again`: later it may be. `maybe`: whether it was taken is not known, so that a second copy could be one too many."""

    why: str
    again: bool
    maybe: bool = False
    code: int = 0


def by_smtp(where: tuple[str, int], name: str, message: Handover, told: Callable[[str], None] = lambda line: None) -> Taken | NotTaken:
    """Over SMTP to `where`, as `name`. `told` hears the dialogue (`-v`)."""
    try:
        with socket.create_connection(where, CONNECT) as sock:
            sock.settimeout(PATIENCE)
            return _session(sock, name, message, told)
    except OSError as error:
        return NotTaken(f"{where[0]}:{where[1]}: {error.strerror or error}", again=True)


def _session(sock: socket.socket, name: str, message: Handover, told: Callable[[str], None]) -> Taken | NotTaken:
    client = SmtpClient(name, SessionOptions(tls=TlsLevel.NONE))
    result: TransactionResult | None = None
    while True:
        for event in _heard(sock, client, told):
            if isinstance(event, Ready):
                try:
                    client.begin(_transaction(message), None)
                except Unsendable as error:
                    return NotTaken(str(error), again=False)
            elif isinstance(event, Done):
                result = event.result
                client.quit()
            elif isinstance(event, Ended):
                if result is not None:
                    return _judged(result, message)
                return _broken(event.failure)
        if result is not None and result.final is not None and result.final.positive:
            with suppress(OSError):  # it is taken, however the session ends: nothing that comes now may have it handed in once more
                _say(sock, client, told)  # QUIT; nobody need wait for the answer
            return _judged(result, message)


def _heard(sock: socket.socket, client: SmtpClient, told: Callable[[str], None]) -> list[object]:
    """What the next octets amount to, after all that is to be said was said."""
    try:
        _say(sock, client, told)
        data = sock.recv(65536)
    except OSError as error:
        return list(client.lost(Fault.TIMEOUT if isinstance(error, TimeoutError) else Fault.LOST, str(error)))
    if not data:
        return list(client.lost(Fault.LOST, "the relay closed the connection"))
    for line in data.decode("utf-8", "replace").splitlines():
        told(f"<<< {line}")
    return list(client.receive_data(data))


def _say(sock: socket.socket, client: SmtpClient, told: Callable[[str], None]) -> None:
    while parts := client.data_to_send():
        client.clear = False
        for part in parts:
            if len(part) < 600:
                told(f">>> {part.decode('utf-8', 'replace').rstrip()}")
            sock.sendall(part)
        client.clear = True


def _transaction(message: Handover) -> Transaction:
    facts = scan(message.content)
    utf8 = not all(address.text.isascii() for address in (message.sender, *[one.address for one in message.recipients]))
    body = "8BITMIME" if facts.eight_bit else "7BIT"
    return Transaction(
        message.sender, list(message.recipients), (message.content,), facts, message.ret, message.envid, body=body, smtputf8=utf8
    )


def _judged(result: TransactionResult, message: Handover) -> Taken | NotTaken:
    answers = zip(message.recipients, result.rcpt, strict=True)
    refused = tuple((who, reply) for who, reply in answers if reply is not None and reply.code >= 400)
    if result.final is not None and result.final.positive:
        return Taken(result.final.text, refused)
    if result.maybe_taken:
        return NotTaken("the answer to the message got lost", again=True, maybe=True)
    replies = [reply for reply in (result.final, result.mail, *[reply for _, reply in refused]) if reply is not None and reply.code >= 400]
    if replies:
        return NotTaken(replies[0].text, again=replies[0].transient, code=replies[0].code)
    return _broken(result.failure)


def _broken(failure: Failure | None) -> NotTaken:
    """The session has ended before anybody said what becomes of the message."""
    reply = failure.reply if failure is not None else None
    why = reply.text if reply is not None else failure.detail if failure is not None and failure.detail else "the session broke"
    return NotTaken(why, again=reply is None or not reply.permanent, code=reply.code if reply is not None else 0)


def into_folder(folder: Path, message: Handover, trace: bytes) -> Taken | NotTaken:
    """As a pickup file: written under another name, synced, moved into place. Others cannot guess its name; the relay may read it.

    It is a dialogue (`pickup_file`), as that can say all that SMTP can; nobody is here any more when it is read, so a recipient who is
    refused then bounces (XACK OFF). `trace` stands before the message's own fields.
    """
    try:
        octets = b"XACK OFF\r\n" + _dialogue(message, trace)
    except ScriptError as error:
        return NotTaken(str(error), again=False)
    name = f"{time.time_ns():x}-{os.getpid()}-{secrets.token_hex(8)}"
    part = folder / f".{name}.tmp"
    moved = False
    try:
        number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with open(number, "wb") as file:
            os.fchmod(number, 0o644)
            file.write(octets)
            file.flush()
            os.fsync(number)
            os.rename(part, folder / f"{name}.msg")
            moved = True
            _sync_name(folder, number)
    except OSError as error:
        if not moved:
            part.unlink(missing_ok=True)
        return NotTaken(f"{folder}: {error.strerror or error}", again=True, maybe=moved)
    return Taken(str(folder))


def _dialogue(message: Handover, trace: bytes) -> bytes:
    """Raises ScriptError."""
    notify = next((one.notify for one in message.recipients), Notify.ABSENT)  # it is the same for all: an option of the command
    words = ",".join([str(flag.name) for flag in Notify(notify) if flag.name])
    asked = Asked(envelope_id=message.envid, notify=words, ret=message.ret)
    return script(message.sender.text, [To(one.address.text) for one in message.recipients], trace + message.content, asked, time.time())


def _sync_name(folder: Path, file: int) -> None:
    """The name is on disk, too. A folder that we may write and not read cannot be synced; the usual file systems write a file's new name
    when the file is."""
    try:
        sync_folder(folder)
    except PermissionError:
        os.fsync(file)
