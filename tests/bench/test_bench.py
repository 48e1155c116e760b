"""The bench still works: each part runs with small counts and has figures; Ctrl-C in the middle leaves no process and no folder.

Its figures are not judged here: on a machine that runs tests beside, they mean nothing.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 120.0
RATES = {
    "shards": ["1 shard", "2 shards"],
    "waiting": ["1 waiting", "100 waiting"],
    "spread": ["1 domains", "100 domains"],
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that Postfix's users may pass through; pytest's own are closed to all but us."""
    with tempfile.TemporaryDirectory(prefix="pw-test-bench-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def bench(folder: Path, *options: str) -> dict[str, Any]:
    """A quick run in `folder`; its report. Whatever it leaves there fails the test."""
    report = folder / "report.json"
    work = folder / "work"
    work.mkdir()
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--quick", "--folder", str(work), "--json", str(report), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert list(work.iterdir()) == []
    found: dict[str, Any] = json.loads(report.read_bytes())
    for section in found["sections"]:
        assert f"== {section['name']}: {section['title']}" in done.stdout
    return found


def rows(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    [section] = report["sections"]
    return {row["what"]: row for row in section["rows"]}


@pytest.mark.parametrize("name", ["shards", *[pytest.param(name, marks=pytest.mark.soak) for name in RATES if name != "shards"]])
def test_rates_are_compared_with_the_smallest_case(folder: Path, name: str) -> None:
    found = rows(bench(folder, "--only", name))
    first, other = RATES[name]
    assert found[first]["value"] > 0
    assert found[other]["ratio"] == pytest.approx(found[other]["value"] / found[first]["value"])


@pytest.mark.parametrize("part", ["throughput", pytest.param("tls", marks=pytest.mark.soak)])
def test_throughput_without_postfix_says_so_and_with_it_is_a_ratio(folder: Path, part: str) -> None:
    report = bench(folder, "--only", part)
    found = rows(report)
    for size in (4096, 102400):
        ours, peer = found[f"{size} octets, postwright"], found.get(f"{size} octets, Postfix")
        if peer is None:
            assert ours["ratio"] is None
            assert any("no peer in this run" in remark for remark in report["sections"][0]["remarks"])
        else:
            assert ours["ratio"] == pytest.approx(ours["value"] / peer["value"])
    assert {"processor", "python", "disk", "revision", "load at the start", "load at the end"} <= report["machine"].keys()
    assert report["machine"]["cores"] == f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}"


@pytest.mark.soak
def test_http_is_compared_with_smtp(folder: Path) -> None:
    found = rows(bench(folder, "--only", "inject"))
    assert list(found) == ["SMTP", "HTTP", "HTTP, 50 recipients a request"]
    assert found["HTTP"]["ratio"] == pytest.approx(found["HTTP"]["value"] / found["SMTP"]["value"])


@pytest.mark.soak
def test_being_watched_is_compared_with_not_being(folder: Path) -> None:
    found = rows(bench(folder, "--only", "monitor"))
    assert list(found) == ["no HTTP port", "monitor, nobody looks", "monitor in two browsers", "cost of two browsers"]
    watched = found["monitor in two browsers"]
    assert watched["ratio"] == pytest.approx(watched["value"] / found["monitor, nobody looks"]["value"])


def test_a_siege_is_told_with_what_the_besiegers_got(folder: Path) -> None:
    report = bench(folder, "--only", "siege")
    found = rows(report)
    assert found["besieged"]["ratio"] == pytest.approx(found["besieged"]["value"] / found["calm"]["value"])
    [told] = [remark for remark in report["sections"][0]["remarks"] if "idle greeted" in remark]
    assert "idle greeted: 200" in told
    assert "slow greeted: 20" in told


def test_latency_is_that_of_half_the_load(folder: Path) -> None:
    report = bench(folder, "--only", "latency")
    found = rows(report)
    assert 0 <= found["postwright, p50"]["value"] <= found["postwright, p99"]["value"]
    assert found["postwright, load"]["value"] > 0


def test_memory_and_start_over_a_queue(folder: Path) -> None:
    report = bench(folder, "--only", "memory")
    found = rows(report)
    assert found["1 shard, idle"]["value"] > 10
    assert found["1 shard, deferred once, 5000 recipients"]["value"] > found["1 shard, idle"]["value"]
    assert found["1 shard, deferred once, each recipient"]["value"] > 50
    assert found["1 shard, deferred once, until it takes mail"]["value"] > 0


def test_idle_sessions_of_each_kind_are_weighed(folder: Path) -> None:
    found = rows(bench(folder, "--only", "idle"))
    assert [what.partition(", ")[2] for what in found] == ["in the clear", "STARTTLS", "immediate TLS"]
    assert all(row["unit"] == "KB" and row["value"] > 0 for row in found.values())


@pytest.mark.parametrize(
    ("number", "part"), [(signal.SIGINT, "throughput"), pytest.param(signal.SIGTERM, "shards", marks=pytest.mark.soak)]
)
def test_an_interrupt_puts_everything_away(folder: Path, number: signal.Signals, part: str) -> None:
    command = [sys.executable, str(ROOT / "bench" / "run.py"), "--quick", "--folder", str(folder)]
    command += ["--only", part, "--rounds", "1000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stderr is not None
        assert any("round 1:" in line for line in process.stderr), "it never got to its first round"
        process.send_signal(number)
        _, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert list(folder.iterdir()) == []
    assert [line for line in _commands() if str(folder) in line] == []


def _commands() -> list[str]:
    """The command lines and working folders of all processes that we may look at."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            found.append(f"{(path / 'cmdline').read_bytes().decode(errors='replace')} {(path / 'cwd').readlink()}")
        except OSError:
            continue
    return found


def test_fairness_says_how_long_urgent_mail_waits_and_what_leases_cost(folder: Path) -> None:
    found = rows(bench(folder, "--only", "fairness"))
    urgent = [row for what, row in found.items() if "urgent" in what]
    leases = [row for what, row in found.items() if what.endswith("a lease")]
    assert [0 <= row["value"] <= row["limit"] == 5.0 for row in urgent] == [True, True]
    assert len(leases) == 6
    assert all(100 < row["value"] <= row["limit"] for row in leases)


def test_scale_says_what_recipients_weigh_and_what_messages_cost(folder: Path) -> None:
    found = rows(bench(folder, "--only", "scale"))
    costs = [row for row in found.values() if row["unit"].startswith("instructions")]
    assert [row["value"] <= row["limit"] for row in costs] == [True] * len(costs)
    assert len(costs) == 6
    assert found["the scheduler with 10000, each recipient, by its objects"]["value"] > 100
