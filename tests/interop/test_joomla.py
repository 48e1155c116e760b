"""PHPMailer with the settings of Joomla's panel: it sends; and what a person reads when a setting is wrong says what to change.

The relay is as people set one up: 587 with STARTTLS before the login, 465 with TLS from the first octet. What the panel shows is
PHPMailer's ErrorInfo, often a general sentence; its debugging (a switch of Joomla's, and of WordPress' plug-ins) shows our reply.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import trustme
from tests.interop.peers import Needs, received, run

from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("joomla"), pytest.mark.needs("phpmailer")]

SCRIPT = Path(__file__).parent / "clients" / "phpmailer.php"
RULES = """
smtp-server-tls-certificate {folder}/relay.pem
smtp-listener 127.0.0.1:{submission} source={{submission}}
<smtp-listener 127.0.0.1:{smtps}>
    source {{submission}}
    immediate-tls yes
</smtp-listener>
<source {{submission}}>
    require-auth yes
    allow-starttls yes
    require-starttls-before-auth yes
    auth-failures-per-network unlimited
    auth-failure-delay 0
</source>
<smtp-user shop@client.example>
    password "correct horse"
</smtp-user>
<domain *>
    smtp-hosts [127.0.0.1]:{sink}
</domain>
"""


class Panel:
    """Joomla's panel, filled in rightly; `send` with what is different. `ports`: submission, smtps, closed."""

    def __init__(self, php: Path, ca: Path, ports: dict[str, int], sink: SinkServer) -> None:
        self.php, self.ca, self.ports, self.sink = php, ca, ports, sink

    async def send(self, port: str = "submission", security: str = "starttls", **other: Any) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "name": "test",
            "from": "shop@client.example",
            "from_name": "Laden",
            "host": "localhost",
            "port": self.ports[port],
            "security": security,
            "mechanism": "any",
            "user": "shop@client.example",
            "secret": "correct horse",
            "ca": str(self.ca),
            "timeout": 20,
            "to": "you@there.example",
        }
        done = await run(self.php, SCRIPT, stdin=json.dumps([settings | other]).encode())
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
        return answer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def panel(tmp_path_factory: pytest.TempPathFactory, needs: Needs) -> AsyncIterator[Panel]:
    folder = tmp_path_factory.mktemp("joomla")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    (folder / "relay.pem").touch(mode=0o600)
    (folder / "relay.pem").write_bytes(b"".join([*(pem.bytes() for pem in issued.cert_chain_pems), issued.private_key_pem.bytes()]))
    ports = {name: free_port() for name in ("submission", "smtps", "plain", "closed")}
    async with SinkServer() as sink:
        rules = RULES.format(folder=folder, sink=sink.port, **ports)
        async with RelayProcess(folder, plain_config(ports["plain"]) + rules):
            yield Panel(needs("phpmailer"), folder / "ca.pem", ports, sink)


@pytest.mark.parametrize(("port", "security"), [("submission", "starttls"), ("smtps", "ssl"), ("submission", "none")])
async def test_it_sends(panel: Panel, port: str, security: str) -> None:
    # "none" is what many panels begin with: PHPMailer takes STARTTLS by itself where it is offered
    recipient = f"{port}-{security}@there.example"
    assert (await panel.send(port, security, to=recipient))["said"] == ""

    async with asyncio.timeout(20):
        while not (found := [m for m in panel.sink.messages if m.recipients == [recipient]]):  # noqa: ASYNC110  # a receiver tells nobody
            await asyncio.sleep(0.01)
    content = found[0].content
    assert "with ESMTPSA" in received(content)
    assert b"From: Laden <shop@client.example>" in content
    assert b"\r\n\r\nThank you.\r\n.\r\nBye.\r\n" in content


# what is different -> words of the panel, words of the dialogue
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "password": ({"secret": "wrong"}, "Could not authenticate", "535 5.7.8 authentication failed"),
    "user": ({"user": "nobody@client.example"}, "Could not authenticate", "535 5.7.8 authentication failed"),
    "no login": ({"mechanism": ""}, "relaying denied, log in first", "550 5.7.1 relaying denied, log in first"),
    "port: nobody there": ({"port": "closed"}, "Could not connect to SMTP host", "Connection refused"),
    "SSL/TLS at 587": ({"security": "ssl"}, "Could not connect to SMTP host", "Failed to connect to server"),
    "STARTTLS at 465": (
        {"port": "smtps"},
        "Could not connect to SMTP host",
        "421 4.7.0 this port wants TLS from the start: choose SSL/TLS, not STARTTLS, or another port",
    ),
    "no TLS at all": (
        {"security": "none", "auto_tls": False},
        "Could not authenticate",
        "250-STARTTLS",  # and no AUTH among the lines of EHLO
    ),
    "certificate that nobody signed": ({"ca": "/dev/null"}, "Could not connect to SMTP host", "STARTTLS"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_wrong_is_understood(panel: Panel, name: str) -> None:
    changed, shown, told = WRONG[name]
    answer = await panel.send(**changed)
    assert not answer["sent"]
    assert shown in answer["said"], answer
    assert told in answer["debug"], answer
