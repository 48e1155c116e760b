"""What receivers' replies tell a queue beside the fate of its recipients: `smtp-pattern-list` (powermta.md section 1.6).

Every reply of a session is held against the list of its queue, the positive ones too (`mode=normal` may wait for one); the first rule
that fits counts. What a rule means for the recipients at hand is put into the judgement here; what it means for the queue is handed on
as it stands in the rule, for the scheduler. All expressions of a list are one RE2 set: one pass over the reply, linear in its length,
as it is the peer who chose the words. Nothing here raises once a list has been compiled; nothing here knows the time or the queue.

`disable-source-ip` and `reenable-after` are read and have no effect yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import re2
from msgspec import Struct
from msgspec.structs import replace

from postwright.model.outcome import Disposition, Judgement, Kind, Site, Stage, TransactionResult
from postwright.model.reply import Reply
from postwright.policy.list_settings import ReplyAction, ReplyRule
from postwright.policy.trouble import of_reply

_MEMORY = 64 << 20  # octets that the automaton of a list may take at most; live lists hold some hundred rules
NO_ACTION = ReplyAction()


class Heard(Struct, frozen=True):
    """A rule that fitted, and the reply that it fitted."""

    rule: ReplyRule
    reply: Reply


def options() -> re2.Options:
    """How expressions of replies are read: without regard to case, which `(?-i)` turns off."""
    found = re2.Options()
    found.case_sensitive = False
    found.never_capture = True
    found.log_errors = False
    found.max_mem = _MEMORY
    return found


class Feedback:
    """A list, compiled. Raises re2.error for an expression that RE2 does not take; the loader has refused those."""

    __slots__ = ("_rules", "_set")

    def __init__(self, rules: Sequence[ReplyRule]) -> None:
        self._rules = tuple(rules)
        self._set = re2.Set.SearchSet(options())
        for rule in rules:
            self._set.Add(rule.pattern[1:-1])
        self._set.Compile()

    def find(self, reply: Reply) -> ReplyRule | None:
        """The first rule that fits the reply, as it stands on one line (`421 4.7.0 text`), or None."""
        found = self._set.Match(reply.text.encode("utf-8", "replace"))
        return self._rules[min(found)] if found else None

    def listen(self, replies: Sequence[Reply | None]) -> tuple[Heard, ...]:
        """What was heard in these replies, in their order; of equal replies the first."""
        heard: list[Heard] = []
        seen: set[str] = set()
        for reply in replies:
            if reply is None or reply.text in seen:
                continue
            seen.add(reply.text)
            rule = self.find(reply)
            if rule is not None:
                heard.append(Heard(rule, reply))
        return tuple(heard)


@lru_cache(maxsize=256)
def compiled(rules: tuple[ReplyRule, ...]) -> Feedback | None:
    """The list in the form that is asked; None for an empty one. Queues of different settings mostly have the same list."""
    return Feedback(rules) if rules else None


def replies_of(result: TransactionResult) -> list[Reply | None]:
    """Every reply of a transaction, in the order in which they came."""
    finals = result.finals or (result.final,)
    return [result.mail, *result.rcpt, *finals, result.failure.reply if result.failure is not None else None]


def amend(judgement: Judgement, result: TransactionResult, heard: Sequence[Heard], *, more_hosts: bool) -> Judgement:
    """The judgement of a transaction as the rules want it: bounce-rcpt, bounce-queue and skip-mx change the fate of recipients.

    skip-mx leaves what was refused for the next host of the plan; where there is none (`more_hosts`), the reply means what it says.
    """
    actions = {one.reply.text: one.rule.action for one in heard}
    finals = result.finals or [result.final] * len(result.rcpt)
    fates = zip(result.rcpt, finals, judgement.dispositions, strict=True)
    dispositions = tuple(
        _fate(fate, _decisive(result, rcpt, final), final if result.finals and final else rcpt, actions, more_hosts)
        for rcpt, final, fate in fates
    )
    skips = more_hosts and any(action.skip_mx for action in actions.values())
    if skips:
        return replace(judgement, dispositions=dispositions, site=Site.HOST_BUSY, keep_session=False)
    return replace(judgement, dispositions=dispositions)


def _fate(fate: Disposition, by: Reply | None, own: Reply | None, actions: dict[str, ReplyAction], more_hosts: bool) -> Disposition:
    """`by` is the reply that decided, `own` the one that speaks of this recipient alone."""
    action = actions.get(by.text, NO_ACTION) if by is not None else NO_ACTION
    if fate.kind not in (Kind.TRANSIENT, Kind.PERMANENT):
        return fate
    if action.skip_mx and more_hosts:
        return Disposition(Kind.UNTOUCHED, fate.status, fate.diagnostic)
    if action.bounce_queue or (action.bounce_rcpt and by is own):
        return for_good(fate)
    return fate


def _decisive(result: TransactionResult, rcpt: Reply | None, final: Reply | None) -> Reply | None:
    """The reply by which a recipient was refused."""
    failed = result.failure.reply if result.failure is not None else None
    return next((reply for reply in (rcpt, result.mail, final, failed) if reply is not None and reply.code >= 300), None)


def bounce_of(reply: Reply) -> Disposition:
    """The fate of a queue that bounces by this reply (bounce-queue)."""
    return for_good(of_reply(reply, Stage.END_OF_DATA))


def for_good(fate: Disposition) -> Disposition:
    """The same, as a permanent failure."""
    return Disposition(Kind.PERMANENT, "5" + fate.status[1:], fate.diagnostic)
