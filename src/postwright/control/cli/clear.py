"""`postwright clear`: has the running relay forget what it learned from outside."""

from __future__ import annotations

from pathlib import Path

import click

from postwright.control.cli.asking import question, show, state_dir_option
from postwright.control.cli.words import ShortGroup


@click.group("clear", cls=ShortGroup)
def command() -> None:
    """Have a running relay forget what it learned from outside."""


@command.command("dnscache")
@click.argument("domain", metavar="DOMAIN|*")
@state_dir_option
def dnscache(domain: str, state_dir: Path | None) -> None:
    """Answers of the DNS for a domain with its MX hosts, or (`*`) all of them; the next message asks anew.

    \b
    Example: postwright clear dnscache example.com
    Exit status: 0 done, 1 the relay could not, 3 no relay runs there.
    """
    show(question(state_dir, "clear-dnscache", {"domain": domain}))


@command.command("secretscache")
@state_dir_option
def secretscache(state_dir: Path | None) -> None:
    """Keys fetched from the vault and access tokens of <oauth-client>: they are fetched anew. Until a new one is there, an old key signs.

    \b
    Example: postwright clear secretscache
    Exit status: 0 done, 1 the relay could not, 3 no relay runs there.
    """
    show(question(state_dir, "order-secrets", patience=60.0))
