"""DMARC records (RFC 7489 section 6.3, with `np` of RFC 9091 and `psd`, `t` of RFC 9989): one text in, its wishes out.

Total: nothing is raised, whatever the text is. What is wrong in a tag counts as not said (RFC 7489 section 6.3), but for the policies.
"""

from __future__ import annotations

import re

from msgspec import Struct

POLICIES = ("none", "quarantine", "reject")  # in the order of strictness
_version = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)").match
_percent = re.compile(r"[0-9]{1,3}").fullmatch


class Record(Struct, frozen=True):
    """`policy` of the domain, `below` of names below it, `absent` of such that do not exist. `strict_dkim`, `strict_spf`: alignment is
    equality. `percent` of the failing messages to which the policy applies (RFC 7489); `testing` (RFC 9989) asks for a step less.
    `suffix`: psd=y, a public suffix; `apex`: psd=n, an organizational domain."""

    policy: str
    below: str
    absent: str
    strict_dkim: bool = False
    strict_spf: bool = False
    percent: int = 100
    testing: bool = False
    suffix: bool = False
    apex: bool = False


def is_dmarc(text: str) -> bool:
    """The version comes first and is written so (RFC 7489 section 6.4); all else is some other text."""
    return _version(text) is not None


def parse(text: str) -> Record | None:
    """A text of which `is_dmarc` holds. None if no policy can be read out of it (RFC 7489 section 6.6.3 step 6)."""
    tags = _tags(text)
    said = [tags[name].lower() for name in ("p", "sp", "np") if name in tags]
    if "p" not in tags or any(value not in POLICIES for value in said):
        if "mailto:" not in tags.get("rua", ""):
            return None
        tags.update(p="none", sp="none", np="none")  # who wants reports shall have them
    policy = tags["p"].lower()
    below = tags.get("sp", policy).lower()
    percent = tags.get("pct", "100")
    return Record(
        policy,
        below,
        tags.get("np", below).lower(),
        tags.get("adkim", "r").lower() == "s",
        tags.get("aspf", "r").lower() == "s",
        min(int(percent), 100) if _percent(percent) else 100,
        tags.get("t", "n").lower() == "y",
        tags.get("psd", "u").lower() == "y",
        tags.get("psd", "u").lower() == "n",
    )


def _tags(text: str) -> dict[str, str]:
    """The first of each name counts."""
    tags: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip(" \t").lower(), value.strip(" \t"))
    return tags
