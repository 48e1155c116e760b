"""The load generator against sinks that behave and sinks that do not."""

from __future__ import annotations

import json
import re
import ssl
from collections import Counter
from email import message_from_bytes
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.testing.certificate import self_signed
from postwright.testing.load import LoadReport, run_load
from postwright.testing.load_plan import Factory, LoadPlan, Spread, parse_domains, parse_sizes
from postwright.testing.sink import SinkServer
from postwright.testing.sink_records import Extensions
from postwright.testing.transcript import Transcript

pytestmark = pytest.mark.both_loops


def numbers(sink: SinkServer) -> list[int]:
    """Which messages arrived, by their Message-ID."""
    return sorted(int(str(message_from_bytes(m.content)["Message-ID"]).split(".")[1].split("@")[0]) for m in sink.messages)


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("overlap", [True, False])
async def test_everything_arrives_once(pipelining: bool, overlap: bool) -> None:
    async with SinkServer(extensions=Extensions(pipelining=pipelining)) as sink:
        report = await run_load(LoadPlan(port=sink.port, messages=101, connections=7, recipients=3, overlap=overlap))
        assert numbers(sink) == list(range(1, 102))
        assert (report.accepted, report.recipients, report.refused, report.lost, report.gave_up) == (101, 303, 0, 0, "")
        assert sink.counts.violations == 0
        assert sink.counts.octets == report.octets
        assert len(report.latencies) == 101
        assert 0 < report.percentile(50) <= report.percentile(99) <= max(report.latencies) < 10
        assert report.rate > 0


async def test_sizes_domains_and_headers() -> None:
    plan = LoadPlan(
        messages=200, sizes=parse_sizes("1k:1,2k-3k:3"), domains=parse_domains("a.example:90,d{1..5}.example:10"), headers=("X-Job: j1",)
    )
    async with SinkServer() as sink:
        await run_load(LoadPlan(**{f: getattr(plan, f) for f in plan.__struct_fields__} | {"port": sink.port}))
    small = sum(m.size <= 1024 for m in sink.messages)
    assert 20 < small < 90
    assert all(900 < m.size <= 3072 for m in sink.messages)
    assert not any(m.has_bare_cr_or_lf for m in sink.messages)
    assert all(m.parsed["X-Job"] == "j1" for m in sink.messages)
    domains = Counter(m.recipients[0].partition("@")[2] for m in sink.messages)
    assert domains["a.example"] > 150
    assert set(domains) <= {"a.example", *(f"d{n}.example" for n in range(1, 6))}


async def test_refusals_are_counted_by_their_text() -> None:
    rules = [
        "rcpt:r1.0@* 550 5.1.1 unknown",
        "mail first=1 451 4.7.1 greylisted",
        "data first=1 451 4.3.0 busy",
        "eod first=1 554 5.6.0 spam",
    ]
    async with SinkServer(rules) as sink:
        report = await run_load(LoadPlan(port=sink.port, messages=10, connections=1))
    # The first message meets MAIL's 451 before its recipient is looked at.
    assert report.refusals == {"451 4.7.1 greylisted": 1, "451 4.3.0 busy": 1, "554 5.6.0 spam": 1}
    assert (report.accepted, report.refused) == (7, 3)
    assert sink.counts.violations == 0
    async with SinkServer(rules[:1]) as sink:
        report = await run_load(LoadPlan(port=sink.port, messages=3, connections=1, recipients=2, overlap=True))
        assert (report.accepted, report.recipients) == (3, 5)
        report = await run_load(LoadPlan(port=sink.port, messages=3, connections=1, overlap=True))
        assert (report.accepted, report.refused) == (2, 1)


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("rule", ["eod 20% drop", "mail 20% drop", "eod 20% 421 4.3.2 bye", "rcpt 20% 421 4.3.2 bye", "data 20% reset"])
async def test_every_message_is_accounted_for(rule: str, overlap: bool) -> None:
    async with SinkServer([rule], seed=3) as sink:
        report = await run_load(LoadPlan(port=sink.port, messages=60, connections=4, overlap=overlap))
        assert report.accepted + report.refused + report.lost == 60
        # A reset overtakes replies: what the sink took may be lost for the sender.
        assert report.accepted <= sink.counts.messages <= report.accepted + report.lost
        assert "reset" in rule or report.accepted == sink.counts.messages
        assert report.refused + report.lost > 0
        assert report.connections > 4


async def test_rate_and_connections() -> None:
    async with SinkServer() as sink:
        begun = monotonic()
        report = await run_load(LoadPlan(port=sink.port, messages=20, connections=2, rate=200, per_connection=4))
        assert monotonic() - begun >= 19 / 200
        assert report.accepted == 20
        assert sink.counts.connections >= 5
        assert sink.counts.most_open <= 2
        report = await run_load(LoadPlan(port=sink.port, messages=10_000, connections=1, rate=100, seconds=0.05))
        assert 1 <= report.accepted <= 20


