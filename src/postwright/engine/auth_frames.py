"""The words between the shards, the login helper and the supervisor. Plain values; what a person typed is in no repr.

Shards ask the helper (`CheckPam`, `ExchangeStep`, `ExchangeOver`) and hear `Checked` or `ExchangeTold`, found again by `number`. The
supervisor tells the helper what to work with (`Equip`) and hears what a person should know (`Noticed`). They are frames of the bus.
"""

from __future__ import annotations

from msgspec import Struct


class CheckPam(Struct, tag="check-pam"):
    """Shard to helper: may `user` log in with `password`, says the PAM service of the configuration?"""

    number: int
    user: str
    password: str

    def __repr__(self) -> str:
        return f"CheckPam(number={self.number}, user={self.user!r})"


class ExchangeStep(Struct, tag="exchange-step"):
    """Shard to helper: the client's next octets in the dialogue `context` of an acceptor of that `kind` ("ntlm", "gssapi").

    The first step of a context makes it. `context` is the shard's own name for it; contexts of two shards never meet.
    """

    number: int
    kind: str
    context: str
    data: bytes

    def __repr__(self) -> str:
        return f"ExchangeStep(number={self.number}, kind={self.kind!r}, {len(self.data)} octets)"


class ExchangeOver(Struct, tag="exchange-over"):
    """Shard to helper: nobody will ask about this context any more. No answer."""

    context: str


class Checked(Struct, tag="checked"):
    """Helper to shard: `ok`, or refused; with an `error` nobody knows, and the login may be tried again later (454 4.7.0)."""

    number: int
    ok: bool
    error: str = ""


class ExchangeTold(Struct, tag="exchange-told"):
    """Helper to shard: octets for the client; with `done` the dialogue is over, and `ok` says whether it proved to be `user`."""

    number: int
    data: bytes
    user: str = ""
    done: bool = False
    ok: bool = False
    error: str = ""
    reason: str = ""  # of a refusal, for our record

    def __repr__(self) -> str:
        return f"ExchangeTold(number={self.number}, done={self.done}, ok={self.ok}, error={self.error!r})"


class Equip(Struct, tag="equip"):
    """Supervisor to helper, at its start and at each reload: what it works with. Never a pickle: the helper may be root's.

    `run_as`: the user to become, "" to stay what it is. `keytab_copy` is the helper's own (`auth_rights`).
    """

    pam_service: str = "smtp"
    keytab: str = ""
    kerberos_service: str = "smtp"
    kerberos_realms: tuple[str, ...] = ()
    run_as: str = ""
    keytab_copy: str = ""


class Noticed(Struct, tag="noticed"):
    """Helper to supervisor: something for the log, without secrets."""

    event: str
    detail: str = ""


AuthTalk = CheckPam | ExchangeStep | ExchangeOver | Checked | ExchangeTold | Equip | Noticed
