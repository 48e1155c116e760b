"""A connected socket to a receiver: from the source address of the route, or through the proxy that sends from it.

Behind a proxy the socket is the receiver's from the next octet on, as if it had been reached directly. Names of proxies are looked up by
the system, not by our resolver: they are the operator's own, and may stand in /etc/hosts. Whatever the network, a proxy or a configured
address may do is a `Failure`; what is the proxy's own is Fault.PROXY, and says nothing of the host.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.route import Proxy, Route
from postwright.net.clock import Clock
from postwright.wire.proxy_hello import Socks5, header

# Linux: choose the port at connect and not at bind, so that one source address serves 28,000 connections to *each* receiver
# and not in total. Python 3.11 has no name for it.
_IP_BIND_ADDRESS_NO_PORT = 24

_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EACCES, errno.EPERM, errno.EAFNOSUPPORT}
_SOURCE = {errno.EADDRNOTAVAIL, errno.EADDRINUSE}
_SOCKS5 = 5

T = TypeVar("T")


async def reach(route: Route, patience: float, clock: Clock) -> socket.socket | Failure:
    """Not blocking, and in nobody else's hands. `patience` seconds for a connection, and as many for what a proxy has to say."""
    proxy = route.source.proxy
    if proxy is None:
        return await _within(_connect(route.source.address, route.address, route.port), patience, clock)
    sock = await _within(_connect_by_name(proxy), patience, clock)
    if isinstance(sock, Failure):
        return _of_proxy(proxy, f"{sock.fault.value}: {sock.detail}")
    try:
        failure = await _introduce(sock, proxy, route, patience, clock)
    except BaseException:
        sock.close()
        raise
    if failure is None:
        return sock
    sock.close()
    return _of_proxy(proxy, failure.detail) if failure.fault is Fault.PROXY else failure


async def _within(work: Coroutine[Any, Any, T], patience: float, clock: Clock) -> T | Failure:
    task = asyncio.get_running_loop().create_task(work)
    late = False

    def give_up() -> None:
        nonlocal late
        late = True
        task.cancel()

    timer = clock.call_later(patience, give_up)
    try:
        return await task
    except asyncio.CancelledError:
        if late:
            return Failure(Stage.CONNECT, None, Fault.TIMEOUT, f"no connection within {patience:g} s")
        if task.done() and not task.cancelled() and isinstance(left := task.result(), socket.socket):
            left.close()
        raise
    finally:
        timer.cancel()


async def _connect(source: str, address: str, port: int) -> socket.socket | Failure:
    local = address.startswith("/")  # a Unix socket of this machine, where there is no source and no port
    sock = _local_socket() if local else _make_socket(source, address)
    if isinstance(sock, Failure):
        return sock
    try:
        await asyncio.get_running_loop().sock_connect(sock, address if local else (address, port))
    except OSError as error:
        sock.close()
        return connect_failure(error)
    except BaseException:
        sock.close()
        raise
    return sock


async def _connect_by_name(proxy: Proxy) -> socket.socket | Failure:
    """To the first of the proxy's addresses that answers."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return Failure(Stage.CONNECT, None, Fault.LOCAL, f"{proxy.host} cannot be looked up: {error.strerror}")
    outcome: socket.socket | Failure = Failure(Stage.CONNECT, None, Fault.LOCAL, f"{proxy.host} has no address")
    for *_, where in found:
        outcome = await _connect(proxy.local, str(where[0]), proxy.port)
        if isinstance(outcome, socket.socket):
            break
    return outcome


async def _introduce(sock: socket.socket, proxy: Proxy, route: Route, patience: float, clock: Clock) -> Failure | None:
    """Say whom we want, and hear what a proxy that answers answers."""
    if proxy.kind != _SOCKS5:
        try:
            hello = header(proxy.kind, (route.source.address, proxy.client_port), (route.address, route.port))
        except ValueError as error:
            return Failure(Stage.CONNECT, None, Fault.SOURCE, str(error))
        return await _within(_send(sock, hello), patience, clock)
    socks = Socks5(route.address, route.port, proxy.user, proxy.password)
    failure = await _within(_talk(sock, socks), patience, clock)
    if failure is None and socks.asked:
        return await _within(_talk(sock, socks), patience, clock)  # from here on it is the host that lets us wait
    return failure if failure is None else Failure(Stage.CONNECT, None, Fault.PROXY, failure.detail)


async def _talk(sock: socket.socket, socks: Socks5) -> Failure | None:
    """Up to the request for the host, or from there to its answer."""
    loop, asked = asyncio.get_running_loop(), socks.asked
    try:
        await loop.sock_sendall(sock, socks.data_to_send())
        while (wanted := socks.wants) and socks.asked == asked:
            data = await loop.sock_recv(sock, wanted)
            if not data:
                return Failure(Stage.CONNECT, None, Fault.PROXY, "closed the connection")
            socks.receive(data)
            if not socks.asked:
                await loop.sock_sendall(sock, socks.data_to_send())
    except OSError as error:
        return Failure(Stage.CONNECT, None, Fault.PROXY, str(error))
    refused = socks.refused
    return Failure(Stage.CONNECT, None, refused.fault, refused.detail) if refused is not None else None


async def _send(sock: socket.socket, data: bytes) -> Failure | None:
    try:
        await asyncio.get_running_loop().sock_sendall(sock, data)
    except OSError as error:
        return Failure(Stage.CONNECT, None, Fault.PROXY, str(error))
    return None


def _of_proxy(proxy: Proxy, detail: str) -> Failure:
    return Failure(Stage.CONNECT, None, Fault.PROXY, f"{proxy.name or proxy.host}: {detail}")


def _local_socket() -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    return sock


def _make_socket(source: str, address: str) -> socket.socket | Failure:
    """Not connected, not blocking, bound to the source address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if source and (":" in source) != (family == socket.AF_INET6):
        return Failure(Stage.CONNECT, None, Fault.SOURCE, f"{source} cannot reach {address}: different address families")
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return Failure(Stage.CONNECT, None, Fault.LOCAL, str(error))
    try:
        sock.setblocking(False)
        if source:
            if sys.platform == "linux":
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
    except OSError as error:
        sock.close()
        return Failure(Stage.CONNECT, None, Fault.SOURCE, f"{source}: {error.strerror}")
    return sock


def connect_failure(error: OSError) -> Failure:
    """ECONNREFUSED and the like, in the words of `Fault`."""
    if isinstance(error, ConnectionRefusedError):
        fault = Fault.REFUSED
    elif isinstance(error, TimeoutError):
        fault = Fault.TIMEOUT
    elif isinstance(error, ConnectionError):
        fault = Fault.LOST
    elif error.errno in _UNREACHABLE:
        fault = Fault.UNREACHABLE
    elif error.errno in _SOURCE:
        fault = Fault.SOURCE
    else:
        fault = Fault.LOCAL
    return Failure(Stage.CONNECT, None, fault, error.strerror or str(error))
