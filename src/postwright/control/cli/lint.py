"""`postwright lint`: what a message lacks of what large mailbox providers want of it. Needs no running relay, and sends nothing."""

from __future__ import annotations

import asyncio
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any, BinaryIO

import click

from postwright.control.cli import tool
from postwright.control.cli.config import NOT_THERE, settings_of
from postwright.control.cli.tool import AddressType
from postwright.engine.lint import Linted, LintOrder, NotAsked, lint_here
from postwright.engine.resolving import NoValidator

_BROKEN = 1
_MOST_MAIL = 64 << 20
_ADDRESS = AddressType()


@click.command("lint")
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--config", "config", type=click.Path(path_type=Path, dir_okay=False), help="As a relay with this configuration would judge.")
@click.option("--bulk", is_flag=True, help="It is bulk mail, whatever sender-rules-bulk says: it wants List-Unsubscribe.")
@click.option("--from", "sender", type=_ADDRESS, help="The sender in MAIL; by default the address in From.")
@click.option("--to", "recipient", type=_ADDRESS, help="The recipient; by default the first address in To.")
@click.option("--client", default="127.0.0.1", show_default=True, metavar="IP", help="The client's address, which says what source it is.")
@click.option("--user", default="", metavar="NAME", help="Logged in as this user.")
@click.option("--listener", default="", metavar="IP:PORT", help="Where it comes to; by default the first smtp-listener.")
@click.option("--tolerant", is_flag=True, help="Read the configuration as `run --tolerant` does.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(file: BinaryIO, as_json: bool, **options: Any) -> None:
    """Judge a message by the sender rules of large mailbox providers: a line for each rule that it breaks, what is wrong, and the cure.

    With --config the message takes the way of a submission: what the relay adds, mends and signs counts. Without it the message is
    judged as it is, and a signature that it does not have yet is not missed.

    \b
    Example: postwright lint --config /etc/postwright/config --bulk < newsletter.eml
    Exit status: 0 no rule is broken that providers insist on, 1 one is, or the relay refuses the message, or there is no such user or
    listener, 2 wrong command line or a configuration with errors.
    """
    settings = settings_of(options["config"], options["tolerant"]) if options["config"] is not None else None
    try:
        found = asyncio.run(lint_here(settings, _order(file.read(_MOST_MAIL), options)))
    except NotAsked as error:
        click.echo(f"postwright: {error}", err=True)
        sys.exit(NOT_THERE)
    except NoValidator as missing:
        raise click.UsageError(f"{missing}; {missing.hint}") from None
    except (ValueError, OSError) as error:  # what a relay would not start with: a file that cannot be read
        raise click.UsageError(str(error)) from None
    click.echo(tool.as_json(found)) if as_json else _show(found)
    sys.exit(0 if found.good else _BROKEN)


def _order(content: bytes, options: dict[str, Any]) -> LintOrder:
    try:
        client = str(ip_address(options["client"]))
    except ValueError:
        raise click.UsageError(f"--client {options['client']!r} is no IP address") from None
    sender, recipient = options["sender"], options["recipient"]
    return LintOrder(content, sender, recipient, client, options["user"], options["listener"], options["bulk"])


def _show(found: Linted) -> None:
    for name in found.fixed:
        click.echo(f"fixed\t{name}")
    for one in found.findings:
        click.echo(one.line)
    if found.refused:
        click.echo(f"refused\t{tool.escaped(found.refused)}")
    if not found.findings and not found.refused:
        click.echo("good\tno rule is broken")
