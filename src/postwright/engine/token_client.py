"""The tokens of one `<oauth-client>`: fetched once for all who want them, kept until shortly before they end, fetched anew when refused.

    token()       the token to log in with now; whoever asks while one is being fetched waits for the same answer
    accepted(t)   a receiver let us in with it
    refused(t)    a receiver did not: true if asking for a newer one is worth it

Raises TokenUnavailable, with words for an operator, when there is none to be had; for a while after that nobody is asked again, so that a
thousand queues do not fall upon a server that is down. Neither tokens nor what they are fetched with get into a message or a log; of what a
server says of a failure only its code does, as its prose may repeat the question. A refresh token that is replaced (RFC 6749 section 6) is
kept in memory alone.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from urllib.parse import quote_plus

import msgspec
import structlog
from msgspec import Struct

from postwright.model.errors import PostwrightError
from postwright.model.masked import masked
from postwright.net.clock import Clock
from postwright.net.http_client import HttpAnswer, HttpClient, HttpFailed
from postwright.policy.oauth_client import OauthClient, form_of

LONGEST = 9000  # octets of a token: as base64 it must fit a line of 12,288 (RFC 4954 section 4)
UNSAID = 300.0  # seconds that a token is taken to last whose server does not say (RFC 6749 section 5.1 only recommends it)
AHEAD = 60.0  # seconds before its end at which a token is replaced; half its life for one that is shorter than that
FILE_KEPT = 60.0
ASK_AGAIN = 30.0  # seconds after a failure; and the age below which a token that never worked is as good as the next one
FOR_EVER = float("inf")

_token = re.compile(r"[A-Za-z0-9._~+/-]+=*").fullmatch  # RFC 6750 section 2.1
_error = re.compile(r"[a-z_]{1,40}").fullmatch  # RFC 6749 section 5.2
_microsoft = re.compile(r"\bAADSTS\d{1,10}\b").search
_HINTS = {
    "invalid_client": "client-id or client-secret is wrong, or has expired",
    "invalid_grant": "the refresh token is no good any more: leave has to be given anew",
    "unauthorized_client": "this client may not fetch tokens in this way",
    "invalid_scope": "scope asks for what this client may not have",
}


class TokenUnavailable(PostwrightError):
    """No token can be had now."""


class _Token(Struct, frozen=True):
    text: str
    since: float
    renew_at: float
    until: float

    def __repr__(self) -> str:
        return f"_Token(until={self.until})"


class _Answer(Struct):
    """RFC 6749 sections 5.1 and 5.2. Some say `expires_in` as a text."""

    access_token: str = ""
    token_type: str = "bearer"
    expires_in: float | str | None = None
    refresh_token: str = ""
    error: str = ""
    error_description: str = ""

    def __repr__(self) -> str:
        return masked(self, "access_token", "refresh_token")


_decoder = msgspec.json.Decoder(_Answer)


class TokenClient:
    """For one event loop. `close` ends what is under way."""

    def __init__(self, settings: OauthClient, clock: Clock, log: structlog.stdlib.BoundLogger) -> None:
        self.settings = settings
        self._clock = clock
        self._log = log
        self._http = HttpClient(settings.request_timeout, settings.ca_file) if settings.token_url else None
        self._refresh_token = settings.refresh_token
        self._held: _Token | None = None
        self._worked = ""
        self._fetching: asyncio.Task[_Token] | None = None
        self._trouble = ""
        self._ask_at = 0.0

    async def token(self) -> str:
        """Raises TokenUnavailable."""
        now, held = self._clock.now(), self._held
        if held is not None and now < held.renew_at:
            return held.text
        if self._fetching is None and now >= self._ask_at:
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        if held is not None and now < held.until:
            return held.text  # it is still good; the next one comes behind it
        if self._fetching is None:
            raise TokenUnavailable(self._trouble)
        return (await asyncio.shield(self._fetching)).text

    def accepted(self, token: str) -> None:
        """It let us in: if it is refused later, it has ended before its time."""
        self._worked = token

    def refused(self, token: str) -> bool:
        """Is a newer one worth a try? Not if this one is new itself: then it is not the token that is wrong."""
        held = self._held
        if held is None or held.text != token:
            return True
        if self.settings.access_token or (self._worked != token and self._clock.now() - held.since < ASK_AGAIN):
            return False
        self._held = None
        return True

    def forget(self) -> bool:
        """The next login asks for a new token. False: there is none that was fetched."""
        had = self._held is not None and not self.settings.access_token
        if had:
            self._held = None
        return had

    async def close(self) -> None:
        """A fetch under way fails."""
        if self._fetching is not None:
            self._fetching.cancel()
        if self._http is not None:
            await self._http.close()

    def _fetched(self, task: asyncio.Task[_Token]) -> None:
        self._fetching = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._held = task.result()
            self._trouble, self._ask_at = "", 0.0
            return
        self._ask_at = self._clock.now() + ASK_AGAIN
        known = isinstance(error, TokenUnavailable)
        trouble = str(error if known else self._none("a defect of ours"))
        if trouble != self._trouble:
            self._log.warning("no token to log in with", client=self.settings.name, reason=trouble, exc_info=None if known else error)
        self._trouble = trouble

    async def _fetch(self) -> _Token:
        now = self._clock.now()
        if self.settings.access_token:
            return _Token(self._usable(self.settings.access_token), now, FOR_EVER, FOR_EVER)
        if self._http is None:
            text = await asyncio.to_thread(self._read_file)
            return _Token(self._usable(text), now, now + FILE_KEPT, now + FILE_KEPT)
        said = self._granted(await self._ask(self._http))
        lasts = _seconds(said.expires_in)
        self._refresh_token = said.refresh_token or self._refresh_token
        return _Token(self._usable(said.access_token), now, now + max(lasts - AHEAD, lasts / 2), now + lasts)

    async def _ask(self, http: HttpClient) -> HttpAnswer:
        settings = self.settings
        by_basic = settings.client_authentication == "basic"
        # RFC 6749 section 2.3.1: in the form of a form before they are in Basic's
        basic = (quote_plus(settings.client_id), quote_plus(settings.client_secret)) if by_basic else ("", "")
        try:
            return await http.post(settings.token_url, form_of(settings, self._refresh_token), *basic)
        except HttpFailed as error:
            raise self._none(f"its server cannot be asked: {error}") from None

    def _granted(self, answer: HttpAnswer) -> _Answer:
        try:
            said = _decoder.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise self._none(f"its server answers {answer.status}, and nothing that could be understood") from None
        if answer.status != 200 or said.error:
            raise self._none(f"its server answers {answer.status}{_code(said)}")
        if said.token_type.lower() != "bearer":
            raise self._none("its server gives another kind of token than a bearer's")
        return said

    def _read_file(self) -> str:
        try:
            with Path(self.settings.token_file).open("rb") as file:
                return file.read(LONGEST + 2).decode("ascii", "replace").strip()
        except OSError as error:
            raise self._none(f"{self.settings.token_file}: {error.strerror}") from None

    def _usable(self, text: str) -> str:
        if _token(text) is None or len(text) > LONGEST:
            raise self._none("what is there is no token (RFC 6750)")
        return text

    def _none(self, why: str) -> TokenUnavailable:
        return TokenUnavailable(f"no token from <oauth-client {self.settings.name}>: {why}")


def _code(said: _Answer) -> str:
    """The error's code, Microsoft's number and a hint, as far as they are there."""
    if _error(said.error) is None:
        return ""
    number = _microsoft(said.error_description)
    shown = f" {said.error}{f' ({number[0]})' if number else ''}"
    hint = _HINTS.get(said.error)
    return f"{shown}: {hint}" if hint else shown


def _seconds(said: float | str | None) -> float:
    try:
        lasts = float(said) if said is not None else UNSAID
    except ValueError:
        return UNSAID
    return lasts if 0 < lasts < 1e9 else UNSAID
