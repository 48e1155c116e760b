"""`postwright resolve`: how mail for a domain would be routed, with all that was asked and answered on the way."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import Any

import click

from postwright.control.cli.send import show_dialogue
from postwright.engine import probe
from postwright.engine.probe import ProbeOrder
from postwright.engine.resolve import Resolution, ResolveOrder, resolve
from postwright.engine.resolving import NoValidator
from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError


@dataclass(frozen=True)
class _Session:
    """How to talk to a host that was found."""

    connect: bool
    port: int
    source: str
    servers: tuple[str, ...]


@click.command("resolve")
@click.argument("domain", required=False, default="")
@click.option("--server", "servers", multiple=True, metavar="ADDRESS[:PORT]", help="Ask this name server; repeat for more.")
@click.option("--source", default="", metavar="ADDRESS", help="Ask, and connect, from this address of ours.")
@click.option("--tcp", is_flag=True, help="Ask by TCP only.")
@click.option("--edns", is_flag=True, help="Ask with EDNS, for answers of up to 1232 octets by UDP.")
@click.option("--dumppackets", "dump", is_flag=True, help="Show every packet in hexadecimal.")
@click.option("--use-dane", "dane", is_flag=True, help="Validate by DNSSEC, and show what the TLSA records of each host mean.")
@click.option("--trust-anchor-file", "trust_anchors", default="", metavar="FILE", help="For --use-dane: trust these keys, not the root's.")
@click.option("--use-mta-sts", "sts", is_flag=True, help="Show the MTA-STS record of the domain, too.")
@click.option("--connect", is_flag=True, help="Talk to the best host, up to EHLO and TLS, and show the dialogue.")
@click.option("--port", type=click.IntRange(1, 65535), default=25, show_default=True, help="The hosts' port, for --connect and --use-dane.")
@click.option("--timeout", type=click.FloatRange(0.1, 60), default=3.0, show_default=True, help="Seconds for the first try of a server.")
@click.option("--interactive", is_flag=True, help="Read further domains from standard input, one a line.")
def command(domain: str, interactive: bool, connect: bool, **options: Any) -> None:
    """How mail for DOMAIN would be routed: each question and answer, the outcome, hosts and addresses.

    The DNS is asked anew; the cache of a running relay is neither used nor changed.

    \b
    Example: postwright resolve example.com
             postwright resolve example.com --server 127.0.0.1 --use-dane --connect
    Exit status: 0 mail has somewhere to go (of the last domain), 1 it has not, 2 wrong command line.
    """
    if not domain and not interactive:
        raise click.UsageError("say which domain, or --interactive")
    session = _Session(connect, options["port"], options["source"], options["servers"])
    good = True
    for name in [domain] if domain else []:
        good = _one(name, session, options)
    for line in sys.stdin if interactive else ():
        if line.strip():
            good = _one(line.strip(), session, options)
    sys.exit(0 if good else 1)


def _one(text: str, session: _Session, options: dict[str, Any]) -> bool:
    try:
        order = ResolveOrder(canonical_domain(text.rstrip(".")), **options)
        found = asyncio.run(resolve(order, click.echo))
        if session.connect and found.good:
            _talk(found, session)
    except NoValidator as missing:
        raise click.UsageError(f"{missing}; {missing.hint}") from None
    except (AddressError, ValueError, OSError) as error:
        raise click.UsageError(f"{text}: {error}") from None
    return found.good


def _talk(found: Resolution, session: _Session) -> None:
    host = found.answer.hosts[0]
    order = ProbeOrder(host.addresses[0], session.port, as_host=True, source=session.source, name_servers=session.servers, dns=False)
    report = probe.run(order)
    click.echo(f"\nconnecting to {host.name} ({host.addresses[0]})")
    show_dialogue(report.transcript)
    for finding in report.findings:
        click.echo(finding.text)
