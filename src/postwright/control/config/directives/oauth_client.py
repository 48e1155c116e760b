"""`<oauth-client NAME>`: where the tokens come from that the relay itself logs in with at receivers (`auth-oauth-client` of `<domain>`)."""

from __future__ import annotations

from postwright.control.config import kinds as k
from postwright.control.config.directive import Directive, Scope
from postwright.control.config.directives.rows import works
from postwright.policy.settings import OAUTH_CLIENT_AUTHENTICATION

CLIENT = Scope.OAUTH_CLIENT

ROWS: tuple[Directive, ...] = (
    works("token-url", CLIENT, k.URL, "Where tokens are fetched: with the refresh-token, or else as the client itself (client credentials)",
          ours=True),
    works("client-id", CLIENT, k.TEXT, "Our name there", ours=True),
    works("client-secret", CLIENT, k.SECRET, "Our password there (cannot contain #)", ours=True),
    works("client-authentication", CLIENT, k.CHOICE(*OAUTH_CLIENT_AUTHENTICATION), "How name and password are told there", "body",
          ours=True),
    works("refresh-token", CLIENT, k.SECRET, "What a person gave us leave with: is changed for tokens as often as needed", ours=True),
    works("scope", CLIENT, k.TEXT, "What the tokens are to be good for, words with blanks between them", ours=True),
    works("token", CLIENT, k.SECRET, "A token as it stands, for who has one that lasts", setting="access_token", ours=True),
    works("token-file", CLIENT, k.FILE, "A file with nothing but the token, kept fresh by somebody else", ours=True),
    works("request-timeout", CLIENT, k.WAIT, "How long its server may take", "10s", ours=True),
    works("ca-file", CLIENT, k.FILE, "Certification authorities that its server is checked against", "(the system's)", ours=True),
)  # fmt: skip
