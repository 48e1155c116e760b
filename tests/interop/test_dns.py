"""Where mail goes when a real name server (NSD) answers: one table of domains, one zone, receivers on addresses of their own.

Judged is which receiver got each message, and what accounting says of it.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import pytest
from tests.interop.peers import Needs, Relay, StartRelay, server

from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient

pytestmark = pytest.mark.needs("nsd")

FIRST, SECOND, SIX, DEAD = "127.0.0.2", "127.0.0.3", "::1", "127.0.0.9"

ZONE = f"""
$ORIGIN example.
$TTL 300
@               SOA   ns postmaster 1 3600 600 86400 60
                NS    ns
ns              A     127.0.0.1
first           A     {FIRST}
second          A     {SECOND}
six             AAAA  {SIX}
dead            A     {DEAD}
mixed           A     {DEAD}
                AAAA  {SIX}
alias           CNAME first
relay           A     127.0.0.1

preference      MX    20 second
                MX    10 first
fallback        MX    10 dead
                MX    20 second
equal           MX    10 first
                MX    10 second
address         A     {FIRST}
address6        AAAA  {SIX}
alias-mx        MX    10 alias
alias-domain    CNAME preference
six-only        MX    10 six
six-after-four  MX    10 mixed
null            MX    0 .
us              MX    10 relay
us-in-the-middle MX   10 dead
                MX    20 relay
                MX    30 second
us-at-the-end   MX    10 first
                MX    20 relay
nothing         TXT   "neither mail nor address"
no-address      MX    10 nothing
many            MX    10 first
"""
# Sixty exchanges of fifty octets fit into no answer by UDP: the name server truncates it, and the resolver asks again by TCP.
MANY = "".join(f"many MX {20 + n} {'x' * 50}{n}\n" for n in range(60))

# domain -> type of record, status, address that it went to or would have, a part of what the record says
EXPECTED = {
    "preference": ("d", "2.0.0", FIRST, ""),
    "fallback": ("d", "2.0.0", SECOND, ""),
    "address": ("d", "2.0.0", FIRST, ""),
    "address6": ("d", "2.0.0", SIX, ""),
    "alias-mx": ("d", "2.0.0", FIRST, ""),
    "alias-domain": ("d", "2.0.0", FIRST, ""),
    "six-only": ("d", "2.0.0", SIX, ""),
    "six-after-four": ("d", "2.0.0", SIX, ""),
    "us-at-the-end": ("d", "2.0.0", FIRST, ""),
    "many": ("d", "2.0.0", FIRST, ""),
    "null": ("b", "5.1.10", "", "null MX"),
    "us": ("b", "5.4.6", "", "loop to self"),
    "missing": ("b", "5.1.2", "", "does not exist"),
    "nothing": ("b", "5.4.4", "", "no host takes mail"),
    "no-address": ("b", "5.4.4", "", "no host takes mail"),
}


@asynccontextmanager
async def name_server(nsd: Path, folder: Path) -> AsyncIterator[tuple[int, Path]]:
    """NSD with the zone example., and broken.test. whose zone file is not there yet (SERVFAIL). Gives its port and that file's path."""
    port = free_port()
    (folder / "example.zone").write_text(ZONE + MANY)
    zones = "".join(f"zone:\n name: {name}\n zonefile: {folder / name}.zone\n" for name in ("example", "broken.test"))
    config = folder / "nsd.conf"
    config.write_text(f"""\
server:
 ip-address: 127.0.0.1
 port: {port}
 username: ""
 server-count: 1
 database: ""
 zonesdir: {folder}
 xfrdir: {folder}
 zonelistfile: {folder}/zone.list
 xfrdfile: {folder}/xfrd.state
 pidfile: {folder}/nsd.pid
 logfile: {folder}/nsd.log
remote-control:
 control-enable: no
{zones}""")
    async with server(nsd, "-d", "-c", config, port=port, output=folder / "nsd.out"):
        yield port, folder / "broken.test.zone"


@asynccontextmanager
async def receivers() -> AsyncIterator[tuple[int, dict[str, SinkServer]]]:
    """A sink on each address, all on one port; nobody listens at DEAD."""
    async with AsyncExitStack() as stack:
        port = free_port()
        sinks = {host: SinkServer(host=host, port=port, hostname=f"sink-{host}.example") for host in (FIRST, SECOND, SIX)}
        for sink in sinks.values():
            await stack.enter_async_context(sink)
        yield port, sinks


def rules(dns_port: int, smtp: int) -> str:
    return f"""
name-server 127.0.0.1:{dns_port}
<source 127.0.0.1/32>
    always-allow-relaying yes
</source>
<domain *>
    default-smtp-port {smtp}
    use-starttls no
    bounce-upon-no-mx yes
    retry-after 1s
    retry-after-dns-error 1s
</domain>
<domain equal.example>
    max-msg-per-connection 1
</domain>
"""


