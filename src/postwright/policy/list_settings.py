"""The lists of a configuration as plain values: reply patterns, submission patterns, bounce categories, rollups, keys, and the like.

Expressions are kept as they were written, `/…/` and all, and are known to compile; whoever uses them compiles them once. Every value knows
the line it came from. Part of `policy.settings`, which gives these names on.
"""

from __future__ import annotations

from msgspec import Struct


class Origin(Struct, frozen=True, gc=False):
    """Where a value was written: file and line, or ("", 0) for a default."""

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file else "default"


class ReplyAction(Struct, frozen=True):
    """What a reply does (`smtp-pattern-list`). `mode` "normal", "backoff" or "" for no change.

    Times in seconds, infinity for never, None if not said.
    """

    mode: str = ""
    backoff_to_normal_after: float | None = None
    skip_mx: bool = False
    bounce_queue: bool = False
    bounce_rcpt: bool = False
    disable_source_ip: bool = False
    reenable_after: float | None = None
    defer_queue: bool = False


class ReplyRule(Struct, frozen=True):
    """`reply /…/ ACTION[,ACTION]`."""

    pattern: str
    action: ReplyAction
    origin: Origin = Origin()


class SubmissionResult(Struct, frozen=True):
    """What a `pattern-list` match leads to. `recipient_priority` None and `latency_class` "" if not said; `call_to` list names for
    `call-to:`."""

    virtual_mta: str = ""
    recipient_priority: int | None = None
    call_to: tuple[str, ...] = ()
    latency_class: str = ""


class SubmissionRule(Struct, frozen=True):
    """A line of a `pattern-list`. `field` is `mail-from`, `rcpt-to`, `header` or `*` (always matches); `header` its lower-case name.

    With a nested list in place of a result, `nested` holds its rules, and `result` is empty.
    """

    field: str
    pattern: str
    result: SubmissionResult = SubmissionResult()
    header: str = ""
    nested: tuple[SubmissionRule, ...] = ()
    origin: Origin = Origin()


BOUNCE_CATEGORIES = frozenset(
    {
        "bad-configuration",
        "bad-connection",
        "bad-domain",
        "bad-mailbox",
        "content-related",
        "inactive-mailbox",
        "invalid-sender",
        "message-expired",
        "no-answer-from-host",
        "other",
        "policy-related",
        "protocol-errors",
        "quota-issues",
        "relaying-issues",
        "routing-errors",
        "spam-related",
        "virus-related",
    }
)
"""PowerMTA's seventeen. A configuration may name others."""


class CategoryRule(Struct, frozen=True):
    """A line of `bounce-category-patterns`: `/…/ category`."""

    pattern: str
    category: str
    origin: Origin = Origin()


class RollupRule(Struct, frozen=True):
    """`mx PATTERN QUEUE.rollup [rollup-by-ip]`: `pattern` lower case, may hold `*`."""

    pattern: str
    queue: str
    by_ip: bool = False
    origin: Origin = Origin()


class RewriteRule(Struct, frozen=True):
    """A line of a `rewrite-list`: `field` is `mail-from` or `from-domain`."""

    field: str
    pattern: str
    target: str
    origin: Origin = Origin()


class DomainKey(Struct, frozen=True):
    """`domain-key SELECTOR, DOMAIN, FILE`. `domain` is a name or `*`; `file` a path or `{vault}:/PATH:KEY`."""

    selector: str
    domain: str
    file: str
    origin: Origin = Origin()


class AddressList(Struct, frozen=True):
    """An `<address-list>`: `addresses` are mailboxes, local parts or `/…/`; `files` hold one address or local part a line.

    `name` as it was written, "" for those without one.
    """

    addresses: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    name: str = ""


class HttpAccess(Struct, frozen=True):
    """`http-access CIDR right`; first match wins. `right` is none, monitor, operator or admin, with `,deny-logs` after monitor."""

    network: str
    right: str
    origin: Origin = Origin()


class FilePassword(Struct, frozen=True):
    """A certificate's file with the password of its key ("" for none), which no repr shows."""

    file: str
    password: str = ""

    def __repr__(self) -> str:
        return f"FilePassword({self.file!r})"
