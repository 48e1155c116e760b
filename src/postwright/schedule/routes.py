"""Limits that are known only when the way is: connections to an MX host from one source address (`mx-connection-limit`), and to one address
of an MX (`ip-connection-limit`). They hold over all queues and, by the `Places` given, over all processes of the relay.

A queue that found something full on every way waits in a line with all that have the same ways (`budget.RouteLine`). When a place on one of
them is given back, one queue heads for it, which counts until it has arrived: a hundred thousand queues for the same host do not all set
out for one place. Who has never asked has to find out once, by trying. Pure: nothing is dialled here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from postwright.model.work import WaitReason
from postwright.schedule.budget import Places, RouteLine, Want, Way
from postwright.schedule.queue import Queue

KEPT = 65536  # answers of the patterns
NO_LIMIT = 1 << 30
MX, IP = "mx-connection-limit", "ip-connection-limit"
Limits = tuple[tuple[str, int | None], ...]


class Routes:
    """Of one scheduler. `opened(line)` is called when a line may have something to give."""

    def __init__(self, places: Places, opened: Callable[[RouteLine[Queue]], None]) -> None:
        self.limited = False
        self._places = places
        self._opened = opened
        self._lines: dict[tuple[Way, ...], RouteLine[Queue]] = {}
        self._by_name: dict[str, dict[RouteLine[Queue], None]] = {}
        self._heading: dict[Queue, RouteLine[Queue]] = {}
        self._mx: Limits = ()
        self._ip: Limits = ()
        self._known: dict[tuple[str, str, str], Way] = {}

    def limit(self, mx: Limits, ip: Limits) -> None:
        """The directives as written: (pattern or network, limit); None lifts what a wider one says. The narrowest that fits holds."""
        self._mx = tuple(sorted(mx, key=_narrowness, reverse=True))
        self._ip = tuple(sorted(ip, key=_prefix, reverse=True))
        self.limited = bool(mx or ip)
        self._known.clear()
        for line in list(self._lines.values()):
            self._forget(line)
            line.ways = tuple(tuple((name, NO_LIMIT, reason) for name, _, reason in way) for way in line.ways)
            self._opened(line)  # who waits finds out anew

    def way(self, source: str, host: str, address: str) -> Way:
        """What a connection by this route would take."""
        key = (source, host, address)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= KEPT:
                self._known.clear()
            found = self._known[key] = tuple(self._find(source, host.lower().rstrip("."), address))
        return found

    def _find(self, source: str, host: str, address: str) -> list[Want]:
        wanted: list[Want] = []
        for directive, _, limit in self.rules(host, address):
            if limit is not None and directive == MX:
                wanted.append((f"mx {host} {source}", limit, WaitReason.MX_CONNECTIONS))
            elif limit is not None:
                wanted.append((f"ip {address}", limit, WaitReason.IP_CONNECTIONS))
        return wanted

    def rules(self, host: str, address: str) -> list[tuple[str, str, int | None]]:
        """(directive, pattern, limit) of what holds for a host at an address: of each directive the narrowest that fits, if any."""
        host = host.lower().rstrip(".")
        of_host = [(MX, pattern, limit) for pattern, limit in self._mx if _fits(pattern, host)]
        of_address = [(IP, network, limit) for network, limit in self._ip if _within(network, address)]
        return of_host[:1] + of_address[:1]

    def pattern(self, place: str) -> str:
        """The pattern whose limit is counted under that name, "" for none."""
        kind, _, where = place.partition(" ")
        if kind == "ip":
            return next((network for network, _ in self._ip if _within(network, where)), "")
        host = where.partition(" ")[0]
        return next((pattern for pattern, _ in self._mx if _fits(pattern, host)), "")

    def used(self, place: str) -> int:
        """How many connections are counted under that name, in all processes."""
        return self._places.count(place)

    def take(self, way: Way) -> bool:
        """Take all that this way needs, or nothing."""
        return self._places.take([(name, limit) for name, limit, _ in way]) < 0

    def give(self, way: Way) -> None:
        """A connection by this way is gone."""
        names = [name for name, _, _ in way]
        self._places.give(names)
        for name in names:
            for line in tuple(self._by_name.get(name, ())):
                self._opened(line)

    def exchange(self, held: Way, way: Way) -> None:
        """A connection that counts by one way shall count by another one, whatever the limits."""
        before, after = {name for name, _, _ in held}, {name for name, _, _ in way}
        if after - before:
            self._places.take([(name, None) for name in sorted(after - before)])
        if before - after:
            self.give(tuple(want for want in held if want[0] not in after))

    def line(self, ways: tuple[Way, ...]) -> RouteLine[Queue]:
        """Where queues wait that found something full on each of these ways."""
        line = self._lines.get(ways)
        if line is None:
            line = self._lines[ways] = RouteLine(self._places, ways)
            for name in _names(ways):
                self._by_name.setdefault(name, {})[line] = None
        return line

    def head(self, queue: Queue, line: RouteLine[Queue]) -> None:
        """The queue has left the line for a place that became free."""
        self.arrived(queue)
        self._heading[queue] = line
        line.heading += 1

    def arrived(self, queue: Queue) -> bool:
        """It is there, or does not go there after all. Was it heading anywhere?"""
        line = self._heading.pop(queue, None)
        if line is None:
            return False
        line.heading -= 1
        if line.waiting.count:
            self._opened(line)
        elif not line.heading:
            self._forget(line)
        return True

    def _forget(self, line: RouteLine[Queue]) -> None:
        if self._lines.get(line.ways) is line:
            del self._lines[line.ways]
        for name in _names(line.ways):
            lines = self._by_name.get(name, {})
            lines.pop(line, None)
            if not lines:
                self._by_name.pop(name, None)


def _names(ways: tuple[Way, ...]) -> set[str]:
    return {name for way in ways for name, _, _ in way}


def _narrowness(rule: tuple[str, int | None]) -> tuple[bool, int]:
    return "*" not in rule[0], len(rule[0])


def _fits(pattern: str, host: str) -> bool:
    return re.fullmatch(re.escape(pattern.lower()).replace(r"\*", ".*"), host) is not None


def _prefix(rule: tuple[str, int | None]) -> int:
    return ipaddress.ip_network(rule[0], strict=False).prefixlen


def _within(network: str, address: str) -> bool:
    net, ip = ipaddress.ip_network(network, strict=False), ipaddress.ip_address(address)
    return net.version == ip.version and ip in net
