"""What holds for a message on its way in, fact by fact with its line: who the client is, what becomes of the addresses, who chose the
virtual MTA. Looks at what a dry run came to; decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from postwright.engine.dry_run import Chosen, Outcome
from postwright.engine.explain_values import Fact, Section
from postwright.model.envelope import Recipient
from postwright.model.message import Message
from postwright.model.rank import class_of, priority_of
from postwright.policy.access import AccessRules, may_relay
from postwright.policy.assign import DEFAULT_OF_SOURCE, HEADER, PATTERN_LIST, chosen_by
from postwright.policy.resolve import Explained, Resolved
from postwright.policy.settings import ListenerSettings, Origin, Settings, SourceSettings


def client(resolved: Resolved, peer: str, listener: ListenerSettings, outcome: Outcome) -> Section:
    """Which `<source>` blocks hold, and all that they and the login say."""
    facts = [Fact("client", f"{peer} at {listener.address}:{listener.port}", listener.origin)]
    user = outcome.user
    if user is not None:
        facts.append(Fact("logged in as", user.name, user.origin))
    facts += _blocks(resolved, peer, listener, outcome)
    if may_relay(outcome.source, user is not None):
        facts.append(Fact("may send to", "everybody"))
    else:
        facts += [Fact("may send to", "relay-domain and relay-address only"), *_relayed(resolved.settings, outcome)]
    facts += [Fact(row.directive, row.value, row.origin, "source") for row in outcome.rows if row.origin.file]
    return Section("client", tuple(facts))


def _relayed(settings: Settings, outcome: Outcome) -> Iterator[Fact]:
    """Whose word lets a stranger's mail for this recipient in: that of the first pattern that does."""
    if outcome.chosen is None:
        return
    address = outcome.chosen.recipients[0].address
    for directive, pattern in _patterns(settings):
        lists = [(pattern,) if directive == name else () for name in ("relay-domain", "relay-address", "host-name")]
        if AccessRules(*lists).on_rcpt(address, SourceSettings(), False) is None:
            field = {"relay-domain": f"relay_domains {pattern}", "relay-address": f"relay_addresses {pattern}"}.get(directive, "host_name")
            yield Fact(directive, pattern, settings.lines.get(("", field), Origin()))
            return


