"""Accepting inbound connections: listeners on bound sockets, and the book that lists the sessions of this process.

A `Listener` accepts and joins each connection to a new `ServerSession`; the `SessionBook`, shared by all listeners of a process, keeps
the limits on sessions and gives up those whose deadline has passed: one sweep a second instead of a timer per command.
Neither decides about mail. Errors of one connection end that connection; being out of file descriptors pauses accepting.

Why our own accept loop: asyncio's and uvloop's accept until the backlog is empty, so that of several processes on one socket the first
to wake takes everything. We accept a few per wake-up, and a process that the `LoadBoard` shows to be ahead hesitates for a millisecond.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from postwright.model.reply import Reply
from postwright.net.address_board import AddressBoard
from postwright.net.load_board import LoadBoard
from postwright.net.session import HANDSHAKE_TIMEOUT, ServerSession
from postwright.net.visit import PeerFacts, VisitFactory
from postwright.wire.grammar import encode_reply

BACKLOG = 1024
ACCEPT_BATCH = 2
HESITATION = 0.001  # seconds: ample for another process that is awake, unnoticed by a peer when there is none
SWEEP_INTERVAL = 1.0  # seconds

TOO_MANY_SESSIONS = encode_reply(Reply(421, "4.7.0", ("too many sessions, try again later",)))

# The peer went away before we took it; nothing is wrong with the listener.
_PEER_GONE = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM})


class SessionLimits(Struct, frozen=True):
    """Simultaneous sessions in this process (`total-max-smtp-in`), and from one address; None is unlimited."""

    total: int | None = None
    per_address: int | None = None


class SessionBook:
    """All sessions of this process. `clock` gives seconds that only grow; `limits` may be replaced at a reload.

    `board` and `addresses` are shared with the other processes that accept on the same sockets, where there are any.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        limits: SessionLimits | None = None,
        board: LoadBoard | None = None,
        addresses: AddressBoard | None = None,
    ) -> None:
        self.limits = limits or SessionLimits()
        self.refused = 0
        self.now = clock()
        self.content = 0  # octets of contents that are still coming in, in all sessions
        self._clock = clock
        self._board = board
        self._addresses = addresses
        self._sessions: set[ServerSession] = set()
        self._by_address: dict[str, int] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._empty: asyncio.Event = asyncio.Event()
        self._empty.set()

    def __len__(self) -> int:
        return len(self._sessions)

    def admits(self, address: str) -> bool:
        """Is there room for one more session from `address`? Then a place is taken: `joined` or `withdrawn` must follow."""
        limits = self.limits
        if limits.total is not None and len(self._sessions) >= limits.total:
            self.refused += 1
            return False
        # counted before it is compared: of two processes that ask at the same time both may refuse, but never both admit
        if self._addresses is not None:
            self._addresses.joined(address)
        if limits.per_address is None or self._from(address) <= limits.per_address:
            return True
        self.refused += 1
        self.withdrawn(address)
        return False

    def _from(self, address: str) -> int:
        """Sessions from `address`, with the one that asks."""
        if self._addresses is not None:
            return self._addresses.count(address)
        return self._by_address.get(address, 0) + 1

    def withdrawn(self, address: str) -> None:
        """What was admitted has not become a session."""
        if self._addresses is not None:
            self._addresses.left(address)

    def ahead(self) -> bool:
        """Have we clearly more sessions than some other process that could take the next?"""
        return self._board is not None and self._board.ahead(len(self._sessions))

    def joined(self, session: ServerSession) -> None:
        """A session begins."""
        self._sessions.add(session)
        address = session.peer.peer
        self._by_address[address] = self._by_address.get(address, 0) + 1
        self._empty.clear()
        if self._board is not None:
            self._board.publish(len(self._sessions))

    def left(self, session: ServerSession) -> None:
        """A session is over; saying it twice is no harm."""
        if session not in self._sessions:
            return
        self._sessions.remove(session)
        address = session.peer.peer
        self.withdrawn(address)
        count = self._by_address[address] - 1
        if count:
            self._by_address[address] = count
        else:
            del self._by_address[address]
        if not self._sessions:
            self._empty.set()
        if self._board is not None:
            self._board.publish(len(self._sessions))

    def sweep(self) -> None:
        """Move `now` on and give up the sessions whose time is over."""
        now = self.now = self._clock()
        for session in [session for session in self._sessions if session.deadline < now]:
            session.timed_out()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sweep once a second from now on."""
        self._sweeper = loop.call_later(SWEEP_INTERVAL, self.start, loop)  # first: a sweep that fails must not be the last
        self.sweep()

    def stop(self) -> None:
        """Sweep no more."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    async def drain(self, within: float) -> int:
        """Let transactions end, for `within` seconds at most, then hang up. Returns how many were cut off."""
        for session in list(self._sessions):
            session.drain()
        try:
            await asyncio.wait_for(self._empty.wait(), within)
        except TimeoutError:
            rest = list(self._sessions)
            for session in rest:
                session.abort()
            return len(rest)
        return 0


