"""Login dialogues for people: what to type at an SMTP prompt, and what a pasted piece of one says.

The face of `wire.client_mechanisms` and `wire.sasl_explain` for the command line. Nothing is sent and no password is checked. `encode`
raises ValueError for what cannot be encoded; explaining never fails.
"""

from __future__ import annotations

import time

from msgspec import Struct

from postwright.wire import client_mechanisms, sasl_explain
from postwright.wire.client_mechanisms import ClientLogin
from postwright.wire.explained import Explained, Row, printable
from postwright.wire.sasl_explain import MAX_TEXT, NOT_BASE64

__all__ = [
    "ENCODABLE",
    "MAX_TEXT",
    "NOT_BASE64",
    "NO_ENCRYPTION",
    "Encoded",
    "Explained",
    "Row",
    "Typed",
    "encode",
    "explain",
    "login",
    "needs",
]

ENCODABLE = ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER", "EXTERNAL")
NO_ENCRYPTION = "Base64 is no encryption: whoever sees this line can read it. Send it over TLS only, and keep it out of tickets and logs."

_BY_TOKEN = ("XOAUTH2", "OAUTHBEARER")
_LOGIN_PROMPTS = ("when the server says 334 VXNlcm5hbWU6 (Username:)", "when the server says 334 UGFzc3dvcmQ6 (Password:)")


class Typed(Struct, frozen=True):
    """A line to type, and when."""

    line: str
    when: str = ""

    def __repr__(self) -> str:
        return f"Typed(when={self.when!r})"


class Encoded(Struct, frozen=True):
    """`lines` in their order; `written_out` what is inside of the Base64, its secret masked; `revealed` the same with the secret."""

    lines: tuple[Typed, ...]
    written_out: str
    revealed: str

    def __repr__(self) -> str:
        return f"Encoded({self.written_out!r})"


def needs(mechanism: str) -> str:
    """Which secret a mechanism wants: "password", "token" or ""."""
    return "token" if mechanism in _BY_TOKEN else "" if mechanism == "EXTERNAL" else "password"


def encode(mechanism: str, login: ClientLogin, challenge: str = "") -> Encoded:
    """What a client types for `mechanism` (one of ENCODABLE); `challenge` is the text of the server's 334, for CRAM-MD5 alone.

    Raises ValueError: an unknown mechanism, a NUL in user or password, a challenge that is missing or no Base64.
    """
    if any("\0" in part for part in (login.user, login.password, login.identity)):
        raise ValueError("a NUL can stand neither in a user name nor in a password")
    dialogue = client_mechanisms.make(mechanism, login)
    if dialogue is None or mechanism not in ENCODABLE:
        raise ValueError(f"{mechanism} cannot be typed by hand")
    lines = [Typed(dialogue.first)]
    if mechanism == "CRAM-MD5":
        answer = dialogue.answer(challenge.removeprefix("334 ").strip()) if challenge else None
        if answer is None:
            raise ValueError("CRAM-MD5 answers a challenge: give the text of the server's 334")
        lines.append(Typed(answer, "when the server has said this very challenge"))
    elif mechanism == "LOGIN":
        lines += [Typed(dialogue.answer("") or "", when) for when in _LOGIN_PROMPTS]
    elif (late := _late(dialogue.first, mechanism)) and (answer := dialogue.answer("")) is not None:
        lines.append(Typed(answer, late))
    return Encoded(tuple(lines), _written_out(mechanism, _masked(login)), _written_out(mechanism, login))


def _late(first: str, mechanism: str) -> str:
    return "when the server says 334 (the line would have been too long for one command)" if first == f"AUTH {mechanism}" else ""


def _masked(login: ClientLogin) -> ClientLogin:
    return ClientLogin(login.user, "********", "********", login.identity, login.host, login.port)


def _written_out(mechanism: str, login: ClientLogin) -> str:
    if mechanism == "PLAIN":
        return printable(client_mechanisms.plain_response(login))
    if mechanism == "XOAUTH2":
        return printable(client_mechanisms.xoauth2_response(login))
    if mechanism == "OAUTHBEARER":
        return printable(client_mechanisms.oauthbearer_response(login))
    if mechanism == "EXTERNAL":
        return printable(login.identity.encode())
    return f"{printable(login.user.encode())}, {printable(login.password.encode())}"


def explain(text: str, now: float | None = None) -> list[Explained]:
    """See `wire.sasl_explain.explain`; `now` is the time of day."""
    return sasl_explain.explain(text, time.time() if now is None else now)


def login(user: str, *, password: str = "", token: str = "", identity: str = "", host: str = "", port: int = 0) -> ClientLogin:
    """A login's values, for `encode`."""
    return ClientLogin(user, password, token, identity, host, port)
