"""The figures of docs/performance.md, on this machine: `./dev bench [--quick] [--only NAME ...] [--rounds N] [--json FILE]`.

Every part runs relays of its own on free ports and in a temporary folder, and prints a table. Where there is a peer (Postfix, when it is
installed and we are root; else the same relay with less to do), the figure is a ratio against it in the same run. Ends with status 1 when
a part could not be measured, with 130 after Ctrl-C; processes and folders are gone in any case.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from parts import (
    domains,
    exporting,
    fairness,
    idle,
    injecting,
    latency,
    machine,
    memory,
    micro,
    monitoring,
    postfix,
    scale,
    secure,
    siege,
    signing,
    throughput,
)
from parts.bench import Bench, BenchError
from parts.report import Report, Section, facts, table

from postwright.testing.loop import run_on_fast_loop
from postwright.testing.relay_process import RelayError

PARTS: dict[str, Callable[[Bench], Awaitable[Section]]] = {
    "throughput": throughput.against_postfix,
    "tls": secure.measure,
    "dkim": signing.measure,
    "siege": siege.measure,
    "shards": throughput.by_shards,
    "latency": latency.measure,
    "memory": memory.measure,
    "idle": idle.measure,
    "events": exporting.measure,
    "inject": injecting.measure,
    "monitor": monitoring.measure,
    "waiting": domains.waiting,
    "spread": domains.spread,
    "fairness": fairness.measure,
    "scale": scale.measure,
    "micro": micro.measure,
}
INTERRUPTED = 130


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small counts: does the bench work? Its figures mean nothing")
    parser.add_argument("--only", action="append", choices=PARTS, metavar="NAME", help=f"this part (again for more): {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, help="of each measurement that takes turns (default 3, with --quick 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the report for programs, too")
    parser.add_argument("--folder", type=Path, help="where spools and queues are, so which disk is measured")
    return parser.parse_args()


async def run(bench: Bench, names: list[str]) -> tuple[Report, list[str]]:
    """The report, printed as it grows, and what went wrong."""
    report, wrong = Report(machine.facts(bench.folder) | {"postfix": postfix.version()}, []), []
    print(facts(report.machine), flush=True)
    for name in names:
        try:
            section = await PARTS[name](bench)
        except (BenchError, RelayError, TimeoutError, OSError) as error:
            wrong.append(f"{name}: {type(error).__name__}: {error}")
            print(f"\n== {wrong[-1]}", flush=True)
        else:
            report.sections.append(section)
            print("\n" + table(section), flush=True)
    report.machine["load at the end"] = machine.load()
    print(f"\nload at the end  {machine.load()}")
    return report, wrong


async def interruptible(bench: Bench, names: list[str]) -> tuple[Report, list[str]]:
    """SIGTERM ends it as Ctrl-C does: by unwinding, so that everything is put away. So does a fault in one of our own callbacks."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        loop.default_exception_handler(context)
        task.cancel()

    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    loop.set_exception_handler(fault)
    return await run(bench, names)


def main() -> int:
    options = arguments()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    rounds = max(1, options.rounds or (1 if options.quick else 3))
    with tempfile.TemporaryDirectory(prefix="postwright-bench-", dir=options.folder, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.chmod(folder, 0o755)
        try:
            report, wrong = run_on_fast_loop(interruptible(Bench(folder, quick=options.quick, rounds=rounds), options.only or list(PARTS)))
        except (KeyboardInterrupt, asyncio.CancelledError):
            print("interrupted", file=sys.stderr)
            return INTERRUPTED
    if options.json is not None:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
