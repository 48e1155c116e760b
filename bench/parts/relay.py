"""The relay under measurement: bench/relay.conf with other ports, in a folder of its own, stopped and removed whatever happens."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from parts.bench import Bench
from postwright.engine.supervisor import default_shards
from postwright.testing.relay_process import RelayProcess
from postwright.testing.sockets import free_port

CONFIG = Path(__file__).resolve().parents[1] / "relay.conf"


class BenchRelay(RelayProcess):
    """A relay that knows its port and can say what it weighs."""

    start_timeout = 300.0  # over a million messages

    def __init__(self, folder: Path, sink_port: int, shards: int, more: str, environment: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        super().__init__(folder, configuration(self.port, sink_port, more), shards=shards, environment=environment)

    def memory(self, field: str = "VmRSS") -> int:
        """Octets of all its processes: resident now (VmRSS) or at their worst (VmHWM). Shared pages count for each of them."""
        return sum(_status(pid, field) for pid in self.pids())

    def work(self) -> float:
        """Seconds of processor time of all its processes until now."""
        return sum(_ticks(pid) for pid in self.pids()) / os.sysconf("SC_CLK_TCK")

    def pids(self) -> list[int]:
        """All processes of its group."""
        group = self.process.pid
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _group(pid) == group]


def configuration(port: int, sink_port: int, more: str = "") -> str:
    """bench/relay.conf, listening on `port` and delivering to `sink_port`, and these lines."""
    text = CONFIG.read_text("utf-8")
    for said, meant in ((" 127.0.0.1:2602", f" 127.0.0.1:{port}"), ("[127.0.0.1]:2600", f"[127.0.0.1]:{sink_port}")):
        assert said in text, f"{CONFIG.name} does not say {said!r} any more"
        text = text.replace(said, meant)
    return f"{text}\n{more}"


@asynccontextmanager
async def running_relay(
    bench: Bench,
    sink_port: int,
    shards: int = 0,
    more: str = "",
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[BenchRelay]:
    """A relay that takes mail. `shards` 0 is the default number; `folder` is used as it is, with the spool that is there."""
    if folder is None:
        with bench.place("relay") as made:
            async with running_relay(bench, sink_port, shards, more, made, environment) as relay:
                yield relay
        return
    relay = BenchRelay(folder, sink_port, shards or default_shards(), more, environment)
    try:
        await relay.start()
        yield relay
        await relay.stop()
        relay.check()
    finally:
        relay.kill()


def _status(pid: int, field: str) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # it has ended meanwhile
    return 0


def _ticks(pid: int) -> int:
    """User and system time (proc(5): fields 14 and 15, behind a name that may hold anything but a closing parenthesis)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0
