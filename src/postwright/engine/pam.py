"""PAM, asked by python-pam (extra `[pam]`): is this the password, and may the account be used now?

It blocks, for as long as the modules of the service like (pam_unix waits two seconds after a wrong password), so only the login helper
calls it, in a thread. A user that PAM refuses is a value; so is a PAM that cannot tell, with the reason. Passwords are kept nowhere.
"""

from __future__ import annotations

import importlib.util

from msgspec import Struct

MISSING = "`authentication-method system` needs python-pam: pip install 'postwright[pam]'"
# Linux-PAM's codes (security/_pam_types.h) that are an answer about the user: bad password, unknown, expired, denied, too many tries …
# All others mean that the question could not be answered (no such service, no module, directory server down).
_REFUSED = frozenset((6, 7, 8, 10, 11, 12, 13, 16, 17, 27))


class PamAnswer(Struct, frozen=True):
    """`ok`, or refused; with an `error` PAM could not tell."""

    ok: bool
    error: str = ""


def available() -> bool:
    """Is python-pam installed?"""
    return importlib.util.find_spec("pam") is not None


def check(service: str, user: str, password: str) -> PamAnswer:
    """Authentication and account management (not: a session) of `user` in `service`."""
    if not user or not password or "\0" in user or "\0" in password:
        return PamAnswer(False)  # an empty password passes pam_unix's nullok, and NUL ends a C string early
    try:
        from pam import PamAuthenticator
    except ImportError:
        return PamAnswer(False, MISSING)
    try:
        asked = PamAuthenticator()
        # resetcreds: a login needs no credentials of the user (Kerberos tickets, groups) in this process
        if asked.authenticate(user, password, service=service, resetcreds=False):
            return PamAnswer(True)
    except (OSError, AttributeError, UnicodeError) as error:  # no libpam here; a name that is no UTF-8
        return PamAnswer(False, "" if isinstance(error, UnicodeError) else f"libpam cannot be used: {error}")
    return PamAnswer(False) if asked.code in _REFUSED else PamAnswer(False, f"PAM service {service}: {asked.reason} ({asked.code})")
