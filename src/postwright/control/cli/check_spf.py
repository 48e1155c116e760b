"""`postwright check spf`: the SPF result for a client, its name in HELO and a sender, with the look-ups made."""

from __future__ import annotations

import asyncio
import sys

import click

from postwright.engine.spf_tool import MAX_VOID, SpfOrder, check_spf

PASS, NOT_PASS, UNKNOWN = 0, 1, 2


@click.command("spf")
@click.argument("ip")
@click.argument("helo")
@click.argument("mailfrom", required=False, default="")
@click.option("--server", "servers", multiple=True, metavar="ADDRESS[:PORT]", help="Ask this name server; repeat for more.")
@click.option("--tcp", is_flag=True, help="Ask by TCP only.")
@click.option("--dumppackets", "dump", is_flag=True, help="Show every packet in hexadecimal.")
@click.option("--timeout", type=click.FloatRange(0.1, 60), default=3.0, show_default=True, help="Seconds for the first try of a server.")
@click.option(
    "--max-void-lookups", "max_void", type=click.IntRange(0), default=MAX_VOID, show_default=True, help="Terms that may find nothing."
)
def command(ip: str, helo: str, mailfrom: str, servers: tuple[str, ...], tcp: bool, dump: bool, timeout: float, max_void: int) -> None:
    """May the client IP, which says HELO, send in the name of MAILFROM? Without MAILFROM, or with <>, the name in HELO is checked.

    The DNS is asked anew; the cache of a running relay is neither used nor changed.

    \b
    Example: postwright check spf 192.0.2.1 mail.example.com news@example.com
    Exit status: 0 pass, 1 any other result, 2 the DNS did not answer (temperror) or wrong command line.
    """
    order = SpfOrder(ip, helo, mailfrom.removeprefix("<").removesuffix(">"), servers, tcp, dump, timeout, max_void)
    try:
        found = asyncio.run(check_spf(order, click.echo))
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from None
    sys.exit({"pass": PASS, "temperror": UNKNOWN}.get(found.result, NOT_PASS))
