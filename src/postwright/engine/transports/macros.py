"""The macros of `command` and `file-destination` (powermta.md section 6): `$to`, `$from`, `$user`, `$domain`, `$envid`, `$bodytype` and
times.

A value is put where its macro stands and is never looked at again: it is neither a macro nor a word of its own. Unknown macros stay as
they are. Since values come from strangers, a word that only a value makes look like an option is told (`as_option`), and a shell's
script with a macro in it is refused. Pure.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from datetime import UTC, datetime
from email.utils import format_datetime

from msgspec import Struct

from postwright.model.envelope import Recipient
from postwright.model.message import Message
from postwright.wire.client_states import Transaction

_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "csh", "tcsh"})
_runs_script = re.compile(r"-[a-z]*c").fullmatch
_stranger = re.compile(r"\$(?:to|from|user|domain|envid)(?![a-z])", re.IGNORECASE)
_macro = re.compile(r"\$([a-z]+)", re.IGNORECASE)


def values(message: Message, transaction: Transaction, recipient: Recipient, now: float, *, keep_case: bool) -> dict[str, str]:
    """What each macro stands for, by its name in lower case."""
    to, sender = recipient.address.text, transaction.reverse_path.text
    if not keep_case:
        to, sender = to.lower(), sender.lower()
    local = recipient.address.local
    when = datetime.fromtimestamp(now, UTC)
    return {
        "to": to,
        "from": sender,
        "user": local if keep_case else local.lower(),
        "domain": recipient.address.domain,
        "envid": transaction.envid,
        "bodytype": "8BITMIME" if transaction.facts.eight_bit else "7BIT",
        "timet": str(int(now)),
        "ctime": when.strftime("%a %b %e %H:%M:%S %Y"),
        "isodate": when.strftime("%Y-%m-%d %H:%M:%S+0000"),
        "rfctime": format_datetime(when),
    }


def expand(text: str, known: dict[str, str]) -> str:
    """The text with its macros replaced."""
    return _macro.sub(lambda match: known.get(match[1].lower(), match[0]), text)


def words(command: str) -> list[str]:
    """A command line as a program and its arguments, quotes taken off; macros are replaced in them afterwards. Raises ValueError."""
    found = shlex.split(command)
    if not found:
        raise ValueError("there is no program in it")
    script = next((at + 1 for at, word in enumerate(found) if at and _runs_script(word)), len(found))
    if posixpath.basename(found[0]) in _SHELLS and script < len(found) and _stranger.search(found[script]):
        raise ValueError(
            f'a macro in the script of {found[0]} would let an address run programs; name it after the script and use "$1" there'
        )
    return found


def as_option(word: str, argument: str) -> bool:
    """Has only a macro's value made this argument begin as an option does?"""
    return argument.startswith("-") and not word.startswith("-")


class Place(Struct, frozen=True):
    """A `file-destination`: `base` a folder that no address has a part in, and the names below it, each with its macros; `text` as it was
    written."""

    base: str
    parts: tuple[str, ...]
    text: str


def place(destination: str, *, mailbox: bool) -> Place:
    """Reads a `file-destination`: a folder, or with `mailbox` a file. Raises ValueError."""
    if not destination.startswith("/"):
        raise ValueError("it has to be an absolute path")
    parts = [part for part in destination.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError("`..` leads elsewhere; write the path that is meant")
    fixed = next((at for at, part in enumerate(parts) if _macro.search(part)), len(parts))
    if not fixed:
        raise ValueError("it has to begin with a folder that no address has a part in")
    if mailbox:
        fixed = min(fixed, len(parts) - 1)
    return Place("/" + "/".join(parts[:fixed]), tuple(parts[fixed:]), destination)
