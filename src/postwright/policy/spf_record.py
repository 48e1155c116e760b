"""SPF records (RFC 7208 sections 4.5, 4.6.1, 5, 6 and 12): one text in, its terms out.

All of a record is read before anything of it is evaluated, as an error anywhere makes the whole permerror (section 4.6). Raises
`SpfSyntaxError` and nothing else. Linear in the length of the record. Looks nothing up.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from msgspec import Struct
from msgspec.structs import replace

from postwright.policy.spf_macro import MacroString, SpfSyntaxError, domain_spec, macro_string

QUALIFIERS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}

_modifier = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)", re.DOTALL).fullmatch
_directive = re.compile(r"([+~?-]?)([A-Za-z][A-Za-z0-9]*)(.*)", re.DOTALL).fullmatch
_LENGTH = "(?:0|[1-9][0-9]{0,2})"
_LONGEST = len("/128//128")
_lengths = re.compile(rf"(?:/(?P<four>{_LENGTH}))?(?://(?P<six>{_LENGTH}))?\Z").search


class Mechanism(Struct, frozen=True, gc=False):
    """`result` if it matches; `domain` what it says of one, None for the domain being checked. `four` and `six` are prefix lengths of `a`
    and `mx`, `network` what `ip4` and `ip6` name. `text` as it stands in the record."""

    name: str
    result: str
    text: str
    domain: MacroString | None = None
    network: IPv4Network | IPv6Network | None = None
    four: int = 32
    six: int = 128


class Record(Struct, frozen=True):
    """A whole record: what to try in order, and `redirect=`, `exp=`."""

    mechanisms: tuple[Mechanism, ...] = ()
    redirect: MacroString | None = None
    explanation: MacroString | None = None


def is_spf(text: str) -> bool:
    """Section 4.5: the version is a word of its own; `v=spf10` is something else."""
    return text[:6].lower() == "v=spf1" and text[6:7] in ("", " ")


def parse(text: str) -> Record:
    """A text of which `is_spf` holds. Raises SpfSyntaxError."""
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, MacroString] = {}
    for term in text[6:].split(" "):  # nothing but SP parts terms: a TAB is an error in one
        if not term:
            continue
        named = _modifier(term)
        if named is None:
            mechanisms.append(_mechanism(term))
            continue
        name, value = named[1].lower(), named[2]
        if name not in ("redirect", "exp"):
            if value:
                macro_string(value)  # section 6: unknown ones are ignored, if they are well-formed
        elif name in modifiers:
            raise SpfSyntaxError(f"{name}= stands twice")
        else:
            modifiers[name] = domain_spec(value)
    return Record(tuple(mechanisms), modifiers.get("redirect"), modifiers.get("exp"))


def _mechanism(term: str) -> Mechanism:
    found = _directive(term)
    read = _READERS.get(found[2].lower()) if found is not None else None
    if found is None or read is None:
        raise SpfSyntaxError(f"unknown mechanism: {term[:80]}")
    return read(Mechanism(found[2].lower(), QUALIFIERS[found[1] or "+"], term), found[3])


def _all(made: Mechanism, rest: str) -> Mechanism:
    if rest:
        raise SpfSyntaxError(f"all takes nothing: {made.text[:80]}")
    return made


def _with_domain(made: Mechanism, rest: str) -> Mechanism:
    """`include:` and `exists:`, whose domain must be said."""
    if not rest.startswith(":"):
        raise SpfSyntaxError(f"{made.name} wants a domain: {made.text[:80]}")
    return replace(made, domain=domain_spec(rest[1:]))


def _ptr(made: Mechanism, rest: str) -> Mechanism:
    return _with_domain(made, rest) if rest else made


def _hosts(made: Mechanism, rest: str) -> Mechanism:
    """`a` and `mx`: a domain, lengths of prefixes, or both. A domain may have slashes, too, but none behind its last dot."""
    lengths = _lengths(rest, max(len(rest) - _LONGEST, 0))
    assert lengths is not None  # it can be empty
    if lengths.start():
        made = _with_domain(made, rest[: lengths.start()])
    return replace(made, four=_length(lengths["four"], 32, made), six=_length(lengths["six"], 128, made))


def _ip4(made: Mechanism, rest: str) -> Mechanism:
    return replace(made, network=_network(made, rest, IPv4Address, IPv4Network, 32))


def _ip6(made: Mechanism, rest: str) -> Mechanism:
    return replace(made, network=_network(made, rest, IPv6Address, IPv6Network, 128))


def _network(
    made: Mechanism,
    rest: str,
    address: type[IPv4Address] | type[IPv6Address],
    network: type[IPv4Network] | type[IPv6Network],
    most: int,
) -> IPv4Network | IPv6Network:
    written, slash, prefix = rest[1:].partition("/")
    try:
        if not rest.startswith(":") or "%" in written:  # a zone (RFC 4007) is no part of an address on the Internet
            raise ValueError
        length = _length(prefix if slash else None, most, made)
        return network((int(address(written)), length), strict=False)
    except ValueError:
        raise SpfSyntaxError(f"no network: {made.text[:80]}") from None


def _length(text: str | None, most: int, made: Mechanism) -> int:
    """A prefix length. The public suite refuses leading zeros, as the RFC does in addresses."""
    if text is None:
        return most
    if re.fullmatch(_LENGTH, text) is None or int(text) > most:
        raise SpfSyntaxError(f"no prefix length: {made.text[:80]}")
    return int(text)


_READERS: dict[str, Callable[[Mechanism, str], Mechanism]] = {
    "all": _all,
    "include": _with_domain,
    "a": _hosts,
    "mx": _hosts,
    "ptr": _ptr,
    "ip4": _ip4,
    "ip6": _ip6,
    "exists": _with_domain,
}
