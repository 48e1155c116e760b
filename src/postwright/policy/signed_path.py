"""The signed return path (`signed-return-path`): `rp-ID-MAC@DOMAIN`, by which a bounce or complaint proves that it is about mail of ours.

Each recipient of a message has a return path of its own. `ID` is the message's id, which holds the time; `MAC` is 80 bits of HMAC-SHA256
over the recipient, with a key that only this message has: HMAC of the relay's secret and the id. So delivery knows no secret but the
message's own, and who has seen one return path can make no other one. Letters' case carries nothing, as mailers change it. The recipient
does not stand in it (a local part has 64 octets): a report must name him, wherever it likes, and the MAC says whether he is meant.

Pure and total: what is no token of ours, or too old, verifies nobody.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable

from postwright.model.address import Address, parse_mailbox
from postwright.model.errors import AddressError
from postwright.model.message import IdMaker, Message, format_id, parse_id
from postwright.model.suppression import mailbox_key
from postwright.policy.verp import return_path

FRESH = 60 * 86400.0
"""Seconds that a token counts. Bounces come within days; people complain of what they read weeks later."""

MOST_NAMED = 2000
"""Addresses of one report that are tried."""

_AHEAD = 86400.0  # a clock that was set back
_token = re.compile(r"rp-([0-9a-z]{13})-([a-z2-7]{16})", re.IGNORECASE).fullmatch


def message_key(secret: bytes, message_id: int) -> bytes:
    """The key of one message's return paths."""
    return hmac.digest(secret, b"return path " + format_id(message_id).lower().encode(), "sha256")


def signed(domain: str, message_id: int, key: bytes, recipient: Address) -> Address:
    """The return path for this recipient. `domain` in canonical form; `key` is the message's."""
    return Address(f"rp-{format_id(message_id).lower()}-{_mac(key, recipient)}@{domain}", domain)


def path_of(message: Message, sender: Address, recipient: Address) -> Address:
    """The return path of a message whose recipients have one each: signed where it is to be, else by VERP out of `sender`."""
    returns = message.envelope.returns
    return return_path(sender, recipient) if returns is None else signed(returns.domain, message.id, returns.key, recipient)


def verified(secret: bytes, path: str, named: Iterable[str], now: float) -> Address | None:
    """The address among `named` (as a report has them) to which the message with this return path was sent; None if it proves nothing."""
    match = _token(path.rpartition("@")[0])
    if match is None:
        return None
    try:
        message_id = parse_id(match.group(1))
    except ValueError:
        return None
    age = now - (IdMaker.EPOCH_MS + (message_id >> 22)) / 1000
    if not -_AHEAD <= age <= FRESH:
        return None
    key, mac = message_key(secret, message_id), match.group(2).lower()
    for number, text in enumerate(named):
        if number >= MOST_NAMED:
            return None
        try:
            address = parse_mailbox(text.strip().strip("<>"), smtputf8=True)
        except AddressError:
            continue
        if hmac.compare_digest(_mac(key, address), mac):
            return address
    return None


def _mac(key: bytes, recipient: Address) -> str:
    octets = hmac.digest(key, mailbox_key(recipient).encode(), "sha256")[:10]
    return base64.b32encode(octets).decode("ascii").lower()
