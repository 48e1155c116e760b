"""Each SASL mechanism that a client of ours speaks, by name: the dialogue for a login.

Pure. `make` gives a `Dialogue` (see `wire.client_auth`) for the mechanism that the caller chose, whatever the server offers; None when the
name is not known here. Chance comes in as `ClientLogin.nonce`. Nothing is raised, and nothing here has a repr that shows a secret.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from postwright.wire.client_auth import CramMd5, Dialogue
from postwright.wire.grammar import GrammarError, base64_decode, base64_encode
from postwright.wire.scram_client import ScramClient

# RFC 4954 section 4: an initial response that would make the AUTH command longer than this waits for the server's empty challenge.
MAX_COMMAND = 512


class ClientLogin(Struct, frozen=True):
    """Who logs in and with what. `identity` whom to act as ("" oneself); `host` and `port` as connected to (OAUTHBEARER says them);
    `nonce` printable, never used before (SCRAM); `binding` name and data of a TLS channel binding (RFC 5929), for the -PLUS forms;
    `server_lacks_plus`: there is a binding and none of them was offered."""

    user: str
    password: str = ""
    token: str = ""
    identity: str = ""
    host: str = ""
    port: int = 0
    nonce: str = ""
    binding: tuple[str, bytes] | None = None
    server_lacks_plus: bool = False

    def __repr__(self) -> str:
        return f"ClientLogin(user={self.user!r})"


def plain_response(login: ClientLogin) -> bytes:
    """RFC 4616: `[authzid] NUL authcid NUL password`."""
    return f"{login.identity}\0{login.user}\0{login.password}".encode()


def xoauth2_response(login: ClientLogin) -> bytes:
    """Google's and Microsoft's own form: `user=…^Aauth=Bearer …^A^A`."""
    return f"user={login.user}\1auth=Bearer {login.token}\1\1".encode()


def oauthbearer_response(login: ClientLogin) -> bytes:
    """RFC 7628 section 3.1: a GS2 header with the user, then key-value pairs between ^A."""
    user = login.user.replace("=", "=3D").replace(",", "=2C")  # RFC 5801 section 4, saslname
    pairs = [f"host={login.host}"] * bool(login.host) + [f"port={login.port}"] * bool(login.port) + [f"auth=Bearer {login.token}"]
    return f"n,a={user},\1{''.join([pair + chr(1) for pair in pairs])}\1".encode()


class _Bearer(Dialogue):
    """A token, and the answer to the challenge by which a server says what is wrong with it (RFC 7628 section 3.2.3)."""

    __slots__ = ("_goodbye", "_told")

    def __init__(self, mechanism: str, response: bytes, goodbye: str) -> None:
        first, answers = _opening(mechanism, response)
        super().__init__(first, answers)
        self._goodbye = goodbye
        self._told = ""

    def answer(self, challenge: str) -> str | None:
        ready = super().answer(challenge)
        if ready is not None:
            return ready
        if self._told:
            return None
        try:
            self._told = base64_decode(challenge.encode("ascii", "replace")).decode("utf-8", "replace") or "refused"
        except GrammarError:
            return None
        return self._goodbye

    @property
    def told(self) -> str:
        return self._told


class _Scram(Dialogue):
    """RFC 5802 over RFC 4954: the server's proof comes in a last 334, which is answered by an empty line."""

    __slots__ = ("_scram", "_step", "_told")

    def __init__(self, mechanism: str, scram: ScramClient) -> None:
        first, answers = _opening(mechanism, scram.first())
        super().__init__(first, answers)
        self._scram = scram
        self._step = 0
        self._told = ""

    def answer(self, challenge: str) -> str | None:
        ready = super().answer(challenge)
        if ready is not None:
            return ready
        try:
            data = base64_decode(challenge.encode("ascii", "replace"))
        except GrammarError:
            return None
        if data.startswith(b"e="):
            self._told = data[2:].decode("ascii", "replace")
            return None
        self._step += 1
        said = self._scram.final(data) if self._step == 1 else self._scram.check(data) if self._step == 2 else None
        return base64_encode(said) if said is not None else None

    @property
    def satisfied(self) -> bool:
        return self._scram.verified

    @property
    def told(self) -> str:
        return self._told


