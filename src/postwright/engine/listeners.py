"""The listening sockets of the whole relay. The supervisor opens them while it may; shards accept on duplicates of them.

A reload opens what is new and closes what is gone, and leaves the rest untouched, so no connection in a backlog is lost. A listener on a
network is one on each local address in it, as they are at that moment.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable, Sequence

from msgspec import Struct, structs

from postwright.net.interfaces import local_addresses
from postwright.policy.settings import ListenerSettings, Settings

BACKLOG = 2048


class OpenListener(Struct):
    """A bound socket and the settings that it was opened for. `label` is `address:port`."""

    listener: ListenerSettings
    sock: socket.socket
    label: str


class ListenerSockets:
    """All open listeners by (address, port)."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], OpenListener] = {}

    def update(self, settings: Settings) -> None:
        """Open what `settings` adds, close what it drops. Raises OSError, naming the listener, and then has changed nothing."""
        wanted = {(listener.address, listener.port): listener for listener in expand(settings.listeners, local_addresses())}
        fresh: dict[tuple[str, int], OpenListener] = {}
        try:
            for key, listener in wanted.items():
                if key in self._open:
                    self._open[key].listener = listener
                else:
                    fresh[key] = OpenListener(listener, bind(*key), label(*key))
        except OSError:
            for entry in fresh.values():
                entry.sock.close()
            raise
        for key in [key for key in self._open if key not in wanted]:
            self._open.pop(key).sock.close()
        self._open.update(fresh)

    def open(self) -> list[OpenListener]:
        """All that are open now."""
        return list(self._open.values())

    def close(self) -> None:
        """Close all (at a stop)."""
        for entry in self._open.values():
            entry.sock.close()
        self._open.clear()


def machine_addresses() -> list[str]:
    """All addresses of this machine but loopback's, IPv4 first."""
    return list(local_addresses())


def expand(listeners: Iterable[ListenerSettings], local: Sequence[str]) -> list[ListenerSettings]:
    """Listeners on addresses only: a network becomes the `local` addresses in it. Raises OSError when there are none."""
    found: list[ListenerSettings] = []
    for listener in listeners:
        if "/" not in listener.address:
            found.append(listener)
            continue
        network = ipaddress.ip_network(listener.address)
        # `local` has no loopback addresses: all of 127/8 is local, so the first of the network stands for it
        inside = [str(network[1])] if network.is_loopback else [a for a in local if ipaddress.ip_address(a) in network]
        if not inside:
            raise OSError(errno.EADDRNOTAVAIL, f"no address of this machine is in {listener.address}")
        found += [structs.replace(listener, address=address) for address in inside]
    return found


def label(address: str, port: int) -> str:
    """`192.0.2.1:25` or `[2001:db8::1]:25`."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def bind(address: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises OSError with the address in its text."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # [::]:25 must not take 0.0.0.0:25 away from a listener of its own
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"{label(address, port)}: {error.strerror}{_cure(error.errno, port)}") from None
    return sock


def _cure(number: int | None, port: int) -> str:
    """What a person may do about a port that cannot be had."""
    if number == errno.EADDRINUSE:
        return f"; see who has it: ss -ltnp 'sport = :{port}', or choose another (smtp-listener; for the sandbox --port, --smtps-port)"
    if number == errno.EACCES:
        return "; ports below 1024 want root (see run-as-root, --user) or CAP_NET_BIND_SERVICE"
    if number == errno.EADDRNOTAVAIL:
        return "; this machine has no such address (see: ip address)"
    return ""
