"""The signed return path (`signed-return-path`): `rp-ID-MAC[-SCOPE]@DOMAIN`, by which a bounce or complaint proves that it is about ours.

Each recipient of a message has a return path of its own. `ID` is the message's id, which holds the time; `MAC` is 80 bits of HMAC-SHA256
over the recipient, with a key that only this message has: HMAC of the relay's secret and the id. So delivery knows no secret but the
message's own, and who has seen one return path can make no other one. Letters' case carries nothing, as mailers change it. The recipient
does not stand in it (a local part has 64 octets): a report must name him, wherever it likes, and the MAC says whether he is meant.

`SCOPE`, with `suppression-scope user` or `job`, is whose mail it was, for the report to suppress in that one's mail only: `short_name` of
the user or job, under the MAC, and hidden by the message's key, as who logs in here is nobody's business out there.

Pure and total: what is no token of ours, or too old, verifies nobody.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable

from msgspec import Struct

from postwright.model.address import Address, parse_mailbox
from postwright.model.errors import AddressError
from postwright.model.message import IdMaker, Message, format_id, parse_id
from postwright.model.suppression import mailbox_key, short_name
from postwright.policy.verp import return_path

FRESH = 60 * 86400.0
"""Seconds that a token counts. Bounces come within days; people complain of what they read weeks later."""

MOST_NAMED = 2000
"""Addresses of one report that are tried."""

_AHEAD = 86400.0  # a clock that was set back
_token = re.compile(r"rp-([0-9a-z]{13})-([a-z2-7]{16})(?:-([a-z2-7]{2,29}))?", re.IGNORECASE).fullmatch
_KINDS = {"user": "u", "job": "j"}


class Proof(Struct, frozen=True):
    """To whom the message was sent that a report is about; `user` or `job` (short names), where its return path says whose it was."""

    address: Address
    user: str = ""
    job: str = ""


def message_key(secret: bytes, message_id: int) -> bytes:
    """The key of one message's return paths."""
    return hmac.digest(secret, b"return path " + format_id(message_id).lower().encode(), "sha256")


def signed(domain: str, message_id: int, key: bytes, recipient: Address, scope: str = "") -> Address:
    """The return path for this recipient. `domain` in canonical form; `key` is the message's; `scope` as `scope_of` gives it."""
    hidden = f"-{_text(_hidden(key, scope.encode()))}" if scope else ""
    return Address(f"rp-{format_id(message_id).lower()}-{_mac(key, recipient, scope)}{hidden}@{domain}", domain)


def scope_of(kind: str, user: str, job: str) -> str:
    """Whose mail it is, `kind` being "user", "job" or "" for nobody's in particular; "" where it has none."""
    name = {"user": user, "job": job}.get(kind, "")
    return _KINDS[kind] + short_name(name) if name else ""


def path_of(message: Message, sender: Address, recipient: Address) -> Address:
    """The return path of a message whose recipients have one each: signed where it is to be, else by VERP out of `sender`."""
    returns = message.envelope.returns
    if returns is None:
        return return_path(sender, recipient)
    scope = scope_of(returns.scope, message.arrival.user, message.job) if returns.scope else ""
    return signed(returns.domain, message.id, returns.key, recipient, scope)


def verified(secret: bytes, path: str, named: Iterable[str], now: float) -> Proof | None:
    """Which address among `named` (as a report has them) the message with this return path was sent to; None if it proves nothing."""
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
    scope = _shown(key, match.group(3)) if match.group(3) else ""
    for number, text in enumerate(named):
        if number >= MOST_NAMED:
            return None
        try:
            address = parse_mailbox(text.strip().strip("<>"), smtputf8=True)
        except AddressError:
            continue
        if hmac.compare_digest(_mac(key, address, scope), mac):
            return Proof(address, scope[1:] if scope[:1] == "u" else "", scope[1:] if scope[:1] == "j" else "")
    return None


def _mac(key: bytes, recipient: Address, scope: str) -> str:
    octets = mailbox_key(recipient).encode() + (b"\0" + scope.encode() if scope else b"")
    return _text(hmac.digest(key, octets, "sha256")[:10])


def _text(octets: bytes) -> str:
    return base64.b32encode(octets).decode("ascii").rstrip("=").lower()


def _hidden(key: bytes, octets: bytes) -> bytes:
    """Both ways. A key is one message's, and all its return paths hide the same few octets."""
    return bytes([one ^ other for one, other in zip(octets, hmac.digest(key, b"scope", "sha256"), strict=False)])


def _shown(key: bytes, text: str) -> str:
    """The scope in a token; what is none is no text that a MAC was made of."""
    try:
        return _hidden(key, base64.b32decode(text.upper() + "=" * (-len(text) % 8))).decode()
    except ValueError:
        return "?"
