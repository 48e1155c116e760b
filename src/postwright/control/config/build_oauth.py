"""`<oauth-provider>`: from blocks to providers, and what makes one useless or unsafe, said at its line.

A provider without an audience would take every token that its issuer gave anybody for anything; one whose keys come over plain HTTP takes
whatever somebody on the way signs. Both are errors, as is a Python without the library for tokens. Nothing is fetched here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from urllib.parse import urlsplit

from postwright.control.config import fill
from postwright.control.config.build_places import Places
from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report
from postwright.policy.settings import OauthProvider

LIBRARY = "joserfc"


def providers(blocks: dict[str, list[Block]], places: Places, report: Report) -> tuple[OauthProvider, ...]:
    """In the order of the file; blocks of one name are one. `blocks` by lower-case name."""
    found: list[OauthProvider] = []
    for same in blocks.values():
        entries = [_located(entry, places) for block in same for entry in block.entries()]
        provider = OauthProvider(**{**fill.values(entries, OauthProvider), "name": same[0].head, "origin": same[0].origin})
        _judge(provider, same[0], entries, report)
        _unlike(provider, found, same[0], report)
        found.append(provider)
    return tuple(found)


def _located(entry: Entry, places: Places) -> Entry:
    """`jwks FILE` stands beside the configuration, and must be there."""
    if entry.row.name != "jwks" or "://" in entry.value:
        return entry
    path = places.beside(entry.value)
    places.must_exist(entry, path, "error")
    return Entry(entry.row, path, entry.text, entry.line)


def _judge(provider: OauthProvider, block: Block, entries: Iterable[Entry], report: Report) -> None:
    for message, hint in _missing(provider):
        report.at(block.text, block.line, f"<oauth-provider {provider.name}>: {message}", hint=hint)
    for entry in entries:
        if entry.row.name in ("jwks", "introspection-url") and not private(entry.value):
            hint = "write https://; plain http:// only reaches this machine itself (127.0.0.1, ::1, localhost)"
            report.at(entry.text, entry.line, f"{entry.row.name}: who tells us whom to trust must not be read over plain HTTP", hint=hint)


def _missing(provider: OauthProvider) -> Iterator[tuple[str, str]]:
    if not provider.jwks and not provider.introspection_url:
        yield "nothing says how to check a token", "give jwks, introspection-url, or both"
    elif provider.jwks and not provider.issuer:
        yield "jwks without issuer", "say the `iss` of its tokens"
    elif provider.jwks and not provider.audience:
        yield "jwks without audience", "say the `aud` of tokens for this relay; else every token of that issuer would log in"
    elif provider.introspection_url and not provider.client_id:
        yield "introspection-url without client-id", "RFC 7662 wants to know who asks: client-id and client-secret"
    elif provider.jwks and find_spec(LIBRARY) is None:
        yield "the library for tokens is not installed", "pip install 'postwright[oauth]'"


def _unlike(provider: OauthProvider, others: Iterable[OauthProvider], block: Block, report: Report) -> None:
    """The issuer of a token says which provider is meant, so no two may have the same."""
    if provider.issuer and any(other.issuer == provider.issuer for other in others):
        report.at(block.text, block.line, f"<oauth-provider {provider.name}>: another provider has the same issuer")


def private(url: str) -> bool:
    """Whether what is read from there can be trusted: a file, https, or this machine itself."""
    if not url.lower().startswith("http://"):
        return True
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
