"""`<oauth-provider NAME>`: who issues the tokens that users of OAUTHBEARER and XOAUTH2 log in with, and what such a token must say."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Scope
from postwright.control.config.directives.rows import works
from postwright.policy.settings import OAUTH_ALGORITHMS

OAUTH = Scope.OAUTH_PROVIDER

ROWS: tuple[Directive, ...] = (
    works("issuer", OAUTH, k.TEXT, "The iss of its tokens, letter by letter", ours=True),
    works("audience", OAUTH, k.LIST, "The aud that tokens for this relay have: one of these", ours=True),
    works("jwks", OAUTH, k.FILE_OR_URL, "Where the keys are that its tokens are signed with: a file, or an https URL (JSON Web Key Set)",
          ours=True),
    works("introspection-url", OAUTH, k.URL, "Where it is asked about tokens that do not say for themselves what they are worth (RFC 7662)",
          ours=True),
    works("client-id", OAUTH, k.TEXT, "Our name there", ours=True),
    works("client-secret", OAUTH, k.SECRET, "Our password there", ours=True),
    works("required-scopes", OAUTH, k.LIST, "Scopes that a token must have, all of them", ours=True),
    works("user-claim", OAUTH, k.LIST, "The claim that names the user: the first of these that the token has", "email", ours=True),
    works("algorithms", OAUTH, k.CHOICES(*OAUTH_ALGORITHMS), "How its tokens may be signed; with public keys only", "(all that are named)",
          ours=True),
    works("clock-leeway", OAUTH, k.TIME, "How far its clock may be from ours", "1m", ours=True),
    works("cache-time", OAUTH, k.TIME, "How long keys, and answers about a token, are taken for true", "5m", ours=True),
    works("refresh-interval", OAUTH, k.WAIT, "How often, at most, keys are fetched because a token names one that we do not know", "30s",
          ours=True),
    works("request-timeout", OAUTH, k.WAIT, "How long its server may take", "5s", ours=True),
    works("ca-file", OAUTH, k.FILE, "Certification authorities that its server is checked against", "(the system's)", ours=True),
    works("accept-unknown-users", OAUTH, k.BOOL, "Whom a token names may log in without being a configured user, too", "no", ours=True),
    works("source", OAUTH, k.NAME, "Named source of those users, and of configured ones without a source of their own", ours=True),
)  # fmt: skip
