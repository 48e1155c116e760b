"""`postwright sendmail`, and a program called `sendmail`: what PHP's mail(), cron and thousands of scripts call, whoever they run as.

The message comes on standard input and goes to the local relay by SMTP, or into its pickup folder when the relay takes nothing just now.
Where those are stands in /etc/postwright/sendmail.conf (POSTWRIGHT_SENDMAIL names another file): `relay HOST:PORT`, `folder DIR`. It needs
no right to the relay's own folders. Options of Sendmail that mean nothing here are taken and ignored, as every other sendmail does.

Exit status as of sysexits.h: 0 taken, 64 wrong options, 65 an address is none, 67 a recipient is refused, 69 the message is refused,
75 try again later, 77 not from this sender, 78 the configuration file is wrong.
"""

from __future__ import annotations

import getopt
import os
import pwd
import selectors
import socket
import sys
from collections.abc import Callable
from email.utils import formataddr, formatdate, make_msgid
from pathlib import Path

import click
from msgspec import Struct

from postwright.engine.local_hand_in import Handover, NotTaken, Taken, by_smtp, into_folder
from postwright.engine.local_message import LocalMessage, addresses, read
from postwright.model.address import NULL_PATH, Address, parse_mailbox
from postwright.model.envelope import Notify, Recipient
from postwright.model.errors import AddressError

EX_OK, EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 0, 64, 65, 67, 69, 75, 77, 78
CONFIG = Path("/etc/postwright/sendmail.conf")
RELAY = ("127.0.0.1", 25)
FOLDER = Path("/var/spool/postwright/pickup")
MOST = 256 * 1024 * 1024  # octets of standard input

_OPTIONS = "A:B:C:D:F:GIL:N:O:R:UV:X:b:cd:e:f:h:imno:p:q:r:tvx"
_NOTIFY = {flag.name.lower(): flag for flag in (Notify.NEVER, Notify.SUCCESS, Notify.FAILURE, Notify.DELAY) if flag.name}


class Ended(Exception):
    """The end, with an exit status and a sentence for standard error ("" for none)."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Wanted(Struct):
    """The command line. `sender` None when it names none."""

    recipients: list[str] = []
    mode: str = "m"
    sender: str | None = None
    full_name: str = ""
    from_headers: bool = False
    dot_ends: bool = True
    verbose: bool = False
    notify: int = 0
    ret: str = ""
    envid: str = ""


class Places(Struct, frozen=True):
    """Where mail is handed in."""

    relay: tuple[str, int] = RELAY
    folder: Path = FOLDER


def parsed(words: list[str]) -> Wanted:
    """Sendmail's options. Raises Ended."""
    try:
        options, rest = getopt.getopt(_with_values(words), _OPTIONS)
    except getopt.GetoptError as error:
        raise Ended(EX_USAGE, f"{error}; see `postwright sendmail --help`") from None
    wanted = Wanted(recipients=rest)
    for option, value in options:
        _SETTERS.get(option, _ignored)(wanted, value)
    return wanted


def _with_values(words: list[str]) -> list[str]:
    """`-q` may stand alone; getopt wants something behind it."""
    return ["-q0" if word == "-q" else word for word in words]


def _ignored(wanted: Wanted, value: str) -> None:
    """Taken for the sake of scripts that say it."""


def _mode(wanted: Wanted, value: str) -> None:
    wanted.mode = value[:1]


def _sender(wanted: Wanted, value: str) -> None:
    wanted.sender = value.strip()


def _name(wanted: Wanted, value: str) -> None:
    wanted.full_name = value


def _no_dot(wanted: Wanted, value: str) -> None:
    wanted.dot_ends = False


def _headers(wanted: Wanted, value: str) -> None:
    wanted.from_headers = True


def _verbose(wanted: Wanted, value: str) -> None:
    wanted.verbose = True


def _queue_run(wanted: Wanted, value: str) -> None:
    wanted.mode = "q"


def _envid(wanted: Wanted, value: str) -> None:
    wanted.envid = value


def _return(wanted: Wanted, value: str) -> None:
    if value.lower() not in ("full", "hdrs"):
        raise Ended(EX_USAGE, "-R wants full or hdrs")
    wanted.ret = value.upper()


def _notify(wanted: Wanted, value: str) -> None:
    words = [word.strip().lower() for word in value.split(",")]
    if not all(word in _NOTIFY for word in words) or ("never" in words and len(words) > 1):
        raise Ended(EX_USAGE, "-N wants never, or a list of success, failure, delay")
    wanted.notify = sum(_NOTIFY[word] for word in set(words))