def _opening(mechanism: str, response: bytes) -> tuple[str, list[str]]:
    """The first line, with the initial response if it fits; else it is the first answer. An empty one is `=` (RFC 4954 section 4)."""
    text = base64_encode(response)
    first = f"AUTH {mechanism} {text or '='}"
    return (first, []) if len(first) + 2 <= MAX_COMMAND else (f"AUTH {mechanism}", [text])


def _plain(login: ClientLogin) -> Dialogue:
    return Dialogue(*_opening("PLAIN", plain_response(login)))


def _login(login: ClientLogin) -> Dialogue:
    return Dialogue("AUTH LOGIN", [base64_encode(login.user.encode()), base64_encode(login.password.encode())])


def _cram_md5(login: ClientLogin) -> Dialogue:
    return CramMd5(login.user, login.password)


def _xoauth2(login: ClientLogin) -> Dialogue:
    return _Bearer("XOAUTH2", xoauth2_response(login), "")


def _oauthbearer(login: ClientLogin) -> Dialogue:
    return _Bearer("OAUTHBEARER", oauthbearer_response(login), base64_encode(b"\1"))


def _external(login: ClientLogin) -> Dialogue:
    # RFC 4422 appendix A: who we are is what TLS has shown; said is only whom to act as.
    return Dialogue(*_opening("EXTERNAL", login.identity.encode()))


def _scram(hash: str, *, plus: bool) -> Callable[[ClientLogin], Dialogue]:
    mechanism = f"SCRAM-{hash}{'-PLUS' if plus else ''}"

    def make_one(login: ClientLogin) -> Dialogue:
        channel, lacks = (login.binding, False) if plus else (None, login.server_lacks_plus)
        scram = ScramClient(hash, login.user, login.password, login.nonce, channel=channel, server_lacks_plus=lacks)
        return _Scram(mechanism, scram)

    return make_one


_MAKERS: dict[str, Callable[[ClientLogin], Dialogue]] = {
    "SCRAM-SHA-256-PLUS": _scram("SHA-256", plus=True),
    "SCRAM-SHA-256": _scram("SHA-256", plus=False),
    "SCRAM-SHA-1-PLUS": _scram("SHA-1", plus=True),
    "SCRAM-SHA-1": _scram("SHA-1", plus=False),
    "PLAIN": _plain,
    "LOGIN": _login,
    "CRAM-MD5": _cram_md5,
    "XOAUTH2": _xoauth2,
    "OAUTHBEARER": _oauthbearer,
    "EXTERNAL": _external,
}


def hidden(text: str, login: ClientLogin) -> str:
    """A line that a server said, without the secrets that it may have heard of us: some repeat what they do not like."""
    for secret in (login.password, login.token):
        if secret:
            for form in _forms(secret, login):
                text = text.replace(form, "****")
    return text


def _forms(secret: str, login: ClientLogin) -> tuple[str, ...]:
    responses = (plain_response(login), xoauth2_response(login), oauthbearer_response(login), secret.encode())
    return (secret, *(base64_encode(response) for response in responses))


def names() -> tuple[str, ...]:
    """The mechanisms that `make` knows."""
    return tuple(_MAKERS)


def make(mechanism: str, login: ClientLogin) -> Dialogue | None:
    """A new dialogue; None if the mechanism is not known, or is a -PLUS one and there is no channel binding."""
    maker = _MAKERS.get(mechanism.upper())
    if mechanism.upper().endswith("-PLUS") and login.binding is None:
        return None
    return maker(login) if maker is not None else None
