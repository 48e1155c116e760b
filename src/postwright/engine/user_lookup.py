"""Users asked for over HTTP (`<user-lookup>`): one POST a user, an answer that is kept for a while, and never a refusal for want of one.

    POST url  {"user": "alice@example.com"}                     200 {"password-hash": "$argon2id$…", "source": "mailings"}
                                                                404 for a user that there is not
    with send-password  {"user": …, "password": "wonderland"}   200 {"allowed": true}

docs/reference/user-lookup.md has the document. A server that is slow, away or talks nonsense makes the login a temporary failure
(`LoginUnavailable`). Equal questions at once are one request. Both caches, and the questions under way, are bounded. With `send-password`
answers are kept under a keyed digest of user and password, never under the password.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from postwright.engine import password_hash, users_file
from postwright.engine.known_user import KnownUser
from postwright.engine.users_file import canonical, read_scram
from postwright.model.credentials import CredentialKinds, ScramKeys
from postwright.model.errors import LoginUnavailable
from postwright.model.masked import masked
from postwright.model.saslprep import prepared
from postwright.net.http_client import HttpAnswer, HttpClient, HttpFailed
from postwright.policy import bindings
from postwright.policy.lookup_settings import UserLookup
from postwright.policy.settings import UserSettings

ENTRIES = 20_000  # answers kept, of users that there are and of others each
UNDER_WAY = 200
TELL_AGAIN = 60.0  # seconds between two lines of the log about a server that fails
LONGEST_NAME = 320


class _Reply(Struct, rename="kebab"):
    """The server's document; what it does not know of may be in it too."""

    user: str = ""
    enabled: bool = True
    source: str = ""
    password_hash: str = ""
    password: str = ""
    scram_sha_1: str = ""
    scram_sha_256: str = ""
    allowed: bool | None = None
    sender: list[str] = []
    check_from_header: bool = False
    virtual_mta: list[str] = []
    max_msg_rate: str = ""
    daily_limit: int = 0
    network: list[str] = []

    def __repr__(self) -> str:
        return masked(self, "password", "password_hash", "scram_sha_1", "scram_sha_256")


_decoder = msgspec.json.Decoder(_Reply)


class _Kept:
    """Answers with an end, at most `ENTRIES`; the oldest goes first."""

    def __init__(self) -> None:
        self._found: dict[bytes, tuple[float, KnownUser | None]] = {}

    def get(self, key: bytes, now: float) -> tuple[bool, KnownUser | None]:
        until, known = self._found.get(key, (0.0, None))
        return until > now, known

    def put(self, key: bytes, known: KnownUser | None, until: float) -> None:
        self._found.pop(key, None)
        if len(self._found) >= ENTRIES:
            del self._found[next(iter(self._found))]
        self._found[key] = until, known


