"""`postwright doctor`: what is wrong with this relay and what cures it, before a receiver tells it. Asks no running relay and changes
nothing."""

from __future__ import annotations

import asyncio
import sys
from ipaddress import ip_address
from pathlib import Path

import click

from postwright.control.cli import tool
from postwright.control.cli.config import settings_of
from postwright.control.cli.places import default_state_dir
from postwright.control.cli.tool import BAD, GOOD, NOTE, PLAIN, Line, ToolCommand
from postwright.engine.doctor.blocklists import USUAL
from postwright.engine.doctor.examine import GROUPS, examine_here
from postwright.engine.doctor.finding import Finding, Level, Section, status, worst
from postwright.engine.doctor.outward import targets_of
from postwright.engine.doctor.patient import Wishes
from postwright.engine.resolving import NoValidator
from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError

_MARKS: dict[Level, str] = {"ok": GOOD, "note": NOTE, "unknown": NOTE, "warning": BAD, "error": BAD}


def _addresses(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(str(ip_address(one)) for one in value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _domains(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(canonical_domain(one.rstrip(".")) for one in value)
    except AddressError as error:
        raise click.BadParameter(str(error)) from None


def _hosts(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        for one in value:
            targets_of(one)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return value


@click.command("doctor", cls=ToolCommand)
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file; else /etc/postwright/config.")
@click.option("--tolerant", is_flag=True, help="Read the file as `run --tolerant` does.")
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="State folder of the relay (as given to `run`).")
@click.option("--only", "groups", multiple=True, type=click.Choice(list(GROUPS)), help="This group of checks; repeat for more.")
@click.option("--reach", multiple=True, callback=_hosts, metavar="HOST[:PORT]", help="Try the way out to this host; repeat for more.")
@click.option("--address", "addresses", multiple=True, callback=_addresses, metavar="IP", help="By which the world sees this machine.")
@click.option("--domain", "domains", multiple=True, callback=_domains, help="A sender domain beside those of domain-key.")
@click.option("--blocklists", is_flag=True, help=f"Ask blocklists whether we are listed: {', '.join(USUAL)}.")
@click.option("--blocklist", "zones", multiple=True, callback=_domains, metavar="ZONE", help="Ask this one; repeat for more.")
@click.option("--timeout", "patience", type=click.FloatRange(0.1, 120), default=10.0, show_default=True, help="Seconds for a connection.")
@click.option("--all", "everything", is_flag=True, help="Show what is well, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(
    config: Path | None, tolerant: bool, state_dir: Path | None, groups: tuple[str, ...], blocklists: bool, zones: tuple[str, ...],
    everything: bool, as_json: bool, reach: tuple[str, ...], addresses: tuple[str, ...], domains: tuple[str, ...], patience: float,
) -> None:  # fmt: skip
    """What is wrong with this relay, and what cures it: names, sender domains, the way out, relaying, certificates, clock, disks, files.

    Asks the DNS as the relay does; connects to nobody but the hosts that --reach and the configuration name. Exit statuses are those of
    plug-ins for monitoring systems.

    \b
    Example: postwright doctor --config /etc/postwright/config --reach mx.example.net
             postwright doctor --only dns --only machine --json
    Exit status: 0 well, 1 warnings, 2 errors, 3 something could not be found out and nothing is worse, 64 wrong command line.
    """
    settings = settings_of(config, tolerant)
    wishes = Wishes(reach, addresses, domains, zones or (USUAL if blocklists else ()), patience)
    try:
        sections = asyncio.run(examine_here(settings, wishes, (state_dir or default_state_dir()).absolute(), groups))
    except NoValidator as missing:
        raise click.UsageError(f"{missing}; {missing.hint}") from None
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(tool.as_json({"level": worst(sections), "sections": sections}))
    else:
        _show(sections, everything)
    sys.exit(status(sections))


def _show(sections: list[Section], everything: bool) -> None:
    shown = [(one.title, _lines(one.findings, everything)) for one in sections]
    tool.show_sections([(title, lines) for title, lines in shown if lines])
    levels = [finding.level for section in sections for finding in section.findings]
    counted = [f"{levels.count(level)} {word}" for level, word in _WORDS.items() if level in levels]
    click.echo(", ".join(counted))


_WORDS: dict[Level, str] = {"error": "wrong", "warning": "doubtful", "unknown": "unknown", "note": "to be noted", "ok": "well"}


def _lines(findings: tuple[Finding, ...], everything: bool) -> list[Line]:
    lines: list[Line] = []
    for one in findings:
        if one.level == "ok" and not everything:
            continue
        lines.append((_MARKS[one.level], one.level, f"{one.subject}: {one.text}"))
        if one.cure:
            lines.append((PLAIN, "", f"-> {one.cure}"))
    return lines
