"""Sealing a message (RFC 8617 section 5.1): the three fields of the next set, out of our Authentication-Results and the state of the chain.

A chain that ended with cv=fail gets no further set (section 5.1.2): everybody who comes later knows already. Time and key come in; nothing
is raised for what a message may hold.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from postwright.content.arc import FAIL, MESSAGE, MOST, NONE, PASS, RESULTS, SEAL, ArcVerdict, Chain, relaxed_set, sealed_octets
from postwright.content.authres import is_from
from postwright.content.dkim_canon import RELAXED, HeaderField, Mail, signed_header
from postwright.content.dkim_key import SigningKey

_AUTHRES = b"authentication-results"
_identifier = re.compile(rb"[^;]*;?").match


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
    """The fields to put before the message, each with CRLF; b"" for a message that gets no set. `host` is our authserv-id, `names` the
    fields that are signed (h=), in lower case, `now` Unix seconds."""
    number = len(chain.sets) + 1 if chain is not None else 1
    if number > MOST or (chain is not None and (_ended(chain) or not _whole(chain))):
        return b""
    state = NONE if chain is None else verdict.state
    results = _field(RESULTS, b"ARC-Authentication-Results: i=%d; %b; " % (number, host.encode()) + own_results(mail, host))
    common = f"d={domain}", f"i={number}", f"s={selector}", f"t={int(now)}"
    message = _message(mail, key, common, names)
    tags = [f"a={key.kind}-sha256", "b=", f"cv={state}", *common]
    unsealed = _field(SEAL, b"ARC-Seal: " + "; ".join(tags).encode())
    # Section 5.1.2: of a chain that fails nothing before our own set can be relied on, so nothing before it is sealed.
    before = [relaxed_set(one.fields) for one in chain.sets] if chain is not None and state == PASS else []
    signature = key.sign(sealed_octets(before, [results, message, unsealed]))
    return b"\r\n".join([_filled(unsealed, signature), message.raw, results.raw, b""])


def own_results(mail: Mail, host: str) -> bytes:
    """What our own Authentication-Results say, all of them together (section 4.1.1), unfolded; `none` where there are none."""
    found = []
    for field in mail.fields:
        value = field.raw.partition(b":")[2].replace(b"\r\n", b"")
        if field.name == _AUTHRES and is_from(value.strip(), host):
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


def _message(mail: Mail, key: SigningKey, common: Sequence[str], names: Sequence[bytes]) -> HeaderField:
    body = base64.b64encode(mail.body_hash(RELAXED, "sha256")).decode("ascii")
    domain, instance, selector, time = common
    listed = b":".join(names).decode("ascii", "replace")
    tags = [f"a={key.kind}-sha256", "b=", f"bh={body}", "c=relaxed/relaxed", domain, f"h={listed}", instance, selector, time]
    unsigned = _field(MESSAGE, b"ARC-Message-Signature: " + "; ".join(tags).encode())
    return HeaderField(MESSAGE, _filled(unsigned, key.sign(signed_header(mail.fields, names, unsigned, RELAXED))))


def _field(name: bytes, raw: bytes) -> HeaderField:
    """Folded at semicolons, by a blank, which is what the relaxed form makes of it; dkimpy finds no i= behind a tab."""
    return HeaderField(name, raw.replace(b"; ", b";\r\n "))


def _filled(field: HeaderField, signature: bytes) -> bytes:
    """With the signature in, on one line of at most 700 octets: a seal signs the blanks of the fold, and the suite has none."""
    return field.raw.replace(b" b=;", b" b=" + base64.b64encode(signature) + b";", 1)
