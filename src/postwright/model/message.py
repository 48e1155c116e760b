"""An accepted message: who brought it, what was learned in the one pass over its content, and where it lies.

The content itself (header section and body, CRLF lines, not dot-stuffed, exactly as it will be sent) never stands in
these values; the spool keeps it and `SpoolRef` finds it.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from postwright.model.envelope import Envelope, Wishes

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_DIGIT = {c: i for i, c in enumerate(_ALPHABET)}
_PAIRS = tuple(high + low for high in _ALPHABET for low in _ALPHABET)


def format_id(message_id: int) -> str:
    """A 64-bit message id as 13 characters of Crockford base 32, sorting as the numbers sort."""
    pairs, low = _PAIRS, message_id & 0x3FFFFFFF  # small enough for one digit of the interpreter's integers
    high = message_id >> 30
    return (
        f"{_ALPHABET[high >> 30 & 31]}{pairs[high >> 20 & 1023]}{pairs[high >> 10 & 1023]}{pairs[high & 1023]}"
        f"{pairs[low >> 20]}{pairs[low >> 10 & 1023]}{pairs[low & 1023]}"
    )


def parse_id(text: str) -> int:
    """The inverse of `format_id`, any case. Raises ValueError for anything else."""
    if len(text) != 13:
        raise ValueError(f"a message id has 13 characters: {text!r}")
    value = 0
    for c in text.lower():
        digit = _DIGIT.get(c)
        if digit is None:
            raise ValueError(f"not a message id: {text!r}")
        value = value << 5 | digit
    if value >> 64:
        raise ValueError(f"not a message id: {text!r}")
    return value


class IdMaker:
    """Message ids that grow with time: 42 bits of milliseconds since 2020, 8 of shard, 14 of sequence.

    A clock that steps back never repeats an id: the sequence goes on from the highest id given or seen.
    """

    __slots__ = ("_last", "_shard")

    EPOCH_MS = 1_577_836_800_000

    def __init__(self, shard: int) -> None:
        self._shard = shard & 255
        self._last = 0

    def seen(self, message_id: int) -> None:
        """Never give this id or a smaller one again (called for every id found at recovery)."""
        key = (message_id >> 22) << 14 | message_id & 0x3FFF
        if key > self._last:
            self._last = key

    @property
    def horizon(self) -> int:
        """No id that was given or seen is above this, nor one that another shard gave in the same millisecond."""
        return (self._last >> 14) << 22 | 0x3FFFFF

    def next(self, now: float) -> int:
        """A new id for a message accepted at `now` (Unix seconds)."""
        key = (int(now * 1000) - self.EPOCH_MS) << 14
        if key <= self._last:
            key = self._last + 1
        self._last = key
        return (key >> 14) << 22 | self._shard << 14 | key & 0x3FFF


class ContentFacts(Struct, frozen=True, gc=False):
    """What one pass over the content found.

    `size` octets; `header_size` octets up to and with the empty line; `longest_line` octets without
    CRLF, exact above 998 and else only "not above 998";
    `dots` some line begins with a dot; `eight_bit` some octet above 127; `utf8_headers` such an octet in the header section;
    `binary` NUL, bare CR or bare LF, or a line over 998 octets (can only come by BINARYMIME); `hops` Received fields.
    """

    size: int
    header_size: int
    longest_line: int = 0
    dots: bool = False
    eight_bit: bool = False
    utf8_headers: bool = False
    binary: bool = False
    hops: int = 0


class Arrival(Struct, frozen=True, gc=False):
    """How a message came in: facts for Received, accounting and policy. Addresses are plain IP texts.

    `kind` is "smtp", "pickup", "api" or "dsn"; `peer_name` what the client called itself in HELO/EHLO;
    `protocol` the RFC 3848 keyword (SMTP, ESMTP, ESMTPS, ESMTPSA …); `tls` a version such as "TLSv1.3" or "";
    `tls_client` whom the client's verified certificate names.
    """

    kind: str = "smtp"
    peer: str = ""
    peer_port: int = 0
    peer_name: str = ""
    local: str = ""
    local_port: int = 0
    protocol: str = "SMTP"
    user: str = ""
    tls: str = ""
    cipher: str = ""
    tls_client: str = ""


class Message(Struct, omit_defaults=True):
    """Everything about an accepted message except its content; this is what the spool stores beside the content.

    `late_date`: a Date field is put before the content whenever it is sent (`date-header-time delivery`); `tell_vmta`: so is
    X-Virtual-MTA, if there is none (`add-x-virtual-mta-header`). `noted` are header fields that some accounting file has a column for,
    names in lower case; None where none has. `sender_rules` names the rules that it was found to break, `fixed:` before those that were
    mended (`engine.sender_rules`).
    """

    id: int
    received_at: float
    envelope: Envelope
    facts: ContentFacts
    arrival: Arrival
    vmta: str = "{default}"
    pool: str = ""
    job: str = ""
    priority: int = 50
    not_before: float = 0.0
    suppress_dsn: bool = False
    late_date: bool = False
    tell_vmta: bool = False
    noted: dict[str, str] | None = None
    sender_rules: str = ""

    def for_recipient(self, index: int) -> Message:
        """The message as one recipient of a mail merge has it: sender, envelope id, job and times are that one's. Itself if nothing is."""
        envelope = self.envelope
        own = envelope.recipients[index].own
        if own is None:
            return self
        changes = own.changes()
        if own.windows:
            changes["wishes"] = replace(envelope.wishes or Wishes(), windows=own.windows)
        made = replace(self, envelope=replace(envelope, **changes)) if changes else replace(self)
        made.job = own.job or self.job
        made.not_before = own.not_before or self.not_before
        return made


class SpoolRef(Struct, frozen=True, gc=False):
    """Where a stored message lies: `spool` a shard's number, `segment`, `offset` of its record, sizes in octets."""

    spool: int
    segment: int
    offset: int
    meta_size: int
    content_size: int
