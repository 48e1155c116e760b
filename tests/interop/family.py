"""One relay of ours between a sender, a sink and the family: Postfix, Exim, OpenSMTPD and Sendmail.

Mail to `X.from.example` goes from the sender to X, from X to us, from us to the sink; mail to `X.to.example` from the sender to us, to X,
to the sink. X is the name of a server, and names below (`почта.X.to.example`) go the same way. TLS is used where it is offered.

`Family.spoken` tells what was said in one of the two middle hops, from our own log: what was offered, what was used, and under which TLS.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from tests.interop.family_servers import SERVERS, Ports, Server
from tests.interop.peers import Needs

from postwright.testing.certificate import self_signed, self_signed_pem
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkMessage, SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import Sent, SourceClient

ANNE = "anne@client.example"
BARE = "bare.example"  # mail to it goes by Exim as well, at the port where it offers neither DSN nor SMTPUTF8
SEEN = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES", "STARTTLS")
_PARAMETERS = {"SIZE": r"SIZE=", "8BITMIME": r"BODY=8BITMIME", "SMTPUTF8": r"SMTPUTF8\b", "DSN": r"(?:RET|ENVID|NOTIFY|ORCPT)="}


class Hop(Struct):
    """What was seen between us and one server, in one direction. `lines`: ("C" or "S", what it said), of all sessions in turn."""

    offered: set[str] = field(default_factory=set)
    tls: set[str] = field(default_factory=set)
    lines: list[tuple[str, str]] = field(default_factory=list)

    def used(self) -> set[str]:
        said = [line for who, line in self.lines if who == "C"]
        commands = "\n".join(line for line in said if line[:4].upper() in ("MAIL", "RCPT"))
        found = {keyword for keyword, pattern in _PARAMETERS.items() if re.search(rf" {pattern}", commands, re.IGNORECASE)}
        found |= {"STARTTLS"} if self.tls else set()
        found |= {"CHUNKING"} if any(line.startswith("BDAT ") for line in said) else set()
        found |= {"ENHANCEDSTATUSCODES"} if any(re.match(r"250 2\.\d\.\d ", line) for who, line in self.lines if who == "S") else set()
        return found | ({"PIPELINING"} if self._pipelined() else set())

    def _pipelined(self) -> bool:
        """Whether there was a further command of the transaction before the last one was answered."""
        pairs = zip(self.lines, self.lines[1:], strict=False)
        return any((one[0], two[0]) == ("C", "C") and two[1].upper().startswith(("RCPT ", "DATA")) for one, two in pairs)


class Family:
    """`servers` by name in SERVERS."""

    def __init__(self, relay: RelayProcess, sink: SinkServer, servers: dict[str, Server], port: int) -> None:
        self.relay, self.sink, self.servers, self.port = relay, sink, servers, port

    def domain(self, name: str, way: str) -> str:
        return f"{name.lower()}.{way}.example"

    async def send(
        self, name: str, way: str, content: bytes, recipients: Sequence[str], *, mail: str = "", rcpt: str = "", sender: str = ANNE
    ) -> Sent:
        """To the first hop of this way; `mail` and `rcpt` are parameters of these commands."""
        port = self.servers[name].ports.listen if way == "from" else self.port
        async with await SourceClient.connect("127.0.0.1", port) as client:
            await client.ehlo("client.example")
            return await client.send(sender, recipients, content, mail_params=mail, rcpt_params=rcpt)

    async def arrived(self, name: str, *recipients: str, timeout: float = 30.0) -> list[SinkMessage]:
        """The messages that have these recipients, once all have come. Raises TimeoutError, with what the server `name` has to say."""
        wanted = set(recipients)

        def those() -> list[SinkMessage]:
            return [message for message in self.sink.messages if wanted & set(message.recipients)]

        try:
            await self.sink.wait_until(lambda: wanted <= {rcpt for message in those() for rcpt in message.recipients}, timeout, "them")
        except TimeoutError as error:
            raise TimeoutError(f"{error}; {name} says\n{self.servers[name].log()[-4000:]}") from None
        return those()

    async def record(self, kind: str, rcpt: str) -> dict[str, str]:
        """The first accounting record of this kind for this recipient, once it is there."""

        def those() -> list[dict[str, str]]:
            return [row for row in self.relay.records(kind) if row["rcpt"] == rcpt]

        return (await self.relay.until(those, f"a record {kind} of {rcpt}"))[0]

    def spoken(self, name: str, way: str) -> Hop:
        """All that was said so far between us and this server: `from` it, or `to` it."""
        hop = Hop()
        for event in self._events(name, way):
            said = str(event["event"])
            if said == "TLS begins":
                hop.tls.add(f"{event['version']} {event['cipher']}")
            elif said[:4] in ("<<< ", ">>> "):
                client = (said[:4] == ">>> ") is (way == "from")
                hop.lines.append(("C" if client else "S", said[4:]))
        hop.offered = {word for who, line in hop.lines for word in _keywords(line) if who == "S"} & set(SEEN)
        return hop

    def _events(self, name: str, way: str) -> list[dict[str, Any]]:
        if way == "to":
            suffix = f":{self.servers[name].ports.listen}"
            return [event for event in self.relay.log() if str(event.get("mx", "")).endswith(suffix)]
        greeting = f">>> EHLO {self.servers[name].name.removesuffix('4')}.example"
        return [
            event for session in _sessions(self.relay.log()) if any(event["event"] == greeting for event in session) for event in session
        ]


def _sessions(log: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The events of each inbound session. Its name is the client's port, which may come again."""
    found: list[list[dict[str, Any]]] = []
    current: dict[str, list[dict[str, Any]]] = {}
    for event in log:
        if (name := event.get("session")) is None:
            continue
        if event["event"] == "session begins":
            current[name] = []
            found.append(current[name])
        current[name].append(event)
    return found