async def test_waiting_for_a_free_connection_counts_as_latency() -> None:
    async with SinkServer(["eod delay=0.02"]) as sink:
        report = await run_load(LoadPlan(port=sink.port, messages=10, connections=1, rate=1000))
        assert max(report.latencies) > 0.15


async def test_tls_and_auth() -> None:
    async with SinkServer(tls=self_signed(), users={"u": "p"}, require_tls=True, require_auth=True) as sink:
        report = await run_load(LoadPlan(port=sink.port, messages=5, connections=2, starttls=True, auth=("u", "p")))
        assert report.accepted == 5
        assert all(m.connection.user == "u" for m in sink.messages)


async def test_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.testing.load._MOST_FAILURES", 3)
    async with SinkServer(["connect 554 5.7.1 no"]) as sink:
        report = await run_load(LoadPlan(port=sink.port, messages=5, connections=1))
        assert report.gave_up == "the peer refused every connection"
        assert report.refusals == {"554 5.7.1 no": 3}
    report = await run_load(LoadPlan(port=sink.port, messages=5, connections=1))
    assert re.search(r"refused|Connect call failed", report.gave_up)
    assert report.failed_connections == 3
    bad = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # without a certificate: every handshake fails
    async with SinkServer(tls=bad) as sink:
        report = await run_load(LoadPlan(port=sink.port, messages=5, connections=1, starttls=True))
        assert report.gave_up
        assert any(text.startswith("TLS: ") for text in report.refusals)


async def test_a_peer_that_hangs_is_left() -> None:
    async with SinkServer(["eod first=1 hang"]) as sink:
        report = await run_load(LoadPlan(port=sink.port, messages=3, connections=1, timeout=0.2))
        assert (report.accepted, report.lost) == (2, 1)


async def test_a_421_that_nobody_asked_for() -> None:
    script = Transcript.parse("S: 220 hi\nC: EHLO source.example\nS: 250 x\nC: MAIL FROM:<load@source.example>\nS: 250 x\nS: 421 bye")
    async with script.serve() as port:
        report = await run_load(LoadPlan(port=port, messages=1, connections=1))
        assert (report.refused, report.refusals) == (1, {"421 bye": 1})


def test_report() -> None:
    report = LoadReport(accepted=3, recipients=3, octets=3_000_000, elapsed=1.5, latencies=[0.001, 0.002, 0.1], refused=1, gave_up="tired")
    report.refusals["550 no"] += 1
    assert report.percentile(50) == 0.002
    assert report.percentile(99) == 0.1
    text = report.as_text()
    assert "2.0 messages/s, 2.00 MB/s" in text
    assert "p50 2.0" in text
    assert "1 x 550 no" in text
    assert "gave up      tired" in text
    assert json.loads(json.dumps(report.as_dict()))["latency"]["max"] == 0.1
    assert LoadReport().percentile(50) == LoadReport().rate == 0
    assert LoadReport().as_dict()["latency"] == {}


SIZES = [
    ("4k", (Spread(4096, 4096),)),
    ("512-1m", (Spread(512, 1_048_576),)),
    ("1k:70, 10k-50K:25", (Spread(1024, 1024, 70), Spread(10_240, 51_200, 25))),
    ("1", (Spread(256, 256),)),
]


@pytest.mark.parametrize(("text", "spreads"), SIZES)
def test_sizes(text: str, spreads: tuple[Spread, ...]) -> None:
    assert parse_sizes(text) == spreads


@pytest.mark.parametrize("text", ["", "4x", "5k-4k", "4k:", "4k:0", "4k:-1", "4k,,5k", "-5k", "4k:nan"])
def test_wrong_sizes(text: str) -> None:
    with pytest.raises(ValueError):
        parse_sizes(text)


def test_domains() -> None:
    assert parse_domains("a.example") == (("a.example", 1.0),)
    assert parse_domains("a.example:3,d{1..2}.example") == (("a.example", 3.0), ("d1.example", 0.5), ("d2.example", 0.5))


@pytest.mark.parametrize("text", ["", "a.example:x", "d{5..1}.example", "d{1..9999999}.example", ":5"])
def test_wrong_domains(text: str) -> None:
    with pytest.raises(ValueError):
        parse_domains(text)


@given(st.integers(256, 5000), st.integers(1, 5))
def test_content_is_never_larger_than_asked_and_well_formed(size: int, seed: int) -> None:
    message = Factory(LoadPlan(sizes=(Spread(size, size),), seed=seed)).make()
    assert size - 200 <= len(message.content) <= max(size, 300)
    assert message.content.endswith(b"\r\n")
    assert message.content.count(b"\r") == message.content.count(b"\n") == message.content.count(b"\r\n")
    assert b"\n." not in message.content


def test_the_same_seed_makes_the_same_messages() -> None:
    plan = LoadPlan(sizes=parse_sizes("1k-9k"), domains=parse_domains("d{1..99}.example"), recipients=9, vary_recipients=True)
    one, two = Factory(plan), Factory(plan)
    assert [one.make() for _ in range(50)] == [two.make() for _ in range(50)]
