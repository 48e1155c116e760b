"""XCLIENT: a client whom we trust says for whom it speaks (Postfix, XCLIENT_README).

Pure: the argument of the command in, an event or a 501 out. Whether a client may say it is the caller's business. Nothing here raises.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from postwright.model.reply import Reply
from postwright.wire.events import XClient
from postwright.wire.grammar import GrammarError, xtext_decode
from postwright.wire.options import XCLIENT
from postwright.wire.server_states import State, out_of_order

_NAMES: Final = frozenset(XCLIENT.split()[1:])
_UNKNOWN: Final = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_LONGEST: Final = 255  # octets of a value; a host name, an address and a port have less, and a user's name is bounded so by RFC 4954 too

_SYNTAX = Reply(501, "5.5.4", ("NAME=value is wanted, once for each attribute",))
_ATTRIBUTE = Reply(501, "5.5.4", ("that attribute is not known",))
_VALUE = Reply(501, "5.5.4", ("that value cannot be",))


def read(argument: str, state: State) -> XClient | Reply:
    """XCLIENT in `state`: no transaction may be under way (503)."""
    if state not in (State.START, State.READY):
        return out_of_order("XCLIENT", state)
    values: dict[str, str | None] = {}
    for word in argument.split():
        name, equals, text = word.partition("=")
        name = name.upper()
        if not equals or name in values:
            return _SYNTAX
        if name not in _NAMES:
            return _ATTRIBUTE
        try:
            values[name] = _value(name, text)
        except GrammarError:
            return _VALUE
    return _event(values) if values else _SYNTAX


def _value(name: str, text: str) -> str | None:
    """The value in its plain form, None when the client does not know it. Raises GrammarError."""
    if text.upper() in _UNKNOWN:
        return None
    value = xtext_decode(text)
    if not value or len(value) > _LONGEST or not value.isprintable():
        raise GrammarError("no text")
    if name in ("ADDR", "DESTADDR"):
        return _address(value)
    if name in ("PORT", "DESTPORT") and not (value.isascii() and value.isdecimal() and len(value) < 6 and int(value) < 65536):
        raise GrammarError("no port")
    if name == "PROTO" and value.upper() not in ("SMTP", "ESMTP"):
        raise GrammarError("no protocol")
    return value


def _address(value: str) -> str:
    """`192.0.2.1` or `IPV6:2001:db8::1`, canonical."""
    bare = value[5:] if value[:5].upper() == "IPV6:" else value
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        raise GrammarError("no address") from None
    if "%" in bare:
        raise GrammarError("an address with a scope")
    return str(getattr(address, "ipv4_mapped", None) or address)


def _event(values: dict[str, str | None]) -> XClient:
    port, local_port = values.get("PORT"), values.get("DESTPORT")
    return XClient(
        address=values.get("ADDR") or "",
        port=int(port) if port else 0,
        local=values.get("DESTADDR") or "",
        local_port=int(local_port) if local_port else 0,
        helo=values.get("HELO") or "",
        login=values.get("LOGIN") or "",
    )
