"""`postwright dkim`: makes DKIM keys, prints the records that publish them, compares them with the DNS, plans the change of a key.

Works with or without a running relay, and changes none: what it says to write into the configuration is written by who runs it. Exit
status: 0 done (check: all keys are published), 1 not done (check: some are not), 64 wrong command line.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from postwright.control.cli import tool
from postwright.control.cli.tool import EX_USAGE, ToolCommand, escaped
from postwright.control.cli.words import ShortGroup
from postwright.control.config import load
from postwright.engine import dkim_admin, dkim_keys
from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError
from postwright.policy.settings import Settings

USUAL = Path("/etc/postwright/config")
DAY = 86400.0
_TYPES = click.Choice(["rsa", "ed25519"])


@click.group("dkim", cls=ShortGroup)
def command() -> None:
    """Keys that sign mail (DKIM): make, publish, check, change them.

    \b
    Example: postwright dkim keygen --domain example.com --selector pw2026
             postwright dkim check --config /etc/postwright/config
    Exit status: 0 done (check: all keys are published), 1 not done (check: some are not), 64 wrong command line.
    """


def _told(run: Callable[..., bool]) -> Callable[..., None]:
    """Ends with 0 for True, 1 for False, and tells what the machine refuses."""

    @functools.wraps(run)
    def told(*arguments: Any, **options: Any) -> None:
        try:
            done = run(*arguments, **options)
        except OSError as error:
            click.echo(f"{error.filename or ''}: {error.strerror or error}".lstrip(": "), err=True)
            done = False
        sys.exit(0 if done else 1)

    return told


def _domain(ctx: click.Context, param: click.Parameter, value: str) -> str:
    try:
        return canonical_domain(value.rstrip(".")) if value else ""
    except AddressError as error:
        raise click.BadParameter(str(error)) from None


def _domains(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_domain(ctx, param, one) for one in value)


def _selector(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Labels of the DNS, as `domain-key` takes them."""
    if value and not all(part.replace("-", "").replace("_", "").isalnum() and part.isascii() for part in value.split(".")):
        raise click.BadParameter("letters, digits, - and _, with dots between")
    return value


@command.command("keygen", cls=ToolCommand)
@click.option("--domain", required=True, callback=_domain, help="The domain that signs (d=).")
@click.option("--selector", required=True, callback=_selector, help="The name of the key in that domain.")
@click.option("--type", "kind", type=_TYPES, default="rsa", show_default=True, help="Everybody verifies rsa; ed25519 goes beside it.")
@click.option("--bits", type=click.IntRange(1024, 4096), default=2048, show_default=True, help="Of an RSA key.")
@click.option("--out", type=click.Path(dir_okay=False), default="", help="The file to write. [default: SELECTOR.DOMAIN.pem]")
@_told
def keygen(domain: str, selector: str, kind: str, bits: int, out: str) -> bool:
    """Make a key, and say what to publish and what to configure.

    \b
    Example: postwright dkim keygen --domain example.com --selector pw2026 --out /etc/postwright/dkim/pw2026.pem
    """
    file = out or f"{selector}.{domain}.pem"
    key, pem = dkim_admin.new_key(kind, bits)
    dkim_admin.keep(file, pem)
    click.echo(f"wrote {file}, which nobody but you can read: the relay must be able to.\n\nPublish:\n")
    _show_record(key.record(), selector, domain)
    click.echo(f"\nWhen `postwright dkim check` finds it there, configure:\n\n    domain-key {selector}, {domain}, {Path(file).absolute()}")
    if kind == "ed25519":
        click.echo("    second-dkim-sign yes                        # in the <domain> that signs")
        click.echo("    second-dkim-algorithm ed25519-sha256")
    return True


@command.command("record", cls=ToolCommand)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--domain", required=True, callback=_domain, help="The domain that signs (d=).")
@click.option("--selector", required=True, callback=_selector, help="The name of the key in that domain.")
@click.option("--text", is_flag=True, help="The text alone, for forms of DNS providers.")
@_told
def record(file: str, domain: str, selector: str, text: bool) -> bool:
    """Print the DNS record that belongs to the key in FILE, as a zone file has it.

    \b
    Example: postwright dkim record pw2026.pem --domain example.com --selector pw2026
    """
    key = dkim_keys.read(file)
    if isinstance(key, dkim_keys.Broken):
        click.echo(f"{file} {key.reason}", err=True)
        return False
    if text:
        click.echo(key.record())
    else:
        _show_record(key.record(), selector, domain)
    return True