def _keywords(line: str) -> list[str]:
    """The keyword of a line of an EHLO reply."""
    found = re.match(r"250[- ]([A-Z0-9]+)\b", line)
    return [found[1]] if found else []


def _certificate(folder: Path) -> Path:
    path = folder / "both.pem"
    path.touch(mode=0o600)
    path.write_bytes(b"".join(self_signed_pem(["localhost"])))
    return path


def _rules(certificate: Path, sink: SinkServer, ports: dict[str, Ports]) -> str:
    to_them = "".join(
        f"<domain {pattern}{name.lower()}.to.example>\n smtp-hosts [127.0.0.1]:{to.listen}\n</domain>\n"
        for name, to in ports.items()
        for pattern in ("", "*.")
    )
    to_them += f"<domain {BARE}>\n smtp-hosts [127.0.0.1]:{ports['Exim'].bare}\n</domain>\n"
    return f"""
smtp-server-tls-certificate {certificate}
<acct-file acct.csv>
    record-fields d *, dlvTlsProtocol
</acct-file>
<source 127.0.0.1/32>
    always-allow-relaying yes
    allow-starttls yes
    log-connections yes
    log-commands yes
    log-tls yes
</source>
<domain *>
    smtp-hosts [127.0.0.1]:{sink.port}
    log-commands yes
    log-tls yes
    retry-after 1s
    retry-recipients-after 1s
</domain>
{to_them}
"""


@asynccontextmanager
async def open_family(folder: Path, needs: Needs) -> AsyncIterator[Family]:
    """All of them, running."""
    needs("root")
    port, certificate = free_port(), _certificate(folder)
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(SinkServer(tls=self_signed()))
        ports = {name: Ports(port, sink.port, free_port(), free_port()) for name in SERVERS}
        relay = RelayProcess(folder, plain_config(port) + _rules(certificate, sink, ports))
        await stack.enter_async_context(relay)
        # after the relay, to be ended before it: OpenSMTPD keeps its connections, and the relay would wait for it to take leave
        servers = {name: stack.enter_context(start(needs(program), certificate, ports[name])) for name, (program, start) in SERVERS.items()}
        yield Family(relay, sink, servers, port)