def _old_option(wanted: Wanted, value: str) -> None:
    if value.startswith("i"):
        wanted.dot_ends = False


def _new_option(wanted: Wanted, value: str) -> None:
    if value.replace(" ", "").lower() in ("ignoredots", "ignoredots=true"):
        wanted.dot_ends = False


_SETTERS: dict[str, Callable[[Wanted, str], None]] = {
    "-b": _mode, "-f": _sender, "-r": _sender, "-F": _name, "-i": _no_dot, "-t": _headers,
    "-v": _verbose, "-q": _queue_run, "-V": _envid, "-R": _return, "-N": _notify, "-o": _old_option, "-O": _new_option,
}  # fmt: skip


def places(environment: dict[str, str]) -> Places:
    """Raises Ended when the file is there and wrong."""
    file = Path(environment.get("POSTWRIGHT_SENDMAIL") or CONFIG)
    try:
        lines = file.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return Places()
    except (OSError, ValueError) as error:
        raise Ended(EX_CONFIG, f"{file}: {error}") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or words[0] not in ("relay", "folder"):
            raise Ended(EX_CONFIG, f"{file}, line {number}: `relay HOST:PORT` or `folder DIR` was expected")
        found[words[0]] = words[1]
    host, _, port = found.get("relay", "127.0.0.1:25").rpartition(":")
    if not host or not port.isdecimal():
        raise Ended(EX_CONFIG, f"{file}: relay wants HOST:PORT")
    return Places((host.strip("[]"), int(port)), Path(found.get("folder", str(FOLDER))))


def host_name() -> str:
    """What an address without a domain is completed with."""
    try:
        name = Path("/etc/mailname").read_text("utf-8").strip()
    except (OSError, ValueError):
        name = ""
    return name or socket.gethostname() or "localhost"


def _user() -> tuple[str, str]:
    """The login of who calls, and the full name."""
    try:
        entry = pwd.getpwuid(os.getuid())
    except KeyError:
        return f"uid{os.getuid()}", ""
    return entry.pw_name, entry.pw_gecos.split(",")[0].replace("&", entry.pw_name.capitalize())


def _mailbox(text: str, host: str) -> Address:
    """Raises Ended."""
    whole = text[1:-1] if text.startswith("<") and text.endswith(">") else text
    if not whole:
        return NULL_PATH
    try:
        return parse_mailbox(whole if "@" in whole else f"{whole}@{host}", smtputf8=True)
    except AddressError as error:
        raise Ended(EX_DATAERR, f"{whole!a} is no address: {error}") from None


def composed(wanted: Wanted, message: LocalMessage) -> Handover:
    """Raises Ended."""
    host = host_name()
    login, full_name = _user()
    sender = _mailbox(wanted.sender if wanted.sender is not None else login, host)
    named = addresses(wanted.recipients) + (message.recipients() if wanted.from_headers else [])
    if not named:
        raise Ended(EX_USAGE, "there is no recipient: name one, or say -t and have one in To, Cc or Bcc")
    recipients = tuple(Recipient(_mailbox(one, host), wanted.notify) for one in dict.fromkeys(named))
    if any(not one.address.text for one in recipients):
        raise Ended(EX_DATAERR, "<> is no recipient")
    before = _missing(message, sender.text or f"{login}@{host}", wanted.full_name or full_name, host)
    return Handover(sender, recipients, message.content(before), wanted.ret, wanted.envid)


def _missing(message: LocalMessage, sender: str, full_name: str, host: str) -> bytes:
    """From, Date and Message-ID where the message has none."""
    lines = []
    if not message.has(b"from"):
        lines.append(f"From: {formataddr((''.join([c for c in full_name if c.isprintable()]), sender))}")
    if not message.has(b"date"):
        lines.append(f"Date: {formatdate(localtime=True)}")
    if not message.has(b"message-id"):
        lines.append(f"Message-ID: {make_msgid(domain=host)}")
    return "".join([f"{line}\r\n" for line in lines]).encode()


def hand_in(wanted: Wanted, where: Places, message: Handover) -> None:
    """Raises Ended, when it was taken, too."""
    told = (lambda line: print(line.encode("unicode_escape").decode(), file=sys.stderr)) if wanted.verbose else (lambda line: None)
    outcome = by_smtp(where.relay, host_name(), message, told)
    if isinstance(outcome, NotTaken) and outcome.again and not outcome.maybe and where.folder.is_dir():
        trace = f"Received: by {host_name()} (postwright sendmail, from userid {os.getuid()}); {formatdate(localtime=True)}\r\n"
        kept = into_folder(where.folder, message, trace.encode())
        outcome = kept if isinstance(kept, Taken) else NotTaken(f"{outcome.why}; {kept.why}", again=kept.again)
    raise _ended(outcome)


