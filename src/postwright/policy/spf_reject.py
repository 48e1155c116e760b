"""What MAIL is answered when SPF says no (`reject-spf-check-*`), with the codes of RFC 7372 section 3.2. Pure and total."""

from __future__ import annotations

from postwright.model.reply import Reply
from postwright.policy.settings import SourceSettings

_FAILED = Reply(550, "5.7.23", ("SPF says that you may not send for this domain",))
_BROKEN = Reply(550, "5.7.24", ("the SPF record of this domain is in error",))
_UNKNOWN = Reply(451, "4.7.24", ("SPF of this domain cannot be looked up now, try again later",))


def refusal(result: str, source: SourceSettings) -> Reply | None:
    """The reply; None without objection. `result` as in RFC 7208 section 2.6."""
    if result == "fail":
        return _FAILED if source.reject_spf_check_fail else None
    if result == "permerror":
        return _BROKEN if source.reject_spf_check_permerror else None
    if result == "temperror":
        return _UNKNOWN if source.reject_spf_check_temperror else None
    return None
