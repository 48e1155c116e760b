"""The sampler: what the relay tells becomes rates, a history and one sample for all who watch."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.control.http.asgi import Log

from postwright.control.http.asking import RelayAway
from postwright.control.monitor import sampler as module
from postwright.control.monitor.sampler import COLUMNS, Sampler
from postwright.engine.flow_book import FlowRow, FlowsView
from postwright.engine.views.figures import Figures
from postwright.engine.views.host import host_facts
from postwright.engine.views.status import Backlog, SpoolView, StatusView
from postwright.engine.views.traffic import Connections, TrafficView
from postwright.net.resolver import ResolverCounts

START = 1_760_000_000.0


class Told:
    """A relay that tells what it is given; `away` answers nothing."""

    def __init__(self) -> None:
        self.figures = Figures()
        self.since = START
        self.flows = FlowsView([], [])
        self.waiting = 0
        self.away = False
        self.now = START

    async def body(self, verb: str, form: Any, arguments: dict[str, str] | None = None) -> Any:
        if self.away:
            raise RelayAway("gone")
        if verb == "view-traffic":
            return TrafficView(total=self.figures, inbound=Connections(3, 9), outbound=Connections(7, 8), since=self.since)
        return self.flows if verb == "view-flows" else self._status()

    def _status(self) -> StatusView:
        return status_view({"smtp": Backlog(self.waiting, 1, 10)})


def status_view(queues: dict[str, Backlog]) -> StatusView:
    """As of START, with these queues."""
    spool = SpoolView(100.0, 1, 2, 4096, sum(one.recipients for one in queues.values()), None)
    return StatusView("1", "h", host_facts(), START, START, False, 1, 1, TrafficView(), None, None, ResolverCounts(), queues, spool)


@pytest.fixture
def relay() -> Told:
    return Told()


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def sampler(relay: Told, tmp_path: Path, log: Log) -> Sampler:
    return Sampler(relay, tmp_path / "monitor", log, lambda: relay.now)  # type: ignore[arg-type]


async def look(sampler: Sampler, relay: Told, after: float, *, slow: bool = False, **figures: int) -> None:
    relay.now += after
    relay.figures = Figures(**figures)
    await sampler.look(slow=slow)


async def test_two_looks_are_a_rate(sampler: Sampler, relay: Told) -> None:
    relay.waiting = 12
    await look(sampler, relay, 0, slow=True)
    assert sampler.latest is None  # of one look there is no difference
    await look(sampler, relay, 2, in_msgs=100, out_rcpts=50, deferred=4, bounced=2, rejected=1, in_octets=2048)
    assert sampler.latest is not None
    assert dict(zip(COLUMNS, sampler.latest.columns, strict=True)) == {
        "in": 50, "out": 25, "deferred": 2, "bounced": 1, "rejected": 0.5, "in_octets": 1024, "out_octets": 0,
        "inbound": 3, "outbound": 7, "waiting": 12, "spool": 4096,
    }  # fmt: skip
    assert sampler.latest.text["in"] == "50.0"
    assert sampler.latest.text["total_in"] == "100"
    assert sampler.series(10).columns[0][-1] == 50


async def test_a_relay_that_began_anew_or_was_away_leaves_a_gap(sampler: Sampler, relay: Told, log: Log) -> None:
    await look(sampler, relay, 0, in_msgs=1000)
    await look(sampler, relay, 1, in_msgs=1001)
    relay.since += 5
    await look(sampler, relay, 1, in_msgs=3)  # counters reset: no rate of -998, nor of 3
    relay.away = True
    await look(sampler, relay, 1)
    await look(sampler, relay, 1)
    relay.away = False
    await look(sampler, relay, 1, in_msgs=10)
    await look(sampler, relay, 1, in_msgs=12)
    assert sampler.series(5).columns[0] == [1, None, None, None, None, 2]
    assert [line["event"] for line in log.lines] == ["the monitor cannot see the relay"]  # told once


async def test_flows_are_differences_of_totals_and_have_a_picture(sampler: Sampler, relay: Told) -> None:
    relay.flows = FlowsView([FlowRow("a.example", 100)], [FlowRow("m", 1)])
    await look(sampler, relay, 0, slow=True)
    assert sampler.domains.flows == []
    relay.flows = FlowsView([FlowRow("a.example", 120, 10), FlowRow("new.example", 0, 0, 50)], [FlowRow("m", 1)])
    await look(sampler, relay, 10, slow=True)
    assert [(flow.name, flow.rates.delivered, flow.rates.deferred, flow.rates.bounced) for flow in sampler.domains.flows] == [
        ("new.example", 0, 0, 5),
        ("a.example", 2, 1, 0),
    ]
    assert sampler.spark(sampler.domains.flows[1], "delivered")[-1] == 2
    assert sampler.spark(sampler.vmtas.flows[0], "delivered") == []  # that did nothing has no file either
    relay.flows = FlowsView([FlowRow("a.example", 5)], [])
    await look(sampler, relay, 10, slow=True)
    assert sampler.domains.flows[0].rates.delivered == 0.5  # a total that has shrunk began at nought


async def test_the_history_is_there_after_a_restart(relay: Told, tmp_path: Path, log: Log) -> None:
    first = Sampler(relay, tmp_path / "monitor", log, lambda: relay.now)  # type: ignore[arg-type]
    for total in (0, 30):
        relay.flows = FlowsView([FlowRow("../../etc/passwd", total)], [])
        await look(first, relay, 10, slow=True, in_msgs=total)
    first.close()
    again = Sampler(relay, tmp_path / "monitor", log, lambda: relay.now)  # type: ignore[arg-type]
    assert again.series(5).columns[0][-1] == 3
    assert sorted(path.name[:7] for path in (tmp_path / "monitor").iterdir()) == ["domain-", "relay"]


async def test_names_that_come_and_go_leave_no_more_files_than_are_kept(
    sampler: Sampler, relay: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_FILES", 3)
    await look(sampler, relay, 0, slow=True)
    for number in range(6):
        relay.flows = FlowsView([FlowRow("steady.example", 1 + number), FlowRow(f"{number}.example", 5)], [])
        await look(sampler, relay, 10, slow=True)
    assert len(list((tmp_path / "monitor").glob("domain-*"))) == 3
    assert sampler.flow_series("domain", "0.example", 60) is None
    steady = sampler.flow_series("domain", "steady.example", 100)
    assert steady is not None
    assert steady.columns[0].count(0.1) == 6  # who goes on is not forgotten


async def test_files_that_are_too_many_go_at_a_start(relay: Told, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_FILES", 3)
    (tmp_path / "monitor").mkdir()
    for number in range(5):
        (tmp_path / "monitor" / f"domain-{number}").write_bytes(b"")
    Sampler(relay, tmp_path / "monitor", log).close()  # type: ignore[arg-type]
    assert len(list((tmp_path / "monitor").glob("domain-*"))) == 3


async def test_all_who_watch_have_the_same_sample_and_the_slow_skip_some(sampler: Sampler, relay: Told) -> None:
    async def watch(most: int, slow: bool) -> list[int]:
        got = []
        async for sample in sampler.samples():
            got.append(sample.time)
            if len(got) == most:
                return got
            if slow:
                await pause.wait()
        raise AssertionError

    pause = asyncio.Event()
    quick, slow = asyncio.create_task(watch(3, False)), asyncio.create_task(watch(2, True))
    await asyncio.sleep(0)
    await look(sampler, relay, 0)
    for number in range(3):
        await look(sampler, relay, 1, in_msgs=number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert await quick == [START + 1, START + 2, START + 3]
    pause.set()
    await asyncio.sleep(0)
    await look(sampler, relay, 1, in_msgs=9)
    assert await slow == [START + 1, START + 4]