def _ended(outcome: Taken | NotTaken) -> Ended:
    if isinstance(outcome, Taken):
        lines = [f"{who.address.text!a} is refused: {reply.text!a}" for who, reply in outcome.refused]
        return Ended(EX_NOUSER, "; ".join(lines) + "; the others get the message") if lines else Ended(EX_OK)
    if outcome.again:
        return Ended(EX_TEMPFAIL, f"not taken: {outcome.why!a}")
    status = {550: EX_NOUSER, 551: EX_NOUSER, 553: EX_NOPERM, 530: EX_NOPERM}.get(outcome.code, EX_UNAVAILABLE)
    return Ended(status, f"refused: {outcome.why!a}")


def speak(where: Places) -> None:
    """`-bs`: SMTP on standard input and output, with the relay at the other end. Raises Ended."""
    try:
        with socket.create_connection(where.relay, 5.0) as sock:
            sock.settimeout(None)
            _pump(sock)
    except OSError as error:
        sys.stdout.write("421 4.3.2 the relay does not answer\r\n")
        raise Ended(EX_TEMPFAIL, f"{where.relay[0]}:{where.relay[1]}: {error.strerror or error}") from None
    raise Ended(EX_OK)


def _pump(sock: socket.socket) -> None:
    with selectors.DefaultSelector() as waiting:
        waiting.register(sock, selectors.EVENT_READ)
        try:
            waiting.register(0, selectors.EVENT_READ)
        except (PermissionError, ValueError):  # a plain file is always ready, and no selector takes it
            sock.sendall(sys.stdin.buffer.read())
            sock.shutdown(socket.SHUT_WR)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is sock:
                    if not (data := sock.recv(65536)):
                        return
                    os.write(1, data)
                elif data := os.read(0, 65536):
                    sock.sendall(data)
                else:
                    waiting.unregister(0)
                    sock.shutdown(socket.SHUT_WR)


def run(words: list[str], environment: dict[str, str]) -> None:
    """One call of the program. Always raises Ended."""
    wanted = parsed(words)
    if wanted.mode in ("q", "i", "h", "H"):
        raise Ended(EX_OK)  # the relay looks after its queue by itself, and `alias` lines are read at a reload
    if wanted.mode == "p":
        raise Ended(EX_UNAVAILABLE, "the queue is shown by `postwright status`")
    where = places(environment)
    if wanted.mode == "s":
        speak(where)
    if wanted.mode != "m":
        raise Ended(EX_USAGE, f"-b{wanted.mode} is not done here; the relay is `postwright run`")
    octets = sys.stdin.buffer.read(MOST + 1)
    if len(octets) > MOST:
        raise Ended(EX_DATAERR, f"the message has more than {MOST} octets")
    hand_in(wanted, where, composed(wanted, read(octets, dot_ends=wanted.dot_ends)))


def main(words: list[str] | None = None) -> None:
    """The program `sendmail`, also as mailq and newaliases."""
    name = os.path.basename(sys.argv[0])
    given = sys.argv[1:] if words is None else words
    first = {"mailq": ["-bp"], "newaliases": ["-bi"]}.get(name, [])
    try:
        run([*first, *given], dict(os.environ))
    except Ended as end:
        if end.text:
            print(f"sendmail: {end.text}", file=sys.stderr)
        sys.exit(end.status)


@click.command("sendmail", context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def command(words: tuple[str, ...]) -> None:
    """Send the message on standard input, as programs call sendmail.

    \b
    -t  recipients from To, Cc and Bcc, beside those named     -f ADDRESS  envelope sender (also -r)
    -i  a line of one dot does not end the message (-oi)       -F NAME     full name of the sender
    -bs speak SMTP on standard input and output                -v          show the dialogue
    -N, -R, -V  reports wanted (DSN)                           others are taken and ignored

    \b
    Example: printf 'Subject: hello\\n\\nbody\\n' | postwright sendmail -f me@example.com you@example.net
    Exit status (sysexits.h): 0 taken, 64 wrong options, 65 an address is none, 67 a recipient is refused, 69 the message is refused,
    75 try again later, 77 not from this sender, 78 the configuration file is wrong.
    """
    main(list(words))