@command.command("check", cls=ToolCommand)
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), default=USUAL, show_default=True, help="Whose domain-key lines.")
@click.option("--domain", "domains", multiple=True, callback=_domains, help="This domain only; needed for keys for *. Repeat for more.")
@click.option("--server", "servers", multiple=True, metavar="ADDRESS[:PORT]", help="Ask this name server. [default: the configuration's]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each key.")
@_told
def check(config: Path, domains: tuple[str, ...], servers: tuple[str, ...], as_json: bool) -> bool:
    """Is each key of the configuration published, and is it that key?

    \b
    Example: postwright dkim check --config /etc/postwright/config --domain example.com
    """
    settings = _settings(config)
    wanted = dkim_admin.to_compare(settings, domains)
    for key in dkim_admin.patterns(settings) if not domains else []:
        click.echo(f"{key.origin}: {key.selector}, {key.domain}: say which domains with --domain", err=True)
    if not wanted:
        click.echo("there is no key to look for", err=True)
        return False
    try:
        found = asyncio.run(dkim_admin.compare(wanted, servers or settings.general.name_server, settings.vault))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    for one in found:
        click.echo(tool.as_json(one) if as_json else f"{one.state:8} {one.name}: {escaped(one.words)}")
    return all(one.good for one in found)


@command.command("rotate", cls=ToolCommand)
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), default=USUAL, show_default=True, help="Whose domain-key lines.")
@click.option("--domain", required=True, callback=_domain, help="The domain whose key changes.")
@click.option("--selector", default="", callback=_selector, help="Of the new key. [default: pw and the date]")
@click.option("--bits", type=click.IntRange(1024, 4096), default=2048, show_default=True, help="Of a new RSA key.")
@click.option("--out", type=click.Path(dir_okay=False), default="", help="The file of the new key. [default: beside the old one]")
@_told
def rotate(config: Path, domain: str, selector: str, bits: int, out: str) -> bool:
    """Make the next key of a domain and plan the overlap of both, step by step.

    \b
    Example: postwright dkim rotate --config /etc/postwright/config --domain example.com
    """
    settings = _settings(config)
    old = next((key for key in dkim_keys.domain_keys(settings) if key.domain == domain), None)
    if old is None:
        click.echo(f"no domain-key line is for {domain}; keygen makes a first one", err=True)
        return False
    before = asyncio.run(dkim_admin.current(old, settings.vault))
    now = time.time()
    selector = selector or time.strftime("pw%Y%m%d", time.gmtime(now))
    if selector == old.selector:
        raise click.UsageError(f"the selector {selector} is the old key's; a new key wants a new one (--selector)")
    vaulted = old.file.startswith(dkim_keys.VAULT)
    if isinstance(before, dkim_keys.Broken):
        click.echo(f"the old key cannot be had, so the new one is RSA: {old.file} {before.reason}", err=True)
    file = out or f"{selector}.{domain}.pem" if vaulted else out or str(Path(old.file).with_name(f"{selector}.{domain}.pem"))
    key, pem = dkim_admin.new_key("ed25519" if not isinstance(before, dkim_keys.Broken) and before.kind == "ed25519" else "rsa", bits)
    dkim_admin.keep(file, pem)
    click.echo(f"1. wrote {file}. Publish now, and leave the record of {old.selector} where it is:\n")
    _show_record(key.record(), selector, domain)
    if vaulted:
        file = _into_vault(old.file, file, selector)
    click.echo(
        f"""
2. Wait until every name server has it. Then at {old.origin} write

    domain-key {selector}, {domain}, {file}

   in the place of

    domain-key {old.selector}, {domain}, {old.file}

   and have it looked at and taken up:

    postwright dkim check --config {config} --domain {domain}
    postwright reload

3. Mail signed with the old key is on its way for up to {dkim_admin.longest_wait(settings) / DAY:.0f} days after that. Then revoke it:
"""
    )
    for line in dkim_admin.zone_lines(dkim_admin.record_name(old.selector, domain), "v=DKIM1; p="):
        click.echo(f"    {line}")
    click.echo(f"\n   A month later take away its record and its {'secret' if vaulted else 'file'}.")
    return True


def _into_vault(old: str, file: str, selector: str) -> str:
    """Says how a new key gets into the vault, beside the old one; how a domain-key line names it there."""
    path = old.removeprefix(f"{dkim_keys.VAULT}:").rpartition(":")[0]
    click.echo("\n   Put it into the vault, beside the old one, and take the file away. With HashiCorp's client:\n")
    click.echo(f"    vault kv patch {path.lstrip('/').replace('/data/', '/', 1)} {selector}=@{file}")
    click.echo(f"    shred -u {file}")
    return f"{dkim_keys.VAULT}:{path}:{selector}"


def _settings(config: Path) -> Settings:
    result = load(config, offline=True)
    if result.settings is None:
        click.echo(f"{config}: has errors; `postwright check {config}` tells them", err=True)
        sys.exit(EX_USAGE)
    return result.settings


def _show_record(text: str, selector: str, domain: str) -> None:
    for line in dkim_admin.zone_lines(dkim_admin.record_name(selector, domain), text):
        click.echo(f"    {line}")
