"""Which name servers to ask, and in which order. Opens no socket; reads /etc/resolv.conf when the operator names no server.

A file that cannot be read, or names nobody, means the server of this machine, as resolv.conf(5) has it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

RESOLV_CONF = Path("/etc/resolv.conf")
SICK_FOR = 30.0  # seconds in which a server that was silent is asked after the others


class Server(Struct, frozen=True):
    """`local`: on a loopback address, so that nobody on the way can forge what it says."""

    address: str
    port: int = 53

    @property
    def local(self) -> bool:
        return ip_address(self.address.partition("%")[0]).is_loopback

    def __str__(self) -> str:
        if self.port == 53:
            return self.address
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def read_server(text: str) -> Server:
    """"192.0.2.53", "192.0.2.53:5353", "2001:db8::53" or "[2001:db8::53]:5353". Raises ValueError for what is no address."""
    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or "53"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    return Server(str(ip_address(host)), int(port))


def system_servers(file: Path = RESOLV_CONF) -> tuple[Server, ...]:
    """Those that resolv.conf(5) names, three at most."""
    try:
        words = [line.split() for line in file.read_text(errors="replace").splitlines()]
    except OSError:
        words = []
    found = []
    for line in words:
        if len(line) > 1 and line[0] == "nameserver":
            try:
                found.append(Server(str(ip_address(line[1]))))
            except ValueError:
                continue
    return tuple(found[:3]) or (Server("127.0.0.1"),)


class ServerBook:
    """The servers in turn, those that were lately silent last. `servers` empty: the system's, read again when its file changes."""

    def __init__(self, servers: Sequence[str] = (), *, file: Path = RESOLV_CONF) -> None:
        self._fixed = tuple([read_server(server) for server in servers])
        self._file = file
        self._system: tuple[Server, ...] = ()
        self._read_at = 0
        self._sick: dict[Server, float] = {}
        self._turn = 0

    def all(self) -> tuple[Server, ...]:
        """As configured, or as the system has them now."""
        if self._fixed:
            return self._fixed
        try:
            changed = os.stat(self._file).st_mtime_ns
        except OSError:
            changed = -1
        if changed != self._read_at:
            self._read_at, self._system = changed, system_servers(self._file)
        return self._system

    def order(self, now: float) -> list[Server]:
        """Whom to ask, first to last; round robin among the healthy (`name-server`)."""
        servers = self.all()
        at = self._turn % len(servers)
        self._turn += 1
        turned = servers[at:] + servers[:at]
        if not self._sick:
            return list(turned)
        self._sick = {server: until for server, until in self._sick.items() if until > now}
        return sorted(turned, key=lambda server: self._sick.get(server, 0.0))

    def silent(self, server: Server, now: float) -> None:
        """It did not answer in time, or not at all."""
        self._sick[server] = now + SICK_FOR

    def healthy(self, server: Server) -> None:
        """It answered."""
        if self._sick:
            self._sick.pop(server, None)
