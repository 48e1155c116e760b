"""DNS messages (RFC 1035) as far as a stub resolver needs them: one question out, the meaning of one reply in.

Pure. Knows the few record types that mail asks for; others are passed over unread. Never follows a name server's word outside the
question: only records of the name asked for, or of where its aliases lead, count. A reply that breaks the format raises DnsFormatError,
whatever octets it is made of, and costs time linear in its length.
"""

from __future__ import annotations

from ipaddress import IPv6Address
from struct import Struct as Packing
from struct import error as StructError

from msgspec import Struct

KINDS = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "TLSA": 52}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
MAX_ALIASES = 16
MAX_HOPS = 64  # from pointer to pointer, which is more than a name has labels
MAX_NAME = 255  # octets on the wire (RFC 1035 section 3.1)

_SOA, _OPT = 6, 41
_RD, _AD, _CD, _TC, _QR = 0x0100, 0x0020, 0x0010, 0x0200, 0x8000
_HEADER = Packing("!6H")
_RECORD = Packing("!HHIH")
_OPTION = Packing("!BHHIH")
_DO = 0x8000
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_*/+=@")


class DnsFormatError(ValueError):
    """What came is no DNS message, or what was to be asked fits into none."""


class DnsReply(Struct, frozen=True, gc=False):
    """`records` of the kind asked for, as (preference, exchange) of MX and (0, text) of all others, in the order given; names in lower
    case, without the last dot, strange octets as `\\ddd`. `canonical` where aliases end, "" without any. `ttl` seconds: the least of
    records and aliases, or of a negative answer what its SOA record allows (RFC 2308 section 5), 0 if there is none. `checked`: the AD bit.
    """

    rcode: int
    truncated: bool = False
    checked: bool = False
    records: tuple[tuple[int, str], ...] = ()
    canonical: str = ""
    ttl: float = 0.0


def encode_query(
    ident: int, name: str, kind: str, *, edns: int = 0, ask_ad: bool = False, unchecked: bool = False, dnssec: bool = False
) -> bytes:
    """One question of class IN with recursion. `edns` is the longest UDP reply to ask for, 0 for no EDNS; `ask_ad` wants the AD bit
    (RFC 6840 section 5.7), `unchecked` the answer even if validation fails (CD), `dnssec` the signatures, too (DO; wants `edns`).
    Raises DnsFormatError for a name that no message can carry."""
    flags = _RD | (_AD if ask_ad else 0) | (_CD if unchecked else 0)
    parts = [_HEADER.pack(ident, flags, 1, 0, 0, 1 if edns else 0), encode_name(name), KINDS[kind].to_bytes(2, "big"), b"\0\1"]
    if edns:
        parts.append(_OPTION.pack(0, _OPT, edns, _DO if dnssec else 0, 0))
    return b"".join(parts)


def encode_name(name: str) -> bytes:
    """Labels of ASCII text. Raises DnsFormatError."""
    out = bytearray()
    for label in name.rstrip(".").split(".") if name.rstrip(".") else ():
        if not label or len(label) > 63 or not label.isascii() or not label.isprintable():
            raise DnsFormatError("a label is empty, too long or not of ASCII")
        out.append(len(label))
        out += label.encode("ascii")
    out.append(0)
    if len(out) > MAX_NAME:
        raise DnsFormatError("the name is too long")
    return bytes(out)


def is_reply_to(reply: bytes, query: bytes) -> bool:
    """Whether `reply` has the number and the question of `query` (RFC 5452 section 9.1: all else is somebody else's, or forged)."""
    end = query.index(b"\0", 12) + 5
    same = len(reply) >= end and reply[:2] == query[:2] and bool(reply[2] & 0x80) and reply[4:6] == b"\0\1"
    return same and reply[12:end].lower() == query[12:end].lower()


def rcode_of(reply: bytes) -> int:
    """The four bits of the header; extended codes concern nobody who asks as we do."""
    return reply[3] & 0x0F


def decode_reply(reply: bytes) -> DnsReply:
    """The meaning of a reply to one question. Raises DnsFormatError."""
    try:
        return _decode(reply)
    except (StructError, IndexError) as error:
        raise DnsFormatError("the message ends too soon") from error


