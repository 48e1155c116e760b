"""A real relay with a name server on loopback: SPF, DMARC and iprev of what comes in, in one field; refusals; SPF of what leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.testing.dns_server import DnsServer
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient

ZONE = {
    "you.example": {"MX": ["10 mx.you.example."]},
    "mx.you.example": {"A": ["127.0.0.1"]},
    "good.example": {"TXT": ['"v=spf1 include:_spf.good.example -all"']},
    "_spf.good.example": {"TXT": ['"v=spf1 ip4:127.0.0.0/8 ?all"']},
    "_dmarc.good.example": {"TXT": ['"v=DMARC1; p=reject; np=reject"']},
    "elsewhere.example": {"TXT": ['"v=spf1 ip4:192.0.2.1 ~all"']},
    "bad.example": {"TXT": ['"v=spf1 -all"']},
    "1.0.0.127.in-addr.arpa": {"PTR": ["client.example."]},
    "client.example": {"A": ["127.0.0.1"]},
}
RULES = """
name-server {server}
<source 127.0.0.1/32>
 always-allow-relaying yes
 check-spf-inbound yes
 check-dmarc-inbound yes
 check-iprev-inbound yes
 reject-dmarc-check-fail yes
</source>
<domain *>
 default-smtp-port {sink}
 check-spf-outbound yes
</domain>
"""


async def sent(port: int, sender: str, author: str) -> str:
    """The reply to the first command that was refused, or to the content."""
    content = f"Authentication-Results: relay.example; spf=pass\r\nFrom: {author}\r\n\r\nhello\r\n".encode()
    async with await SourceClient.connect("127.0.0.1", port) as client:
        await client.ehlo("client.example")
        outcome = await client.send(sender, ["bob@you.example"], content)
        return (outcome.final if outcome.mail.code == 250 else outcome.mail).text


@pytest.mark.directive("check-spf-inbound", "check-dmarc-inbound", "check-iprev-inbound", "reject-dmarc-check-fail", "check-spf-outbound")
async def test_what_comes_in_and_what_leaves(tmp_path: Path) -> None:
    port = free_port()
    async with DnsServer(ZONE, faults={"lame.example": "servfail"}) as server, SinkServer() as sink:
        config = plain_config(port) + RULES.format(server=server.address, sink=sink.port)
        async with RelayProcess(tmp_path, config):
            assert (await sent(port, "me@bad.example", "me@bad.example")).startswith("550 5.7.23")
            assert (await sent(port, "me@lame.example", "me@lame.example")).startswith("451 4.7.24")
            assert (await sent(port, "me@elsewhere.example", "joe@good.example")).startswith("550 5.7.1 the DMARC policy")
            assert (await sent(port, "me@elsewhere.example", "me@elsewhere.example")).startswith("250"), "and bounced, as it passes not"
            assert (await sent(port, "me@good.example", "joe@good.example")).startswith("250")
            (message,) = await sink.wait_for(1, 15)
    head = b" ".join(message.content.partition(b"\r\n\r\n")[0].split()).decode()
    assert message.sender == "me@good.example"
    assert head.count("Authentication-Results:") == 1
    assert "iprev=pass (client.example) policy.iprev=127.0.0.1;" in head
    assert "spf=pass (include:_spf.good.example) smtp.mailfrom=me@good.example;" in head
    assert "dkim=none (no signatures); dmarc=pass (p=reject) header.from=good.example" in head
