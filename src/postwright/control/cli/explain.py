"""`postwright explain`: the whole way of a message that is not sent: who the client is, which queue, which hosts, which limits, and
which line said each of it.

Works from the configuration alone; no relay need run. What is asked outside are names (DNS), and what MTA-STS and a directory of users
have over HTTPS.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click

from postwright.control.cli import tool
from postwright.control.cli.asking import question
from postwright.control.cli.config import NOT_THERE, settings_of
from postwright.control.cli.explain_lines import as_values, lines
from postwright.engine.explain import ExplainOrder, NotAsked, explain_here
from postwright.engine.explain_values import Journey
from postwright.engine.resolving import NoValidator
from postwright.model.address import NULL_PATH, Address, parse_mailbox
from postwright.model.errors import AddressError

OURSELVES = "127.0.0.1"


def _address(text: str, what: str) -> Address:
    if what == "--from" and text in ("", "<>"):
        return NULL_PATH
    try:
        return parse_mailbox(text.strip("<>"), smtputf8=True)
    except AddressError as error:
        raise click.UsageError(f"{what} {text!r} is no address: {error}") from None


def _content(headers: Iterable[str], sender: Address) -> bytes:
    """A message with these header fields, and a From if there is none: who signs is mostly decided by it. They may not bring line ends,
    as each would be two."""
    fields: list[str] = []
    for field in headers:
        name, colon, body = field.partition(":")
        if not colon or not name.strip() or any(not "!" <= c <= "~" for c in name.strip()) or not body.isprintable():
            raise click.UsageError(f"--header {field!r} is no header field; write 'NAME: VALUE'")
        fields.append(f"{name.strip()}: {body.strip()}\r\n")
    if sender.text and not any(field.lower().startswith("from:") for field in fields):
        fields.append(f"From: <{sender.text}>\r\n")
    return ("".join(fields) + "\r\nexplain\r\n").encode()


@click.command("explain")
@click.option("--from", "sender", required=True, metavar="ADDRESS", help="The sender; <> for the null reverse-path.")
@click.option("--to", "recipient", required=True, metavar="ADDRESS", help="The recipient.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header field; repeat. From is the sender.")
@click.option("--user", default="", metavar="NAME", help="Logged in as this user.")
@click.option("--client", default=OURSELVES, show_default=True, metavar="IP", help="The client's address.")
@click.option("--listener", default="", metavar="IP:PORT", help="Where it comes to; by default the first smtp-listener.")
@click.option(
    "--config", "config", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file; else /etc/postwright/config."
)
@click.option("--tolerant", is_flag=True, help="Read the file as `run --tolerant` does.")
@click.option("--live", is_flag=True, help="Add what a running relay says of the queues now, as `why` does.")
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Of a relay: who is suppressed and what is paused.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object; times are seconds.")
def command(**options: Any) -> None:
    """What would become of a message, without sending it: client, virtual MTA, queue, hosts, TLS, key and limits, each with its line.

    The message takes the way that all mail takes, up to the connection. Of members of a pool that take turns, the first is told.

    \b
    Example: postwright explain --from news@example.com --to you@example.net --header 'x-virtual-mta: mta1' --config FILE
    Exit status: 0 it has somewhere to go, 1 it has not (refused, bounced, no host), or there is no such user or listener,
    2 wrong command line or a configuration with errors, 3 no relay runs there (--live).
    """
    order = _order(options)
    settings = settings_of(options["config"], options["tolerant"])
    try:
        journey = asyncio.run(explain_here(settings, order, options["state_dir"]))
    except NotAsked as error:
        click.echo(f"postwright: {error}", err=True)
        sys.exit(NOT_THERE)
    except NoValidator as missing:
        raise click.UsageError(f"{missing}; {missing.hint}") from None
    except (ValueError, OSError) as error:  # what a relay would not start with: a file that cannot be read
        raise click.UsageError(str(error)) from None
    _show(journey, options)
    sys.exit(0 if journey.paths and not all(path.error for path in journey.paths) else NOT_THERE)


def _order(options: dict[str, Any]) -> ExplainOrder:
    try:
        client = str(ip_address(options["client"]))
    except ValueError:
        raise click.UsageError(f"--client {options['client']!r} is no IP address") from None
    sender, recipient = _address(options["sender"], "--from"), _address(options["recipient"], "--to")
    return ExplainOrder(sender, recipient, _content(options["headers"], sender), client, options["user"], options["listener"])


def _show(journey: Journey, options: dict[str, Any]) -> None:
    if options["as_json"]:
        live = {"live": _live(journey, options["state_dir"])} if options["live"] else {}
        click.echo(tool.as_json({**as_values(journey), **live}))
        return
    for line in lines(journey):
        click.echo(line)
    if journey.refusal and options["client"] == OURSELVES and not options["user"]:
        click.echo(f"the client was {OURSELVES}; --client and --user say who else it may be")
    for said in _live(journey, options["state_dir"]).values() if options["live"] else ():
        click.echo("")
        for line in said:
            click.echo(line)


def _live(journey: Journey, state_dir: Path | None) -> dict[str, list[str]]:
    return {path.queue: question(state_dir, "why", {"queue": path.queue}).lines for path in journey.paths}
