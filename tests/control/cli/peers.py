"""What the tools are set before: certificates of a world of their own, scripted servers, and a way to run a command beside them.

A command blocks, and the servers live in the test's event loop: `run` puts it into a thread.
"""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from click.testing import CliRunner, Result

from postwright.control.cli.main import main
from postwright.testing.certificate import self_signed
from postwright.testing.scripted_peer import ScriptedPeer

PASSWORD = "correct horse"


class Authority:
    """A CA in a folder: `ca_file` for clients, contexts for servers with good and bad certificates."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.ca_file = str(folder / "ca.pem")
        self._ca.cert_pem.write_to_path(self.ca_file)

    def server(self, *names: str, **more: Any) -> ssl.SSLContext:
        """A server's context; `names` localhost and 127.0.0.1 unless told."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(*(names or ("localhost", "127.0.0.1")), **more).configure_cert(context)
        return context

    def expired(self) -> ssl.SSLContext:
        now = datetime.now(UTC)
        return self.server(not_before=now - timedelta(days=90), not_after=now - timedelta(days=2))

    def ending(self, days: int) -> ssl.SSLContext:
        now = datetime.now(UTC)
        return self.server(not_before=now - timedelta(days=9), not_after=now + timedelta(days=days, hours=1))

    def only_tls_1_1(self) -> ssl.SSLContext:
        context = self.server()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        return context

    def wanting_a_certificate(self) -> ssl.SSLContext:
        """One that takes nobody without a client certificate of this authority. TLS 1.2, where the client hears of it in the handshake."""
        context = self.server()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(self.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_files(self, folder: Path, name: str) -> tuple[str, str]:
        """Certificate and key of a client, as two PEM files."""
        leaf = self._ca.issue_cert(name)
        certificate, key = folder / "client.pem", folder / "client.key"
        leaf.cert_chain_pems[0].write_to_path(str(certificate))
        leaf.private_key_pem.write_to_path(str(key))
        return str(certificate), str(key)

    @staticmethod
    def nobodys() -> ssl.SSLContext:
        return self_signed(["localhost"])


async def run(*arguments: str, env: Mapping[str, str] | None = None, text: str | None = None) -> Result:
    """`postwright` with these arguments, in a thread."""
    environment: dict[str, str | None] = {"POSTWRIGHT_SMTP_PASSWORD": PASSWORD, **(env or {})}
    return await asyncio.to_thread(CliRunner().invoke, main, list(arguments), input=text, env=environment)


async def until(condition: Callable[[], object], what: str) -> None:
    """Waits until `condition()` holds. Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 10
    while not condition():
        if loop.time() > deadline:
            raise TimeoutError(f"waited for {what}")
        await asyncio.sleep(0.005)


async def greet_late(server: Scripted) -> None:
    """The greeting of a server that is slow, said when the client has looked on a second connection whether TLS is wanted."""
    await until(lambda: len(server.peers) > 1 and b"\x16\x03" in server.peers[1].octets, "a second look")
    server.peers[0].speak(b"220 at last")


class Scripted:
    """A listening scripted peer for each connection."""

    def __init__(self) -> None:
        self.port = 0
        self.peers: list[ScriptedPeer] = []


@asynccontextmanager
async def scripted(
    answers: Mapping[str, Any] | None = None, *, offers: Sequence[str] = (), tls: ssl.SSLContext | None = None, implicit: bool = False
) -> AsyncIterator[Scripted]:
    """`answers` and `offers` as `ScriptedPeer` has them; with `tls` the answer to STARTTLS is followed by a handshake."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()
    found = Scripted()

    async def shake_hands(peer: ScriptedPeer) -> None:
        assert peer.transport is not None
        if tls is None:
            return
        try:
            transport = await loop.start_tls(peer.transport, peer, tls, server_side=True)
        except (OSError, ssl.SSLError):
            return
        if transport is not None:
            peer.tls_started(transport)

    def start(peer: ScriptedPeer) -> None:
        task = loop.create_task(shake_hands(peer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def make() -> ScriptedPeer:
        peer = ScriptedPeer(answers, offers=offers, on_starttls=start)
        found.peers.append(peer)
        return peer

    server = await loop.create_server(make, "127.0.0.1", 0, ssl=tls if implicit else None)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for peer in found.peers:
            if peer.transport is not None:
                peer.transport.abort()
        if tasks:
            await asyncio.wait(tasks)
