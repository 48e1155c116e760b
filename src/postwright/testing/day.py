"""A day of a configuration in a simulated world: its own queues and limits, providers as they are, mail by chance out of a seed.

    python -m postwright.testing.day /etc/pmta/config --seed 7 --messages 20000

Mail goes to the domains that the configuration names, most of it in mailings, some all day long; whose customers live where is in
`provider_map`. What is taken from the configuration is what holds for delivery. Who may submit is replaced by one source that may do all,
transports that run programs or write files by SMTP; nothing is signed, and nothing of this machine is read but the configuration. The same
seed gives the same report. Exit status 0 when no limit was exceeded and no recipient lost, else 1; 2 when the configuration cannot be read.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from random import Random

import click
from msgspec import Struct
from msgspec.structs import replace

from postwright.model.address import parse_mailbox
from postwright.model.errors import AddressError
from postwright.policy.resolve import Resolved
from postwright.policy.settings import AcctFileSettings, Assignment, ListenerSettings, Origin, Scope, Settings, SourceBlock
from postwright.testing.provider_map import home_of
from postwright.testing.provider_report import DayReport, Watch, breaches, report
from postwright.testing.providers import HOUR, Providers
from postwright.testing.world import World
from postwright.testing.world_settings import RECORDS

DAY = 24 * HOUR
SENDERS = tuple(f"news@sender{number}.example" for number in range(1, 8))
USUAL = ("gmail.com", "yahoo.com", "hotmail.com", "gmx.de", "orange.fr", "mail.ru", "qq.com", "163.com", "comcast.net", "firm.example")
_MAILING = 500  # messages, about
_CUSTOMERS = {"google": 40, "microsoft": 20, "yahoo": 20, "united internet": 6, "comcast": 4, "companies": 6}  # how they compare
_FREE = {"always_allow_relaying": True, "smtp_service": True, "process_x_virtual_mta": True, "process_x_job": True}
_NOT_HERE = {
    "type",
    "command",
    "file_destination",
    "http_delivery_url",
    "smtp_hosts",
    "auth_username",
    "auth_password",
    "backoff_notify",
    "require_starttls",
    "use_dane",
    "use_mta_sts",
    "dkim_sign",
    "second_dkim_sign",
    "check_spf_outbound",
}


class Sending(Struct, frozen=True):
    """One message: when (seconds since the day began), by which virtual MTA or pool ("": as configured), of which job."""

    at: float
    sender: str
    recipient: str
    vmta: str
    job: str


class Day(Struct, frozen=True):
    """What came of it. `breaches`: limits that the receivers saw exceeded; `lost`: accepted recipients with no fate or with two."""

    report: DayReport
    breaches: list[str]
    lost: list[str]
    providers: Providers


def simulate(settings: Settings, *, seed: int = 0, messages: int = 2000, hours: float = 24.0) -> Day:
    """A day of `hours`, in which so many messages are submitted."""
    settings = adapted(settings)
    with World(settings, seed=seed) as world:
        providers = Providers(world, seed)
        chosen = domains(settings)
        for domain in chosen:
            providers.settle(home_of(domain), domain)
        for sender in SENDERS:
            world.domain(sender.rpartition("@")[2])
        watch = Watch(providers)
        accepted = world.run(_live(world, traffic(settings, chosen, seed, messages), hours * HOUR))
        return Day(report(providers, watch, accepted), breaches(providers, Resolved(settings)), _lost(world, accepted), providers)


async def _live(world: World, sendings: Iterable[Sending], seconds: float) -> list[str]:
    """Submit all of it at its time, and let the day pass; returns the recipients that were accepted."""
    accepted: list[str] = []
    for sending in sendings:
        await asyncio.sleep(max(0.0, sending.at - world.now))
        headers = {"x-job": sending.job, **({"x-virtual-mta": sending.vmta} if sending.vmta else {})}
        taken = await world.submitting(sending.sender, [sending.recipient], headers=headers)
        if taken.accepted:
            accepted.append(sending.recipient)
    await asyncio.sleep(max(0.0, seconds - world.now))
    return accepted


def _lost(world: World, accepted: Sequence[str]) -> list[str]:
    fates: Counter[str] = Counter()
    for (_, recipient), count in world.fates().items():
        fates[recipient] += count
    waiting = sum(node.scheduler.recipients for node in world.nodes)
    without = [recipient for recipient in accepted if not fates[recipient]]
    twice = [f"{recipient}: {fates[recipient]} fates" for recipient in accepted if fates[recipient] > 1]
    return twice if len(without) <= waiting else [*twice, f"{len(without)} recipients without a fate, {waiting} in queues"]


# -- the configuration ---------------------------------------------------------------------------


def adapted(settings: Settings) -> Settings:
    """What of a configuration can be simulated; see the module."""
    return replace(
        settings,
        general=replace(settings.general, users_file=(), include_headers_from="", kerberos_keytab="", tlsrpt=False),
        listeners=(ListenerSettings("192.0.2.1", 25),),
        sources=(SourceBlock("0.0.0.0/0", "", _free(settings)),),
        users={},
        acct_files=(AcctFileSettings("day.csv", records=RECORDS),),
        domains=tuple(replace(block, assignments=_sendable(block.assignments)) for block in settings.domains),
        vmtas={
            name: replace(
                vmta, domains=tuple(replace(block, assignments=_sendable(block.assignments)) for block in vmta.domains), use_proxy=()
            )
            for name, vmta in settings.vmtas.items()
        },
        use_proxy=(),
    )


def _free(settings: Settings) -> Scope:
    """The configuration's own source for those who may relay (patterns, default virtual MTA), without what a stranger would have to do."""
    own = next((block.assignments for block in settings.sources if _relays(block)), {})
    barred = {"require_auth", "require_starttls", "require_starttls_before_auth", "max_message_size", "max_msg_per_session"}
    kept = {name: value for name, value in own.items() if name not in barred and not _dangles(settings, name, value)}
    return {**kept, **{name: Assignment(value, Origin()) for name, value in _FREE.items()}}


