"""How the supervisor starts a helper process with a socket to it, and sees it gone: the exporter, the login helper, the HTTP process.

A helper leaves by itself when our end of its socket closes; one that does not within a bound is killed. It knows no settings. Raises
OSError when there is no process or descriptor left, and then nothing is left open.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import subprocess
from collections.abc import Sequence

HELD = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1))  # what a terminal or a service manager sends to all of us


def spawn(command: Sequence[str], fds: Sequence[int] = (), *, held: bool = False) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """`command` with the numbers of `fds`, then that of its control socket, as its last arguments; the process and our end of that socket.

    `held`: it begins with `HELD` blocked, and unblocks them when it knows what to do with them: a program that takes a second to begin
    would else end with a complaint when everybody is told to stop. Raises OSError.
    """
    ours, theirs = socket.socketpair()
    passed = (*fds, theirs.fileno())
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD if held else ())
    try:
        process = subprocess.Popen([*command, *map(str, passed)], pass_fds=passed, stdin=subprocess.DEVNULL)
    except OSError:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
    ours.setblocking(False)
    return process, ours


async def reap(process: subprocess.Popen[bytes], grace: float) -> int:
    """The exit status of a process that has been told to leave; it has `grace` seconds for it, then it is killed."""
    try:
        return await asyncio.to_thread(process.wait, grace)
    except subprocess.TimeoutExpired:
        process.kill()
        return await asyncio.to_thread(process.wait)


async def either(one: asyncio.Event, other: asyncio.Event, timeout: float | None = None) -> None:
    """Until one of the two is set, or so many seconds."""
    waits = [asyncio.ensure_future(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def pause(stopping: asyncio.Event, seconds: float) -> None:
    """So many seconds, or until we stop."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)
