"""Every metric is told and described; dashboard and alerts name none that there is not; and a real relay's figures are those of its
mail."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import yaml
from click.testing import CliRunner
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed

from postwright.control.cli.main import main
from postwright.control.metrics.exposition import text, view_of
from postwright.control.metrics.metric import Metric
from postwright.control.metrics.page import page
from postwright.control.metrics.table import SYNC, TABLE
from postwright.engine.counters import Sessions
from postwright.engine.dials import Dials
from postwright.engine.export_frames import ConsumerStatus
from postwright.engine.flow_book import FlowRow, FlowsView
from postwright.engine.rule_counts import RuleCounts
from postwright.engine.self_signed import self_signed_pem
from postwright.engine.status import ShardStatus, Traffic
from postwright.engine.views.gauges import ShardGauges, Signed, Waits
from postwright.engine.views.metrics import Counted, Judged, MetricsView
from postwright.net.resolver import ResolverCounts
from postwright.net.tls_look import client_context
from postwright.store.spool import SpoolStatus
from postwright.store.sync_times import BOUNDS
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient

ROOT = Path(__file__).resolve().parents[3]
DASHBOARD = ROOT / "packages" / "grafana" / "postwright.json"
RULES = ROOT / "packages" / "prometheus" / "postwright.rules.yml"
GUIDE = ROOT / "docs" / "guides" / "metrics.md"
PAGE = ROOT / "docs" / "reference" / "metrics.md"


def view() -> MetricsView:
    """A relay of one shard, no figure of which is nought."""
    filled = {name: number for number, name in enumerate(Traffic.__struct_fields__, 1)}
    spool = SpoolStatus(live=1, segments=2, bytes=3, free=4, syncs=[1] * (len(BOUNDS) + 1), sync_seconds=2.5)
    waits = Waits(7, 1, 2, {"normal": 3}, {"ready": 4}, {"a.example": 7}, {"vm1": 7}, {"vm1": 2})
    flows = FlowsView([FlowRow("a.example", 5, 6, 7)], [FlowRow("vm1", 5, 6, 7)])
    gauges = ShardGauges(
        shard=0,
        pid=1,
        traffic=Traffic(**filled),
        sessions=Sessions(1, 2, 3),
        dials=Dials(4, 3, 2, 1),
        waits=waits,
        spool=spool,
        resolver=ResolverCounts(1, 2, 3, 4, 5),
        signed=Signed(10, 0.5),
        flows=FlowsView([], []),
        late=(0.1, 0.2, 0.3),
        suppressed=9,
        processor=1.5,
    )
    status = ShardStatus(
        shard=0, pid=1, uptime=1.0, connections_in=1, connections_out=2, recipients=7, queues=3, messages_in_last_minute=1,
        delivered_last_minute=1, traffic=gauges.traffic, spool_bytes=3, spool_segments=2, memory=1000, top_queues=[], waiting_for_slot=1,
        refused_at_door={"too_many": 2}, sender_rules=RuleCounts(9, 3, 2, 1, {"date": 2, "from": 1}),
    )  # fmt: skip
    consumer = ConsumerStatus("webhook", 1, 2.0, 3, "refused")
    counted = Counted(gauges.traffic, gauges.sessions, gauges.dials, gauges.resolver, gauges.signed, gauges.suppressed)
    judged = Judged(status.refused_at_door, RuleCounts(9, 3, 2, 1, {"date": 2, "from": 1}))
    return MetricsView("1.0", 1e9, 1e9, [1], {"shard 0": 2}, 3, [consumer], [status], [gauges], counted, judged, flows, waits)


Samples = dict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture(scope="module")
def samples() -> Samples:
    """By the name in queries."""
    found: Samples = {}
    for family in parsed(text(view())[0].decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


@pytest.mark.parametrize("metric", TABLE, ids=lambda metric: metric.name)
def test_every_metric_is_told(metric: Metric, samples: Samples) -> None:
    told = samples[metric.sample]
    assert told == [(dict(zip(metric.labels, labels, strict=True)), value) for labels, value in metric.read(view())]
    assert told
    assert all(value for _, value in told)
    assert bool(metric.bound) == bool(metric.labels)


def test_names_are_those_of_prometheus() -> None:
    assert len({metric.name for metric in TABLE}) == len(TABLE)
    assert [metric.name for metric in TABLE if not re.fullmatch(r"postwright_[a-z_]+[a-z]", metric.name) or "_total" in metric.name] == []


def test_syncs_are_a_histogram(samples: Samples) -> None:
    counts = [value for _, value in samples[f"{SYNC}_bucket"]]
    assert counts == [float(number + 1) for number in range(len(BOUNDS) + 1)]
    assert samples[f"{SYNC}_sum"] == [({"shard": "0"}, 2.5)]


def test_what_others_chose_is_escaped() -> None:
    odd = view()
    odd.flows.domains = [FlowRow('a"\n.example', 1)]
    assert r'{domain="a\"\n.example",outcome="delivered"} 1.0' in text(odd)[0].decode()


def test_openmetrics_where_it_is_asked_for() -> None:
    exposition, kind = text(view(), "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert len(list(openmetrics(exposition.decode()))) == len(TABLE) + 1


def test_the_view_survives_the_way_to_whoever_asks() -> None:
    assert text(view_of(msgspec.json.encode(view()))) == text(view())


def test_the_page_in_docs_is_fresh() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: postwright metrics --reference docs/reference/metrics.md"


# -- dashboard and alerts ----------------------------------------------------------------------------------------------------

KNOWN = {metric.sample: set(metric.labels) for metric in TABLE} | {f"{SYNC}_{end}": {"shard", "le"} for end in ("bucket", "sum", "count")}


def dashboard() -> Iterator[str]:
    told = json.loads(DASHBOARD.read_text("utf-8"))
    for panel in told["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))
    yield from (one["expr"] for one in told["annotations"]["list"])
    yield from (one["query"]["query"] for one in told["templating"]["list"] if one["type"] == "query")


def alerts() -> list[dict[str, object]]:
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def told_in_guide() -> list[str]:
    return [query for query in re.findall(r"`([^`]*)`", GUIDE.read_text("utf-8")) if "postwright_" in query]


def unknown(query: str) -> list[str]:
    """Metrics of ours that do not exist, labels that their metric has not, and brackets that do not close."""
    wrong = [name for name in re.findall(r"\bpostwright_\w+", query) if name not in KNOWN]
    for name, within in re.findall(r"\b(postwright_\w+)\{([^}]*)\}", query):
        wrong += [
            f"{name}.{label}" for label in re.findall(r"(\w+)\s*(?:=|!)", within) if label not in KNOWN.get(name, set()) | {"instance"}
        ]
    for labels in re.findall(r"\bby \(([^)]*)\)", query):
        of = set().union(*(KNOWN.get(name, set()) for name in re.findall(r"\bpostwright_\w+", query))) | {"instance"}
        wrong += [label for label in re.split(r",\s*", labels) if label not in of]
    return wrong + [pair for pair in ("()", "{}", "[]") if query.count(pair[0]) != query.count(pair[1])]


@pytest.mark.parametrize("query", [*dashboard(), *(str(rule["expr"]) for rule in alerts()), *told_in_guide()])
def test_queries_name_what_there_is(query: str) -> None:
    assert unknown(query) == []


def test_a_wrong_query_is_seen() -> None:
    query = 'sum by (wmta) (rate(postwright_nonsense_total{instance="a"}[5m])) + postwright_queues{node="normal"'
    assert unknown(f"{query}}} + (") == ["postwright_nonsense_total", "postwright_queues.node", "wmta", "()"]


def test_panels_stand_beside_one_another() -> None:
    """Nothing covers anything, and ids are unique."""
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_alerts_say_what_to_do() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in ("warning", "critical")  # type: ignore[index]
        assert {"summary", "description"} == set(rule["annotations"])  # type: ignore[call-overload]


@pytest.mark.needs("promtool")
def test_prometheus_takes_the_alerts(needs: Callable[[str], Path]) -> None:
    done = subprocess.run([needs("promtool"), "check", "rules", RULES], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(alerts())} rules found" in done.stdout


# -- a real relay ------------------------------------------------------------------------------------------------------------


async def test_a_relay_tells_what_it_did(tmp_path: Path) -> None:
    port, http = free_port(), free_port()
    async with SinkServer(["rcpt:no@* 550 5.1.1 nobody"]) as sink:
        certificate = tmp_path / "relay.pem"
        certificate.write_bytes(b"".join(self_signed_pem(("localhost",))))
        rules = f"<source 127.0.0.1>\nalways-allow-relaying yes\nallow-starttls yes\n</source>\nsmtp-server-tls-certificate {certificate}\n"
        rules += f"<smtp-user joe>\npassword sesame\n</smtp-user>\n<domain *>\nsmtp-hosts [127.0.0.1]:{sink.port}\n</domain>\n"
        monitor = re.findall(r"^```\n(http-.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)[0]
        monitor = monitor.replace("8080", str(http)).replace("192.0.2.0/24", "127.0.0.1") + "http-redirect-to-https no\n"
        async with RelayProcess(tmp_path, plain_config(port) + rules + monitor) as relay:
            async with await SourceClient.connect("127.0.0.1", port) as client:
                await client.ehlo()
                await client.starttls(client_context(verify=False))
                await client.ehlo()
                assert (await client.auth_plain("joe", "wrong")).code == 535
                assert (await client.auth_plain("joe", "sesame")).code == 235
                await client.send("me@a.example", ["you@b.example", "no@b.example"], b"Subject: s\r\n\r\ntext\r\n")
            await relay.wait_for_records("d", 1)
            await relay.wait_for_records("b", 1)
            plain, written = [await asyncio.to_thread(of_guide, line, relay.state_dir, tmp_path) for line in commands()]
            scraped = await asyncio.to_thread(scrape, http)
            os.kill(relay.status().shards[0].pid, signal.SIGKILL)
            died = 'postwright_process_restarts_total{process="shard 0"} 1.0'
            answers = "postwright_shards_answering 1.0"
            told: list[str] = []

            def begun_anew() -> bool:
                told.append(text(view_of(relay.ask("view-metrics").body))[0].decode())
                return died in told[-1] and answers in told[-1]

            await relay.until(begun_anew, "the death to be counted, and another to answer")
            assert all("postwright_messages_received_total 1.0" in one for one in told), "a total falls when a shard dies"
    output = tmp_path / "postwright.prom"
    assert written == ""
    for exposition in (plain, output.read_text(), scraped):
        assert "postwright_messages_received_total 1.0" in exposition
        assert "postwright_recipients_delivered_total" in exposition
        assert 'postwright_domain_recipients_total{domain="b.example",outcome="bounced"} 1.0' in exposition
        assert "postwright_shards_answering 1.0" in exposition
        assert "postwright_inbound_starttls_total 1.0" in exposition
        assert "postwright_logins_total 1.0" in exposition
        assert "postwright_logins_failed_total 1.0" in exposition
        assert re.search(r'postwright_spool_sync_seconds_count\{shard="0"\} [1-9]', exposition)
    assert [file.name for file in tmp_path.iterdir() if ".prom" in file.name] == ["postwright.prom"]


def commands() -> list[str]:
    """Of the guide: one prints, one writes a file."""
    return re.findall(r"^    postwright (metrics.*)$", GUIDE.read_text("utf-8"), re.MULTILINE)


def of_guide(line: str, state: Path, folder: Path) -> str:
    words = line.replace("/var/lib/prometheus/node-exporter", str(folder)).split()
    done = CliRunner().invoke(main, [*words, "--state-dir", str(state)])
    assert done.exit_code == 0, done.output
    return done.output


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return str(answer.read().decode())


def test_no_relay(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["metrics", "--state-dir", str(tmp_path)]).exit_code == 3
