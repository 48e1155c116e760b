"""A receiver on loopback as the world sees it: a signed zone and its validator, an MX host with a certificate, the web host of its policy.

    async with Town(tmp_path) as town:
        town.zone[...] ...
        outcome = await town.call("good.example")

What is called is what the engine calls, in its order: resolver, plan, transport policy, dialer, reports. `postwright.testing` has no such
thing: certificates come from trustme, which is a dependency of the tests only.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from postwright.engine.sts_cache import fetcher
from postwright.engine.tls_reports import Counted, TlsReports
from postwright.engine.transport import TransportPolicy
from postwright.model.outcome import Failure
from postwright.model.route import Plan, Route, SourceHost
from postwright.net.channel import Channel
from postwright.net.clock import SystemClock
from postwright.net.dialer import Dialer
from postwright.net.dialer_tls import TlsContexts
from postwright.net.resolver import CachingResolver
from postwright.net.unbound import UnboundSource
from postwright.policy import mx
from postwright.policy.domain_settings import DomainSettings
from postwright.testing.fake_resolver import Zone
from postwright.testing.signed_dns import SignedServer
from postwright.testing.sink import SinkServer

SOURCE = (SourceHost("127.0.0.1", "client.example"),)


class Authority:
    """A CA and what it issues. `file` PEM for those who trust it."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.ca = trustme.CA()
        self.file = str(folder / f"{name}.pem")
        self.ca.cert_pem.write_to_path(self.file)

    def issue(self, *names: str, expired: bool = False) -> Certificate:
        """A certificate for these names, and perhaps one whose time is over."""
        now = datetime.now(UTC)
        times: dict[str, Any] = {"not_before": now - timedelta(days=90), "not_after": now - timedelta(days=2)} if expired else {}
        return Certificate(self.ca.issue_cert(*names, **times), self.ca)


class Certificate:
    """A server's context that shows the whole chain, and the TLSA records that fit it."""

    def __init__(self, leaf: trustme.LeafCert, ca: trustme.CA) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        whole = trustme.Blob(b"".join(blob.bytes() for blob in (leaf.private_key_pem, *leaf.cert_chain_pems, ca.cert_pem)))
        with whole.tempfile() as file:
            self.context.load_cert_chain(file)
        self._certificates = {
            2: x509.load_pem_x509_certificate(ca.cert_pem.bytes()),
            3: x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes()),
        }

    def tlsa(self, usage: int = 3, selector: int = 1, matching: int = 1) -> str:
        """The record of the leaf (usage 3, 1) or the anchor (2, 0)."""
        certificate = self._certificates[usage | 2]
        if selector == 0:
            octets = certificate.public_bytes(Encoding.DER)
        else:
            octets = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        hashed = {0: lambda o: o, 1: lambda o: hashlib.sha256(o).digest(), 2: lambda o: hashlib.sha512(o).digest()}[matching](octets)
        return f"{usage} {selector} {matching} {hashed.hex()}"


class PolicyHost:
    """The web host of a policy. `head` and `body` may be changed; `asked` counts."""

    def __init__(self, tls: ssl.SSLContext, body: str = "") -> None:
        self.body = body
        self.head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
        self.asked: list[str] = []
        self.port = 0
        self._tls = tls
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> PolicyHost:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(request.decode())
            body = self.body.encode()
            writer.write(f"{self.head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def policy(mode: str = "enforce", mx: Sequence[str] = ("mx.sts.example",), age: int = 86400) -> str:
    """A policy document."""
    hosts = "".join(f"mx: {host}\r\n" for host in mx)
    return f"version: STSv1\r\nmode: {mode}\r\n{hosts}max_age: {age}\r\n"


class Town:
    """`signed` apexes of `zone`; `certificate` that the MX host shows, None for a host without TLS; `web` the policy host."""

    def __init__(
        self,
        folder: Path,
        zone: Zone,
        certificate: Certificate | None,
        *,
        trusted: str = "",
        signed: Sequence[str] = (),
        expired: Sequence[str] = (),
        forged: Sequence[str] = (),
        web: PolicyHost | None = None,
        port: int = 0,
        transcript: bool = False,
    ) -> None:
        self.folder = folder
        self.sink = SinkServer(hostname="mx.example", tls=certificate.context if certificate else None, transcript=transcript)
        self.zone = zone
        self._facts = ((*signed, "elsewhere.test-zone"), expired, forged)  # a validator wants an anchor, whoever's
        self._trusted = trusted
        self._web = web
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Town:
        enter = self._stack.enter_async_context
        await enter(self.sink)
        port = self.sink.port
        signed, expired, forged = self._facts
        # the port of a TLSA record's name is the sink's, which nobody knows before
        zone = {name.replace("_25.", f"_{port}."): kinds for name, kinds in self.zone.items()}
        forged = [name.replace("_25.", f"_{port}.") for name in forged]
        self.names = SignedServer(zone, signed=signed, expired=expired, forged=forged)
        anchors = self.folder / "anchors"
        anchors.write_text(self.names.anchors)
        await enter(self.names)
        self.clock = SystemClock()
        self.resolver = CachingResolver(UnboundSource([self.names.address], anchors=str(anchors)))
        self.policy = self.make_policy()
        self.dialer = Dialer(tls=TlsContexts(self._trusted))
        return self

    def make_policy(self) -> TransportPolicy:
        """A transport policy over what the folder has; another one is a restart."""
        if self._web is not None:
            get = fetcher(self._web.port, self._trusted)
        else:
            get = fetcher(1)
        made = TransportPolicy(self.clock, lambda: self.resolver, self.folder, structlog.get_logger(), get)
        made.reports = TlsReports(self.clock, 0, self.folder / "tls-reports", structlog.get_logger())
        return made

    async def __aexit__(self, *error: object) -> None:
        await self.policy.close()
        await self.resolver.close()
        await self._stack.aclose()

    async def plan(self, domain: str, **directives: Any) -> Plan:
        """The plan for a domain, as an opener makes it."""
        settings = DomainSettings(**{"use_dane": True, "use_mta_sts": True, "default_smtp_port": self.sink.port, **directives})
        answer = await self.resolver.fill(await self.resolver.mx(domain))
        made = mx.plan(answer, mx.session_options(settings), SOURCE, port=self.sink.port)
        return await self.policy.secure(domain, answer, made, settings)

    async def call(self, domain: str, **directives: Any) -> Channel | Failure | Plan:
        """A channel, why the last host was no good, or the plan that has no way."""
        plan = await self.plan(domain, **directives)
        outcome: Channel | Failure | Plan = plan
        for route in plan.routes:
            outcome = await self.dial(domain, route, plan)
            if isinstance(outcome, Channel):
                break
        return outcome

    async def dial(self, domain: str, route: Route, plan: Plan) -> Channel | Failure:
        outcome = await self.dialer.open(route, plan.options)
        self.policy.dialled(domain, route, outcome)
        return outcome

    def counted(self, domain: str) -> dict[str, Counted]:
        """What the reports say of a domain, by kind of policy."""
        assert self.policy.reports is not None
        return self.policy.reports._counted.get(domain, {})

    def results(self, domain: str) -> dict[str, list[str]]:
        """The same in short: "success" and the result types, by kind of policy; kinds that counted nothing left out."""
        found = {
            kind: ["success"] * counted.successes + [row.result for row, count in counted.failures for _ in range(count)]
            for kind, counted in self.counted(domain).items()
        }
        return {kind: results for kind, results in found.items() if results}
