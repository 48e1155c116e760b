"""Whom a token stands for: the claims of a verified one against what `<oauth-provider>` asks, with nothing looked up.

The signature has been checked (or the authorisation server asked) before this; here it is decided whether the token is *for us*: issuer,
audience, time, scopes, the claim that names the user, and the name that the client gave beside it. Time comes in as an argument. Whatever
a claim holds, the answer is a `Judgement`, never an exception; its `reason` is for our own record and holds no part of the token but
names of claims and what the operator configured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from postwright.policy.list_settings import Origin

INVALID_TOKEN = "invalid_token"
INSUFFICIENT_SCOPE = "insufficient_scope"
LONGEST_NAME = 320  # octets of a user's name: the longest address there is

# RFC 7518 section 3.1, RFC 8037, RFC 9864. No `none`, and no HMAC: whoever takes a public key for its secret lets anybody sign
# (RFC 8725 section 2.1).
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519", "Ed448")


class OauthProvider(Struct, frozen=True):
    """`<oauth-provider NAME>` (ours). Times in seconds. `jwks` is a file or URL, `introspection_url` the endpoint of RFC 7662;
    no `algorithms` are all of `ALGORITHMS`."""

    name: str
    issuer: str = ""
    audience: tuple[str, ...] = ()
    jwks: str = ""
    introspection_url: str = ""
    client_id: str = ""
    client_secret: str = ""
    required_scopes: tuple[str, ...] = ()
    user_claim: tuple[str, ...] = ("email",)
    algorithms: tuple[str, ...] = ()
    clock_leeway: float = 60.0
    cache_time: float = 300.0
    refresh_interval: float = 30.0
    request_timeout: float = 5.0
    ca_file: str = ""
    accept_unknown_users: bool = False
    source: str = ""
    origin: Origin = Origin()

    def __repr__(self) -> str:
        return f"OauthProvider({self.name!r}, issuer={self.issuer!r})"


class Judgement(Struct, frozen=True):
    """`user` is whom the token stands for, "" if it is not good; then `error` of RFC 6750 section 3.1, and the `reason` for our record.

    `until` is when the token ends (Unix time), infinite if it does not say (introspection alone may leave that out).
    """

    user: str = ""
    error: str = ""
    reason: str = ""
    until: float = float("inf")


def judge(provider: OauthProvider, claims: Mapping[str, object], hint: str, now: float, *, introspected: bool = False) -> Judgement:
    """`claims` of a JWT whose signature holds, or (`introspected`) of an answer of RFC 7662 that says active.

    `hint` is the user that the client named (RFC 7628's `a=`, XOAUTH2's `user=`), "" if it did not. A JWT must have an `exp`
    (RFC 9068 section 2.2); an answer of introspection need not, since who gave it knows.
    """
    reason = _issued(provider, claims, introspected) or _in_time(provider, claims, now, introspected)
    if reason:
        return _refused(reason)
    missing = set(provider.required_scopes) - _scopes(claims)
    if missing:
        return Judgement(error=INSUFFICIENT_SCOPE, reason=f"the token lacks the scope {' '.join(sorted(missing))}")
    user = _user(provider.user_claim, claims)
    if not user:
        return _refused(f"no claim of the token names a user (asked for: {', '.join(provider.user_claim)})")
    if hint and hint.lower() != user.lower():
        return _refused("the client named another user than the token does")
    until = claims.get("exp")
    return Judgement(user, until=float(until) + provider.clock_leeway if isinstance(until, int | float) else float("inf"))


def _refused(reason: str) -> Judgement:
    return Judgement(error=INVALID_TOKEN, reason=reason)


def _issued(provider: OauthProvider, claims: Mapping[str, object], introspected: bool) -> str:
    issuer = claims.get("iss")
    # Exactly, RFC 8414 section 2: no trailing slash more or less. RFC 7662 makes `iss` optional: there we know whom we asked.
    if issuer != provider.issuer and not (introspected and (issuer is None or not provider.issuer)):
        return "the token is of another issuer"
    if provider.audience and not set(provider.audience) & _strings(claims.get("aud")):
        return "the token is for another audience"
    return ""


def _in_time(provider: OauthProvider, claims: Mapping[str, object], now: float, introspected: bool) -> str:
    leeway = provider.clock_leeway
    for name in ("exp", "nbf", "iat"):
        if not _is_time(claims.get(name, 0)):
            return f"{name} of the token is no time"
    until = claims.get("exp")
    if until is None and not introspected:
        return "the token says not when it ends (exp)"
    if isinstance(until, int | float) and now >= until + leeway:
        return "the token has expired"
    for name in ("nbf", "iat"):
        since = claims.get(name)
        if isinstance(since, int | float) and now < since - leeway:
            return f"the token is not valid yet ({name})"
    return ""


def _is_time(value: object) -> bool:
    # True is an int to Python; an infinite time would be a token for ever
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1 << 53


def _strings(value: object) -> set[str]:
    """RFC 7519 section 4.1.3: a string, or an array of them."""
    if isinstance(value, str):
        return {value}
    return {part for part in value if isinstance(part, str)} if isinstance(value, list) else set()


def _scopes(claims: Mapping[str, object]) -> set[str]:
    """`scope` (RFC 8693 section 4.2) and `scp`, as Microsoft (words) and Okta (an array) call it."""
    return {word for name in ("scope", "scp") for part in _strings(claims.get(name)) for word in part.split(" ") if word}


def _user(names: Iterable[str], claims: Mapping[str, object]) -> str:
    """The first of these claims that is there. An address that its issuer has not verified names nobody: its owner may be another."""
    for name in names:
        value = claims.get(name)
        if name == "email" and claims.get("email_verified", True) not in (True, "true"):
            continue
        if isinstance(value, str) and value.isprintable() and 0 < len(value.encode("utf-8", "replace")) <= LONGEST_NAME:
            return value
    return ""
