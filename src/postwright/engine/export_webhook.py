"""`<acct-file>` with `http-webhook-url`: batches of records, posted as CSV or JSON; 2xx is done, all else comes again.

A batch goes when it has `max-size` octets or is `http-webhook-max-interval` old. Its stage is the event log itself: what was not answered
with 2xx is read from there again, after a pause that grows to a minute (or as long as Retry-After says), also by the next process. A
batch that is sent again may be cut elsewhere, so receivers tell repeats by `eventId`.

With `http-webhook-secret` a batch is signed as the Standard Webhooks specification (standardwebhooks.com) has it: HMAC-SHA256 over
`ID.TIMESTAMP.BODY`, the body as it is on the wire. What is in the URL behind the path, in extra header fields and in secrets is in no log.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import hmac
import time
from collections import deque
from collections.abc import Sequence
from urllib.parse import urlsplit

import structlog

from postwright.engine.export_feed import OutletError, pause_asked
from postwright.engine.transports.http import read_headers
from postwright.net.http_client import HttpClient, HttpFailed
from postwright.policy.settings import AcctFileSettings
from postwright.store.event_forms import EventForm
from postwright.store.event_reader import Event

MAX_SIZE = 5 * 1024 * 1024  # octets of a batch where `max-size` is not given
LONGEST = 60.0  # seconds for a whole POST, whatever comes and goes meanwhile
ANSWER = 4096  # octets of an answer that are read


class Webhook:
    """An `Outlet`. Raises ValueError or OSError for a file of header fields that cannot be used."""

    def __init__(self, settings: AcctFileSettings, form: EventForm, log: structlog.stdlib.BoundLogger) -> None:
        self._settings = settings
        self._form = form
        self._log = log
        self._json = settings.path.lower().endswith(".json")
        self._most = MAX_SIZE if settings.max_size == AcctFileSettings("").max_size else settings.max_size
        self._headers = read_headers(settings.http_webhook_extra_headers, "http-webhook-extra-headers")
        self._client: HttpClient | None = None
        self._rows: list[bytes] = []
        self._size = 0
        self._begun = 0.0
        self._ids = hashlib.blake2b(digest_size=12)
        self._taken = 0  # events, since `open`
        self._posted = 0
        self._ends: deque[int] = deque()  # `_taken` at the end of each batch of the feed

    @property
    def gathered(self) -> int:
        """Events of the next batch."""
        return len(self._rows)

    async def open(self) -> None:
        """Begin with nothing."""
        settings = self._settings
        self._client = HttpClient(
            max(LONGEST, 10 * settings.http_webhook_io_timeout),
            settings.http_webhook_ca_file,
            connect=settings.http_webhook_connect_timeout,
            io=settings.http_webhook_io_timeout,
            certificate=settings.http_webhook_certificate,
            answer_most=ANSWER,
        )
        self._taken = self._posted = 0
        self._ends.clear()
        self._clear()

    def _clear(self) -> None:
        self._rows, self._size = [], 0
        self._ids = hashlib.blake2b(digest_size=12)

    async def put(self, events: list[Event]) -> None:
        """Rows of the next batch; a full one is posted first."""
        for event in events:
            row = self._form.json(event) if self._json else self._form.row(event)
            if self._rows and self._size + len(row) + 1 > self._most:
                await self._post()
            if not self._rows:
                self._begun = time.monotonic()
            self._rows.append(row)
            self._size += len(row) + 1
            self._ids.update(event.id.encode())
            self._taken += 1
        self._ends.append(self._taken)

    async def settled(self) -> int:
        """Post what is old enough; batches of the feed of which everything was posted."""
        if self._rows and time.monotonic() - self._begun >= self._settings.http_webhook_max_interval:
            await self._post()
        count = 0
        while self._ends and self._ends[0] <= self._posted:
            self._ends.popleft()
            count += 1
        return count

    async def _post(self) -> None:
        assert self._client is not None
        body = await asyncio.to_thread(self._body)  # a second's work where it is compressed
        name = f"batch_{self._ids.hexdigest()}"
        began, url = time.monotonic(), self._settings.http_webhook_url
        try:
            answer = await self._client.post_document(url, body, self._media_type(), self._headers_for(name, body))
        except (HttpFailed, OSError) as error:
            raise OutletError("webhook failed", f"{shown(url)}: {error}") from None
        if not 200 <= answer.status < 300:
            raise OutletError("webhook refused", f"{shown(url)}: HTTP {answer.status}", pause_asked(answer.retry_after))
        if self._settings.http_webhook_log_verbose:
            took = round(time.monotonic() - began, 3)
            details = {"batch": name, "events": len(self._rows), "octets": len(body), "seconds": took, "status": answer.status}
            self._log.info("webhook posted", url=shown(url), **details)
        self._posted += len(self._rows)
        self._clear()

    def _body(self) -> bytes:
        body = b"[" + b",\n".join(self._rows) + b"]\n" if self._json else self._form.header_line + b"".join(self._rows)
        return gzip.compress(body, 6, mtime=0) if self._settings.http_webhook_transfer_encoding == "gzip" else body

    def _media_type(self) -> str:
        return "application/json" if self._json else "text/csv; charset=utf-8; header=present"

    def _headers_for(self, name: str, body: bytes) -> dict[str, str]:
        headers = dict(self._headers)
        if self._settings.http_webhook_transfer_encoding == "gzip":
            headers["Content-Encoding"] = "gzip"
        headers["webhook-id"] = name
        headers["webhook-timestamp"] = stamp = str(int(time.time()))
        if self._settings.http_webhook_secret:
            headers["webhook-signature"] = signature(self._settings.http_webhook_secret, name, stamp, body)
        return headers

    async def finish(self) -> None:
        """A last batch, however young."""
        if self._rows:
            await self._post()

    async def close(self) -> None:
        """Connections end."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        self._clear()


def signature(secrets: Sequence[str], name: str, stamp: str, body: bytes) -> str:
    """`v1,BASE64` for each secret, with blanks between. A secret that begins with `whsec_` is the Base64 of the key, as there."""
    text = f"{name}.{stamp}.".encode() + body
    return " ".join([f"v1,{base64.b64encode(hmac.digest(_key(secret), text, 'sha256')).decode()}" for secret in secrets])


def _key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret[6:], validate=True)
        except ValueError:
            pass
    return secret.encode()


def shown(url: str) -> str:
    """A URL for the log: a token may be behind its path, or before its host."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
