"""nmap asks whether the relay relays for strangers and whether it tells who has a mailbox: sixteen tricks, none of which may work.

The same questions to a relay that trusts this address are answered otherwise, which shows that nmap does ask.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from tests.interop.client_office import ROLES, make_certificates, written_by_init
from tests.interop.peers import Needs, StartRelay, run

from postwright.testing.relay_process import RelayProcess
from postwright.testing.sockets import free_port

pytestmark = pytest.mark.needs("nmap")

RULES = """
relay-domain there.example
<source 127.0.0.1/32>
    always-allow-relaying {trusted}
</source>
"""


async def scan(nmap: Path, port: int) -> str:
    scripts = ["--script", "+smtp-open-relay,+smtp-enum-users", "--script-args", "smtp-open-relay.domain=victim.example"]
    done = await run(nmap, "-Pn", "-n", "-p", str(port), *scripts, "127.0.0.1")
    return done.stdout.decode()


async def test_nothing_for_a_stranger(start_relay: StartRelay, needs: Needs) -> None:
    relay = await start_relay(RULES.format(trusted="no"))
    said = await scan(needs("nmap"), relay.port)
    assert "Server doesn't seem to be an open relay, all tests failed" in said
    assert "Couldn't find any accounts" in said
    assert relay.status().shards[0].traffic.rejected >= 10, "the others do not get past the grammar"


async def test_nmap_would_have_seen_it(start_relay: StartRelay, needs: Needs) -> None:
    relay = await start_relay(RULES.format(trusted="yes"))
    assert "Server is an open relay" in await scan(needs("nmap"), relay.port)


LOGS = "<source {mx}>\nlog-commands yes\n</source>\n<source {submission}>\nlog-commands yes\n</source>\n"


async def test_nothing_at_any_port_that_init_writes(tmp_path: Path, needs: Needs) -> None:
    """Port 25 and both submission ports, asked for users by VRFY, EXPN and RCPT. (Of 465 nmap knows by its number only.)"""
    ports = {role: free_port() for role in ROLES if role != "25"}
    make_certificates(tmp_path)
    asked = [str(ports[role]) for role in ("mx", "587", "2525")]
    scripts = ["--script", "+smtp-open-relay,+smtp-enum-users,+smtp-commands", "--script-args"]
    arguments = "smtp-open-relay.domain=victim.example,smtp-enum-users.methods={VRFY,EXPN,RCPT}"
    async with RelayProcess(tmp_path, written_by_init(tmp_path, ports) + LOGS) as relay:
        done = await run(needs("nmap"), "-Pn", "-n", "-p", ",".join(asked), *scripts, arguments, "127.0.0.1")
        heard = [str(event["event"]) for event in relay.log()]
    said = done.stdout.decode()
    assert said.count("Server doesn't seem to be an open relay, all tests failed") == 3, said
    assert said.count("Couldn't find any accounts") == 3, said
    offers = re.findall(r"smtp-commands: localhost, (.*)", said)
    assert [("STARTTLS" in offer, "AUTH" in offer) for offer in offers] == [(True, False)] * 3, "nobody logs in without TLS"
    for question in (">>> VRFY root", ">>> EXPN root", ">>> RCPT TO:<root@nmap.scanme.org>"):
        assert heard.count(question) == 3
    assert sum(line.startswith(">>> RCPT TO:<") for line in heard) >= 3 * 14
    assert not any(line.startswith("<<< 250 2.1.5") for line in heard), "no recipient was taken"


NTLM = """ntlm-domain CORP
<smtp-user anne>
    password wonderland
</smtp-user>
<source 0/0>
    allow-unencrypted-plain-auth yes
</source>
"""


@pytest.mark.parametrize("on", [False, True])
async def test_ntlm_tells_no_name_of_this_host(start_relay: StartRelay, needs: Needs, on: bool) -> None:
    """Exchange's challenge gives machine and forest away. Ours has the one name that the configuration says, and only where NTLM is on."""
    relay = await start_relay(NTLM if on else NTLM.partition("\n")[2])
    done = await run(needs("nmap"), "-Pn", "-n", "-p", str(relay.port), "--script", "+smtp-ntlm-info,+smtp-commands", "127.0.0.1")
    said = done.stdout.decode()
    assert ("NTLM" in said.partition("smtp-commands")[2]) is on, said
    assert ("Target_Name: CORP" in said) is on, said
    assert "DNS_" not in said
    assert f": {socket.gethostname()}" not in said
