"""VERP (`verp-default`): a return path of its own for each recipient, `user-rcptlocal=rcptdomain@senderdomain`.

A bounce that comes back tells by its address alone whom it is about. Pure and total: where no such address can be made, the return path
stays what it was.
"""

from __future__ import annotations

import re

from postwright.model.address import MAX_MAILBOX, Address

_atoms = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+)*").fullmatch
_escaped = re.compile(r"\\(.)")
_special = re.compile(r'["\\]')


def return_path(sender: Address, recipient: Address) -> Address:
    """The sender as this recipient's receiver is to see it. The null reverse-path stays null, and nothing gets too long.

    A longer mailbox no path can carry (RFC 5321 section 4.5.3.1.3), so the sender stands as it is then. The 64 octets of a
    local part are let go: nearly every VERP of a long name has more, section 4.5.3.1 lets receivers take it, and they do.
    """
    if not sender.domain or not recipient.domain:
        return sender
    local = f"{_plain(sender.local)}-{_plain(recipient.local)}={recipient.domain}"
    if _atoms(local) is None:
        local = '"' + _special.sub(r"\\\g<0>", local) + '"'
    text = f"{local}@{sender.text.rpartition('@')[2]}"
    return Address(text, sender.domain) if len(text.encode()) <= MAX_MAILBOX else sender


def _plain(local: str) -> str:
    """What a local part says, without the quotation marks around it."""
    return _escaped.sub(r"\1", local[1:-1]) if local.startswith('"') else local
