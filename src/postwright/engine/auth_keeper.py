"""The parent of the login helper: a small process that the supervisor starts before it drops privileges, since none could be had later.

It keeps one helper alive (`engine.auth_helper`, in a fork of itself): a dead one is followed by a new one, at once the first time, then
more slowly. It gives the supervisor's frames on to the helper and the helper's to the supervisor, whole ones only, and remembers the last
`Equip` for the next helper. It opens, reads and runs nothing of its own. When the supervisor closes its end, or dies, both leave.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import sys
import time

HEAD = 4
MOST = 16 * 1024 * 1024
PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0)
CALM = 60.0  # seconds that a helper has to live to count as well


class Frames:
    """Cuts a stream into whole frames (see `engine.bus`), which stay octets here."""

    def __init__(self) -> None:
        self._input = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are complete now. Raises ValueError for a length that is none."""
        self._input += data
        found: list[bytes] = []
        while len(self._input) >= HEAD:
            end = HEAD + int.from_bytes(self._input[:HEAD], "big")
            if end > MOST:
                raise ValueError("no frame")
            if len(self._input) < end:
                break
            found.append(bytes(self._input[:end]))
            del self._input[:end]
        return found


class Keeper:
    """One helper after the other on `listening`, until `supervisor` is closed."""

    def __init__(self, listening: socket.socket, supervisor: socket.socket) -> None:
        self._listening = listening
        self._supervisor = supervisor
        self._equip = b""
        self._deaths = 0

    def run(self) -> None:
        """Until the supervisor is gone."""
        told = Frames()
        while self._hear(told):
            if self._equip and not self._one_life(told):
                return

    def _hear(self, told: Frames) -> bool:
        """What the supervisor says; False when it is gone."""
        try:
            data = self._supervisor.recv(65536)
            for frame in told.feed(data):
                self._equip = frame
        except (OSError, ValueError):
            return False
        return bool(data)

    def _one_life(self, told: Frames) -> bool:
        """From fork to death, again and again; False when the supervisor is gone."""
        while True:
            began = time.monotonic()
            pid, link = self._fork()
            there = self._carry(told, link)
            link.close()  # the helper leaves when it sees this
            os.waitpid(pid, 0)
            if not there:
                return False
            self._deaths = self._deaths + 1 if time.monotonic() - began < CALM else 1
            if not self._rest(told, PAUSES[min(self._deaths, len(PAUSES)) - 1]):
                return False

    def _rest(self, told: Frames, seconds: float) -> bool:
        """A pause in which the supervisor may speak, or leave (then False)."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self._supervisor], [], [], left)[0] and not self._hear(told):
                return False
        return True

    def _fork(self) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair()
        pid = os.fork()  # one thread and no event loop here, so nothing is left behind in the child
        if pid == 0:
            ours.close()
            self._supervisor.close()
            _help(self._listening, theirs)
        theirs.close()
        with contextlib.suppress(OSError):
            ours.sendall(self._equip)
        return pid, ours

    def _carry(self, told: Frames, link: socket.socket) -> bool:
        """Give frames on, both ways, while the helper lives; False when the supervisor is gone."""
        noticed = Frames()
        while True:
            readable, _, _ = select.select([self._supervisor, link], [], [])
            if self._supervisor in readable:
                if not self._hear(told):
                    return False
                with contextlib.suppress(OSError):
                    link.sendall(self._equip)
            if link in readable:
                try:
                    data = link.recv(65536)
                    frames = noticed.feed(data)
                except (OSError, ValueError):
                    return True
                if not data:
                    return True
                with contextlib.suppress(OSError):
                    self._supervisor.sendall(b"".join(frames))


def _help(listening: socket.socket, link: socket.socket) -> None:
    """The child's life; never returns."""
    status = 1
    try:
        import asyncio

        from postwright.engine.auth_helper import serve

        listening.setblocking(False)
        link.setblocking(False)
        asyncio.run(serve(listening, link))
    except BaseException as error:
        sys.stderr.write(f"postwright login helper: {type(error).__name__}: {error}\n")
        status = 2
    finally:
        os._exit(status)


def main() -> None:
    """`python -m postwright.engine.auth_keeper LISTENING_FD SUPERVISOR_FD`."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a library in C that falls over would leave passwords on the disk
    Keeper(socket.socket(fileno=int(sys.argv[1])), socket.socket(fileno=int(sys.argv[2]))).run()


if __name__ == "__main__":
    main()
