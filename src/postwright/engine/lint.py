"""`postwright lint`: which sender rules a message breaks, as a relay with these settings would judge it. Nothing is sent, nothing is kept.

The message really takes the way of a submission (`engine.dry_run`), so what is told is what a source would note, mend or refuse: the
virtual MTA is chosen, the keys of its queue are looked at. Sources that judge nothing judge here. Without a configuration only the
message itself is judged, and who will sign it is not asked. Raises NotAsked for a listener or user that there is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from postwright.content.dkim_signature import FIELD
from postwright.content.from_field import mailboxes
from postwright.content.headers import find, has
from postwright.content.sender_rules import RULES, Finding
from postwright.engine.dry_run import DryRun, NotAsked, listener_at
from postwright.engine.outside import make_resolver
from postwright.model.address import Address, parse_mailbox
from postwright.model.errors import AddressError
from postwright.net.clock import Clock, SystemClock
from postwright.net.interfaces import local_addresses
from postwright.net.resolver import Resolver
from postwright.policy.settings import Assignment, ListenerSettings, Origin, Settings, SourceBlock
from postwright.wire.body import repair, scan

__all__ = ["LintOrder", "Linted", "NotAsked", "lint", "lint_here"]

SENDER: Final = "sender@example.invalid"  # where the message names nobody
RECIPIENT: Final = "recipient@example.invalid"
EVERYBODY: Final = ("0.0.0.0/0", "::/0")
_OF_SIGNING: Final = ("signature", "unsubscribe-signed")


class LintOrder(Struct, frozen=True):
    """`content` is the message with any line ends. `sender` and `recipient` None: by From and To. `bulk`: it is bulk mail, whatever the
    source says. `client`, `user`, `listener` as `explain` has them."""

    content: bytes
    sender: Address | None = None
    recipient: Address | None = None
    client: str = "127.0.0.1"
    user: str = ""
    listener: str = ""
    bulk: bool = False


class Told(Struct, frozen=True):
    """A broken rule for people and programs; `must`: providers refuse such mail."""

    rule: str
    must: bool
    wrong: str
    cure: str
    source: str

    @property
    def line(self) -> str:
        """On one line."""
        return f"{'must' if self.must else 'should'}\t{self.rule}: {self.wrong}; {self.cure} ({self.source})"


class Linted(Struct, frozen=True):
    """`findings` in the order of the rules, `fixed` the rules that `sender-rules fix` takes care of. `refused`: what the relay answers, and
    after which verb, "" where it takes the message."""

    findings: tuple[Told, ...]
    fixed: tuple[str, ...] = ()
    refused: str = ""

    @property
    def good(self) -> bool:
        """It would be taken, and breaks no rule that providers insist on."""
        return not self.refused and not any(one.must for one in self.findings)


async def lint(settings: Settings | None, order: LintOrder, *, clock: Clock, resolver: Resolver, folder: Path) -> Linted:
    """`folder`: an empty one that may be written to. The resolver is closed at the end."""
    content = repair(order.content)
    judging = _judging(settings if settings is not None else _nobodys(content), bulk=order.bulk)
    run = DryRun(judging, clock=clock, resolver=resolver, folder=folder, local=local_addresses())
    try:
        found = listener_at(judging.listeners, order.listener)
        if found is None:
            raise NotAsked(f"there is no smtp-listener {order.listener}".rstrip())
        sender = order.sender or _address(content, b"from", SENDER)
        recipient = order.recipient or _address(content, b"to", RECIPIENT)
        outcome = await run.submit(*found, order.client, order.user, sender, recipient, content)
        rules = run.node.intake.submissions.rules
        findings = tuple([_told(one) for one in rules.last]) if rules is not None else ()
        if outcome.message is None:
            return Linted(findings, refused=f"{outcome.refusal.text} (after {outcome.stage})" if outcome.refusal is not None else "")
        fixed = [name.partition(":")[2] for name in outcome.message.sender_rules.split() if name.startswith("fixed:")]
        return Linted(findings, tuple(fixed))
    finally:
        await run.close()


async def lint_here(settings: Settings | None, order: LintOrder) -> Linted:
    """On this machine, with its time and the name servers of the settings. Raises ValueError or OSError for what a relay would not start
    with."""
    with TemporaryDirectory(prefix="postwright-lint-") as folder:
        return await lint(settings, order, clock=SystemClock(), resolver=make_resolver(settings or Settings()), folder=Path(folder))


def _told(one: Finding) -> Told:
    rule = RULES[one.rule]
    return Told(one.rule, one.must, one.wrong, rule.cure, rule.source)


def _address(content: bytes, name: bytes, otherwise: str) -> Address:
    """The first address of a field."""
    field = next(iter(find(content, scan(content).header_size, frozenset((name,)))), None)
    for text in mailboxes(field.value) if field is not None else ():
        try:
            return parse_mailbox(text, smtputf8=True)
        except AddressError:
            break
    return parse_mailbox(otherwise)


def _judging(settings: Settings, *, bulk: bool) -> Settings:
    """The settings, but every source judges."""
    more = {"sender_rules_bulk": "always"} if bulk else {}
    blocks = [replace(block, assignments=_on(block.assignments) | _scope(more)) for block in settings.sources]
    widest = [SourceBlock(network, "", _scope({"sender_rules": "warn"} | more)) for network in EVERYBODY]
    return replace(settings, sources=(*widest, *blocks))


def _on(assignments: dict[str, Assignment]) -> dict[str, Assignment]:
    return {name: one for name, one in assignments.items() if name != "sender_rules" or one.value != "off"}


def _scope(values: Mapping[str, object]) -> dict[str, Assignment]:
    return {name: Assignment(value, Origin()) for name, value in values.items()}


def _nobodys(content: bytes) -> Settings:
    """A relay that takes everything. Of signatures it can judge those only that are there."""
    said: dict[str, object] = {"always_allow_relaying": True}
    if not has(content, scan(content).header_size, FIELD):
        said["sender_rules_except"] = _OF_SIGNING
    blocks = tuple([SourceBlock(network, "", _scope(said)) for network in EVERYBODY])
    return Settings(listeners=(ListenerSettings("127.0.0.1", 25),), sources=blocks)