async def send(relay: Relay, domains: list[str]) -> None:
    """A message to each domain; bounces go nowhere (the null reverse-path)."""
    async with await SourceClient.connect("127.0.0.1", relay.port) as client:
        await client.ehlo("client.example")
        for domain in domains:
            sent = await client.send("", [f"bob@{domain}"], f"Subject: {domain}\r\n\r\nhello\r\n".encode())
            assert sent.final.code == 250


async def test_every_domain_goes_where_the_dns_says(start_relay: StartRelay, needs: Needs, tmp_path: Path) -> None:
    async with name_server(needs("nsd"), tmp_path) as (dns_port, _), receivers() as (smtp, sinks):
        assert truncated(dns_port, "many.example")
        relay = await start_relay(rules(dns_port, smtp))
        await send(relay, [f"{name}.example" for name in EXPECTED])
        await relay.until(lambda: len(relay.records("d", "b")) >= len(EXPECTED), "a record for each domain")
        got = {}
        for row in relay.records("d", "b"):
            name = row["queue"].partition(".")[0]
            said = EXPECTED[name][3]
            assert said in row["dsnDiag"], row
            got[name] = (row["type"], row["dsnStatus"].split()[0], row.get("dlvDestinationIp", ""), said)
        assert got == EXPECTED
        arrived = {str(message.parsed["Subject"]).partition(".")[0]: host for host, sink in sinks.items() for message in sink.messages}
        assert arrived == {name: host for name, (kind, _, host, _) in EXPECTED.items() if kind == "d"}


async def test_hosts_of_one_preference_share_the_mail(start_relay: StartRelay, needs: Needs, tmp_path: Path) -> None:
    async with name_server(needs("nsd"), tmp_path) as (dns_port, _), receivers() as (smtp, sinks):
        relay = await start_relay(rules(dns_port, smtp))
        await send(relay, ["equal.example"] * 30)
        rows = await relay.wait_for_records("d", 30)
        by_address = Counter(row["dlvDestinationIp"] for row in rows)
        assert set(by_address) == {FIRST, SECOND}  # by chance only one: once in 2**29
        assert by_address == {host: sinks[host].counts.messages for host in (FIRST, SECOND)}


async def test_no_host_further_away_than_ourselves(start_relay: StartRelay, needs: Needs, tmp_path: Path) -> None:
    """RFC 5321 section 5.1: the nearer host is down, and the one behind us must not be asked: the mail waits."""
    async with name_server(needs("nsd"), tmp_path) as (dns_port, _), receivers() as (smtp, sinks):
        relay = await start_relay(rules(dns_port, smtp))
        await send(relay, ["us-in-the-middle.example"])
        await relay.until(lambda: waits(relay, "us-in-the-middle.example", "refused"), "a failed attempt")
        assert sinks[SECOND].counts.connections == 0
        assert relay.records("d", "b") == []


async def test_servfail_waits_and_goes_when_the_zone_is_back(start_relay: StartRelay, needs: Needs, tmp_path: Path) -> None:
    async with name_server(needs("nsd"), tmp_path) as (dns_port, zone), receivers() as (smtp, _):
        relay = await start_relay(rules(dns_port, smtp))
        await send(relay, ["broken.test", "lame.test"])
        await relay.until(lambda: waits(relay, "broken.test", "the DNS does not answer"), "SERVFAIL")
        await relay.until(
            lambda: waits(relay, "lame.test", "the DNS does not answer"), "REFUSED, as of a name server that is not in charge"
        )
        zone.write_text("$ORIGIN broken.test.\n$TTL 60\n@ SOA ns postmaster 1 60 60 600 60\n NS ns\n MX 10 first.example.\n")
        os.kill(int((tmp_path / "nsd.pid").read_text()), signal.SIGHUP)
        [row] = await relay.wait_for_records("d", 1)
        assert (row["rcpt"], row["dlvDestinationIp"]) == ("bob@broken.test", FIRST)


def truncated(port: int, domain: str) -> bool:
    """Whether the name server answers by UDP that the MX records of `domain` do not fit."""
    question = dns.message.make_query(domain, "MX", use_edns=True, payload=1232)
    return bool(dns.query.udp(question, "127.0.0.1", timeout=5, port=port).flags & dns.flags.TC)


def waits(relay: Relay, domain: str, why: str) -> bool:
    """Whether the queue of `domain` waits after an error that says `why`."""
    queues = [queue for shard in relay.status().shards for queue in shard.top_queues]
    return any(queue.name == f"{domain}/{{default}}" and why in queue.last_error and queue.retry_at for queue in queues)
