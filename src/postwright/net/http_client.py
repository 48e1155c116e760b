"""Short questions to an HTTP server: one answer of bounded size within a bounded time, or a reason why not.

A thin layer on aiohttp's client, which is imported when a client is made, since it costs a start 0.2 s. Redirections are not followed
(a key or a verdict is read where the operator said, nowhere else), proxies of the environment and cookies are not used, and what was sent
is in no message. Every failure is an `HttpFailed` with a text for our log.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from postwright.model.errors import PostwrightError

if TYPE_CHECKING:
    import aiohttp

MOST = 1 << 20  # octets of an answer
CONNECTIONS = 20  # to one server; who comes later waits, within the same time


class HttpFailed(PostwrightError):
    """No answer, or none of use."""


class HttpLate(HttpFailed):
    """The whole request may have arrived, and no answer came in time."""


class HttpAnswer(Struct, frozen=True):
    """`body` in full, unless the client keeps the beginning only; `retry_after` as the server wrote it. The repr keeps the body to
    itself."""

    status: int
    body: bytes
    retry_after: str = ""

    def __repr__(self) -> str:
        return f"HttpAnswer({self.status}, {len(self.body)} octets)"


class HttpClient:
    """Connections to one server, kept for the next question. `timeout` seconds for everything together, `connect` of them at most to get a
    connection; `ca_file` PEM, "" the system's; `connections` at a time, 0 for any number. `answer_most`: of an answer that is longer
    the beginning is enough, and the rest is not waited for; None: it is a failure beyond MOST octets. `io` seconds at most between two
    pieces of an answer; `certificate` a PEM file with what we show there, and its key."""

    def __init__(
        self,
        timeout: float,
        ca_file: str = "",
        *,
        connect: float | None = None,
        connections: int = CONNECTIONS,
        answer_most: int | None = None,
        io: float | None = None,
        certificate: str = "",
    ) -> None:
        import aiohttp  # noqa: F401  # here and not at somebody's login

        self._timeout = timeout
        self._connect = connect
        self._ca_file = ca_file
        self._io = io
        self._certificate = certificate
        self._connections = connections
        self._most = answer_most if answer_most is not None else MOST
        self._cuts = answer_most is not None
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """Raises HttpFailed."""
        return await self._ask("GET", url, None, dict(headers or {}))

    async def post(self, url: str, form: dict[str, str], user: str = "", password: str = "") -> HttpAnswer:
        """A form (application/x-www-form-urlencoded), with HTTP Basic when there is a `user`. Raises HttpFailed."""
        return await self._ask("POST", url, form, {"Authorization": _basic(user, password)} if user else {})

    async def post_json(self, url: str, document: bytes, bearer: str = "", headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """A JSON document, with a bearer token when there is one, and more `headers`. Raises HttpFailed."""
        authorization = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        return await self._ask("POST", url, document, {"Content-Type": "application/json", **authorization, **(headers or {})})

    async def post_document(self, url: str, document: bytes, kind: str, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """A document of the media type `kind`, with more `headers`. Raises HttpFailed."""
        return await self._ask("POST", url, document, {"Content-Type": kind, **(headers or {})})

    async def close(self) -> None:
        """Close the connections; a request under way fails."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(self, method: str, url: str, data: dict[str, str] | bytes | None, headers: dict[str, str]) -> HttpAnswer:
        import aiohttp

        try:
            session = self._open()
            async with session.request(method, url, data=data, headers=headers, allow_redirects=False) as response:
                body = await self._body(response)
                retry_after = response.headers.get("Retry-After", "")
        except aiohttp.ConnectionTimeoutError:
            raise HttpFailed(f"no connection within {self._connect:g} s") from None
        except TimeoutError:
            raise HttpLate(f"no answer within {self._io or self._timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise HttpFailed(_told(error)) from None
        if len(body) > self._most and not self._cuts:
            raise HttpFailed(f"the answer is longer than {MOST} octets")
        return HttpAnswer(response.status, body[: self._most], retry_after)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        """At most one octet more than is wanted. Where the beginning is enough, so is less of it: the status has been said."""
        import aiohttp

        body, content = b"", response.content
        try:
            while len(body) <= self._most and not content.at_eof():
                body += await content.read(self._most + 1 - len(body))
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError):
            if not self._cuts:
                raise
        return body

    def _open(self) -> aiohttp.ClientSession:
        """The session. Raises OSError for certificates that cannot be read."""
        if self._session is None:
            import aiohttp

            context = ssl.create_default_context(cafile=self._ca_file or None)
            if self._certificate:
                context.load_cert_chain(self._certificate)
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout, connect=self._connect, sock_read=self._io),
                connector=aiohttp.TCPConnector(ssl=context, limit=self._connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json"},
            )
        return self._session


def _basic(user: str, password: str) -> str:
    """RFC 7617."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _told(error: Exception) -> str:
    """What went wrong in words of ours or the library's; never more than a line, since a server may be in it."""
    import aiohttp

    words = str(error)
    if isinstance(error, aiohttp.ClientResponseError):
        words = error.message  # all of it has the URL, and with it what the operator may have hidden behind the path
    elif isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        words = "the URL cannot be used"
    text = "".join(letter if letter.isprintable() else "?" for letter in words)
    return f"{type(error).__name__}: {text}"[:200]
