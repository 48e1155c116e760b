"""Packs of bounce rules: dated data, ours (`policy/data`) or the operator's own, from TOML to a `Sorter`.

`parse` is pure and names what is wrong (ValueError, one line). `shipped` reads what this version brings, once a process.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib import resources

import msgspec
import re2
from msgspec import Struct

from postwright.policy.bounce import Rule, Sorter, options

SHIPPED = "bounce-rules-2026-11.toml"
"""The pack that counts where the configuration has no `<bounce-category-patterns>`."""

_status = re.compile(r"\d{1,3}\.(?:\d{1,3})?").fullmatch
_category = re.compile(r"[\w.-]{1,60}").fullmatch
_host = re.compile(r"\*\.[a-z0-9.-]{1,250}").fullmatch


class Pack(Struct, forbid_unknown_fields=True, frozen=True):
    """The file: its `version`, and its `rule`s in order."""

    version: str
    rule: tuple[PackRule, ...]


class PackRule(Struct, forbid_unknown_fields=True, frozen=True):
    """A rule as the file has it; see `policy.bounce.Rule`. `hosts` are written "*.example.com"; `like` are replies that it must hit."""

    name: str
    category: str
    text: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    weak: bool = False
    like: tuple[str, ...] = ()


def parse(content: str) -> Sorter:
    """The rules of a file. Raises ValueError, naming the rule, for what is no TOML, no pack, or no expression of RE2's."""
    pack = decode(content)
    return Sorter([_checked(rule) for rule in pack.rule], pack.version)


def decode(content: str) -> Pack:
    """The file as it is, its expressions not yet tried. Raises ValueError."""
    try:
        return msgspec.convert(tomllib.loads(content), Pack)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"no bounce rules: {error}") from None


def shipped_text() -> str:
    """The file of our pack."""
    return resources.files("postwright.policy").joinpath("data", SHIPPED).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def shipped() -> Sorter:
    """Ours, of this version."""
    return parse(shipped_text())


def category(status: str, diagnostic: str, host: str = "") -> str:
    """By our pack: for who has no settings at hand."""
    return shipped().sort(status, diagnostic, host).category


def _checked(rule: PackRule) -> Rule:
    for text in rule.text:
        try:
            re2.compile(text, options=options())
        except re2.error as error:
            raise ValueError(
                f"rule {rule.name}: RE2 does not take /{text}/: {error}; it has no look-around and no back-references"
            ) from None
    for good, values in ((_status, rule.status), (_host, rule.hosts), (_category, (rule.category,))):
        if bad := next((value for value in values if good(value) is None), ""):
            raise ValueError(f"rule {rule.name}: `{bad}` is no value for this")
    if not (rule.text or rule.status or rule.hosts):
        raise ValueError(f"rule {rule.name} fits everything")
    return Rule(rule.name, rule.category, rule.text, rule.status, tuple(host[1:] for host in rule.hosts), rule.weak)
