"""What the table says of one directive: name, scopes, kind of value, default, a line of documentation, the setting, and whether it works.

Parser, validator, suggestions, reference page and `config explain` all read this, and nothing else knows directive names by heart.
A `Kind` turns the words behind a name into a value or raises `ValueProblem` with the column at fault and what was expected.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from msgspec import Struct


class Scope(Enum):
    """Where a directive may stand; the value is the block's tag (global: outside of all blocks)."""

    GLOBAL = "global"
    SOURCE = "source"
    SOURCE_GROUP = "source-group"
    DOMAIN = "domain"
    VMTA = "virtual-mta"
    POOL = "virtual-mta-pool"
    USER = "smtp-user"
    OAUTH_PROVIDER = "oauth-provider"
    OAUTH_CLIENT = "oauth-client"
    USER_LOOKUP = "user-lookup"
    EVENT_STREAM = "event-stream"
    LISTENER = "smtp-listener"
    SPOOL = "spool"
    ACCT_FILE = "acct-file"
    PATTERN_LIST = "pattern-list"
    SMTP_PATTERN_LIST = "smtp-pattern-list"
    BOUNCE_CATEGORIES = "bounce-category-patterns"
    BOUNCE_PROCESSOR = "bounce-processor"
    FEEDBACK_LOOP = "feedback-loop-processor"
    ADDRESS_LIST = "address-list"
    EMAIL_PATTERNS = "email-patterns"
    DOMAIN_KEY_LIST = "domain-key-list"
    MX_ROLLUP_LIST = "mx-rollup-list"
    REWRITE_LIST = "rewrite-list"
    ALIASES = "aliases"
    DNS = "dns"
    PROXY = "proxy"
    VAULT = "vault"
    SIGNALS = "signals"
    SIGNALS_FILTER = "signals-filter"
    TRANSMISSIONS_API = "transmissions-api"
    TRANSMISSIONS_API_LISTENER = "transmissions-api-listener"


class State(Enum):
    """Does it do what it says?"""

    EFFECTIVE = "effective"
    WITHOUT_EFFECT = "accepted without effect"
    NOT_YET = "not yet"
    REMOVED = "removed"  # from PowerMTA itself: declared for the record, and unknown to a load


class ValueProblem(ValueError):
    """The words of a directive are not what its kind wants. `offset` is where in the text given to `parse`, from 0.

    Tolerant mode leaves the line out where that is safe: `expression` says that it is the expression of a rule which is broken,
    `unknown` that the value is well but for words that nobody knows. `instead` is a value to take then.
    """

    def __init__(
        self, message: str, offset: int = 0, hint: str = "", *, unknown: bool = False, expression: bool = False, instead: Any = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint
        self.unknown = unknown
        self.expression = expression
        self.instead = instead


class Kind(Struct, frozen=True):
    """A type of value. `notation` is for the reference page (`TIME`, `yes|no`), `expected` for errors ("a time such as 4d12h")."""

    notation: str
    expected: str
    parse: Callable[[str], Any]


class Directive(Struct, frozen=True):
    """One row of the table.

    `default` is text for the reference page ("" for none). `setting` is the field that it fills, "" for the name with `_` for `-` and
    `.`; `repeat` says that several lines add up instead of the later one winning. `clears` says that `""` clears an inherited value.
    `reason` goes with WITHOUT_EFFECT and REMOVED (why) and NOT_YET (what it waits for). `confirmed` is False for names found in real
    files only.
    """

    name: str
    scopes: tuple[Scope, ...]
    kind: Kind
    doc: str
    default: str = ""
    setting: str = ""
    state: State = State.NOT_YET
    reason: str = ""
    repeat: bool = False
    clears: bool = False
    deprecated: str = ""
    confirmed: bool = True
    ours: bool = False

    @property
    def field(self) -> str:
        """The name of the settings field."""
        return self.setting or self.name.replace("-", "_").replace(".", "_")