def _patterns(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from (("relay-domain", pattern) for pattern in settings.relay_domains)
    yield from (("relay-address", pattern) for pattern in settings.relay_addresses)
    yield from (("host-name", name) for name in settings.general.host_name)


def _blocks(resolved: Resolved, peer: str, listener: ListenerSettings, outcome: Outcome) -> Iterator[Fact]:
    user = outcome.user
    name, bound = (user.name, user.source) if user is not None else ("", "")
    origins = {block.network or block.name.lower(): block.origin for block in resolved.settings.sources}
    labels = [label for label, _ in resolved.source_blocks(peer, listener.source, name, bound)]
    if not labels:
        yield Fact("source", "no block speaks of this client")
    for label in labels:
        yield Fact("source", label, origins.get(label.lower(), Origin()))


# -- addresses ----------------------------------------------------------------------------------


def addresses(resolved: Resolved, outcome: Outcome, chosen: Chosen, message: Message) -> Section:
    """Sender and recipients as they are after rewriting, aliases, copies and suppression."""
    envelope, lines = message.envelope, _lines(outcome.rows)
    facts = [Fact("sender", f"<{envelope.reverse_path.text}>")]
    if envelope.reverse_path != chosen.sender:
        facts = [Fact("sender", f"<{chosen.sender.text}> becomes <{envelope.reverse_path.text}>", lines["rewrite-list"])]
    signs = outcome.source.signed_return_path
    if signs and envelope.reverse_path.text:
        facts.append(Fact("return path", f"a signed one for each recipient at {signs}", lines["signed-return-path"]))
    elif envelope.verp:
        facts.append(Fact("return path", "one for each recipient (VERP)", lines["verp-default"]))
    before = [recipient.address for recipient in chosen.recipients]
    for recipient in envelope.recipients:
        facts.append(_recipient(resolved, outcome, recipient, recipient.address in before, lines))
    if message.job:
        facts.append(Fact("job", message.job, lines["process-x-job"]))
    if message.not_before > message.received_at:
        facts.append(Fact("held", f"for {message.not_before - message.received_at:.0f} s", lines["process-x-schedule"]))
    if message.sender_rules:
        facts.append(Fact("sender rules", f"broken: {message.sender_rules}", lines["sender-rules"]))
    return Section("addresses", tuple(facts))


def _recipient(resolved: Resolved, outcome: Outcome, recipient: Recipient, said: bool, lines: dict[str, Origin]) -> Fact:
    address = f"<{recipient.address.text}>"
    if recipient.refusal:
        line = lines["suppression-lists"] if "suppression list" in recipient.refusal else lines["accept-invalid-recipients"]
        return Fact("recipient", f"{address} is bounced: {recipient.refusal}", line)
    if said:
        return Fact("recipient", address)
    if recipient.orcpt:
        original = recipient.orcpt.partition(";")[2]
        return Fact("recipient", f"{address}, by the alias {original}", _alias_line(resolved, original))
    return Fact("recipient", f"{address}, a copy", lines["bcc"])


def _alias_line(resolved: Resolved, original: str) -> Origin:
    """The line that leads on from there; of several the last, as it is with aliases."""
    local, _, domain = original.lower().partition("@")
    names = (f"{local}@{domain}", f"*@{domain}", local)
    lines = [alias.origin for name in names for alias in resolved.settings.aliases if alias.address.lower() == name]
    return lines[-1] if lines else Origin()


def _lines(rows: list[Explained]) -> dict[str, Origin]:
    return {row.directive: row.origin for row in rows}


# -- the virtual MTA ------------------------------------------------------------------------------


def virtual_mta(resolved: Resolved, outcome: Outcome, chosen: Chosen, message: Message) -> Section:
    """Which one, and whose word it was."""
    facts = [*_chooser(resolved, outcome, chosen), *_choice(resolved, outcome, chosen, message)]
    rank = f"{priority_of(message.priority)} ({class_of(message.priority)})"
    facts.append(Fact("priority", rank, _rank_line(chosen, _lines(outcome.rows))))
    return Section("virtual MTA", tuple(facts))


def _chooser(resolved: Resolved, outcome: Outcome, chosen: Chosen) -> Iterator[Fact]:
    lines, user = _lines(outcome.rows), outcome.user
    if chosen.bound is not None and chosen.bound.streams and user is not None:
        line = resolved.line("virtual_mta", f"smtp-user {user.name}")
        yield Fact("chosen by", f"the login: virtual-mta {', '.join(user.virtual_mta)}", line if line.file else user.origin)
        return
    by = chosen_by(chosen.header, outcome.source, chosen.selected.virtual_mta)
    if by == HEADER:
        yield Fact(
            "chosen by", f"the header field x-virtual-mta: {(chosen.header or '').strip() or 'empty'}", lines["process-x-virtual-mta"]
        )
    elif by == PATTERN_LIST:
        yield Fact("chosen by", f"pattern-list {outcome.source.pattern_list}", lines["pattern-list"])
    elif by == DEFAULT_OF_SOURCE:
        yield Fact("chosen by", f"default-virtual-mta {outcome.source.default_virtual_mta}", lines["default-virtual-mta"])
    else:
        yield Fact("chosen by", "nobody, so it is {default}")
    for line in chosen.trail:
        yield Fact("line of the list", _result(chosen), line)


def _result(chosen: Chosen) -> str:
    found = chosen.selected
    words = [f"virtual-mta={found.virtual_mta}"] if found.virtual_mta else []
    words += [f"priority={found.recipient_priority}"] if found.recipient_priority is not None else []
    return ", ".join([*words, *([f"class={found.latency_class}"] if found.latency_class else [])])


def _choice(resolved: Resolved, outcome: Outcome, chosen: Chosen, message: Message) -> Iterator[Fact]:
    known, pool = resolved.vmta(message.vmta), resolved.pool(message.pool)
    fallback = resolved.settings.general.invalid_virtual_mta_fallback
    wanted = (chosen.header or "").strip() if outcome.source.process_x_virtual_mta and chosen.header is not None else ""
    if wanted and fallback and resolved.vmta(wanted) is None and resolved.pool(wanted) is None:
        yield Fact("instead", f"invalid-virtual-mta-fallback {fallback}", resolved.line("invalid_virtual_mta_fallback"))
    if pool is not None:
        yield Fact("pool", f"{pool.name}; its members take turns: {', '.join(pool.members)}", pool.origin)
    if known is not None:
        yield Fact("virtual MTA", known.name, known.origin)
    elif message.vmta.lower() == "{default}":
        yield Fact("virtual MTA", "{default}")
    else:
        yield Fact("virtual MTA", f"{message.vmta}, which there is not: its mail bounces")


def _rank_line(chosen: Chosen, lines: dict[str, Origin]) -> Origin:
    said = chosen.selected.recipient_priority is not None or chosen.selected.latency_class
    return chosen.trail[0] if said and chosen.trail else lines["latency-class"]
