"""The spool by itself: durable commits per second, processor time per record, recovery of a large queue, accounting rows.

    ./dev exec python bench/bench_spool.py [--messages N] [--folder DIR] [--seconds S]

`--folder` decides which disk is measured (default: a temporary folder). CPU is that of the whole process (loop and writer thread), by
getrusage. "cpu" rows write to memory-backed files where there are any, so that the kernel's disk work is not in them.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import resource
import shutil
import tempfile
import time
from pathlib import Path

from postwright.model.address import Address
from postwright.model.envelope import Envelope, Recipient
from postwright.model.message import Arrival, ContentFacts, Message, SpoolRef
from postwright.model.record import Record
from postwright.store.accounting import AcctFiles
from postwright.store.accounting_file import AcctOptions
from postwright.store.accounting_rows import RowForm, RowMaker
from postwright.store.index import Index
from postwright.store.log_spool import LogSpool
from postwright.store.segments import SpoolDir
from postwright.store.spool import DEFERRED, SETTLED, Mark

ARRIVAL = Arrival("smtp", "192.0.2.7", 40000, "client.example", "192.0.2.1", 25, "ESMTP")


def message(number: int, size: int) -> Message:
    recipient = Recipient(Address(f"user{number}@dest{number % 1000}.example", f"dest{number % 1000}.example"))
    envelope = Envelope(Address("news@src.example", "src.example"), [recipient])
    return Message(number, 1.7e9 + number / 1000, envelope, ContentFacts(size, 300), ARRIVAL)


def record(number: int) -> Record:
    return Record(
        "d", 1.7e9, number, 0, 1.7e9, "news@src.example", f"user{number}@dest.example", "", "relayed", "2.0.0", "smtp;250 2.0.0 Ok: queued",
        "mx.dest.example (192.0.2.9)", "", "smtp", "client.example (192.0.2.7)", "smtp", "192.0.2.1", "192.0.2.9",
        "ENHANCEDSTATUSCODES,PIPELINING,8BITMIME,SIZE", 4096, "vmta1", "job1", "", "dest.example/vmta1", "", "192.0.2.7", "192.0.2.1",
    )  # fmt: skip


def cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def fresh(base: Path) -> Path:
    shutil.rmtree(base / "spool", ignore_errors=True)
    return base / "spool"


async def commits(base: Path, size: int, flying: int, seconds: float, acct: bool) -> str:
    """`flying` senders, each waits for its commit, settles what it has committed, and commits again."""
    folder = fresh(base)
    files = AcctFiles([AcctOptions(folder / "acct.csv", ("d", "b", "r"))]) if acct else None
    spool = LogSpool((SpoolDir(folder),), 0, sink=files)
    list(spool.recover())
    content, done, until = b"x" * size, 0, time.perf_counter() + seconds
    waits: list[float] = []

    async def sender(number: int) -> None:
        nonlocal done
        while (before := time.perf_counter()) < until:
            number += flying
            await spool.commit(message(number, size), (content,))
            waits.append(time.perf_counter() - before)
            spool.mark_nowait(Mark(number, (0,), SETTLED, records=(record(number),) if acct else ()))
            done += 1

    used, before = cpu(), time.perf_counter()
    await asyncio.gather(*[sender(n) for n in range(flying)])
    elapsed, used = time.perf_counter() - before, cpu() - used
    groups = spool.status().groups
    await spool.close()
    waits.sort()
    return (
        f"{done / elapsed:9.0f}/s  cpu {used / done * 1e6:6.1f} us  {done / max(1, groups):6.1f} a group"
        f"  p50 {waits[len(waits) // 2] * 1e3:5.2f} ms  p99 {waits[len(waits) * 99 // 100] * 1e3:6.2f} ms"
    )


async def fill(folder: Path, count: int, size: int) -> None:
    spool = LogSpool((SpoolDir(folder),), 0)
    list(spool.recover())
    content = (b"x" * size,)
    for start in range(1, count + 1, 20_000):
        await asyncio.gather(*[spool.commit(message(n, size), content) for n in range(start, min(count + 1, start + 20_000))])
    await spool.close()


async def recovery(base: Path, count: int, size: int, deferred: bool) -> str:
    """Start over `count` messages; memory is what the index holds when the messages themselves are let go."""
    spool = LogSpool((SpoolDir(base / "spool"),), 0)
    gc.collect()
    memory, used, before = resident(), cpu(), time.perf_counter()
    refs: list[tuple[int, SpoolRef]] = []
    for found in spool.recover():
        refs.append((found.message.id, found.ref))
    elapsed, used = time.perf_counter() - before, cpu() - used
    gc.collect()
    grown = resident() - memory
    assert len(refs) == count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if deferred:
        for number, _ in refs:
            spool.mark_nowait(Mark(number, (0,), DEFERRED, 1.7e9 + number, 1, 1.7e9))
            if number % 10_000 == 0:
                await asyncio.sleep(0)
    await spool.close()
    own = (grown - 72 * count) / count  # the list of ours: a pair and its place
    return f"{elapsed:6.2f} s ({used / count * 1e6:.2f} us each)  index and references {own:.0f} octets each, peak {peak / 1e6:.0f} MB"


def index_memory(count: int, deferred: bool) -> str:
    """What one single-recipient message costs the index, its reference (which the scheduler shares) and its id included."""
    index = Index()
    gc.collect()
    before = resident()
    for number in range(count):
        index.add((1 << 60) + number, SpoolRef(0, 7, 1_000_000 + number, 500, 4096), 1)
    if deferred:
        for number in range(count):
            index.defer((1 << 60) + number, (0,), 1.7e9 + number, 1, 1.6e9 + number)
    return f"{(resident() - before) / count:.0f} octets a message"


def rows() -> str:
    maker = RowMaker(RowForm(("d", "b", "r")))
    records = [record(number) for number in range(20_000)]
    best = 1e9
    for _ in range(5):
        before = time.perf_counter()
        for one in records:
            maker.row(one)
        best = min(best, time.perf_counter() - before)
    return f"{best / len(records) * 1e6:.2f} us a row"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000, help="in the queue of the recovery bench; 0 leaves it out")
    parser.add_argument("--folder", type=Path, help="where the spool is made")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each row of commits")
    options = parser.parse_args()
    base = Path(tempfile.mkdtemp(prefix="bench-spool-", dir=options.folder))
    try:
        print(f"accounting rows        {rows()}")
        if options.messages:
            print(f"index, never tried     {index_memory(options.messages, False)}")
            print(f"index, all deferred    {index_memory(options.messages, True)}")
        for size in (4096, 102_400):
            for flying in (1, 16, 64, 256):
                print(f"commit {size:6} x {flying:<4}   {await commits(base, size, flying, options.seconds, False)}", flush=True)
        print(f"with accounting x 64   {await commits(base, 4096, 64, options.seconds, True)}", flush=True)
        if Path("/dev/shm").is_dir():
            memory = Path(tempfile.mkdtemp(prefix="bench-spool-", dir="/dev/shm"))
            print(f"cpu     4096 x 256     {await commits(memory, 4096, 256, options.seconds, False)}", flush=True)
            shutil.rmtree(memory)
        if options.messages:
            fresh(base)
            await fill(base / "spool", options.messages, 500)
            print(f"recover {options.messages}        {await recovery(base, options.messages, 500, True)}", flush=True)
            print(f"recover, all deferred  {await recovery(base, options.messages, 500, False)}", flush=True)
    finally:
        shutil.rmtree(base)


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(main())
    else:
        uvloop.run(main())
