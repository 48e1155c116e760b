"""Accepting inbound connections: listeners on bound sockets.

A `Listener` accepts, asks its `Door` and the `SessionBook` whether there is room, and joins the connection to a new `ServerSession`; what
must wait before that is kept in the book's `Antechamber`. It decides nothing about mail. Errors of one connection end that connection;
being out of file descriptors pauses accepting.

Why our own accept loop: asyncio's and uvloop's accept until the backlog is empty, so that of several processes on one socket the first
to wake takes everything. We accept a few per wake-up, and a process that the `LoadBoard` shows to be ahead hesitates for a millisecond.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from functools import partial

from postwright.model.reply import Reply
from postwright.net.door import Door, OpenDoor, Terms
from postwright.net.session import HANDSHAKE_TIMEOUT, SHUTTING_DOWN, ServerSession
from postwright.net.session_book import Room, SessionBook
from postwright.net.tls_hello import PATIENCE, begins_tls
from postwright.net.visit import PeerFacts, VisitFactory
from postwright.wire.grammar import encode_reply
from postwright.wire.proxy_line import ProxyHeader

BACKLOG = 1024
ACCEPT_BATCH = 2
HESITATION = 0.001  # seconds: ample for another process that is awake, unnoticed by a peer when there is none
REST = 1.0  # seconds without accepting when there are no descriptors left

TOO_MANY_SESSIONS = Reply(421, "4.7.0", ("too many sessions, try again later",))
TOO_FAST = Reply(421, "4.7.0", ("too many connections in a short time, try again later",))
LOCKED_OUT = Reply(421, "4.7.0", ("too many failed logins from your network, try again later",))
TLS_FIRST = Reply(421, "4.7.0", ("this port wants TLS from the start: choose SSL/TLS, not STARTTLS, or another port",))
SPOKE_EARLY = Reply(554, "5.5.1", ("wait for the greeting before you speak",))

# The peer went away before we took it; nothing is wrong with the listener.
_PEER_GONE = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM})


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
        door: Door | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._sock = sock
        self._visit_factory = visit_factory
        self._book = book
        self._tls = tls
        self._door: Door = door or OpenDoor()
        self._loop = loop or asyncio.get_running_loop()
        self.patience = PATIENCE
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
        self._retry = self._loop.call_later(REST, self.start)
        self._loop.call_exception_handler({"message": "cannot accept connections", "exception": error})

    # from an accepted connection to a session: each step has the connection, and passes it on or closes it ---------------

    def _open(self, connection: socket.socket, address: tuple[str, int]) -> None:
        connection.setblocking(False)
        try:
            local = connection.getsockname()
            facts = PeerFacts(_plain(address[0]), address[1], _plain(local[0]), local[1])
            if self._door.proxied(facts.peer):
                self._book.antechamber.introduce(connection, partial(self._introduced, connection, facts))
            else:
                self._consider(connection, facts)
        except Exception as error:  # door and factory are the caller's code, and the other connections must live
            self._drop(connection, error)

    def _introduced(self, connection: socket.socket, facts: PeerFacts, header: ProxyHeader | None) -> None:
        """The proxy has said who speaks through it. One that says nothing sensible gets no answer: it is no SMTP client."""
        if header is None:
            self._book.refusals.bad_header += 1
            connection.close()
            return
        if not header.local:
            facts = PeerFacts(header.source, header.source_port, header.destination, header.destination_port)
        try:
            self._consider(connection, facts)
        except Exception as error:  # see `_open`
            self._drop(connection, error)

    def _consider(self, connection: socket.socket, facts: PeerFacts) -> None:
        """Whether it is locked out or comes too fast, and whether there is room. Who comes while others wait does not overtake them."""
        terms = self._door.terms(facts.peer)
        book = self._book
        if self._door.barred(facts.peer):
            book.refusals.locked_out += 1
            self._turn_away(connection, LOCKED_OUT)
        elif terms.rated and self._door.hurried(facts.peer):
            book.refusals.too_fast += 1
            self._turn_away(connection, TOO_FAST)
        elif not (terms.waits and book.antechamber.waiting) and self._attempt(connection, facts, terms):
            pass
        elif terms.waits and self._wait(connection, facts, terms):
            book.antechamber.look()
        else:
            self._no_slot(connection)

    def _wait(self, connection: socket.socket, facts: PeerFacts, terms: Terms) -> bool:
        attempt = partial(self._attempt, connection, facts, terms)
        return self._book.antechamber.wait(connection, terms.group, attempt, partial(self._no_slot, connection))

    def _attempt(self, connection: socket.socket, facts: PeerFacts, terms: Terms) -> bool:
        """Let it in if there is room. False: there is no slot, and it may wait for one."""
        room = self._book.enter(facts.peer, terms.group)
        if room is Room.NO_SLOT:
            return False
        if room is Room.CROWDED:
            self._turn_away(connection, TOO_MANY_SESSIONS)
        elif terms.pause and self._tls is None:
            enter = partial(self._seat, connection, facts, terms)
            self._book.antechamber.pause(connection, terms.pause, enter, partial(self._spoke_early, connection, facts, terms))
        else:
            self._seat(connection, facts, terms)
        return True

    def _seat(self, connection: socket.socket, facts: PeerFacts, terms: Terms) -> None:
        """There is a place for it: begin the session."""
        try:
            session = ServerSession(self._visit_factory(facts), facts, self._book, self._loop)
        except Exception as error:  # see `_open`
            self._book.withdrawn(facts.peer, terms.group)
            self._drop(connection, error)
            return
        self._book.joined(session, terms.group)
        task = self._loop.create_task(self._join(connection, session))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)

    def _spoke_early(self, connection: socket.socket, facts: PeerFacts, terms: Terms, there: bool) -> None:
        self._book.withdrawn(facts.peer, terms.group)
        if there:
            self._book.refusals.spoke_early += 1
        self._turn_away(connection, SPOKE_EARLY if there else SHUTTING_DOWN)

    def _no_slot(self, connection: socket.socket) -> None:
        self._book.refusals.no_slot += 1
        self._turn_away(connection, TOO_MANY_SESSIONS)

    def _turn_away(self, connection: socket.socket, reply: Reply) -> None:
        """Say why, if it can hear us, and close. It need not hear us."""
        _tell(connection, reply if self._tls is None else None)
        connection.close()

    def _drop(self, connection: socket.socket, error: Exception) -> None:
        connection.close()
        self._loop.call_exception_handler({"message": "a connection was dropped", "exception": error})

    async def _join(self, connection: socket.socket, session: ServerSession) -> None:
        timeout = HANDSHAKE_TIMEOUT if self._tls is not None else None
        try:
            if self._tls is not None and not await begins_tls(self._loop, connection, self.patience):
                _tell(connection, TLS_FIRST)
                raise OSError("TLS did not begin")
            await self._loop.connect_accepted_socket(partial(_itself, session), connection, ssl=self._tls, ssl_handshake_timeout=timeout)
        except OSError as error:  # ssl.SSLError and TimeoutError are OSErrors: the handshake failed
            session.connection_lost(error)
            connection.close()


def _tell(connection: socket.socket, reply: Reply | None) -> None:
    """The last words to a peer who may hear them before we close."""
    with contextlib.suppress(OSError):
        if reply is not None:
            connection.send(encode_reply(reply))
        connection.recv(65536)  # closed with octets unread, the kernel would send a reset that overtakes our words


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
