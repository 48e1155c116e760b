"""Which mechanism a client logs in with, out of those that are offered.

Pure. The strongest first; what shows the secret itself to whoever reads the line only where the caller says that it may. Nothing is raised:
where there is no way the answer says what is missing.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct
from msgspec.structs import replace

from postwright.wire.client_mechanisms import ClientLogin, names

CLEAR = frozenset({"PLAIN", "LOGIN", "XOAUTH2", "OAUTHBEARER"})  # what goes over the line is the secret itself
BY_TOKEN = ("OAUTHBEARER", "XOAUTH2")
# Receivers that keep hashed passwords fail CRAM-MD5, which they may offer all the same: it comes last.
BY_PASSWORD = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5")

NO_AUTH, NO_MECHANISM, CLEAR_PASSWORD = "no-auth", "no-mechanism", "clear-password"


class Choice(Struct, frozen=True):
    """`mechanism` is upper case; "" and then `missing` is NO_AUTH, NO_MECHANISM or CLEAR_PASSWORD."""

    mechanism: str = ""
    missing: str = ""


def choose(offered: Collection[str], wanted: str, login: ClientLogin, *, certificate: bool, may_be_clear: bool) -> Choice:
    """The mechanism to use. `wanted` leaves no other; with `certificate` TLS has one of ours, which is enough where there is no secret."""
    if not offered:
        return Choice(missing=NO_AUTH)
    usable = [
        name
        for name in _wishes(wanted, login, certificate)
        if name in offered and name in names() and (login.binding or not name.endswith("-PLUS"))
    ]
    if not usable:
        return Choice(missing=NO_MECHANISM)
    safe = [name for name in usable if may_be_clear or name not in CLEAR]
    return Choice(safe[0]) if safe else Choice(missing=CLEAR_PASSWORD)


def _wishes(wanted: str, login: ClientLogin, certificate: bool) -> tuple[str, ...]:
    if wanted:
        return (wanted.upper(),)
    if login.token:
        return BY_TOKEN
    return ("EXTERNAL",) if certificate and not login.password else BY_PASSWORD


def told_of_offers(login: ClientLogin, offered: Collection[str]) -> ClientLogin:
    """The login as a dialogue wants it: RFC 5802 section 6, a server that offers no -PLUS is told that we could have bound to the channel.
    If somebody in the middle took it out of the list, the server notices."""
    lacks = login.binding is not None and not any(name.endswith("-PLUS") for name in offered)
    return replace(login, server_lacks_plus=lacks)
