"""The parameters of MAIL that later extensions brought: REQUIRETLS, HOLDFOR and HOLDUNTIL, BY, MT-PRIORITY (both ways), VERP.

Parsers take the value behind `=` and what is offered, and give a value or raise `Refused` with the reply; `words` writes those that the
next host offers. What relative times come to, and who may ask for what, is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any

from postwright.model.envelope import MailExtras
from postwright.model.reply import Reply
from postwright.wire.options import ServerOptions

BY_MOST = 999_999_999  # seconds: nine digits, RFC 2852 section 4
# What the extensions add to a MAIL line: RFC 8689 section 2, RFC 4865 section 4, RFC 2852 section 4, RFC 6710 section 4; VERP
LINE_EXTRA = 11 + 34 + 17 + 15 + 5
FIELDS = frozenset(("require_tls", "hold_for", "hold_until", "by", "priority"))


class Refused(Exception):
    """Carries a reply from a parameter's parser to the parser of the command; never leaves it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


def bad(text: str) -> Refused:
    """501: the parameter is known, its value is not."""
    return Refused(Reply(501, "5.5.4", (text,)))


def unknown(keyword: str) -> Refused:
    """555: nobody was offered this parameter (RFC 5321 section 4.1.1.11)."""
    return Refused(Reply(555, "5.5.4", (f"{keyword} is not supported here",)))


def require_tls(value: str | None, options: ServerOptions) -> bool:
    if not options.offers.requiretls:
        raise unknown("REQUIRETLS")
    if value is not None:
        raise bad("REQUIRETLS takes no value")
    return True


def verp(value: str | None, options: ServerOptions) -> bool:
    """PowerMTA's; its only form has no value (the delimiters of Postfix's XVERP are another's)."""
    if not options.offers.verp or value is not None:
        raise unknown("VERP")
    return True


_seconds = re.compile(r"[1-9][0-9]{0,8}").fullmatch  # future-release-integer of RFC 4865 section 4: no time at all is none


def hold_for(value: str | None, options: ServerOptions) -> int:
    most = options.offers.hold
    if not most:
        raise unknown("HOLDFOR")
    if value is None or _seconds(value) is None:
        raise bad("HOLDFOR wants seconds")
    if int(value) > most:
        raise bad(f"HOLDFOR may be {most} seconds at most")
    return int(value)


# RFC 3339 section 5.6, as erratum 2040 says of RFC 4865. `fromisoformat` takes much that is none.
_date_time = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
).fullmatch


def hold_until(value: str | None, options: ServerOptions) -> float:
    if not options.offers.hold:
        raise unknown("HOLDUNTIL")
    if value is None or _date_time(value) is None:
        raise bad("HOLDUNTIL wants a time such as 2030-01-31T08:00:00Z")
    try:
        return datetime.fromisoformat(value.upper()).timestamp()
    except (ValueError, OverflowError):
        raise bad("HOLDUNTIL names a time that does not exist") from None


_by = re.compile(r"([+-]?[0-9]{1,9});([NnRr])([Tt]?)").fullmatch


def by(value: str | None, options: ServerOptions) -> tuple[int, str]:
    if not options.offers.deliverby:
        raise unknown("BY")
    match = _by(value or "")
    if match is None:
        raise bad("BY wants seconds;R or seconds;N")
    seconds, mode = int(match[1]), match[2].upper()
    if mode == "R" and seconds <= 0:
        raise bad("BY with R wants a time to come")  # RFC 2852 section 4
    return seconds, mode + match[3].upper()


_priority = re.compile(r"-?[1-9]|0").fullmatch  # priority-value of RFC 6710 section 4 knows one zero


def priority(value: str | None, options: ServerOptions) -> int:
    if not options.offers.mt_priority:
        raise unknown("MT-PRIORITY")
    if value is None or _priority(value) is None:
        raise bad("MT-PRIORITY wants -9 to 9")
    return int(value)


def gather(values: dict[str, Any]) -> MailExtras | None:
    """Takes ours out of the parameters of a MAIL command. Raises Refused."""
    if FIELDS.isdisjoint(values):
        return None
    own = {name: values.pop(name) for name in FIELDS & values.keys()}
    if "hold_for" in own and "hold_until" in own:
        raise bad("HOLDFOR and HOLDUNTIL exclude each other")  # RFC 4865 section 4
    return MailExtras(**own)


def words(extras: MailExtras, offered: Collection[str]) -> str:
    """The parameters for a MAIL line, each with a blank before it; without those whose extension is not among the EHLO keywords `offered`.

    HOLDFOR is for who submits: delivery never asks for it, as a message is held once, by whom it was submitted to. HOLDUNTIL is not said.
    """
    line = ""
    if extras.hold_for is not None and "FUTURERELEASE" in offered:
        line += f" HOLDFOR={extras.hold_for}"
    if extras.require_tls and "REQUIRETLS" in offered:
        line += " REQUIRETLS"
    if extras.by is not None and "DELIVERBY" in offered:
        seconds, mode = extras.by
        line += f" BY={max(-BY_MOST, min(BY_MOST, seconds))};{mode}"
    if extras.priority is not None and "MT-PRIORITY" in offered:
        line += f" MT-PRIORITY={extras.priority}"
    return line
