"""Connections that are accepted and are no sessions yet: a PROXY header is awaited, or a slot, or that the peer keeps silent for a while.

They cost a socket and a small object each, are bounded in number and in time, and are read on the bare socket, so that not an octet is
taken which belongs to the session or its TLS handshake. Who goes away is forgotten at once. Nothing here decides anything: whoever
brings a guest says what becomes of it. A callback that raises goes to the loop's exception handler, and the others wait on.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

from postwright.wire.proxy_line import Bad, ProxyHeader, ProxyReader

MOST_GUESTS: Final = 1024  # of each sort in a process
HEADER_TIME: Final = 5.0  # seconds: a proxy writes its header with the connection, and sends a lost segment again after three
WAIT_TIME: Final = 240.0  # seconds for a slot: a client waits five minutes for a greeting (RFC 5321 section 4.5.3.2.1)
POLL: Final = 0.05  # seconds between looks for slots that other processes gave back
_PEEK: Final = 65536


class _Guest:
    """One connection with a reader and a deadline, until `release`."""

    __slots__ = ("_fd", "_loop", "_timer", "connection")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: socket.socket,
        seconds: float,
        readable: _OnGuest,
        late: _OnGuest,
    ) -> None:
        self.connection = connection
        self._loop = loop
        self._fd = connection.fileno()
        self._timer = loop.call_later(seconds, late, self)
        loop.add_reader(self._fd, readable, self)

    def deaf(self) -> None:
        """Look no more for octets (what is there stays for the session)."""
        self._loop.remove_reader(self._fd)

    def release(self) -> None:
        """The connection belongs to somebody else from now on."""
        self._timer.cancel()
        self._loop.remove_reader(self._fd)


_OnGuest = Callable[[_Guest], None]


class Antechamber:
    """One per process. `shared`: slots are given back by other processes, too, so they are looked for now and then."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None, *, shared: bool = False) -> None:
        self._loop = loop
        self._shared = shared
        self._guests: dict[_Guest, Callable[[], None]] = {}  # with what ends them
        self._line: dict[_Guest, tuple[str, Callable[[], bool]]] = {}  # who waits for a slot, in order: its group, and how it is tried
        self._looking = False
        self._look_again = False
        self._poll: asyncio.TimerHandle | None = None
        self.header_time = HEADER_TIME
        self.wait_time = WAIT_TIME

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def __len__(self) -> int:
        return len(self._guests)

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._line)

    def close(self) -> None:
        """End all guests: the process is stopping."""
        for guest, over in list(self._guests.items()):
            self._forget(guest)
            over()
            guest.connection.close()

    def _invite(
        self, connection: socket.socket, seconds: float, readable: _OnGuest, late: _OnGuest, over: Callable[[], None]
    ) -> _Guest | None:
        if len(self._guests) >= 2 * MOST_GUESTS:
            return None
        guest = _Guest(self.loop, connection, seconds, readable, late)
        self._guests[guest] = over
        return guest

    def _forget(self, guest: _Guest) -> None:
        guest.release()
        self._guests.pop(guest, None)
        self._line.pop(guest, None)

    # a PROXY header --------------------------------------------------------------------------------------------------

    def introduce(self, connection: socket.socket, done: Callable[[ProxyHeader | None], None]) -> None:
        """Read the header; `done` gets None when there was none in time, or a bad one, or no room for one more guest."""
        reader = ProxyReader()

        def finish(guest: _Guest, header: ProxyHeader | None) -> None:
            self._forget(guest)
            done(header)

        def readable(guest: _Guest) -> None:
            result = _read_header(connection, reader)
            if result is not None:
                finish(guest, result if isinstance(result, ProxyHeader) else None)

        late = partial(_flipped, finish)
        if self._invite(connection, self.header_time, readable, late, _nothing) is None:
            done(None)

    # silence before the greeting -------------------------------------------------------------------------------------

    def pause(self, connection: socket.socket, seconds: float, quiet: Callable[[], None], spoke: Callable[[bool], None]) -> None:
        """`quiet` after so many seconds without an octet; else `spoke`, with False when the peer is gone."""

        def readable(guest: _Guest) -> None:
            there = _peek(connection)
            if there is not None:
                self._forget(guest)
                spoke(there)

        def late(guest: _Guest) -> None:
            self._forget(guest)
            quiet()

        if self._invite(connection, seconds, readable, late, partial(spoke, False)) is None:
            quiet()

    # a slot ----------------------------------------------------------------------------------------------------------

    def wait(self, connection: socket.socket, group: str, attempt: Callable[[], bool], late: Callable[[], None]) -> bool:
        """Stand in line for a slot of `group`. False: there is no room to wait.

        `attempt` is called, in order, when a slot may be free, until it is True; `late` when the time is over.
        """
        if len(self._line) >= MOST_GUESTS:
            return False

        def readable(guest: _Guest) -> None:
            there = _peek(connection)
            if there:
                guest.deaf()  # it speaks early; whether it is still there is seen when it is its turn
            elif there is not None:
                self._forget(guest)
                connection.close()

        def too_late(guest: _Guest) -> None:
            self._forget(guest)
            late()

        guest = self._invite(connection, self.wait_time, readable, too_late, late)
        if guest is None:
            return False
        self._line[guest] = (group, attempt)
        self._poll_if_needed()
        return True

    def look(self) -> None:
        """A slot may be free: let those in who find one, first come, first served."""
        self._look_again = True
        if self._looking:
            return  # who is turned away at an attempt gives a slot back: the loop below goes round once more
        self._looking = True
        while self._look_again:
            self._look_again = False
            self._go_along()
        self._looking = False

    def _go_along(self) -> None:
        full: set[str] = set()
        for guest, (group, attempt) in list(self._line.items()):
            if group in full or guest not in self._line:
                continue
            try:
                done = attempt()
            except Exception as error:  # the caller's code: this guest is lost, the others are not
                self.loop.call_exception_handler({"message": "a waiting connection was dropped", "exception": error})
                guest.connection.close()
                done = True
            if done:
                self._forget(guest)
            else:
                full.add(group)

    def _poll_if_needed(self) -> None:
        if self._poll is None and self._shared and self._line:
            self._poll = self.loop.call_later(POLL, self._polled)

    def _polled(self) -> None:
        self._poll = None
        self.look()
        self._poll_if_needed()


def _read_header(connection: socket.socket, reader: ProxyReader) -> ProxyHeader | Bad | None:
    """Take as much of the header as has come, and not an octet of what follows; None when more is to come."""
    while reader.result is None:
        try:
            seen = connection.recv(_PEEK, socket.MSG_PEEK)
            if not seen:
                return Bad.HEADER
            ours = reader.feed(seen)
            if ours:
                connection.recv(ours)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return Bad.HEADER
    return reader.result


def _peek(connection: socket.socket) -> bool | None:
    """True: there are octets; False: the peer is gone; None: nothing to see."""
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return False


def _flipped(finish: Callable[[_Guest, ProxyHeader | None], None], guest: _Guest) -> None:
    finish(guest, None)


def _nothing() -> None:
    pass
