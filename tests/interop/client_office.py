"""The relay of the table of clients: what `postwright init` writes, with an acceptor for every mechanism, and its record of each session.

`Office` adds to that configuration: a listener for logins at port 25, as many sites have it, one listener for the wrong logins of each
client, a realm, an issuer of tokens, a user with a certificate, logs of sessions. What is told of a client here is told by the relay:
`sessions` from its log, `receipts` from its accounting, and the Received field of what arrived.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import trustme
from msgspec import Struct
from tests.engine.token_issuer import ISSUER, TokenIssuer
from tests.interop.kdc import Kdc
from tests.interop.peers import Needs, received

from postwright.testing.certificate import self_signed_pem
from postwright.testing.relay_process import RelayProcess
from postwright.testing.sink import SinkMessage, SinkServer
from postwright.testing.sockets import free_port

USER, ROBOT, REALM = "anne", "robot", "CORP.EXAMPLE"
NEAR, FAR = "there.example", "far.example"  # anybody may send to the first, to the second who has logged in
ROLES = ("mx", "25", "587", "2525", "465")  # "25" is a listener with logins, "mx" the one that init writes


class Seen(Struct):
    """One session as our log tells it. `logins`: mechanism and reply code of each AUTH; `taken`: recipients answered 250.
    `senders`: of every MAIL."""

    port: int = 0
    starttls: bool = False
    tls: str = ""
    logins: list[tuple[str, str]] = []
    taken: list[str] = []
    asked: list[str] = []
    senders: list[str] = []


class Office:
    """A running relay. `ports`: of each role and of each client's wrong logins ("wrong NAME")."""

    def __init__(self, folder: Path, relay: RelayProcess, sink: SinkServer, issuer: TokenIssuer, kdc: Kdc, ports: dict[str, int]) -> None:
        self.folder, self.relay, self.sink, self.kdc, self.ports = folder, relay, sink, kdc, ports
        self.password = _password(relay.config_file.read_text("utf-8"))
        self.token = issuer.token(email=USER)
        self.bad_token = issuer.token(email=USER, aud="another")
        self.ca, self.robot = folder / "ca.pem", folder / "robot.pem"
        (folder / "mech.conf").write_text("libgssapi_krb5.so.2 mechglue_internal_krb5_init\n")  # libgssglue wants to be told
        self.environment = {**kdc.environment, "GSSAPI_MECH_CONF": str(folder / "mech.conf")}

    def sessions(self) -> list[Seen]:
        """All sessions so far, by their begin. (A client's port, by which our log calls a session, may come again.)"""
        found: list[Seen] = []
        current: dict[str, Seen] = {}
        for event in self.relay.log():
            if (name := event.get("session")) is None:
                continue
            if event["event"] == "session begins":
                current[name] = Seen()
                found.append(current[name])
            _take(current[name], event)
        return found

    def receipts(self) -> dict[str, dict[str, str]]:
        """The record `r` of each recipient."""
        return {row["rcpt"]: row for row in self.relay.records("r")}

    def arrived(self) -> dict[str, SinkMessage]:
        """What the receiver has, by recipient."""
        return {message.recipients[0]: message for message in self.sink.messages}

    async def settled(self, recipients: Sequence[str]) -> None:
        """Waits until these have arrived and are in the record. Raises TimeoutError."""
        wanted = set(recipients)
        await self.relay.until(lambda: wanted <= self.arrived().keys() and wanted <= self.receipts().keys(), "all messages", 30)


def _take(seen: Seen, event: dict[str, Any]) -> None:
    said = str(event["event"])
    if said == "session begins":
        seen.port = int(str(event["at"]).rpartition(":")[2])
    elif said == "TLS begins":
        seen.tls = str(event["version"])
    elif said.startswith(">>> "):
        _hear(seen, said[4:])
    elif said.startswith("<<< "):
        _reply(seen, said[4:])


def _hear(seen: Seen, command: str) -> None:
    if command.upper().startswith("STARTTLS"):
        seen.starttls = True
    elif found := re.match(r"AUTH (\S+)", command, re.IGNORECASE):
        seen.logins.append((found[1].upper(), ""))
    elif found := re.match(r"RCPT TO:\s*<([^>]*)>", command, re.IGNORECASE):
        seen.asked.append(found[1])
    elif found := re.match(r"MAIL FROM:\s*<([^>]*)>", command, re.IGNORECASE):
        seen.senders.append(found[1])


