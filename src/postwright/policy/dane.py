"""TLSA records as SMTP uses them (RFC 7672): read, and those chosen that a certificate has to match.

Pure. That a record may be believed at all is the validating resolver's word and not known here. What is malformed is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from postwright.model.tlsa import HASHES, Tlsa, matches

__all__ = ["Tlsa", "chosen", "matches", "read_tlsa"]

_MOST = 100  # records of one host; RFC 7672 knows no bound, and a chain is held against each


def read_tlsa(text: str) -> Tlsa | None:
    """`3 1 1 2bb183af…` (presentation form, data perhaps in several words)."""
    words = text.split()
    if len(words) < 4 or not all(word.isascii() and word.isdigit() and int(word[:4]) < 256 for word in words[:3]):
        return None
    try:
        data = bytes.fromhex("".join(words[3:]))
    except ValueError:
        return None
    usage, selector, matching = (int(word[:4]) for word in words[:3])
    return Tlsa(usage, selector, matching, data)


def chosen(texts: Sequence[str]) -> tuple[Tlsa, ...]:
    """The usable ones among records in presentation form, less the weaker digests where a stronger one stands beside them.

    Digest agility (RFC 7671 section 9): of one usage and selector only the strongest digest counts, beside those with the whole object.
    """
    usable = [record for record in map(read_tlsa, texts[:_MOST]) if record is not None and record.usable]
    return tuple([record for record in usable if record.matching == 0 or record.matching == _strongest(usable, record)])


def _strongest(records: Iterable[Tlsa], like: Tlsa) -> int:
    return max(r.matching for r in records if r.matching in HASHES and (r.usage, r.selector) == (like.usage, like.selector))
