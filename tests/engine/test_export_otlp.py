"""Spans of OpenTelemetry as a collector gets them: in the form of its own protocol, and once more when it was away."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from google.protobuf import json_format
from msgspec.structs import replace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.engine.event_town import EventTown

from postwright.control.config import loads
from postwright.engine import export_feed
from postwright.engine.export_feed import OutletError
from postwright.engine.export_otlp import Spans, document, span
from postwright.engine.export_outlets import check
from postwright.model.record import Record
from postwright.policy.settings import EventStream
from postwright.store.event_forms import EventForm
from postwright.store.event_reader import Event, Place

KINDS = ("r", "d", "b", "t")
LIFE = [
    Record("r", 1_700_000_000.25, 77, 0, orig="me@a.example", rcpt="you@b.example", rcv_smtp_user="joe"),
    Record("t", 1_700_000_003.5, 77, 0, time_queued=1_700_000_000.25, rcpt="you@b.example", dsn_status="4.2.0", dsn_diag="smtp;450 later"),
    Record("d", 1_700_000_900.5, 77, 0, time_queued=1_700_000_000.25, rcpt="you@b.example", dsn_status="2.0.0", queue="b.example/vm1"),
    Record("b", 1_700_000_901.0, 77, 1, time_queued=1_700_000_000.25, rcpt="no@b.example", dsn_status="5.1.1"),
]


def request(body: bytes) -> ExportTraceServiceRequest:
    """As a collector reads it. In OTLP's JSON ids are in hexadecimal, where protobuf's has Base64 (OTLP, JSON Protobuf Encoding)."""
    told = json.loads(body)
    for resource in told["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for one in scope["spans"]:
                for name in ("traceId", "spanId", "parentSpanId"):
                    if name in one:
                        one[name] = base64.b64encode(bytes.fromhex(one[name])).decode()
    read: ExportTraceServiceRequest = json_format.ParseDict(told, ExportTraceServiceRequest())  # unknown fields are errors
    return read


def spans_of(read: ExportTraceServiceRequest) -> list[Any]:
    return [one for resource in read.resource_spans for scope in resource.scope_spans for one in scope.spans]


def made(records: list[Record]) -> list[Any]:
    form = EventForm(KINDS)
    events = [Event(record, f"{number}".encode(), Place(0, 0), 1) for number, record in enumerate(records)]
    return spans_of(request(document([span(event, form.values(event)) for event in events], "mail")))


def test_a_message_is_a_trace_and_each_recipient_hangs_from_its_acceptance() -> None:
    accept, defer, deliver, bounce = made(LIFE)
    assert {one.trace_id for one in (accept, defer, deliver, bounce)} == {accept.trace_id}
    assert (len(accept.trace_id), len(accept.span_id)) == (16, 8)
    assert [one.name for one in (accept, defer, deliver, bounce)] == ["accept", "defer", "deliver", "bounce"]
    assert defer.parent_span_id == deliver.parent_span_id == accept.span_id
    assert bounce.parent_span_id not in (b"", accept.span_id)  # the other recipient's
    assert accept.parent_span_id == b""
    assert len({one.span_id for one in (accept, defer, deliver, bounce)}) == 4


def test_times_and_outcomes() -> None:
    accept, defer, deliver, bounce = made(LIFE)
    assert accept.start_time_unix_nano == accept.end_time_unix_nano == 1_700_000_000_250_000_000
    assert (deliver.start_time_unix_nano, deliver.end_time_unix_nano) == (1_700_000_000_250_000_000, 1_700_000_900_500_000_000)
    assert [one.status.code for one in (accept, defer, deliver, bounce)] == [1, 2, 1, 2]
    told = {one.key: one.value.string_value for one in defer.attributes}
    assert told["postwright.dsnDiag"] == "smtp;450 later"
    assert told["postwright.message"] == "4d"
    assert {one.key: one.value.string_value for one in accept.attributes}["postwright.rcvSmtpUser"] == "joe"


def test_what_is_sent_again_is_the_same_span_again() -> None:
    assert made(LIFE) == made(LIFE)


# -- a collector -------------------------------------------------------------------------------------------------------------------


class Collector:
    """Keeps what is posted; answers as it is told, first, then 200."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], str, bytes]] = []
        self.answers: list[web.Response] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.posts.append((headers, request.path, await request.read()))
        return self.answers.pop(0) if self.answers else web.json_response({})

    def names(self) -> list[str]:
        return [one.name for _, _, body in self.posts for one in spans_of(request(body))]


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    made = Collector()
    app = web.Application()
    app.router.add_post("/{path:.*}", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"otlp://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def stream(collector: Collector, **more: Any) -> EventStream:
    return replace(EventStream("traces", collector.url, "mail", records=KINDS), **more)


@pytest.mark.directive("url", "topic", "username", "password")
async def test_a_collector_gets_spans(tmp_path: Path, collector: Collector) -> None:
    async with EventTown(tmp_path, stream(collector, username="joe", password="sesame"), "stream traces") as town:
        town.write(LIFE)
        await town.until_all_is_had()
    headers, path, body = collector.posts[0]
    assert path == "/v1/traces"
    assert headers["content-type"] == "application/json"
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b"joe:sesame"
    (resource,) = request(body).resource_spans
    assert [(one.key, one.value.string_value) for one in resource.resource.attributes] == [("service.name", "mail")]
    assert collector.names() == ["accept", "defer", "deliver", "bounce"]


async def test_another_path_and_no_login(tmp_path: Path, collector: Collector) -> None:
    collector.url += "/otel/v1/traces"
    async with EventTown(tmp_path, stream(collector), "stream traces") as town:
        town.write(LIFE[:1])
        await town.until_all_is_had()
    ((headers, path, _),) = collector.posts
    assert path == "/otel/v1/traces"
    assert "authorization" not in headers


async def test_one_that_is_busy_gets_them_again(tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_feed, "PAUSE", 0.01)
    collector.answers = [web.Response(status=503), web.Response(status=429, headers={"Retry-After": "0"})]
    async with EventTown(tmp_path, stream(collector), "stream traces") as town:
        town.write(LIFE[:1])
        await town.until_all_is_had()
    assert collector.names() == ["accept"] * 3
    assert len({spans_of(request(body))[0].span_id for _, _, body in collector.posts}) == 1


@pytest.mark.parametrize(
    ("asked", "pause"), [("7", 7.0), ("9" * 20, 3600.0), ("9" * 400, 3600.0), ("-1", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)]
)
async def test_a_collector_cannot_ask_for_a_pause_that_never_ends(collector: Collector, asked: str, pause: float | None) -> None:
    collector.answers = [web.Response(status=503, headers={"Retry-After": asked})]
    spans = Spans(stream(collector), EventForm(KINDS), structlog.get_logger())
    await spans.open()
    try:
        with pytest.raises(OutletError) as caught:
            await spans.put([Event(LIFE[0], b"1", Place(0, 0), 1)])
    finally:
        await spans.close()
    assert caught.value.pause == pause


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 400, "text": "no"},
        {"text": json.dumps({"partialSuccess": {"rejectedSpans": "1", "errorMessage": "no"}}), "content_type": "application/json"},
    ],
)
async def test_what_it_will_never_take_is_told_and_holds_nothing_up(tmp_path: Path, collector: Collector, answer: dict[str, Any]) -> None:
    collector.answers = [web.Response(**answer)]
    async with EventTown(tmp_path, stream(collector), "stream traces") as town:
        town.write(LIFE[:1])
        await town.until_all_is_had()
        town.write(LIFE[2:3])
        await town.until_all_is_had()
    assert collector.names() == ["accept", "deliver"]
    told = [line for line in town.told if line["event"] == "the collector does not take spans"]
    assert [line["spans"] for line in told] == [1]
    assert "no" in told[0]["said"]


async def test_nobody_listens(tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_feed, "PAUSE", 0.01)
    gone = EventStream("traces", "otlp://127.0.0.1:9", records=KINDS)
    async with EventTown(tmp_path, gone, "stream traces") as town:
        town.write(LIFE[:1])
        await town.until(lambda: [line for line in town.told if line["event"] == "event stream failed"], "a failure")
        assert town.feed.status().behind > 0


# -- configuration -----------------------------------------------------------------------------------------------------------------


@pytest.mark.directive("url", "topic")
def test_a_stream_without_a_topic_or_an_extra() -> None:
    result = loads("<event-stream traces>\nurl otlps://collector.example\nrecords r, d, t, b\n</event-stream>\n")
    assert result.settings is not None
    (found,) = result.settings.event_streams.values()
    assert found.url == "otlps://collector.example"
    check(result.settings)


@pytest.mark.parametrize(
    ("url", "told"), [("otlp://a,b", "OTLP has one host"), ("otlp://joe:x@a", "name and password"), ("otlp://", "no URL")]
)
def test_wrong_addresses(url: str, told: str) -> None:
    result = loads(f"<event-stream traces>\nurl {url}\n</event-stream>\n")
    assert any(told in problem.render() for problem in result.problems)
