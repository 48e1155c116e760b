"""A shard's end of its signing process: started when the first signature is wanted, asked in batches, one for each turn of the loop.

Whatever becomes of the process, nobody waits for it for good: who had asked is told (`lost`), and `ready` is False until it may be tried
again. Needs a loop with `add_reader`. Raises nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Final

from postwright.content.dkim_key import SigningKey
from postwright.engine import signing_frames as f

KEYS_MOST: Final = 4096  # that the process keeps; one more takes the place of that which it has longest
AGAIN: Final = 10.0  # seconds until a process that died gets a successor
READ: Final = 65536
PATIENCE: Final = 10.0  # seconds without a signature, while some are waited for, after which it is taken to hang

Signed = Callable[[bytes], None]
"""Told the signature; b"" if the key cannot make one."""


class SigningHelper:
    """`lost` gets every callback whose signature will not come."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lost: Callable[[list[Signed], str], None]) -> None:
        self._loop = loop
        self._lost = lost
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._frames = f.Frames()
        self._waiting: dict[int, Signed] = {}
        self._keys: dict[int, tuple[int, SigningKey]] = {}
        self._out: list[bytes] = []
        self._unsent = b""
        self._flushing = False
        self._job = 0
        self._done = 0
        self._timer: asyncio.TimerHandle | None = None
        self._not_before = 0.0

    def ready(self) -> bool:
        """May it be asked for a signature?"""
        return self._socket is not None or (self._loop.time() >= self._not_before and self._start())

    def ask(self, key: SigningKey, digest: bytes, signed: Signed) -> None:
        """Have `signed` called with the signature, later. Only after `ready`."""
        known = self._keys.get(id(key))
        if known is None:
            number = len(self._keys) if len(self._keys) < KEYS_MOST else self._keys.pop(next(iter(self._keys)))[0]
            known = self._keys[id(key)] = (number, key)  # what was asked of the one before goes ahead of this frame
            self._out.append(f.frame(f.KEY, known[0], key.pem()))
        self._job = self._job + 1 & 0xFFFFFFFF
        if not self._waiting:
            self._watch()
        self._waiting[self._job] = signed
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        self._out.append(f.order(self._job, known[0], digest))

    def close(self) -> None:
        """Ends the process; who waits is not told."""
        self._waiting.clear()
        self._end("")
        self._not_before = float("inf")

    def _watch(self) -> None:
        """Come back in a while and see whether it has done anything."""
        if self._timer is None:
            self._timer = self._loop.call_later(PATIENCE, self._look, self._done)

    def _look(self, done_then: int) -> None:
        self._timer = None
        if not self._waiting:
            return
        if self._done == done_then:
            self._end("it does not answer")
        else:
            self._watch()

    def _start(self) -> bool:
        try:
            ours, its = socket.socketpair()
        except OSError:  # too many files are open
            self._not_before = self._loop.time() + AGAIN
            return False
        try:
            command = [sys.executable, "-m", "postwright.engine.signing_process", str(its.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL)
        except OSError:
            ours.close()
            self._not_before = self._loop.time() + AGAIN
            return False
        finally:
            its.close()
        ours.setblocking(False)
        self._socket, self._frames = ours, f.Frames()
        self._loop.add_reader(ours.fileno(), self._readable)
        return True

    def _flush(self) -> None:
        """What this turn of the loop has gathered, and what the process had no room for before."""
        self._flushing = False
        if self._out:
            self._unsent += b"".join(self._out)
            self._out.clear()
        sock = self._socket
        if sock is None or not self._unsent:
            return
        try:
            sent = sock.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._end(str(error))
            return
        self._unsent = self._unsent[sent:]
        if self._unsent:
            self._loop.add_writer(sock.fileno(), self._flush)
        else:
            self._loop.remove_writer(sock.fileno())

    def _readable(self) -> None:
        assert self._socket is not None
        try:
            octets = self._socket.recv(READ)
            if not octets:
                self._end("it has ended")
                return
            made = list(self._frames.take(octets))
        except BlockingIOError:
            return
        except (OSError, ValueError) as error:
            self._end(str(error))
            return
        self._done += len(made)
        for _, number, signature in made:
            signed = self._waiting.pop(number, None)
            if signed is not None:
                signed(signature)

    def _end(self, why: str) -> None:
        sock, self._socket = self._socket, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if sock is None:
            return
        self._loop.remove_reader(sock.fileno())
        self._loop.remove_writer(sock.fileno())
        sock.close()
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.kill()
            self._process.wait()
        waiting = list(self._waiting.values())
        self._waiting.clear()
        self._keys.clear()
        self._out.clear()
        self._unsent = b""
        self._not_before = self._loop.time() + AGAIN
        if why:
            self._lost(waiting, why)
