"""`postwright load`: `run_load` from the command line.

Exit status 0 when every message was accepted, 1 when one was not, 2 for a wrong option. Text or JSON goes to standard output.
"""

from __future__ import annotations

import json

import click

from postwright.testing.cli_sink import parse_endpoint
from postwright.testing.load import run_load
from postwright.testing.load_plan import LoadPlan, parse_domains, parse_sizes
from postwright.testing.loop import run_on_fast_loop

_EPILOG = """Sizes are of the whole message: 4k, a range 1k-100k, or several with weights, 1k:70,10k-50k:25,1m:5.
Domains: a.example, with weights a.example:70,b.example:30, or many at once, d{1..1000}.example.

With --rate the time to the 250 is counted from when a message was due, so that a peer that slows the sender down cannot look fast."""


@click.command(epilog=_EPILOG)
@click.argument("target", metavar="[HOST:PORT]", default="127.0.0.1:2525")
@click.option("-n", "--messages", type=click.IntRange(min=1), default=1000, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=0), default=0.0, help="Stop sending after so many seconds.")
@click.option("-c", "--connections", type=click.IntRange(1, 100_000), default=10, show_default=True)
@click.option("--rate", type=click.FloatRange(min=0), default=0.0, help="Messages a second over all connections; 0: as fast as it goes.")
@click.option("--size", default="4k", show_default=True, metavar="SIZES")
@click.option("--recipients", default="1", show_default=True, metavar="N|1-N", help="Recipients per message; 1-N: by chance.")
@click.option("--domains", default="sink.example", show_default=True, metavar="DOMAINS")
@click.option("--from", "sender", default="load@source.example", show_default=True, metavar="ADDRESS")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header line more, e.g. 'X-Virtual-MTA: news'.")
@click.option("--per-connection", type=click.IntRange(min=0), default=0, metavar="N", help="A new connection after N messages.")
@click.option("--overlap", is_flag=True, help="Send the next envelope with the content (PIPELINING).")
@click.option("--starttls", is_flag=True, help="Use STARTTLS; the certificate is not verified.")
@click.option("--user", metavar="NAME:PASSWORD", help="AUTH PLAIN.")
@click.option("--helo", default="source.example", show_default=True)
@click.option("--timeout", type=click.FloatRange(min=0.1), default=60.0, show_default=True, help="Seconds to wait for a reply.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of sizes, domains and recipients.")
@click.option("--json", "as_json", is_flag=True, help="The report as JSON.")
@click.pass_context
def command(
    context: click.Context,
    target: str,
    messages: int,
    seconds: float,
    connections: int,
    rate: float,
    size: str,
    recipients: str,
    domains: str,
    sender: str,
    headers: tuple[str, ...],
    per_connection: int,
    overlap: bool,
    starttls: bool,
    user: str | None,
    helo: str,
    timeout: float,
    seed: int,
    as_json: bool,
) -> None:
    """Send messages over SMTP and report rates and latencies.

    \b
    Example: postwright load 127.0.0.1:2525 --messages 10000 --connections 20
    Exit status: 0 every message was taken, 1 one was not, 2 wrong command line.
    """
    host, port = parse_endpoint(target)
    try:
        sizes, names = parse_sizes(size), parse_domains(domains)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    most, vary = _recipients(recipients)
    plan = LoadPlan(
        host=host,
        port=port,
        messages=messages,
        seconds=seconds,
        connections=connections,
        rate=rate,
        sizes=sizes,
        recipients=most,
        vary_recipients=vary,
        domains=names,
        sender=sender,
        headers=headers,
        helo=helo,
        per_connection=per_connection,
        starttls=starttls,
        auth=_auth(user),
        overlap=overlap,
        timeout=timeout,
        seed=seed,
    )
    report = run_on_fast_loop(run_load(plan))
    click.echo(json.dumps(report.as_dict()) if as_json else report.as_text())
    if report.refused or report.lost or report.gave_up:
        context.exit(1)


def _recipients(text: str) -> tuple[int, bool]:
    vary = text.startswith("1-")
    number = text[2:] if vary else text
    if not number.isdigit() or not 0 < int(number) <= 100_000:
        raise click.UsageError(f"--recipients {text}: expected a number, or 1-N")
    return int(number), vary


def _auth(user: str | None) -> tuple[str, str] | None:
    if user is None:
        return None
    name, colon, password = user.partition(":")
    if not colon:
        raise click.UsageError("--user wants NAME:PASSWORD")
    return name, password
