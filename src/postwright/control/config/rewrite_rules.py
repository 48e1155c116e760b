"""Lines of a `<rewrite-list>`: what is rewritten, and into what.

Raises `ValueProblem` for what would mean nothing once it is in force; what a line does is `policy.rewrite`'s.
"""

from __future__ import annotations

from collections.abc import Callable

from postwright.control.config import values
from postwright.control.config.directive import ValueProblem
from postwright.control.config.rules import checked, email
from postwright.control.config.scan import Scanner
from postwright.policy.settings import RewriteRule


def rewrite_rule(field: str) -> Callable[[str], RewriteRule]:
    """The parser of `mail-from SOURCE TARGET` or `from-domain PATTERN DOMAIN`."""
    source, target = (_sender, _new_sender) if field == "mail-from" else (values.domain_pattern, values.host_name)

    def parse(text: str) -> RewriteRule:
        scanner = Scanner(text)
        at = scanner.at
        old = scanner.take_word("what is rewritten")
        checked(source, old, at)
        at = scanner.at
        new = scanner.take_word("the target")
        checked(target, new, at)
        scanner.end()
        return RewriteRule(field, old, new)

    return parse


def _sender(text: str) -> object:
    """`local@domain`, `*@PATTERN`, a pattern of domains alone, or `*`."""
    local, at, domain = text.rpartition("@")
    if not at or local in ("", "*"):
        return values.domain_pattern(domain)
    return email(text)


def _new_sender(text: str) -> object:
    """`local@domain`, or `*@domain` (also without the star), which keeps the local part."""
    local, _, domain = text.rpartition("@")
    if local in ("", "*"):
        return values.host_name(domain)
    if not domain:
        raise ValueProblem(f"`{text}` is no address")
    return email(text)
