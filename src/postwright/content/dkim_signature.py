"""A DKIM-Signature field as it is read (RFC 6376 section 3.5), and the name under which its key is found.

`read` takes the field, `of_tags` a tag list that was read already, for ARC-Message-Signature, which has the same tags but for i= and v=
(RFC 8617 section 4.1.2). Raises `TagError` for a field that is none; nothing else.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from postwright.content import dkim_tags
from postwright.content.dkim_canon import RELAXED, SIMPLE, HeaderField
from postwright.content.dkim_tags import TagError
from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError

FIELD: Final = b"dkim-signature"
ALGORITHMS: Final = {"rsa-sha256": ("rsa", "sha256"), "ed25519-sha256": ("ed25519", "sha256"), "rsa-sha1": ("rsa", "sha1")}
"""a= -> key type (k= of the record), hash."""

_LEAST: Final = ("a", "b", "bh", "d", "h", "s")
# A domain in the DNS; underscores, which host names must not have, stand in selectors and in domains of some senders.
_domain = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*").fullmatch
_field_name = re.compile(rb"[!-9;-~]+").fullmatch


class Signature(Struct, frozen=True):
    """What a signature says. Domains in lower case as A-labels; `names` (h=) in lower case; times in Unix seconds.

    `identity` is i= as it stands, or `@` and the domain; `limit` l=; `dns`: q= has dns/txt or says nothing.
    """

    domain: str
    selector: str
    algorithm: str
    header_form: str
    body_form: str
    names: tuple[bytes, ...]
    body_hash: bytes
    signature: bytes
    identity: str
    limit: int | None = None
    signed_at: int | None = None
    expires_at: int | None = None
    dns: bool = True

    @property
    def key_name(self) -> str:
        """Where its key is (section 3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def key_kind(self) -> str:
        """k= of a record that fits, "" for an algorithm that nobody knows."""
        return ALGORITHMS.get(self.algorithm, ("", ""))[0]

    @property
    def digest(self) -> str:
        """The hash of its algorithm, "" as before."""
        return ALGORITHMS.get(self.algorithm, ("", ""))[1]


def read(field: HeaderField) -> Signature:
    """A DKIM-Signature. Raises TagError."""
    tags = dkim_tags.tags(field.raw.partition(b":")[2])
    if tags.get("v") != b"1":
        raise TagError("v= is not 1")
    return of_tags(tags)


def of_tags(tags: dict[str, bytes], *, with_identity: bool = True) -> Signature:
    """A signature of its tags; without `with_identity` i= has another meaning and is left alone. Raises TagError."""
    missing = [name for name in _LEAST if name not in tags]
    if missing:
        raise TagError(f"{missing[0]}= is missing")
    # RFC 8617 says nothing of a default; its suite, and who validates it, have the relaxed one.
    forms = _forms(tags.get("c", b"simple/simple" if with_identity else b"relaxed/relaxed"))
    domain = _name(tags["d"], "d")
    signed, expires = _optional(tags, "t"), _optional(tags, "x")
    if signed is not None and expires is not None and expires <= signed:
        raise TagError("x= is not behind t=")
    names = _names(tags["h"], strict=with_identity)
    return Signature(
        domain=domain,
        selector=_name(tags["s"], "s"),
        algorithm=tags["a"].decode("ascii", "replace").lower(),
        header_form=forms[0],
        body_form=forms[1],
        names=names,
        body_hash=dkim_tags.base64_octets(tags["bh"], "bh"),
        signature=dkim_tags.base64_octets(tags["b"], "b"),
        identity=_identity(tags, domain) if with_identity else f"@{domain}",
        limit=_optional(tags, "l"),
        signed_at=signed,
        expires_at=expires,
        dns="q" not in tags or b"dns/txt" in [item.lower() for item in dkim_tags.words(tags["q"])],
    )


def _names(value: bytes, *, strict: bool) -> tuple[bytes, ...]:
    """h=, in lower case. ARC, not `strict`, has signed nothing, and nothings between names, for so long that its suite wants them borne."""
    names = dkim_tags.words(value) if strict else [name.strip() for name in value.split(b":") if name.strip()]
    if not all(_field_name(name) for name in names):
        raise TagError("h= has what is no name of a field")
    return tuple([name.lower() for name in names])


def _optional(tags: dict[str, bytes], name: str) -> int | None:
    return dkim_tags.number(tags[name], name) if name in tags else None


def _forms(value: bytes) -> tuple[str, str]:
    """c=: header and body; the body's is simple unless it is said (section 3.5)."""
    header, _, body = value.decode("ascii", "replace").lower().partition("/")
    body = body or SIMPLE
    if {header, body} - {SIMPLE, RELAXED}:
        raise TagError("c= is unknown")
    return header, body


def _name(value: bytes, tag: str) -> str:
    """A domain or selector as the DNS has it."""
    name = dkim_tags.text(value, tag).lower()
    if not name.isascii():
        try:
            name = canonical_domain(name)
        except AddressError:
            raise TagError(f"{tag}= is no domain") from None
    if len(name) > 253 or _domain(name) is None or any(len(label) > 63 for label in name.split(".")):
        raise TagError(f"{tag}= is no domain")
    return name


def _identity(tags: dict[str, bytes], domain: str) -> str:
    """i=, whose domain is d= or below it. "The syntax is a standard email address where the local-part MAY be omitted" (section 3.5)."""
    if "i" not in tags:
        return f"@{domain}"
    text = dkim_tags.text(tags["i"], "i")
    local, at, host = text.rpartition("@")
    if not at:
        raise TagError("i= is no identity")
    name = _name(host.encode(), "i")
    if name != domain and not name.endswith("." + domain):
        raise TagError("i= is not below d=")
    return f"{local}@{name}"
