"""The benches of single parts (bench/bench_*.py), each a program of its own; their tables are shown as they print them.

They say what a part costs by itself: what to look at when a figure above has become worse.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from parts.bench import Bench, BenchError
from parts.report import Section

FOLDER = Path(__file__).resolve().parents[1]
ENDS_WITHIN = 5.0
QUICK: dict[str, tuple[str, ...]] = {
    "channel": ("--messages", "400"),
    "content": ("--rounds", "1"),
    "session": ("--messages", "200", "--loop", "uvloop"),
    "spool": ("--messages", "2000", "--seconds", "0.05"),
}


async def measure(bench: Bench) -> Section:
    """All of them, one after the other."""
    section = Section("micro", "the parts by themselves")
    for path in sorted(FOLDER.glob("bench_*.py")):
        name = path.stem.removeprefix("bench_")
        bench.say(path.name)
        section.text += f"{path.name}\n{await _run(bench, path, QUICK.get(name, ()) if bench.quick else ())}\n"
    return section


async def _run(bench: Bench, path: Path, arguments: tuple[str, ...]) -> str:
    """Its output. What it writes to temporary files lands in the bench's folder, and so on the disk that is measured."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(path),
        *arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, "TMPDIR": str(bench.folder)},
    )
    try:
        output, _ = await process.communicate()
    except BaseException:
        await _end(process)
        raise
    text = output.decode(errors="replace").rstrip()
    if process.returncode:
        raise BenchError(f"{path.name} ended with {process.returncode}:\n{text}")
    return text


async def _end(process: asyncio.subprocess.Process) -> None:
    """As Ctrl-C does, so that it puts away what it has made; then it and whatever it started are killed."""
    try:
        os.killpg(process.pid, signal.SIGINT)
        await asyncio.wait_for(process.wait(), ENDS_WITHIN)
        os.killpg(process.pid, signal.SIGKILL)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
