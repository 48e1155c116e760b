"""`<event-stream NAME>` with `url otlp://HOST`: the life of each message as spans of OpenTelemetry (OTLP 1 over HTTP, JSON).

A message is a trace; what happened to a recipient of it is a span:

    accept     at the 250: content and envelope are on disk (record r)
    deliver    from when it was queued to the receiver's 250 (d); defer and bounce likewise to their reply (t, b)

Spans are made of the same events that all other consumers get, by the exporter: delivery does not know of them, and a relay without such a
stream pays nothing. Ids are derived from the message's, so what is sent again after a failure is the same span again, and a collector that
is down gets them later. What a collector says it will never take (OTLP/HTTP, Failures) is logged and let go; spans are no accounting."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
import structlog

from postwright import __version__
from postwright.engine.export_feed import OutletError, pause_asked
from postwright.model.record import Record
from postwright.net.http_client import HttpAnswer, HttpClient, HttpFailed
from postwright.policy.settings import EventStream
from postwright.store.event_forms import EventForm
from postwright.store.event_reader import Event

PORT: Final = 4318
PATH: Final = "/v1/traces"
PATIENCE: Final = 30.0  # seconds
ANSWER: Final = 4096  # octets of an answer that are read
AGAIN: Final = frozenset((408, 425, 429, 500, 502, 503, 504))
"""Statuses after which it is tried again: those that OTLP/HTTP names, and others that say `not now`."""
SCHEMES: Final = {"otlp": "http", "otlps": "https"}
NAMES: Final = {"r": "accept", "d": "deliver", "t": "defer", "b": "bounce"}
_SERVER, _CLIENT = 2, 3  # SpanKind
_OK, _ERROR = 1, 2  # StatusCode
_TOLD: Final = (
    "orig", "rcpt", "dsnStatus", "dsnDiag", "dsnMta", "bounceCat", "srcMta", "dlvSourceIp", "dlvDestinationIp", "dlvSize", "dlvTlsProtocol",
    "vmta", "jobId", "envId", "queue", "rcvSmtpUser", "rcvSourceIp",
)  # fmt: skip
"""Columns that become attributes `postwright.NAME`, as `privacy-policy` leaves them."""

_encode = msgspec.json.Encoder().encode


def is_otlp(stream: EventStream) -> bool:
    """Does this stream go to a collector of OpenTelemetry, and not to a broker?"""
    return stream.url.partition("://")[0] in SCHEMES


class Spans:
    """An `Outlet`."""

    def __init__(self, stream: EventStream, form: EventForm, log: structlog.stdlib.BoundLogger) -> None:
        scheme, _, rest = stream.url.partition("://")
        host, slash, path = rest.partition("/")
        port = "" if host.rpartition("]")[2].rpartition(":")[1] else f":{PORT}"
        self._url = f"{SCHEMES[scheme]}://{host}{port}{slash + path if path else PATH}"
        self._stream = stream
        self._form = form
        self._log = log
        self._client: HttpClient | None = None
        self._done = 0

    async def open(self) -> None:
        """Nothing is connected to before there is something to say."""
        self._client = HttpClient(PATIENCE, self._stream.ca_file, connect=PATIENCE / 3, answer_most=ANSWER)
        self._done = 0

    async def put(self, events: list[Event]) -> None:
        """Spans of a batch, in one POST."""
        assert self._client is not None
        spans = [span(event, self._form.values(event)) for event in events if event.record.type in NAMES]
        if spans:
            try:
                body = document(spans, self._stream.topic or "postwright")
                answer = await self._client.post_document(self._url, body, "application/json", self._headers())
            except (HttpFailed, OSError) as error:
                raise OutletError("event stream failed", f"{self._stream.url}: {error}") from None
            self._judge(answer, len(spans))
        self._done += 1

    def _judge(self, answer: HttpAnswer, count: int) -> None:
        if answer.status in AGAIN:
            raise OutletError("event stream refused", f"{self._stream.url}: HTTP {answer.status}", pause_asked(answer.retry_after))
        rejected = _partial(answer) if 200 <= answer.status < 300 else count
        if rejected:
            said = answer.body[:300].decode("utf-8", "replace")
            self._log.error("the collector does not take spans", url=self._stream.url, spans=rejected, status=answer.status, said=said)

    def _headers(self) -> dict[str, str]:
        stream = self._stream
        if not stream.username:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{stream.username}:{stream.password}".encode()).decode()}

    async def settled(self) -> int:
        """What was answered."""
        done, self._done = self._done, 0
        return done

    async def finish(self) -> None:
        """Nothing is only gathered."""

    async def close(self) -> None:
        """Connections end."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


class _PartialSuccess(msgspec.Struct, rename="camel"):
    rejected_spans: int | str = 0  # protobuf's JSON has 64-bit numbers as texts


class _Answer(msgspec.Struct, rename="camel"):
    partial_success: _PartialSuccess | None = None


def _partial(answer: HttpAnswer) -> int:
    """How many spans a collector that said 200 has left out."""
    try:
        partial = msgspec.json.decode(answer.body or b"{}", type=_Answer).partial_success
        return int(partial.rejected_spans) if partial is not None else 0
    except (msgspec.MsgspecError, ValueError):
        return 0


# -- spans ---------------------------------------------------------------------------------------------------------------------------


def document(spans: Sequence[dict[str, Any]], service: str) -> bytes:
    """An ExportTraceServiceRequest as JSON."""
    scope = {"scope": {"name": "postwright", "version": __version__}, "spans": list(spans)}
    return _encode({"resourceSpans": [{"resource": {"attributes": _attributes([("service.name", service)])}, "scopeSpans": [scope]}]})


def span(event: Event, values: dict[str, str | float]) -> dict[str, Any]:
    """One event as a span; `values` as `EventForm` has them."""
    record = event.record
    begin = record.time_logged if record.type == "r" else record.time_queued or record.time_logged
    made = {
        "traceId": _trace(record),
        "spanId": _accepted(record) if record.type == "r" else hashlib.blake2b(event.id.encode(), digest_size=8).hexdigest(),
        "name": NAMES[record.type],
        "kind": _SERVER if record.type == "r" else _CLIENT,
        "startTimeUnixNano": _nanoseconds(begin),
        "endTimeUnixNano": _nanoseconds(max(begin, record.time_logged)),
        "attributes": _attributes([("postwright.message", f"{record.message_id:x}"), *_told(values)]),
        "status": {"code": _OK if record.type in "rd" else _ERROR, "message": str(values.get("dsnStatus", ""))},
    }
    if record.type != "r":
        made["parentSpanId"] = _accepted(record)
    return made


def _trace(record: Record) -> str:
    return hashlib.blake2b(b"trace %d" % record.message_id, digest_size=16).hexdigest()


def _accepted(record: Record) -> str:
    """The id of the span that says that this recipient was accepted: what happens to him is below it."""
    return hashlib.blake2b(b"accept %d %d" % (record.message_id, record.recipient), digest_size=8).hexdigest()


def _nanoseconds(seconds: float) -> str:
    return str(round(seconds * 1e6) * 1000)


def _told(values: dict[str, str | float]) -> Iterable[tuple[str, str | float]]:
    return [(f"postwright.{name}", values[name]) for name in _TOLD if values.get(name)]


def _attributes(pairs: Iterable[tuple[str, str | float]]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": str(value)}} for key, value in pairs]
