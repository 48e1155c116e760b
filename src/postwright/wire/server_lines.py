"""Command lines as a server judges them before their verb is read: how long one may be; and what AUTH is told that is not offered.

Pure; a refusal or None.
"""

from __future__ import annotations

from typing import Final

from postwright.model.reply import Reply
from postwright.wire import refusals
from postwright.wire.commands import LINE_EXTRA
from postwright.wire.options import Limits, ServerOptions

# Browsers made to speak to a mail port (Postfix: smtpd_forbidden_commands). Hanging up is what protects the others.
NOT_MAIL_VERBS: Final = frozenset({"GET", "POST", "PUT", "CONNECT", "HEAD", "OPTIONS"})


def too_long(line: bytes, limits: Limits, in_auth: bool) -> Reply | None:
    """A line is over RFC 5321's 512 octets: is it over what its verb's extensions add, or in an AUTH dialogue over RFC 4954's 12288?"""
    if in_auth or line[:4].upper() == b"AUTH" or line[:6].upper() == b"X-EXPS":
        return refusals.AUTH_TOO_LONG if len(line) > limits.auth_line else None
    return refusals.LINE_TOO_LONG if len(line) > limits.command_line + LINE_EXTRA.get(line[:4].upper(), 0) else None


def mechanism_refusal(options: ServerOptions, mechanism: str) -> Reply:
    """A mechanism that is not offered: for want of TLS, for good, or there is no AUTH at all (RFC 4954 section 6)."""
    if options.starttls and options.auth_by_tls:
        if not options.auth:
            return refusals.STARTTLS_FIRST  # whatever it is, nobody logs in here without (RFC 3207 section 4)
        if mechanism in options.auth_by_tls:
            return refusals.TLS_FIRST
    return refusals.NO_SUCH_MECHANISM if options.auth else refusals.NOT_OFFERED