def _dangles(settings: Settings, name: str, said: Assignment) -> bool:
    """A default virtual MTA that a tolerant load has left out."""
    known = {*settings.vmtas, *settings.pools}
    return name == "default_virtual_mta" and str(said.value).lower() not in known


def _relays(block: SourceBlock) -> bool:
    said = block.assignments.get("always_allow_relaying")
    return said is not None and bool(said.value)


def _sendable(assignments: Scope) -> Scope:
    return {name: value for name, value in assignments.items() if name not in _NOT_HERE}


def domains(settings: Settings) -> list[str]:
    """The domains that a configuration names and that could have mailboxes, in one order; the usual ones when it names but a few."""
    blocks = [*settings.domains, *(block for vmta in settings.vmtas.values() for block in vmta.domains)]
    named = dict.fromkeys(block.pattern.lower() for block in blocks if _has_mailboxes(block.pattern.lower()))
    return list(named) if len(named) >= len(USUAL) else list(dict.fromkeys((*named, *USUAL)))


def _has_mailboxes(pattern: str) -> bool:
    if "." not in pattern or pattern.endswith(".rollup") or any(char in pattern for char in "*[]{}$_"):
        return False
    try:
        parse_mailbox(f"someone@{pattern}")
    except AddressError:
        return False
    return True


def traffic(settings: Settings, chosen: Sequence[str], seed: int, messages: int) -> list[Sending]:
    """Seven of ten messages belong to mailings, which begin within the first half of the day; the others come whenever they come."""
    chance = Random(f"{seed}/traffic")
    weights = _weights(chosen)
    ways = ["", "", *settings.pools, *(name for name, vmta in settings.vmtas.items() if vmta.smtp_source_host)]
    mailings = [(chance.uniform(0, DAY / 2), chance.choice(SENDERS), chance.choice(ways)) for _ in range(1 + messages // _MAILING)]
    found = []
    for number in range(messages):
        recipient = f"user{number}@{chance.choices(chosen, weights)[0]}"
        if chance.random() < 0.7:
            mailing = chance.randrange(len(mailings))
            begin, sender, way = mailings[mailing]
            found.append(Sending(begin + chance.uniform(0, HOUR / 2), sender, recipient, way, f"mailing{mailing}"))
        else:
            found.append(Sending(chance.uniform(0, DAY), chance.choice(SENDERS), recipient, chance.choice(ways), "single"))
    return sorted(found, key=lambda sending: (sending.at, sending.recipient))


def _weights(chosen: Sequence[str]) -> list[float]:
    """How many write to each: most of a provider's customers have addresses in the first of its domains."""
    rank: Counter[str] = Counter()
    weights = []
    for domain in chosen:
        home = home_of(domain).name
        rank[home] += 1
        weights.append(_CUSTOMERS.get(home, 2) / rank[home] ** 2)
    return weights


# -- the command ---------------------------------------------------------------------------------


@click.command()
@click.argument("config", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("-n", "--messages", type=click.IntRange(1, 1_000_000), default=2000, show_default=True)
@click.option("--hours", type=click.FloatRange(0.1, 240), default=24.0, show_default=True)
def command(config: Path, seed: int, messages: int, hours: float) -> None:
    """Drive a simulated day by CONFIG and report what was sent, when, and which limit bound."""
    # By name only, as `control` names the tools: a world needs settings, and does not care what language they were written in.
    loaded = import_module("postwright.control.config").load(config, tolerant=True, offline=True)
    if loaded.settings is None:
        for problem in loaded.errors:
            click.echo(str(problem), err=True)
        sys.exit(2)
    try:
        day = simulate(loaded.settings, seed=seed, messages=messages, hours=hours)
    except ValueError as error:  # what is wrong only shows when a relay is made of it, as at `postwright run`
        click.echo(str(error), err=True)
        sys.exit(2)
    click.echo(day.report.as_text())
    for trouble in (*day.breaches, *day.lost):
        click.echo(f"WRONG: {trouble}")
    sys.exit(1 if day.breaches or day.lost else 0)


if __name__ == "__main__":
    command()