class Listener:
    """One bound, listening socket, accepted on until `close`. The socket stays the caller's (a supervisor shares it between processes).

    `tls` given: TLS from the first octet (`immediate-tls`).
    """

    def __init__(
        self,
        sock: socket.socket,
        visit_factory: VisitFactory,
        book: SessionBook,
        *,
        tls: ssl.SSLContext | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._sock = sock
        self._visit_factory = visit_factory
        self._book = book
        self._tls = tls
        self._loop = loop or asyncio.get_running_loop()
        self._joining: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The local port."""
        return int(self._sock.getsockname()[1])

    def start(self) -> None:
        """Begin to accept (again)."""
        self._sock.setblocking(False)
        self._retry = None
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more; sessions go on, and the socket stays open."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._loop.remove_reader(self._sock.fileno())

    def _accept(self) -> None:
        if self._book.ahead():
            self.close()
            self._retry = self._loop.call_later(HESITATION, self._accept_after_all)
            return
        for _ in range(ACCEPT_BATCH):
            if not self._accept_one() or self._book.ahead():
                return

    def _accept_after_all(self) -> None:
        self.start()
        self._accept_one()

    def _accept_one(self) -> bool:
        """False: there is none now."""
        try:
            connection, address = self._sock.accept()
        except (BlockingIOError, InterruptedError):
            return False  # another process was quicker
        except OSError as error:
            if error.errno not in _PEER_GONE:
                self._rest(error)
            return False
        self._open(connection, address)
        return True

    def _rest(self, error: OSError) -> None:
        """No descriptors or memory left: the socket stays readable, and without a rest we would spin on it."""
        self.close()
        self._retry = self._loop.call_later(SWEEP_INTERVAL, self.start)
        self._loop.call_exception_handler({"message": "cannot accept connections", "exception": error})

    def _open(self, connection: socket.socket, address: tuple[str, int]) -> None:
        connection.setblocking(False)
        peer = _plain(address[0])
        if not self._book.admits(peer):
            self._turn_away(connection)
            return
        try:
            local = connection.getsockname()
            facts = PeerFacts(peer, address[1], _plain(local[0]), local[1])
            session = ServerSession(self._visit_factory(facts), facts, self._book, self._loop)
        except Exception as error:  # the factory is the caller's code, and the other connections must live
            self._book.withdrawn(peer)
            connection.close()
            self._loop.call_exception_handler({"message": "a connection was dropped", "exception": error})
            return
        self._book.joined(session)
        task = self._loop.create_task(self._join(connection, session))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    def _turn_away(self, connection: socket.socket) -> None:
        try:
            if self._tls is None:
                connection.send(TOO_MANY_SESSIONS)
        except OSError:
            pass  # it need not hear us
        connection.close()

    async def _join(self, connection: socket.socket, session: ServerSession) -> None:
        timeout = HANDSHAKE_TIMEOUT if self._tls is not None else None
        try:
            await self._loop.connect_accepted_socket(partial(_itself, session), connection, ssl=self._tls, ssl_handshake_timeout=timeout)
        except OSError as error:  # ssl.SSLError and TimeoutError are OSErrors: the handshake failed
            session.connection_lost(error)
            connection.close()


def _itself(session: ServerSession) -> ServerSession:
    return session


def _plain(address: str) -> str:
    """Without scope, and IPv4 as IPv4 even on a socket for both: rules are written for plain addresses."""
    address = address.partition("%")[0]
    return address[7:] if address.startswith("::ffff:") and "." in address else address


def bind(host: str, port: int) -> socket.socket:
    """A listening socket of our own, for tools and tests (a relay's supervisor binds its own). Port 0 picks a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