def _reply(seen: Seen, reply: str) -> None:
    if seen.logins and not seen.logins[-1][1] and not reply.startswith("334"):
        seen.logins[-1] = (seen.logins[-1][0], reply[:3])
    elif seen.asked and reply.startswith("250 2.1.5 "):
        seen.taken.append(seen.asked.pop(0))


def protocol(message: SinkMessage) -> str:
    """What stands behind `with` in our Received field (RFC 3848)."""
    found = re.search(r" with (\S+)", received(message.content))
    return found[1] if found else ""


def _password(configuration: str) -> str:
    found = re.search(r'<smtp-user anne>\s+password "([^"]+)"', configuration)
    assert found is not None, "postwright init says the password of its user"
    return found[1]


def written_by_init(folder: Path, ports: dict[str, int]) -> str:
    """The configuration that a person gets, on ports that are free."""
    output = folder / "init" / "relay.conf"
    output.parent.mkdir()
    words = ["--output", str(output), "--host-name", "localhost", "--domain", "client.example", "--user", USER, "--clear-password"]
    words += ["--certificate", str(folder / "relay.pem"), "--dir", str(folder / "state"), "--address", "127.0.0.1", "--run-as-root"]
    words += ["--mx-port", str(ports["mx"]), "--submission-port", str(ports["587"]), "--submission-port", str(ports["2525"])]
    words += ["--smtps-port", str(ports["465"]), "--relay-domain", NEAR, "--yes"]
    done = subprocess.run([sys.executable, "-m", "postwright", "init", *words], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return output.read_text("utf-8")


def _ours(folder: Path, ports: dict[str, int], sink: SinkServer, issuer: TokenIssuer, keytab: Path) -> str:
    others = [port for role, port in ports.items() if role == "25" or role.startswith("wrong ")]
    more = "".join(f"smtp-listener 127.0.0.1:{port} source={{submission}}\n" for port in others)
    logs = "log-connections yes\nlog-commands yes\nlog-tls yes\n"
    return f"""
{more}
ntlm-domain CORP
kerberos-keytab {keytab}
auth-failures-per-user unlimited
<oauth-provider corp>
    issuer {ISSUER}
    audience relay
    jwks {issuer.jwks_url}
</oauth-provider>
<smtp-user {ROBOT}>
    authentication-method certificate
    tls-certificate {folder / "robot.pem"}
</smtp-user>
<source {{mx}}>
    {logs}
</source>
<source {{submission}}>
    {logs}
    auth-failures-per-network unlimited
    auth-failure-delay 0
</source>
<acct-file acct.csv>
    record-fields r *, rcvSmtpUser, rcvTlsProtocol
</acct-file>
<domain *>
    smtp-hosts [127.0.0.1]:{sink.port}
    use-starttls no
</domain>
"""


def make_certificates(folder: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name, pems in (
        ("relay.pem", [pem.bytes() for pem in issued.cert_chain_pems] + [issued.private_key_pem.bytes()]),
        ("robot.pem", list(self_signed_pem([ROBOT]))),
    ):
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(b"".join(pems))


@asynccontextmanager
async def open_office(folder: Path, clients: Sequence[str], needs: Needs) -> AsyncIterator[Office]:
    """The relay, with a port for the wrong logins of each of `clients`, and all that it asks."""
    ports = {role: free_port() for role in (*ROLES, *(f"wrong {client}" for client in clients))}
    kdc = Kdc(folder / "kdc", REALM, needs)
    make_certificates(folder)
    await kdc.make()
    await kdc.add(USER, "wonderland")
    keytab = await kdc.keytab("smtp/localhost")
    configuration = await asyncio.to_thread(written_by_init, folder, ports)
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(SinkServer())
        issuer = await stack.enter_async_context(TokenIssuer())
        await stack.enter_async_context(kdc.serving())
        await kdc.kinit(USER, "wonderland")
        relay = RelayProcess(folder, configuration + _ours(folder, ports, sink, issuer, keytab), environment=kdc.environment)
        await stack.enter_async_context(relay)
        yield Office(folder, relay, sink, issuer, kdc, ports)
