"""The facts without which a figure says nothing: processor, cores, memory, disk and what a sync on it costs, versions, revision, load.

A fact that this system does not tell is "unknown"; nothing here fails.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SYNCS = 25
SYNC_SIZE = 4096


def facts(folder: Path) -> dict[str, str]:
    """Name -> value, in the order to show them. `folder` is where the bench keeps its spools."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "revision": _output("git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"),
        "processor": _processor(),
        "cores": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}",
        "memory": _memory(),
        "disk": f"{_filesystem(folder)}, fdatasync of {SYNC_SIZE} octets {_sync_cost(folder) * 1e3:.2f} ms (median)",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}, uvloop {_version('uvloop')}",
        "load at the start": load(),
    }


def load() -> str:
    """Processes that wanted to run: averages over the last minute, five, fifteen."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _field(path: str, name: str) -> str:
    try:
        for line in Path(path).read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == name:
                return value.strip()
    except OSError:
        pass
    return "unknown"


def _processor() -> str:
    name = _field("/proc/cpuinfo", "model name")
    return name if name != "unknown" else platform.machine()


def _memory() -> str:
    total = _field("/proc/meminfo", "MemTotal").removesuffix(" kB")
    return f"{int(total) / 1024**2:.0f} GiB" if total.isdigit() else total


def _filesystem(folder: Path) -> str:
    """The type of the file system that the folder is on: the longest mount point above it."""
    best, kind = "", "unknown"
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return kind
    for line in mounts:
        _, point, this, *_ = line.split()
        if folder.resolve().is_relative_to(point) and len(point) > len(best):
            best, kind = point, this
    return kind


def _sync_cost(folder: Path) -> float:
    """Seconds that one small durable write takes here: every figure of the relay stands on it."""
    path, took = folder / "sync", []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            before = time.perf_counter()
            file.write(b"x" * SYNC_SIZE)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - before)
    path.unlink()
    return statistics.median(took)
