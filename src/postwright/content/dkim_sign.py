"""Making a DKIM-Signature field for a message (RFC 6376 section 5).

What is signed: every field of the names wanted, each as often as it is there, and what must not be added once more than that (section
8.15). The time, the key and the names come in; nothing is looked up and nothing raised. The field is folded so that no line of it is longer
than a terminal is wide, at places where every verifier minds no blanks.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from postwright.content.dkim_canon import RELAXED, SIMPLE, HeaderField, Mail, chosen, relaxed_field, simple_field
from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_signature import FIELD

NAMES: Final = frozenset(
    (
        b"from", b"sender", b"reply-to", b"subject", b"date", b"message-id", b"to", b"cc", b"in-reply-to", b"references",
        b"mime-version", b"content-type", b"content-transfer-encoding", b"content-disposition",
        b"resent-date", b"resent-from", b"resent-sender", b"resent-to", b"resent-cc", b"resent-message-id",
        b"list-id", b"list-help", b"list-unsubscribe", b"list-unsubscribe-post", b"list-subscribe", b"list-post", b"list-owner",
        b"list-archive", b"feedback-id",
    )
)  # fmt: skip
"""What is always signed: the core of the message (section 5.4.1), and what mailbox providers want signed (RFC 8058 section 4)."""
NAMES_MOST: Final = 200  # names in h=; a header with more than that of the wanted fields has them signed from the bottom up

_WIDTH = 76
# Safe in i= as it stands (dkim-safe-char, section 2.11); all else is written as =XX.
_plain = re.compile(r"[A-Za-z0-9@._+-]*").fullmatch
_SAFE = frozenset(range(0x21, 0x7F)) - frozenset(b";=|")


class Style(Struct, frozen=True):
    """How to sign. `digest` sha256 or sha1; `never_added` names in lower case; `expire_after` seconds, None for never; `query` q= or ""."""

    header_form: str = RELAXED
    body_form: str = RELAXED
    digest: str = "sha256"
    wanted: Callable[[bytes], bool] = NAMES.__contains__
    never_added: tuple[bytes, ...] = ()
    timestamp: bool = False
    expire_after: float | None = None
    limit: bool = False
    query: str = ""


class Unsigned(Struct, frozen=True, gc=False):
    """A field without its signature yet: `field` up to b=, and the `octets` that a key has to sign."""

    field: bytes
    octets: bytes

    def signed(self, signature: bytes) -> bytes:
        """The whole field, with CRLF."""
        value = base64.b64encode(signature)
        return self.field + b"\r\n\t".join([value[at : at + _WIDTH - 4] for at in range(0, len(value), _WIDTH - 4)]) + b"\r\n"


def signature_field(mail: Mail, key: SigningKey, selector: str, domain: str, identity: str, style: Style, now: float) -> bytes:
    """The field with its CRLF, made at once. See `unsigned`."""
    made = unsigned(mail, key.kind, selector, domain, identity, style, now)
    return made.signed(key.sign(made.octets, style.digest))


def unsigned(mail: Mail, kind: str, selector: str, domain: str, identity: str, style: Style, now: float) -> Unsigned:
    """What a key of this `kind` (k=) has to sign. `domain` an A-label domain (d=), `identity` "" for no i=, `now` Unix seconds."""
    fields, more = wanted_fields(mail.fields, style)
    tags = f"v=1; a={kind}-{style.digest}; c={style.header_form}/{style.body_form};\r\n\td={domain}; s={selector};"
    for tag in _more_tags(mail, identity, style, now):
        tags += f"\r\n\t{tag};"
    names = _folded([field.raw[: len(field.name)] for field in fields] + more)
    body = base64.b64encode(mail.body_hash(style.body_form, style.digest)).decode("ascii")
    own = f"DKIM-Signature: {tags}\r\n\th={names};\r\n\tbh={body};\r\n\tb=".encode()
    form = simple_field if style.header_form == SIMPLE else relaxed_field
    lines = [form(field) for field in in_turn(fields)]
    # Its b= is empty as it stands, which is how a signature signs itself (section 3.7).
    lines.append(form(HeaderField(FIELD, own))[:-2])
    return Unsigned(own, b"".join(lines))


def _more_tags(mail: Mail, identity: str, style: Style, now: float) -> list[str]:
    tags = []
    if identity:
        tags.append(f"i={quoted(identity)}")
    if style.query:
        tags.append(f"q={style.query}")
    if style.timestamp:
        tags.append(f"t={int(now)}")
    if style.expire_after is not None:
        tags.append(f"x={int(now + style.expire_after)}")
    if style.limit:
        tags.append(f"l={len(mail.canonical_body(style.body_form))}")
    return tags


def wanted_fields(fields: list[HeaderField], style: Style) -> tuple[list[HeaderField], list[bytes]]:
    """The fields that are signed, in the message's order, and the names that stand in h= beyond them: From is always in it."""
    wanted = style.wanted
    found = [field for field in fields if wanted(field.name)]
    if len(found) > NAMES_MOST:
        found = found[-NAMES_MOST:]
    more = list(style.never_added)
    if b"from" not in more and b"from" not in [field.name for field in found]:
        more.append(b"from")  # "The From header field MUST be signed" (section 5.4), also when there is none
    return found, more


def in_turn(fields: list[HeaderField]) -> list[HeaderField]:
    """The fields as h= takes them when it has their names in this order: each name the next one from the bottom (section 5.4.2)."""
    names = [field.name for field in fields]
    return fields if len(set(names)) == len(names) else chosen(fields, names)


def quoted(identity: str) -> str:
    """An identity in dkim-quoted-printable (section 2.11)."""
    if _plain(identity) is not None:
        return identity
    octets = identity.encode("utf-8", "replace")
    return "".join([chr(octet) if octet in _SAFE else f"={octet:02X}" for octet in octets])


def _folded(names: list[bytes]) -> str:
    """h= with a new line before a name for which there is no more room."""
    whole = b":".join(names).decode("ascii", "replace")
    if len(whole) < _WIDTH:
        return whole
    parts: list[str] = []
    width = 4
    for name in whole.split(":"):
        if width + len(name) > _WIDTH and parts:
            parts[-1] += "\r\n\t "
            width = 2
        parts.append(name + ":")
        width += len(name) + 1
    return "".join(parts).removesuffix(":")
