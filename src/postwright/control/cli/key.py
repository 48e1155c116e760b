"""`postwright key`: make, list and remove the keys by which programs use the HTTP interfaces.

A key is shown once, when it is made; only its digest is kept. A running relay sees a change at the next request, and needs no reload.
"""

from __future__ import annotations

import re
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from postwright.control.cli.asking import find_socket, own_form_option
from postwright.control.cli.words import ShortGroup
from postwright.control.http import keys
from postwright.engine.state_folder import HTTP_KEYS

_UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


@click.group("key", cls=ShortGroup)
def command() -> None:
    """Keys for the HTTP interfaces: make, list, remove."""


def _file(state_dir: Path | None) -> Path:
    return find_socket(state_dir).parent / HTTP_KEYS


def _fail(error: Exception) -> None:
    click.echo(f"postwright: {error}", err=True)
    sys.exit(1)


@command.command("add")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(list(keys.SCOPES)), help="What it may; several times.")
@click.option("--expires", default="", metavar="TIME", help="After which it is no key any more: 12h, 90d, 52w; else it never ends.")
@click.option("--from", "networks", multiple=True, metavar="CIDR", help="The only networks that it is good for; several times.")
@click.option("--user", default="", metavar="NAME", help="The <smtp-user> whose rights and limits count for mail that it hands in.")
@own_form_option
def add(name: str, scopes: tuple[str, ...], expires: str, networks: tuple[str, ...], user: str, state_dir: Path | None) -> None:
    """Make a key, and print it: the only time that anybody sees it.

    \b
    Scopes: read (status, queues, events), logs, queues (pause, delete and so on), suppression, submit (hand in mail), config, admin (all).
    Example: postwright key add shop --scope submit --scope read --expires 365d
    Exit status: 0 done, 1 there is such a key already or the file cannot be written, 2 wrong command line.
    """
    now = time.time()
    try:
        until = now + _seconds(expires) if expires else 0.0
        secret = keys.add(_file(state_dir), name, list(scopes), now, until, list(networks), user)
    except (keys.KeysError, OSError) as error:
        _fail(error)
    else:
        click.echo(secret)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@own_form_option
def list_(as_json: bool, state_dir: Path | None) -> None:
    """The keys by name: what each may, from where, until when. Never the keys themselves.

    \b
    Example: postwright key list
    Exit status: 0 done, 1 the file cannot be read.
    """
    try:
        found = keys.read(_file(state_dir))
    except keys.KeysError as error:
        _fail(error)
        return
    if as_json:
        told = [{name: value for name, value in msgspec.to_builtins(key).items() if name != "digest"} for key in found]
        click.echo(msgspec.json.encode(told).decode())
        return
    for key in found:
        ends = f"until {_day(key.expires)}" if key.expires else "without an end"
        if key.expires and key.expires <= time.time():
            ends = f"ended {_day(key.expires)}"
        where = f", from {', '.join(key.networks)}" if key.networks else ""
        bound = f", mail by the rules of {key.user}" if key.user else ""
        click.echo(f"{key.name:<24} {', '.join(key.scopes)}; made {_day(key.made)}, {ends}{where}{bound}")


@command.command("remove")
@click.argument("name")
@own_form_option
def remove(name: str, state_dir: Path | None) -> None:
    """Forget a key: whoever still uses it gets 401 from now on.

    \b
    Example: postwright key remove shop
    Exit status: 0 done, 1 there is no such key or the file cannot be written.
    """
    try:
        keys.remove(_file(state_dir), name)
    except (keys.KeysError, OSError) as error:
        _fail(error)


def _day(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d")


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d{1,5})([hdw])", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no time; such as 12h, 90d, 52w", param_hint="--expires")
    return int(found[1]) * _UNITS[found[2]]
