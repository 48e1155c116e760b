"""A server as people write it on a command line.

Pure; raises ValueError, whose text is for the person, and nothing else.
"""

from __future__ import annotations

from ipaddress import ip_address

from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError


def parse_target(text: str) -> tuple[str, int]:
    """HOST, HOST:PORT, ADDRESS, [ADDRESS] or [ADDRESS]:PORT; 0 for no port. Names become A-labels. Raises ValueError."""
    host, port = text.strip(), ""
    if host.startswith("["):
        host, bracket, rest = host[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not HOST[:PORT]")
        host, port = host.removeprefix("IPv6:"), rest[1:]
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):
        raise ValueError(f"{port!r} is no port")
    return _host(host, text), int(port or 0)


def _host(host: str, text: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        return canonical_domain(host.rstrip("."))
    except AddressError as error:
        raise ValueError(f"{text!r} is not HOST[:PORT]: {error}") from None
