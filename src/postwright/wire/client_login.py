"""One login in a session to a receiver: which mechanism, each line of the dialogue, and whether the other side has proved what it must.

Pure. Every answer is a line to say or the `Failure` that ends the session; a failure's reply and detail have no secret in them, even where
the server repeats what it heard. Nothing is raised.
"""

from __future__ import annotations

from msgspec.structs import replace

from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.reply import Reply
from postwright.model.route import Login
from postwright.wire.client_auth import Dialogue
from postwright.wire.client_choice import CLEAR_PASSWORD, NO_AUTH, choose, told_of_offers
from postwright.wire.client_mechanisms import ClientLogin, hidden, make

NONSENSE = "a challenge that makes no sense"
UNPROVED = "the receiver says that we are in, and has not proved to know the password (SCRAM)"
CLEAR_ONLY = "only logins that show the password are offered, and this connection has no TLS (use-unencrypted-plain-auth would allow it)"
TOLD_MOST = 300  # characters of what a server says inside a dialogue that we repeat


class LoginAttempt:
    """Made anew for each session: a `nonce` (printable) serves once. `host` and `port` as connected to."""

    __slots__ = ("_credentials", "_dialogue", "_login")

    def __init__(self, login: Login, host: str, port: int, nonce: str) -> None:
        identity = login.user if login.mechanism.upper() == "EXTERNAL" or not (login.password or login.token) else ""
        self._login = login
        self._credentials = ClientLogin(login.user, login.password, login.token, identity, host, port, nonce)
        self._dialogue: Dialogue | None = None

    def bind(self, binding: tuple[str, bytes] | None) -> None:
        """TLS has begun, and has this channel binding."""
        self._credentials = replace(self._credentials, binding=binding)

    def begin(self, offered: tuple[str, ...], *, secure: bool) -> str | Failure:
        """The AUTH command for a receiver that offers these mechanisms now."""
        login = self._login
        certificate = login.certificate and secure
        wanted = login.mechanism
        if wanted.upper() == "EXTERNAL" and not certificate:
            return _not_offered("EXTERNAL wants TLS, and a certificate of ours")
        credentials = told_of_offers(self._credentials, offered)
        choice = choose(offered, wanted, credentials, certificate=certificate, may_be_clear=secure or login.unencrypted)
        self._dialogue = make(choice.mechanism, credentials)
        if self._dialogue is not None:
            return self._dialogue.first
        if choice.missing == CLEAR_PASSWORD:
            return _not_offered(CLEAR_ONLY)
        if choice.missing == NO_AUTH:
            return _not_offered("no login is offered" + ("" if secure else " without TLS"))
        what = f"{wanted} is not among the logins offered" if wanted else "none of the logins offered can be used here"
        return _not_offered(f"{what}: {_shown(' '.join(offered))}")

    def answer(self, reply: Reply) -> str | Failure:
        """The line after a 334."""
        dialogue = self._dialogue
        said = dialogue.answer(reply.lines[0]) if dialogue is not None and reply.code == 334 else None
        if said is not None:
            return said
        return Failure(Stage.AUTH, None, Fault.PROTOCOL, self._told() or NONSENSE)

    def end(self, reply: Reply) -> Failure | None:
        """What the final reply comes to; None: we are in."""
        if not 200 <= reply.code < 300:
            return Failure(Stage.AUTH, self._hidden(reply), Fault.NONE, self._told())
        if self._dialogue is not None and not self._dialogue.satisfied:
            return Failure(Stage.AUTH, None, Fault.PROTOCOL, UNPROVED)
        return None

    def _told(self) -> str:
        return _shown(hidden(self._dialogue.told, self._credentials)) if self._dialogue is not None else ""

    def _hidden(self, reply: Reply) -> Reply:
        return Reply(reply.code, reply.status, tuple(hidden(line, self._credentials) for line in reply.lines))


def _not_offered(detail: str) -> Failure:
    return Failure(Stage.AUTH, None, Fault.NOT_OFFERED, detail)


def _shown(text: str) -> str:
    """A peer's words as a log may have them."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:TOLD_MOST])
