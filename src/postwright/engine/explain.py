"""`postwright explain`: what would become of a message, from the client to the host, each step with the line that said so. Nothing is sent.

The message really takes the way (`engine.dry_run`); what came of it is put into words by `explain_intake` and `explain_path`. Raises
NotAsked for a listener or user that there is not.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from postwright.engine import explain_reports, state_folder
from postwright.engine.dry_run import DryRun, NotAsked, listener_at
from postwright.engine.explain_intake import addresses, client, virtual_mta
from postwright.engine.explain_path import path_of
from postwright.engine.explain_values import Journey
from postwright.engine.outside import make_resolver
from postwright.engine.workers import Workers
from postwright.model.address import Address
from postwright.net.clock import Clock, SystemClock
from postwright.net.interfaces import local_addresses
from postwright.net.resolver import Resolver
from postwright.policy.settings import ListenerSettings, Settings

_STATE = ("suppression.db", state_folder.ORDERS)  # what of a relay's state decides about new mail, and is only read
__all__ = ["ExplainOrder", "NotAsked", "explain", "explain_here"]


class ExplainOrder(Struct, frozen=True):
    """`content` is the message, CRLF lines; `user` "" for who does not log in; `listener` `IP:PORT`, IP or port that it comes to, ""
    for the first."""

    sender: Address
    recipient: Address
    content: bytes
    client: str = "127.0.0.1"
    user: str = ""
    listener: str = ""


async def explain(
    settings: Settings,
    order: ExplainOrder,
    *,
    clock: Clock,
    resolver: Resolver,
    folder: Path,
    local: tuple[str, ...] = (),
    workers: Workers | None = None,
) -> Journey:
    """`folder`: an empty one that may be written to; `local`: this machine's addresses. The resolver is closed at the end."""
    run = DryRun(settings, clock=clock, resolver=resolver, folder=folder, local=local, workers=workers)
    try:
        return await _explain(run, *_listener(settings, order.listener), order)
    finally:
        await run.close()


async def explain_here(settings: Settings, order: ExplainOrder, state: Path | None = None) -> Journey:
    """On this machine: its time, its addresses, the name servers of the settings. `state`: the folder of a relay, whose store of those who
    must not be sent to counts, and what an operator has paused. Raises NoValidator as a start of the relay would, and ValueError or OSError
    for what it would not start with."""
    with TemporaryDirectory(prefix="postwright-explain-") as folder:
        for name in _STATE:
            if state is not None and (state / name).exists():
                (Path(folder) / name).symlink_to((state / name).resolve())
        resolver = make_resolver(settings)
        return await explain(settings, order, clock=SystemClock(), resolver=resolver, folder=Path(folder), local=local_addresses())


async def _explain(run: DryRun, listener: ListenerSettings, local: str, order: ExplainOrder) -> Journey:
    outcome = await run.submit(listener, local, order.client, order.user, order.sender, order.recipient, order.content)
    subject = f"from <{order.sender.text}> to <{order.recipient.text}>"
    resolved = run.node.resolved
    sections = [client(resolved, order.client, listener, outcome)]
    if outcome.refusal is not None:
        return Journey(subject, tuple(sections), refusal=f"{outcome.refusal.text} (after {outcome.stage})")
    if outcome.read is not None:
        sections.append(explain_reports.section(resolved.settings, outcome.read))
    message, chosen = outcome.message, outcome.chosen
    if message is None or chosen is None:
        return Journey(subject, tuple(sections))  # a report, which goes to nobody
    sections += [addresses(resolved, outcome, chosen, message), virtual_mta(resolved, outcome, chosen, message)]
    return Journey(subject, tuple(sections), tuple([await path_of(run, message, way) for way in await run.ways()]))


def _listener(settings: Settings, where: str) -> tuple[ListenerSettings, str]:
    found = listener_at(settings.listeners, where)
    if found is None:
        there = ", ".join(f"{one.address}:{one.port}" for one in settings.listeners)
        raise NotAsked(f"there is no smtp-listener {where}; there are: {there}" if there else "there is no smtp-listener")
    return found
