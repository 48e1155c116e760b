"""One relay logs in at another, by every mechanism that both know, over STARTTLS and at once over TLS; full debug logs of both.

Judged is what the receiving relay says: which AUTH it was asked for, whom it took the sender for, and that the mail went on. Takes three
seconds.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from tests.engine.tls_files import server as certificate_file
from tests.engine.token_issuer import ISSUER, TokenIssuer
from tests.scenarios.clients import client, send

from postwright.policy.settings import OUTBOUND_MECHANISMS
from postwright.testing.dns_server import DnsServer
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

PASSWORD = "Corr3ct-h0rse-b4ttery"
USER = "alice@corp.example"


def house_config(port: int, smtps: int, folder: Path, ca: trustme.CA, issuer: TokenIssuer, sink: SinkServer) -> str:
    """The relay that is logged in at: nobody may relay but who has."""
    (folder / "keys.json").write_text(issuer.key_set())
    return f"""{plain_config(port)}
smtp-server-tls-certificate {certificate_file(ca, folder / "house.pem", "house.example")}
<smtp-listener 127.0.0.1:{smtps}>
    immediate-tls yes
</smtp-listener>
<source 127.0.0.1/32>
    allow-starttls yes
    require-auth yes
    log-commands yes
</source>
<smtp-user {USER}>
    password {PASSWORD}
</smtp-user>
<smtp-user shop>
    authentication-method certificate
    tls-certificate {certificate_file(ca, folder / "shop.pem", "shop.example")}
</smtp-user>
<oauth-provider corp>
    issuer {ISSUER}
    audience relay
    jwks keys.json
</oauth-provider>
<acct-file acct.csv>
    record-fields r *, rcvSmtpUser
</acct-file>
<domain *>
    smtp-hosts [127.0.0.1]:{sink.port}
</domain>
"""


def office_config(port: int, house: int, smtps: int, folder: Path, dns: DnsServer) -> str:
    """The relay that logs in: for each recipient domain by another mechanism."""
    rules = [_rules(mechanism, folder / "shop.pem") for mechanism in OUTBOUND_MECHANISMS]
    return f"""{plain_config(port)}
name-server {dns.address}
<source 127.0.0.1/32>
    always-allow-relaying yes
</source>
<oauth-client corp>
    token-file token
</oauth-client>
<domain *>
    smtp-hosts house.example:{house}
    require-starttls yes
    smtp-tls-ca-file ca.pem
    auth-username {USER}
    auth-password {PASSWORD}
    retry-after 1s
</domain>
<domain smtps.example>
    smtp-hosts house.example:{smtps}
    smtp-implicit-tls yes
</domain>
{"".join(rules)}"""


def _rules(mechanism: str, certificate: Path) -> str:
    more = ""
    if "OAUTH" in mechanism:
        more = "auth-oauth-client corp\n"
    elif mechanism == "EXTERNAL":
        more = f"auth-username shop\nsmtp-client-certificate {certificate}\n"
    return f"<domain {mechanism.lower()}.example>\nauth-mechanism {mechanism}\n{more}</domain>\n"


class Pair:
    """`office` sends by `house`."""

    def __init__(self, office: RelayProcess, port: int, house: RelayProcess, sink: SinkServer, token: str) -> None:
        self.office = office
        self.port = port
        self.house = house
        self.sink = sink
        self.token = token

    async def sent(self, *recipients: str) -> None:
        """Mail to each of these, all the way."""
        before = len(self.sink.messages)
        async with client(self.port) as session:
            for recipient in recipients:
                await send(session, recipient)
        await self.sink.wait_for(before + len(recipients), 20)

    def asked_for(self) -> list[str]:
        """Mechanisms of the AUTH commands that the house has heard."""
        said = [str(event["event"]).split() for event in self.house.log()]
        return [words[2] for words in said if words[:2] == [">>>", "AUTH"]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    folders = tmp_path_factory.mktemp("office"), tmp_path_factory.mktemp("house")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folders[0] / "ca.pem"))
    ports = free_port(), free_port(), free_port()
    zone = {"house.example": {"A": ["127.0.0.1"]}}
    async with TokenIssuer() as issuer, SinkServer() as sink, DnsServer(zone) as dns:
        token = issuer.token()
        (folders[0] / "token").write_text(token + "\n")
        there = house_config(ports[1], ports[2], folders[1], ca, issuer, sink)
        certificate_file(ca, folders[0] / "shop.pem", "shop.example")
        (folders[0] / "shop.pem").write_bytes((folders[1] / "shop.pem").read_bytes())
        here = office_config(ports[0], ports[1], ports[2], folders[0], dns)
        async with (
            RelayProcess(folders[1], there, options=["--debug"]) as house,
            RelayProcess(folders[0], here, options=["--debug"]) as office,
        ):
            yield Pair(office, ports[0], house, sink, token)


async def test_every_mechanism_and_the_strongest_over_tls_from_the_first_octet(pair: Pair) -> None:
    who = {f"bob@{mechanism.lower()}.example": "shop" if mechanism == "EXTERNAL" else USER for mechanism in OUTBOUND_MECHANISMS}
    await pair.sent(*who)
    assert sorted(pair.asked_for()) == sorted(OUTBOUND_MECHANISMS)
    await pair.sent("bob@smtps.example")
    assert pair.asked_for()[len(who) :] == ["SCRAM-SHA-256-PLUS"]
    rows = await pair.house.wait_for_records("r", len(who) + 1)
    assert {row["rcpt"]: row["rcvSmtpUser"] for row in rows} == {**who, "bob@smtps.example": USER}


async def test_no_secret_is_in_anybodys_log(pair: Pair) -> None:
    await pair.sent("carl@plain.example", "carl@login.example", "carl@xoauth2.example")
    for relay in (pair.office, pair.house):
        for path in (relay.log_file, relay.output_file, *relay.state_dir.glob("*.csv")):
            octets = path.read_bytes()
            for secret in (PASSWORD, pair.token, pair.token.rpartition(".")[2]):
                assert secret.encode() not in octets, path
                assert base64.b64encode(secret.encode())[:-4] not in octets, path
                assert base64.b64encode(f"\0{USER}\0{secret}".encode())[:-4] not in octets, path
