"""The envelope of one transaction: reverse-path, recipients and their parameters (RFC 5321 section 2.3.1, RFC 3461)."""

from __future__ import annotations

from enum import IntFlag

from msgspec import Struct

from postwright.model.address import Address
from postwright.model.masked import masked
from postwright.model.merge import Merge, Own

RECIPIENTS_MOST = 100_000
"""Of one message, even where `max-rcpt-per-message` is unlimited: an envelope lives in memory."""


class Notify(IntFlag):
    """NOTIFY= of RFC 3461 section 4.1; ABSENT means that the client said nothing (treated as FAILURE)."""

    ABSENT = 0
    NEVER = 1
    SUCCESS = 2
    FAILURE = 4
    DELAY = 8


class Recipient(Struct, gc=False, omit_defaults=True):
    """One forward-path with its own parameters. `orcpt` is `type;address`, xtext decoded; empty when absent.

    `vmta` (with `pool`, where it came out of one) and `priority` are what a pattern-list chose for this recipient; "" and -1: the
    message's. `refusal`, `STATUS words`, belongs to a recipient that was taken only to be bounced (`accept-invalid-recipients`).
    `own` is what a mail merge defined for it.
    """

    address: Address
    notify: int = 0
    orcpt: str = ""
    vmta: str = ""
    pool: str = ""
    priority: int = -1
    refusal: str = ""
    own: Own | None = None


class MailExtras(Struct, frozen=True, gc=False, omit_defaults=True):
    """What MAIL asks of delivery by the extensions after RFC 3461, as it is said on the wire: times to come are seconds from now.

    `require_tls` RFC 8689; `hold_for` seconds and `hold_until` Unix seconds (RFC 4865), None when not said; `by` seconds and "R", "N",
    "RT" or "NT" (RFC 2852); `priority` -9 to 9 (RFC 6710).
    """

    require_tls: bool = False
    hold_for: int | None = None
    hold_until: float | None = None
    by: tuple[int, str] | None = None
    priority: int | None = None


class Wishes(Struct, frozen=True, omit_defaults=True):
    """The same as the envelope keeps it: in absolute time, with what we granted; and when the message may be sent (`x-schedule`).

    `held` is for reports: `for;3600` or `until;2030-01-01T00:00:00Z` (RFC 4865 section 5), "" if it was not asked for. `deadline`
    Unix seconds, 0 for none, and `deadline_mode` as in `MailExtras.by`; `late`: it had passed when the message came, and a host before us
    has told the sender. `windows` (start, end) in order, empty for any time.
    """

    require_tls: bool = False
    held: str = ""
    not_before: float = 0.0
    deadline: float = 0.0
    deadline_mode: str = ""
    priority: int | None = None
    windows: tuple[tuple[float, float], ...] = ()
    late: bool = False


class DkimWish(Struct, frozen=True, omit_defaults=True):
    """What a submission said in x-dkim-options and x-dkim-key. The key is a private one: no repr shows it."""

    options: str = ""
    key: str = ""

    def __repr__(self) -> str:
        return masked(self, "key")


class Returns(Struct, frozen=True, gc=False, omit_defaults=True):
    """`signed-return-path`: the domain of the message's return paths, canonical, and the key of this message alone that signs them.
    `scope`: they say whose mail it is, too, its "user" or its "job" (`suppression-scope`)."""

    domain: str
    key: bytes
    scope: str = ""

    def __repr__(self) -> str:
        return masked(self, "key")


class Judged(Struct, frozen=True, gc=False):
    """A message whose ARC chain was looked at when it came: `state` none, pass or fail; `host` is our authserv-id (RFC 8601) in the
    results that were written before it then, so that nobody else's are ever taken for ours."""

    host: str
    state: str


class Envelope(Struct, omit_defaults=True):
    """`ret` is "", "FULL" or "HDRS"; `body` "7BIT", "8BITMIME" or "BINARYMIME"; `declared_size` octets, 0 if not said.
    `wishes` None where the sender asks for nothing special, as most do; `merge` where the content is no template."""

    reverse_path: Address
    recipients: list[Recipient]
    ret: str = ""
    envid: str = ""
    body: str = "7BIT"
    smtputf8: bool = False
    declared_size: int = 0
    verp: bool = False  # each recipient is sent to from a return path of its own (`policy.verp`)
    wishes: Wishes | None = None
    merge: Merge | None = None
    dkim: DkimWish | None = None
    returns: Returns | None = None  # goes with `verp`
    judged: Judged | None = None
    claim: str = ""  # what must not be taken twice (`engine.claims`): the pickup file that it was read from, or a client's key

    @property
    def apart(self) -> bool:
        """Must each recipient have a transaction of its own? With VERP the return path differs, after a merge the content."""
        return self.verp or self.merge is not None
