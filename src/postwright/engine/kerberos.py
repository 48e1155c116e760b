"""GSSAPI (RFC 4752) and GSS-SPNEGO against a keytab: the acceptor of the login helper, and which user a principal is.

A dialogue that begins with a Kerberos token is RFC 4752's, and ends with the question of a security layer: none is offered, since TLS is
there for that. One that begins with SPNEGO (GSS-SPNEGO, and what Microsoft's clients send as GSSAPI) ends when both sides are content.
Principals of our own realm, the service's, are users by their name without it; those of other realms are refused. Of a realm that is
listed, ours or another, they are users by the whole name. A ticket that is no good is a refusal; a keytab that cannot be used raises
OSError or ValueError.
"""

from __future__ import annotations

from collections.abc import Callable

from postwright.engine.auth_frames import Equip
from postwright.engine.gssapi import SPNEGO, Context, Credential, GssError
from postwright.model.credentials import Exchanged

_NO_LAYER = 1
REASON_MOST = 300  # characters


def user_of(principal: str, service: str, realms: tuple[str, ...]) -> str:
    """The user that `principal` is at the `service` principal whose keys took it; "" for nobody of ours.

    RFC 4120 section 6.1: realms differ by case. A name with an escaped letter in it is nobody's: it could be read as another.
    """
    name, at, realm = principal.rpartition("@")
    if not at or not name or "\\" in principal or "@" in name or not principal.isprintable():
        return ""
    if realm in realms:
        return principal
    return name if realm == service.rpartition("@")[2] else ""


class KerberosAcceptor:
    """One dialogue; see `auth_helper.Acceptor`."""

    def __init__(self, credential: Credential, realms: tuple[str, ...]) -> None:
        self._context = Context(credential)
        self._realms = realms
        self._bare: bool | None = None
        self._established = False
        self._asked = False  # the question of the security layer

    def step(self, data: bytes) -> Exchanged:
        """The client's next octets."""
        try:
            return self._step(data)
        except GssError as error:
            return _refused(str(error))

    def _step(self, data: bytes) -> Exchanged:
        if self._asked:
            return self._judge(self._context.unwrap(data))
        if self._established:
            # RFC 4752 section 3.1: the client has taken our last token
            return self._ask() if not data else _refused("the client goes on after the last token")
        if not data:
            return _refused("the client has shown no ticket")
        if self._bare is None:
            self._bare = not _is_spnego(data)
        answer, self._established = self._context.step(data)
        if not self._established:
            return Exchanged(answer)
        if self._bare:
            return Exchanged(answer) if answer else self._ask()
        return self._verdict(self._user(), answer)

    def _ask(self) -> Exchanged:
        self._asked = True
        return Exchanged(self._context.wrap(bytes([_NO_LAYER, 0, 0, 0])))

    def _judge(self, answer: bytes) -> Exchanged:
        """The chosen layer, the largest size of a message under it (none), and whom to act as: nobody but oneself."""
        user = self._user()
        if answer[:4] != bytes([_NO_LAYER, 0, 0, 0]):
            return _refused("the client wants a security layer that was not offered")
        if answer[4:] not in (b"", user.encode(), self._context.initiator.encode()):
            return _refused(f"{self._context.initiator} wants to act as somebody else")
        return self._verdict(user, b"")

    def _user(self) -> str:
        return user_of(self._context.initiator, self._context.acceptor, self._realms)

    def _verdict(self, user: str, last: bytes) -> Exchanged:
        return Exchanged(last, user, done=True, ok=True) if user else _refused(f"{self._context.initiator} is of no realm of ours")


def _refused(reason: str) -> Exchanged:
    """What the library says may hold names that a client chose."""
    return Exchanged(done=True, reason="".join(letter if letter.isprintable() else "?" for letter in reason)[:REASON_MOST])


def _is_spnego(token: bytes) -> bool:
    """RFC 2743 section 3.1: [APPLICATION 0], a length, then the mechanism's identifier."""
    return SPNEGO in token[:16] if token[:1] == b"\x60" else token[:1] == b"\xa1"


def make(equipment: Equip) -> Callable[[], KerberosAcceptor]:
    """For `auth_helper.ACCEPTORS`: reads the keytab once. Raises OSError or ValueError."""
    try:
        credential = Credential(equipment.keytab_copy or equipment.keytab, equipment.kerberos_service)
    except GssError as error:
        raise ValueError(f"the keytab {equipment.keytab} cannot be used for {equipment.kerberos_service}: {error}") from error
    return lambda: KerberosAcceptor(credential, equipment.kerberos_realms)