class LookupUsers:
    """See the module; made on a shard's loop. `now` is a monotonic clock, `told` gets (event, detail) for the log. Raises ValueError for a
    secret file or authorities that cannot be read."""

    def __init__(self, settings: UserLookup, now: Callable[[], float], told: Callable[[str, str], None]) -> None:
        self.settings = settings
        self.like = ""  # the last hash seen: what a user who does not exist might have
        self._now = now
        self._told = told
        self._client = HttpClient(settings.request_timeout, settings.ca_file)
        self.secret = secret_of(settings)
        self._key = secrets.token_bytes(32)
        self._there, self._nobody = _Kept(), _Kept()
        self._asking: dict[bytes, asyncio.Task[KnownUser | None]] = {}
        self._told_at = -TELL_AGAIN
        self._closing: asyncio.Task[None] | None = None

    def kinds(self) -> CredentialKinds:
        """What every user there can prove, by `replies-have`."""
        has = self.settings.replies_have
        readable = "password" in has
        scram = tuple([hash for hash, field in users_file.SCRAM_FIELDS.items() if readable or field in has])
        return CredentialKinds(passwords=readable or "hash" in has or self.settings.send_password, secrets=readable, scram=scram)

    async def find(self, user: str, password: str = "") -> KnownUser | None:
        """The user as the server knows him. With `send-password`, `vouched` says what it thinks of `password`. Raises LoginUnavailable."""
        if not user or len(user) > LONGEST_NAME or not user.isprintable():
            return None
        shown = password if self.settings.send_password else ""
        key = self._digest(canonical(user), shown)
        for kept in (self._there, self._nobody):
            fresh, known = kept.get(key, self._now())
            if fresh:
                return known
        task = self._asking.get(key)
        if task is None:
            if len(self._asking) >= UNDER_WAY:
                raise LoginUnavailable("too many logins wait for the user look-up")
            task = self._asking[key] = asyncio.get_running_loop().create_task(self._ask(key, user, shown))
            task.add_done_callback(lambda done: self._asked(key, done))
        return await asyncio.shield(task)  # whoever else waits for it goes on when this session is gone

    def close(self) -> None:
        """Let go of the connections, soon; what is under way fails."""
        self._closing = asyncio.get_running_loop().create_task(self.end())

    async def end(self) -> None:
        """The same, and wait until it is done."""
        for task in self._asking.values():
            task.cancel()
        await self._client.close()

    def _asked(self, key: bytes, done: asyncio.Task[KnownUser | None]) -> None:
        del self._asking[key]
        if not done.cancelled():
            done.exception()  # whoever waited has it; when nobody does any more it is no news

    async def _ask(self, key: bytes, user: str, shown: str) -> KnownUser | None:
        question = {"user": prepared(user), **({"password": shown} if shown else {})}
        try:
            answer = await self._client.post_json(self.settings.url, msgspec.json.encode(question), self.secret)
            known = self._known(user, answer)
        except (HttpFailed, ValueError, UnicodeError) as error:
            self._tell(str(error))
            raise LoginUnavailable(f"the user look-up does not answer: {error}") from None
        now = self._now()
        if known is None or known.vouched is False:
            self._nobody.put(key, known, now + self.settings.negative_cache_for)
        else:
            self._there.put(key, known, now + self.settings.cache_for)
            self.like = known.hash or self.like
        return known

    def _known(self, user: str, answer: HttpAnswer) -> KnownUser | None:
        """Raises HttpFailed or ValueError for an answer that is none."""
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise HttpFailed(f"HTTP status {answer.status}")
        try:
            reply = _decoder.decode(answer.body)
        except msgspec.MsgspecError as error:
            raise HttpFailed(f"no answer of the form asked for: {error}") from None
        if reply.password_hash:
            password_hash.read(reply.password_hash)
        vouched = reply.allowed if self.settings.send_password else None
        bound = UserSettings(reply.user or user, source=reply.source, **_bindings(reply))
        return KnownUser(
            bound, prepared(reply.password), reply.password_hash, _scram(reply), disabled=not reply.enabled, vouched=vouched
        )

    def _tell(self, detail: str) -> None:
        if self._now() - self._told_at >= TELL_AGAIN:
            self._told_at = self._now()
            self._told("the user look-up does not answer", detail)

    def _digest(self, user: str, shown: str) -> bytes:
        data = b"\0".join([user.encode("utf-8", "surrogatepass"), shown.encode("utf-8", "surrogatepass")])
        return hashlib.blake2b(data, key=self._key, digest_size=32).digest()


def _bindings(reply: _Reply) -> dict[str, Any]:
    """Fields of `UserSettings`. Raises ValueError: a user whose bonds cannot be read is not let in without them."""
    given = {
        "sender": ",".join(reply.sender),
        "virtual-mta": ",".join(reply.virtual_mta),
        "max-msg-rate": reply.max_msg_rate,
        "daily-limit": str(reply.daily_limit) if reply.daily_limit else "",
        "network": ",".join(reply.network),
    }
    return bindings.read({name: text for name, text in given.items() if text}, reply.check_from_header)


def _scram(reply: _Reply) -> dict[str, ScramKeys]:
    given = {"SHA-1": reply.scram_sha_1, "SHA-256": reply.scram_sha_256}
    return {hash: read_scram(hash, text) for hash, text in given.items() if text}


def secret_of(settings: UserLookup) -> str:
    """The bearer token, "" for none. Raises ValueError for a file that cannot be read."""
    if not settings.secret_file:
        return settings.secret
    try:
        found = Path(settings.secret_file).read_text("ascii").strip()
    except (OSError, ValueError) as error:
        what: Any = error.strerror if isinstance(error, OSError) else "not ASCII"
        raise ValueError(f"user-lookup: secret-file {settings.secret_file}: {what}") from None
    return found
