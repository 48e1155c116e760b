"""Sealing a message (RFC 8617 section 5.1): the three fields of the next set, out of our Authentication-Results and the state of the chain.

    set = unsealed(mail, ...)          None: this message gets no set
    signature = key.sign(set.octets)
    seal = key.sign(set.sealed_octets(signature))
    set.fields(signature, seal)        what goes before the message

A chain that ended with cv=fail gets no further set (section 5.1.2): everybody who comes later knows already. Time and key come in; nothing
is raised for what a message may hold.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from postwright.content import dkim_tags
from postwright.content.arc import FAIL, KINDS, MESSAGE, MOST, NONE, PASS, RESULTS, SEAL, ArcVerdict, Chain, relaxed_set, sealed_octets
from postwright.content.authres import is_from
from postwright.content.dkim_canon import RELAXED, HeaderField, Mail, signed_header
from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_sign import Style, wanted_fields
from postwright.content.dkim_signature import FIELD

_AUTHRES = b"authentication-results"
_LONGEST: Final = 900  # octets of a line, well under the 998 of RFC 5322
_identifier = re.compile(rb"[^;]*;?").match
_UNSIGNED: Final = frozenset((*KINDS, _AUTHRES, b"received", b"return-path"))
"""Never in h=, whatever `wanted` says: what the next relay changes, and ARC's own fields (section 4.1.2)."""


class Unsealed(Struct, frozen=True):
    """A set without its signatures yet. `octets` is what the key signs for the message signature."""

    results: HeaderField
    message: HeaderField
    seal: HeaderField
    before: Sequence[bytes]
    octets: bytes

    def sealed_octets(self, signature: bytes) -> bytes:
        """What the key signs for the seal, given the message signature."""
        return sealed_octets(self.before, [self.results, HeaderField(MESSAGE, _filled(self.message, signature)), self.seal])

    def fields(self, signature: bytes, seal: bytes) -> bytes:
        """The three fields, each with CRLF."""
        return b"\r\n".join([_filled(self.seal, seal), _filled(self.message, signature), self.results.raw, b""])


def unsealed(
    mail: Mail,
    chain: Chain | None,
    state: str,
    kind: str,
    selector: str,
    domain: str,
    host: str,
    names: Sequence[bytes],
    now: float,
) -> Unsealed | None:
    """The next set, for a key of this `kind` (k=). `chain` is that of `mail` as it is now, `state` what it was when the message came to
    us; `host` our authserv-id, `names` the fields that are signed (h=), in lower case, `now` Unix seconds."""
    number = len(chain.sets) + 1 if chain is not None else 1
    if number > MOST or (chain is not None and (state == NONE or _ended(chain) or not _whole(chain))):
        return None
    results = _field(RESULTS, b"ARC-Authentication-Results: i=%d; %b; " % (number, host.encode()) + own_results(mail, host))
    if len(results.raw) > dkim_tags.MOST:
        return None  # nobody would read them, us included
    common = f"d={domain}", f"i={number}", f"s={selector}", f"t={int(now)}"
    message = _message(mail, kind, common, names)
    tags = [f"a={kind}-sha256", "b=", f"cv={NONE if chain is None else state}", *common]
    seal_field = _field(SEAL, b"ARC-Seal: " + "; ".join(tags).encode())
    # Section 5.1.2: of a chain that fails nothing before our own set can be relied on, so nothing before it is sealed.
    before = [relaxed_set(one.fields) for one in chain.sets] if chain is not None and state == PASS else []
    return Unsealed(results, message, seal_field, before, signed_header(mail.fields, names, message, RELAXED))


def seal(
    mail: Mail,
    chain: Chain | None,
    verdict: ArcVerdict,
    key: SigningKey,
    selector: str,
    domain: str,
    host: str,
    names: Sequence[bytes],
    now: float,
) -> bytes:
    """The fields to put before the message, made at once; b"" for a message that gets no set. See `unsealed`."""
    made = unsealed(mail, chain, verdict.state, key.kind, selector, domain, host, names, now)
    if made is None:
        return b""
    signature = key.sign(made.octets)
    return made.fields(signature, key.sign(made.sealed_octets(signature)))


def signed_names(mail: Mail, style: Style) -> list[bytes]:
    """h= of a message signature: what DKIM would sign, and the DKIM signatures themselves ("SHOULD be included", section 5.1)."""
    fields, more = wanted_fields(mail.fields, style)
    found = [field.name for field in fields if field.name not in _UNSIGNED and field.name != FIELD]
    return found + [field.name for field in mail.fields if field.name == FIELD] + [name for name in more if name not in _UNSIGNED]


def own_results(mail: Mail, host: str) -> bytes:
    """What our own Authentication-Results say, all of them together (section 4.1.1), unfolded; `none` where there are none."""
    found = []
    for field in mail.fields:
        if field.name != _AUTHRES:
            continue
        value = field.raw.partition(b":")[2].replace(b"\r\n", b"")
        if is_from(value.strip(), host):
            match = _identifier(value)
            rest = value[match.end() :].strip() if match is not None else b""
            if rest:
                found.append(b" ".join(rest.split()))
    return b"; ".join(found) or b"none"


def _ended(chain: Chain) -> bool:
    return bool(chain.sets) and chain.sets[-1].state == FAIL.encode()


def _whole(chain: Chain) -> bool:
    """Can the next instance be told? Not where a set is broken."""
    return bool(chain.sets) and not chain.broken


def _message(mail: Mail, kind: str, common: Sequence[str], names: Sequence[bytes]) -> HeaderField:
    body = base64.b64encode(mail.body_hash(RELAXED, "sha256")).decode("ascii")
    domain, instance, selector, time = common
    listed = _listed(names).decode("ascii", "replace")
    tags = [f"a={kind}-sha256", "b=", f"bh={body}", "c=relaxed/relaxed", domain, f"h={listed}", instance, selector, time]
    return _field(MESSAGE, b"ARC-Message-Signature: " + "; ".join(tags).encode())


def _listed(names: Sequence[bytes]) -> bytes:
    """h=, with a blank to fold at now and then where it is long."""
    lines = [b""]
    for name in names:
        if len(lines[-1]) + len(name) > _LONGEST // 2:
            lines.append(b"")
        lines[-1] += name + b":"
    return b" ".join(lines)[:-1]


def _field(name: bytes, raw: bytes) -> HeaderField:
    """Folded at semicolons, by a blank, which is what the relaxed form makes of it; dkimpy finds no i= behind a tab."""
    parts = raw.split(b"; ")
    return HeaderField(name, b";\r\n ".join([part if len(part) < _LONGEST else _shorter(part) for part in parts]))


def _shorter(part: bytes) -> bytes:
    """A part that is longer than a line may be, folded at its blanks."""
    lines = [b""]
    for word in part.split(b" "):
        if len(lines[-1]) + len(word) > _LONGEST // 2 and lines[-1]:
            lines.append(b"")
        lines[-1] += b" " + word if lines[-1] else word
    return b"\r\n ".join(lines)


def _filled(field: HeaderField, signature: bytes) -> bytes:
    """With the signature in, on one line of at most 700 octets: a seal signs the blanks of the fold, and the suite has none."""
    return field.raw.replace(b" b=;", b" b=" + base64.b64encode(signature) + b";", 1)