def _decode(reply: bytes) -> DnsReply:
    _, flags, questions, answers, authorities, _ = _HEADER.unpack_from(reply)
    if not flags & _QR or questions != 1:
        raise DnsFormatError("no reply to one question")
    names: dict[int, str] = {}
    asked, at = _name(reply, 12, names)
    kind = int.from_bytes(reply[at : at + 2], "big")
    at += 4
    aliases: dict[str, tuple[str, int]] = {}
    found: list[tuple[str, int, tuple[int, str]]] = []
    for _ in range(answers):
        owner, at = _name(reply, at, names)
        rtype, rclass, ttl, length = _RECORD.unpack_from(reply, at)
        at += 10
        if at + length > len(reply):
            raise DnsFormatError("a record is longer than the message")
        if rclass == 1 and rtype == kind:
            found.append((owner, _sane(ttl), _data(reply, rtype, at, length, names)))
        elif rclass == 1 and rtype == KINDS["CNAME"]:
            aliases[owner] = (_name(reply, at, names)[0], ttl)
        at += length
    checked = bool(flags & _AD)
    truncated = bool(flags & _TC)
    end, ttl = _follow(asked, aliases)
    records = tuple([data for owner, _, data in found if owner == end])
    if records:
        ttl = min(ttl, min(life for owner, life, _ in found if owner == end))
    else:
        ttl = _negative(reply, at, authorities, names)
    return DnsReply(flags & 0x0F, truncated, checked, records, end if end != asked else "", float(ttl))


def _follow(name: str, aliases: dict[str, tuple[str, int]]) -> tuple[str, int]:
    """Where a chain of aliases ends, and the least TTL on the way."""
    ttl = 0x7FFFFFFF
    for _ in range(MAX_ALIASES):
        if name not in aliases:
            return name, ttl
        name, life = aliases[name]
        ttl = min(ttl, _sane(life))
    raise DnsFormatError("the aliases have no end")


def _sane(ttl: int) -> int:
    """RFC 2181 section 8: with the highest bit set a TTL is zero."""
    return ttl if ttl < 0x80000000 else 0


def _negative(reply: bytes, at: int, authorities: int, names: dict[int, str]) -> int:
    for _ in range(authorities):
        _, at = _name(reply, at, names)
        rtype, _, ttl, length = _RECORD.unpack_from(reply, at)
        at += 10
        if rtype == _SOA and length >= 22 and at + length <= len(reply):
            return min(_sane(ttl), _sane(int.from_bytes(reply[at + length - 4 : at + length], "big")))
        at += length
    return 0


def _data(reply: bytes, rtype: int, at: int, length: int, names: dict[int, str]) -> tuple[int, str]:
    octets = reply[at : at + length]
    if rtype == 15:
        if length < 3:
            raise DnsFormatError("an MX record is too short")
        return int.from_bytes(octets[:2], "big"), _name(reply, at + 2, names)[0]
    if rtype == 1 and length == 4:
        return 0, f"{octets[0]}.{octets[1]}.{octets[2]}.{octets[3]}"
    if rtype == 28 and length == 16:
        return 0, str(IPv6Address(octets))
    if rtype in (5, 12):
        return 0, _name(reply, at, names)[0]
    if rtype == 16:
        return 0, _text(octets)
    if rtype == 52 and length > 3:
        return 0, f"{octets[0]} {octets[1]} {octets[2]} {octets[3:].hex()}"
    raise DnsFormatError("a record has a length that its type cannot have")


def _text(octets: bytes) -> str:
    """The strings of a TXT record, joined (RFC 7208 section 3.3, RFC 8461 section 3.1)."""
    parts, at = [], 0
    while at < len(octets):
        end = at + 1 + octets[at]
        if end > len(octets):
            raise DnsFormatError("a string is longer than its record")
        parts.append(octets[at + 1 : end])
        at = end
    return b"".join(parts).decode("utf-8", "replace")


def _name(reply: bytes, at: int, names: dict[int, str]) -> tuple[str, int]:
    """The name at an offset, and the offset behind it. Pointers lead backwards only, so that no message can send us in circles;
    `names` keeps what was read at an offset, so that none is read twice."""
    known = names.get(at)
    start, labels, after, size, hops = at, [], 0, 0, 0
    if known is not None and reply[at] < 0xC0:
        return known, _behind(reply, at)
    while True:
        length = reply[at]
        if length >= 0xC0:
            after = after or at + 2
            target = ((length & 0x3F) << 8) | reply[at + 1]
            hops += 1
            if target >= at or hops > MAX_HOPS:
                raise DnsFormatError("a pointer that leads forward, or one pointer too many")
            known = names.get(target)
            if known is not None:
                labels += [known] if known else []
                size += len(known) + 1
                break
            at = target
        elif length > 63:
            raise DnsFormatError("a label of an unknown type")
        elif length == 0:
            after = after or at + 1
            break
        else:
            label = reply[at + 1 : at + 1 + length]
            if len(label) < length:
                raise DnsFormatError("a label is longer than the message")
            labels.append(_label(label))
            size += length + 1
            at += length + 1
        if size > MAX_NAME:
            raise DnsFormatError("a name is too long")
    name = ".".join(labels)
    names[start] = name
    return name, after


def _behind(reply: bytes, at: int) -> int:
    while 0 < reply[at] < 0xC0:
        at += reply[at] + 1
    return at + (2 if reply[at] else 1)


def _label(octets: bytes) -> str:
    lower = octets.lower()
    if _PLAIN.issuperset(lower):
        return lower.decode("ascii")
    return "".join([chr(octet) if octet in _PLAIN else f"\\{octet:03}" for octet in lower])
