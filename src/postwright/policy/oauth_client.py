"""`<oauth-client>`: where the tokens come from that we log in with at receivers. Plain frozen values, and the form that is sent for one.

Three ways: a token as it stands, a file that somebody else keeps fresh, or an authorisation server's token endpoint, asked with a refresh
token (RFC 6749 section 6) or with the client's own credentials (section 4.4). Nothing is asked here.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from postwright.policy.list_settings import Origin

CLIENT_AUTHENTICATION: Final = ("body", "basic")


class OauthClient(Struct, frozen=True):
    """`<oauth-client NAME>` (ours). `request_timeout` in seconds. No secret shows in a repr."""

    name: str
    token_url: str = ""
    client_id: str = ""
    client_secret: str = ""
    client_authentication: str = "body"
    refresh_token: str = ""
    scope: str = ""
    access_token: str = ""
    token_file: str = ""
    request_timeout: float = 10.0
    ca_file: str = ""
    origin: Origin = Origin()

    def __repr__(self) -> str:
        return f"OauthClient({self.name!r}, token_url={self.token_url!r})"


def form_of(client: OauthClient, refresh_token: str) -> dict[str, str]:
    """What is posted to `token_url`; `refresh_token` is the newest that there is, "" for the client's own credentials."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token} if refresh_token else {"grant_type": "client_credentials"}
    if client.scope:
        form["scope"] = client.scope
    if client.client_authentication == "body":
        form["client_id"] = client.client_id
        if client.client_secret:  # a public client has none (RFC 6749 section 2.1)
            form["client_secret"] = client.client_secret
    return form
