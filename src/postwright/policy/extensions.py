"""Which of the later SMTP extensions a client is offered (`smtp-extensions`), and who may ask for more than others get.

Pure. What a stranger sees in EHLO is kept small: REQUIRETLS inside TLS, and the limits that hold. To hold a message, to have it back
by a time, to be served before others, or to have a return path for each recipient is for those who may relay.
"""

from __future__ import annotations

from postwright.policy.settings import SourceSettings

NAMES = ("requiretls", "futurerelease", "deliverby", "mt-priority", "verp", "limits")
_FOR_ALL = frozenset({"requiretls", "limits"})


def may_relay(source: SourceSettings, logged_in: bool) -> bool:
    """Whether a client is one of ours: logged in, or from an address that may relay as it is."""
    if logged_in:
        return source.always_allow_relaying is not False
    return bool(source.always_allow_relaying) and not source.require_auth


def extensions(source: SourceSettings, tls: bool, logged_in: bool) -> frozenset[str]:
    """Names out of `NAMES`. REQUIRETLS never without TLS (RFC 8689 section 2), whatever was written."""
    said = frozenset(source.smtp_extensions)
    found = said & frozenset(NAMES)
    if "auto" in said:
        found |= frozenset(NAMES) if may_relay(source, logged_in) else _FOR_ALL
    return found if tls else found - {"requiretls"}
