"""What one generation of settings does to addresses: at MAIL and RCPT, and when a content has come.

Everything is compiled when the settings come into force (files of addresses are read then), and resolved once for each source; a session
holds the `SourceRules` of its own, and who asks for none of this pays a look at a flag. Decisions are those of `policy`; here
they only stand in their order. Raises ValueError or OSError when made, for what cannot be used, and never afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from postwright.model.address import Address, parse_mailbox
from postwright.model.envelope import RECIPIENTS_MOST, Envelope, Notify, Recipient
from postwright.model.reply import Reply
from postwright.policy.access import AccessRules, may_relay
from postwright.policy.aliases import Aliases
from postwright.policy.qualify import qualify
from postwright.policy.rewrite import Rewriting
from postwright.policy.select import Selection
from postwright.policy.settings import Settings, SourceSettings
from postwright.policy.suppress import Suppression, holding
from postwright.wire.events import RcptTo

ENDLESS = Reply(554, "5.5.3", ("too many recipients, once aliases are expanded",))


class Addressing:
    """All that the lists of a configuration come to. `access` says who may relay; `host` is our main name."""

    def __init__(self, settings: Settings, access: AccessRules, host: str) -> None:
        general = settings.general
        self.access = access
        self.host = host
        self.suffix = general.domain_suffix
        self.names = frozenset([name.lower() for name in general.host_name])
        self.relay_debug = general.relay_debug
        aliases = Aliases(settings.aliases, general.host_name or (host,), general.postmaster)
        self.aliases = aliases if aliases else None
        self.rewriting = {name: Rewriting(rules) for name, rules in settings.rewrite_lists.items()}
        self.selection = {name: Selection(name, settings.pattern_lists) for name in settings.pattern_lists}
        self.suppression = {name: _suppression(name, settings) for name in _suppressing(settings)}
        self._rules: dict[int, SourceRules] = {}

    def rules(self, source: SourceSettings) -> SourceRules:
        """Those of one source; made at the first question. `source` must live as long as this does (`Resolved` sees to that)."""
        found = self._rules.get(id(source))
        if found is None:
            found = self._rules[id(source)] = SourceRules(self, source)
        return found


class SourceRules:
    """What holds for the sessions of one source.

    `most`: recipients above which the whole message fails. `plain`: nothing is to be done to the envelope of a content that has come.
    """

    __slots__ = (
        "_access", "_aliases_only", "_bounces", "_host", "_names", "_relay_debug", "_suffix", "_suppression",
        "aliases", "bcc", "job_prefix", "most", "plain", "rewriting", "selection", "source", "verp",
    )  # fmt: skip

    def __init__(self, addressing: Addressing, source: SourceSettings) -> None:
        self.source = source
        self._access = addressing.access
        self._host = addressing.host
        self._names = addressing.names
        self._relay_debug = addressing.relay_debug
        self._suffix = addressing.suffix if source.auto_qualify_domain else ""
        self._bounces = source.accept_invalid_recipients
        self._suppression = [addressing.suppression[name.lower()] for name in source.suppression_lists if name]
        self.most = source.max_rcpt_per_message if source.too_many_rcpts_fails_message else None
        self.aliases = addressing.aliases
        self.rewriting = addressing.rewriting.get(source.rewrite_list.lower())
        self.selection = addressing.selection.get(source.pattern_list.lower())
        self.bcc = _mailbox(source.bcc, addressing.host) if source.bcc else None
        self.verp = source.verp_default
        self.job_prefix = source.jobid_prefix
        self._aliases_only = not (self.rewriting or self.bcc or self.verp)
        self.plain = self._aliases_only and self.aliases is None

    # -- at MAIL and RCPT -----------------------------------------------------------------

    def sender(self, address: Address) -> Address:
        """The reverse-path of MAIL, completed where it has no whole domain."""
        return qualify(address, self._suffix, self._names) if self._suffix else address

    def recipient(self, event: RcptTo, authenticated: bool) -> Recipient | Reply:
        """Whom a RCPT adds to the envelope, or why it does not. See `policy.access` for who may relay."""
        address = event.address
        if self._suffix and event.invalid is None:
            address = qualify(address, self._suffix, self._names)
        denied = self._access.on_rcpt(address, self.source, authenticated)
        if denied is not None:
            return event.invalid or (Reply(450, "4.7.1", denied.lines) if self._relay_debug else denied)
        if event.invalid is not None:
            if not may_relay(self.source, authenticated):
                return event.invalid
            return Recipient(address, event.notify, event.orcpt, refusal=_words(event.invalid))
        if not address.domain:
            address = Address(f"{address.text}@{self._host}", self._host.lower())
        recipient = Recipient(address, event.notify, event.orcpt)
        refusal = self._suppressed(address)
        return recipient if refusal is None else self.refused(recipient, refusal, authenticated)

    def refused(self, recipient: Recipient, refusal: Reply, authenticated: bool) -> Recipient | Reply:
        """A recipient who must not be sent to: refused, or taken to be bounced (`accept-invalid-recipients`)."""
        # A stranger who writes to a domain of ours could have the bounce sent to anybody.
        if not self._bounces or not may_relay(self.source, authenticated):
            return refusal
        return replace(recipient, refusal=_words(refusal))

    def trusted(self, authenticated: bool) -> bool:
        """Who speaks may have mail relayed: what we know of recipients is his to know."""
        return may_relay(self.source, authenticated)

    def _suppressed(self, address: Address) -> Reply | None:
        held = holding(self._suppression, address) if self._suppression else None
        return Reply(550, "5.7.1", (f'recipient is in suppression list "{held.name}": <{address.text}>',)) if held is not None else None

    # -- when the content has come ----------------------------------------------------------

    def readdress(self, envelope: Envelope) -> Reply | None:
        """`rewrite-list`, `verp-default`, aliases and `bcc`, unless `plain`; the reply refuses what grows beyond all bounds."""
        recipients, aliases = envelope.recipients, self.aliases
        if self._aliases_only and aliases is not None and not any([r.address.domain in aliases.domains for r in recipients]):  # noqa: C419  # per message
            return None
        if self.rewriting is not None:
            envelope.reverse_path = self.rewriting.sender(envelope.reverse_path)
        envelope.verp = (self.verp or envelope.verp) and bool(envelope.reverse_path.text)
        if aliases is not None:
            recipients = list(islice(self._expanded(aliases, recipients), RECIPIENTS_MOST + 1))
        if self.bcc is not None:
            recipients = [*recipients, Recipient(self.bcc, int(Notify.NEVER))]  # who gets copies is for no report to tell
        if len(recipients) > RECIPIENTS_MOST:
            return ENDLESS
        envelope.recipients = recipients
        addresses = (envelope.reverse_path, *[recipient.address for recipient in recipients])
        envelope.smtputf8 = envelope.smtputf8 or not all(address.text.isascii() for address in addresses)
        return None

    def _expanded(self, aliases: Aliases, recipients: Iterable[Recipient]) -> Iterable[Recipient]:
        """RFC 3461 section 5.2.7.1: who goes on to others gives them its NOTIFY and its ORCPT, which is itself if it has none."""
        for recipient in recipients:
            targets = aliases.expand(recipient.address) if not recipient.refusal else None
            if targets is None:
                yield recipient
                continue
            original = recipient.address.text
            orcpt = recipient.orcpt or f"{'rfc822' if original.isascii() else 'utf-8'};{original}"
            for target in targets:
                yield self._target(replace(recipient, address=target, orcpt=orcpt))

    def _target(self, recipient: Recipient) -> Recipient:
        """Who has said no is not written to through an alias either. That is recorded, and no news for who wrote to the alias."""
        refusal = self._suppressed(recipient.address)
        return recipient if refusal is None else replace(recipient, notify=int(Notify.NEVER), refusal=_words(refusal))

    def job(self, job: str, user: str) -> str:
        """`jobid-prefix` before a job that has a name; `{auth}` in it is who has logged in."""
        return self.job_prefix.replace("{auth}", user) + job if job else ""


def _words(refusal: Reply) -> str:
    """A reply as `Recipient.refusal` keeps it."""
    return f"{refusal.status} {' '.join(refusal.lines)}"


def _mailbox(text: str, host: str) -> Address:
    return parse_mailbox(text if "@" in text else f"{text}@{host}", smtputf8=True)


def _suppressing(settings: Settings) -> set[str]:
    """The lists that some source names: others may be of any size without anybody's reading them."""
    blocks = [block.assignments.get("suppression_lists") for block in settings.sources]
    return {name.lower() for assignment in blocks if assignment is not None for name in assignment.value if name}


def _suppression(name: str, settings: Settings) -> Suppression:
    """A list that cannot be read whole is an OSError: without it we would mail those who have said no."""
    entries = settings.address_lists[name]
    return Suppression(entries.name or name, entries, [Path(file).read_bytes() for file in entries.files])
