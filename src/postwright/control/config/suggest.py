"""The near name: what somebody meant who wrote what there is not. Silent rather than far-fetched; never fails."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 64  # characters; longer words are no misspelt names, and comparing takes time in their length


def nearest(word: str, names: Iterable[str]) -> str:
    """The one of `names` that looks like `word`, or ""."""
    if not word or len(word) > LONGEST:
        return ""
    lower = word.lower()
    known = {name.lower(): name for name in names}
    # a word left out at an end is the commonest old spelling: 421-means-mx-unavailable
    for name in known:
        if len(lower) > 7 and (name.endswith(f"-{lower}") or (lower.endswith(f"-{name}") and len(name) > 7)):
            return known[name]
    found = get_close_matches(lower, known, n=1, cutoff=0.75)
    return known[found[0]] if found else ""


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """The sentence for an error, or ""."""
    name = nearest(word, names)
    return f"did you mean `{name}`?" if name else ""
