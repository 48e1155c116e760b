"""Traces: bounded, forgotten when nobody reads, and they say nothing secret."""

from __future__ import annotations

import pytest
import structlog

from postwright.engine.tracing import MOST_LINES, MOST_TRACES, PATIENCE, TraceOptions, Traces
from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.route import Plan, Route, SourceHost
from postwright.testing.fake_clock import FakeClock

ROUTE = Route("mx.example", "198.51.100.7", 25, SourceHost("192.0.2.1", "out.example"))
NAME = "example.com/vm1"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def traces(clock: FakeClock) -> Traces:
    return Traces(clock, structlog.get_logger())


def texts(traces: Traces) -> list[str]:
    found = traces.read(NAME)
    assert found is not None
    return [line.split(" ", 2)[2] for line in found.lines]


def test_a_session_from_its_begin_to_its_end(traces: Traces) -> None:
    assert not traces
    traces.begin(NAME, TraceOptions(data=True, resolution=True))
    assert traces
    traces.resolved(NAME, Plan((ROUTE,)))
    watch = traces.session(NAME, ROUTE, None)
    assert watch is not None
    watch.heard(b"220 hi\r\n")
    watch.said(b"EHLO x\r\n")
    watch.opened()
    watch.content(b"text\r\n.\r\n")
    watch.ended("")
    assert texts(traces) == [
        "starting example.com/vm1",
        "host mx.example (198.51.100.7) port 25",
        "connecting from out.example (192.0.2.1) to mx.example (198.51.100.7)",
        ">>> 220 hi",
        "<<< EHLO x",
        "<<< 0008  74 65 78 74 0d 0a 2e 0d 0a                       |text.....|",
        "closed mx.example (198.51.100.7) in=8 out=17",
        "done example.com/vm1",
    ]
    assert not traces, "what is done and read is forgotten"


def test_a_host_that_is_not_there_is_not_the_end(traces: Traces) -> None:
    traces.begin(NAME, TraceOptions())
    watch = traces.session(NAME, ROUTE, None)
    assert watch is not None
    watch.refused(Failure(Stage.CONNECT, None, Fault.REFUSED, ""))
    found = traces.read(NAME)
    assert found is not None
    assert not found.done
    traces.no_session(NAME, "no host answers")
    assert texts(traces) == ["no connection: no host answers", "done example.com/vm1"]


def test_other_queues_and_other_sources_are_not_watched(traces: Traces) -> None:
    traces.begin(NAME, TraceOptions(source_ip="192.0.2.9"))
    assert traces.session("other.example/vm1", ROUTE, None) is None
    assert traces.session(NAME, ROUTE, None) is None


async def test_who_does_not_read_loses_the_oldest_lines_and_then_the_trace(traces: Traces, clock: FakeClock) -> None:
    traces.begin(NAME, TraceOptions())
    watch = traces.session(NAME, ROUTE, None)
    assert watch is not None
    for _ in range(MOST_LINES + 10):
        watch.heard(b"250-x\r\n")
    found = traces.read(NAME)
    assert found is not None
    assert (len(found.lines), found.lost) == (MOST_LINES, 12)
    await clock.advance(PATIENCE + 1)
    assert traces.read(NAME) is None
    assert not traces


def test_there_is_a_bound(traces: Traces) -> None:
    for number in range(MOST_TRACES):
        traces.begin(f"{number}.example/vm1", TraceOptions())
    with pytest.raises(ValueError, match="traced already"):
        traces.begin(NAME, TraceOptions())
    traces.begin("0.example/vm1", TraceOptions())
