"""A million recipients in a hundred thousand queues with limits of all kinds: what each weighs, and what a message costs beside them.

Costs are instructions: of the interpreter always, of the processor where valgrind is installed. Those see what C does, too: a pass over all
queues, in whatever language, would cost a hundred thousand times something. The worlds are `mixed`'s, the limits those of bench/scale.conf.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import shutil
import sys
from pathlib import Path

from parts import fairness, memory, mixed, spool
from parts.bench import Bench, BenchError
from parts.report import Row, Section
from parts.weighing import octets_of, resident
from postwright.testing.instructions import instructions

FLAT = 1.2  # of the least
SIZES = (1_000, 10_000, 100_000, 1_000_000)
COUNTED = 1000  # messages
OF_BACKLOG = (60, 200)  # messages that warm up, and that are counted: a world of a thousand has not gone far after them
BENCH = Path(__file__).resolve().parents[1]


async def measure(bench: Bench) -> Section:
    """Memory, then costs."""
    count = bench.pick(1_000_000, 10_000)
    section = Section("scale", f"up to {count} recipients, {mixed.EACH} a queue, with the mixed limits of bench/scale.conf")
    section.rows += await _memory(bench, count)
    sizes = [size for size in SIZES if size <= count]
    section.rows += _flat([Row(f"{size} recipients wait, a message", _beside(bench, size), "instructions") for size in sizes])
    section.rows += await _processor(bench, [sizes[0], sizes[-1]])
    section.rows += _flat([Row(f"{size} recipients wait, a tick with nothing due", _tick(size), "instructions") for size in sizes])
    section.rows += _flat([Row(f"a backlog of {size}, a message", _of_backlog(size), "instructions") for size in sizes])
    section.rows.append(fairness.urgent(count))
    section.remarks = [
        "a message is submitted, given a connection, leased and settled; it costs more than in `fairness`, as limits hold it up on its way",
        "those that wait do so in eight ways: retries, paused, backoff, no place, rates used up (queue, virtual MTA), addresses disabled",
    ]
    return section


async def _memory(bench: Bench, count: int) -> list[Row]:
    """Of the scheduler by its objects and by what the process grew; of a whole relay over a spool of as many."""
    bench.say("the scheduler's memory")
    out = await _child("weighing", str(count // mixed.EACH))
    objects, grown = map(float, out.split())
    rows = [
        Row(f"the scheduler with {count}, each recipient, by its objects", objects / count, "octets"),
        Row("the same, by what its process has grown", grown / count, "octets"),
    ]
    if bench.quick:
        return rows
    idle = await memory.weigh(bench, spool.Filling(0, 1))
    full = await memory.weigh(bench, spool.Filling(count, count // mixed.EACH, deferred=True, key_of=mixed.key), _relay_conf())
    each = (full.rest - idle.rest) / count
    rows.append(Row("a relay, 1 shard, each recipient (deferred once)", each, "octets"))
    return rows


def _relay_conf() -> str:
    """Virtual MTAs and domains of scale.conf, for a relay that has the rest."""
    text = mixed.CONFIG.read_text("utf-8")
    return text[text.index("<virtual-mta") :]


def _beside(bench: Bench, size: int) -> float:
    bench.say(f"messages beside {size} recipients")
    mover = mixed.bystanders(size // mixed.EACH)
    mover.move(COUNTED)
    return instructions(lambda: mover.move(COUNTED)) / COUNTED


def _tick(size: int) -> float:
    mover = mixed.bystanders(size // mixed.EACH)
    mover.move(COUNTED)
    mover.pump()

    def ticks() -> None:
        for _ in range(100):
            assert mover.scheduler.next_queue(mover.now) is None
            mover.scheduler.next_wake()

    return instructions(ticks) / 100


def _of_backlog(size: int) -> float:
    mover = mixed.backlog(size // mixed.EACH)
    warm, counted = OF_BACKLOG
    mover.move(warm)
    return instructions(lambda: mover.move(counted)) / counted


async def _processor(bench: Bench, sizes: list[int]) -> list[Row]:
    """The same messages, counted by valgrind."""
    if bench.quick or shutil.which("valgrind") is None:
        return []
    rows = []
    for size in sizes:
        bench.say(f"messages beside {size} recipients under valgrind")
        rows.append(Row(f"{size} recipients wait, a message, by the processor", await _refs(size), "instructions"))
    return _flat(rows)


async def _refs(size: int) -> float:
    """What a process that moves COUNTED messages more takes more."""
    options = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
    out = await _child("under_valgrind", str(size // mixed.EACH), str(COUNTED), before=("valgrind", *options))
    counts = [int(found.replace(",", "")) for found in re.findall(r"I\s+refs:\s+([\d,]+)", out)]
    if len(counts) != 3:
        raise BenchError(f"valgrind said: {out[-500:]}")
    return (counts[1] - counts[0]) / COUNTED


async def _child(program: str, *arguments: str, before: tuple[str, ...] = ()) -> str:
    """What `python -m parts.scale PROGRAM ...` prints, in a process of its own."""
    paths = os.pathsep.join([str(BENCH), *sys.path])
    command = (*before, sys.executable, "-m", "parts.scale", program, *arguments)
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | {"PYTHONPATH": paths, "PYTHONHASHSEED": "0"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise BenchError(out.decode(errors="replace")[-2000:])
    return out.decode(errors="replace")


def _flat(rows: list[Row]) -> list[Row]:
    least = min(row.value for row in rows)
    for row in rows:
        if row.value > least * FLAT:
            raise BenchError(f"{row.what}: {row.value:.0f} {row.unit}, and {least:.0f} at best")
        row.limit = least * FLAT
    return rows


def weighing(queues: int) -> None:
    """Prints the octets of the objects of a world of so many queues, and what the process has grown by."""
    mixed.World()
    gc.collect()
    before = resident()
    mover = mixed.backlog(queues)
    gc.collect()
    grown = resident() - before
    print(octets_of(mover.scheduler), grown)


def under_valgrind(queues: int, count: int) -> None:
    """Two children go on from the same state: one ends, the other moves `count` messages first."""
    gc.disable()
    mover = mixed.bystanders(queues)
    mover.move(COUNTED)
    for more in (0, count):
        child = os.fork()
        if not child:
            mover.move(more)
            os._exit(0)
        os.waitpid(child, 0)
    os._exit(0)


if __name__ == "__main__":
    {"weighing": weighing, "under_valgrind": under_valgrind}[sys.argv[1]](*map(int, sys.argv[2:]))
