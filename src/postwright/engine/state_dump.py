"""SIGUSR1 to the relay: what all processes are doing, written to a file in the state folder, its name to the log. Mail goes on meanwhile.

A shard that answers tells its tasks, queues and connections (`engine.dump`). One that does not (its loop is stuck) is made to write where
its threads are, which Python does without the loop's help (`stacks_of`, faulthandler). Nothing is raised: a dump that cannot be written is
an error in the log."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

import structlog

from postwright import __version__
from postwright.engine import dump
from postwright.engine import frames as f

PATIENCE: Final = 5.0  # seconds for the shards' answers
WRITING: Final = 0.5  # seconds for a process that is stuck to write where it is; it is done within a signal handler
SIGNAL: Final = signal.SIGUSR1


class Dumped(Protocol):
    """What is asked of the supervisor."""

    started: float
    log: structlog.stdlib.BoundLogger

    async def ask_shards(self, verb: str, argument: bytes = b"", timeout: float = 10.0) -> list[f.Answer]: ...
    def pids(self) -> list[int]: ...


def stacks_of(state_dir: Path, shard: int) -> Path:
    """Where a shard writes its stacks when it is sent SIGUSR1."""
    return state_dir / "run" / f"shard-{shard}.stacks"


@contextlib.contextmanager
def held() -> Iterator[None]:
    """A process that is started within this begins with SIGUSR1 blocked: who is only beginning would else die of a question."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (SIGNAL,))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def write_stacks_on_signal(state_dir: Path, shard: int) -> None:
    """In a shard: have Python write the stack of each thread at SIGUSR1, whatever the loop does. Without a place for it: ignore it.

    One that came meanwhile (`held`) is answered now."""
    try:
        file = stacks_of(state_dir, shard).open("w", encoding="utf-8")
    except OSError:
        signal.signal(SIGNAL, signal.SIG_IGN)
    else:
        faulthandler.register(SIGNAL, file=file, all_threads=True, chain=False)  # it keeps the file
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (SIGNAL,))


async def write(relay: Dumped, state_dir: Path) -> None:
    """Gather, write, and say in the log where it is."""
    file = state_dir / time.strftime("dump-%Y%m%d-%H%M%S.txt", time.gmtime())
    try:
        text = "\n".join(await _gathered(relay, state_dir)) + "\n"
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(fd, "w", encoding="utf-8", errors="replace") as opened:
            opened.write(text)
    except OSError as error:
        relay.log.error("the state cannot be dumped", error=str(error))
        return
    relay.log.warning("state dumped", file=str(file))


async def _gathered(relay: Dumped, state_dir: Path) -> list[str]:
    answers = {answer.shard: answer for answer in await relay.ask_shards("dump", timeout=PATIENCE)}
    told = [
        f"Postwright {__version__}, {time.strftime('%Y-%m-%d %H:%M:%S UTC', time.gmtime())}, up {time.time() - relay.started:.0f} s",
        f"supervisor, pid {os.getpid()}, shards {relay.pids()}",
        *(f"    {line}" for line in dump.tasks(asyncio.all_tasks())),
    ]
    for shard, pid in enumerate(relay.pids()):
        answer = answers.get(shard)
        told += ["", *(answer.body.decode("utf-8", "replace").split("\n") if answer is not None else await _stuck(state_dir, shard, pid))]
    return told


async def _stuck(state_dir: Path, shard: int, pid: int) -> Sequence[str]:
    """Of a shard that does not answer."""
    head = f"shard {shard}, pid {pid}: does not answer"
    if not pid:
        return [f"{head}: it does not run"]
    file = stacks_of(state_dir, shard)
    with contextlib.suppress(OSError):
        before = file.stat().st_size
        os.kill(pid, SIGNAL)
        await asyncio.sleep(WRITING)
        with file.open("rb") as opened:
            opened.seek(before)
            return [head, *(f"    {line}" for line in opened.read(1 << 20).decode("utf-8", "replace").splitlines())]
    return [head]
