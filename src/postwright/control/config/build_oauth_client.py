"""`<oauth-client>`: from blocks to settings, and what makes one useless or unsafe, said at its line. Nothing is fetched here.

A client has one way to its tokens; two would leave it to chance which of them is sent. What goes to the token endpoint is as good as a
password, so plain HTTP is for this machine itself only.
"""

from __future__ import annotations

from collections.abc import Iterator

from postwright.control.config import fill
from postwright.control.config.build_oauth import private
from postwright.control.config.build_places import Places
from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report
from postwright.policy.settings import OauthClient


def clients(blocks: dict[str, list[Block]], places: Places, report: Report) -> dict[str, OauthClient]:
    """By lower-case name, as `blocks` are; blocks of one name are one."""
    found: dict[str, OauthClient] = {}
    for name, same in blocks.items():
        entries = [_located(entry, places) for block in same for entry in block.entries()]
        client = found[name] = OauthClient(**{**fill.values(entries, OauthClient), "name": same[0].head, "origin": same[0].origin})
        for message, hint in _wrong(client):
            report.at(same[0].text, same[0].line, f"<oauth-client {client.name}>: {message}", hint=hint)
        for entry in entries:
            _judge_url(entry, report)
    return found


def _located(entry: Entry, places: Places) -> Entry:
    """`token-file` stands beside the configuration. It may be written later: whoever keeps it fresh may start after us."""
    if entry.row.name != "token-file":
        return entry
    return Entry(entry.row, places.beside(entry.value), entry.text, entry.line)


def _wrong(client: OauthClient) -> Iterator[tuple[str, str]]:
    given = {"token-url": client.token_url, "token": client.access_token, "token-file": client.token_file}
    ways = [name for name, value in given.items() if value]
    if not ways:
        yield "nothing says where its tokens come from", "give token-url (with client-id), token, or token-file"
    elif len(ways) > 1:
        yield f"{' and '.join(ways)} are two ways to a token", "one of them is enough"
    elif client.token_url and not client.client_id:
        yield "token-url without client-id", "the authorisation server wants to know who asks"
    elif client.token_url and not client.client_secret and not client.refresh_token:
        yield "token-url without client-secret or refresh-token", "nothing would show that we may have a token"


def _judge_url(entry: Entry, report: Report) -> None:
    if entry.row.name == "token-url" and not private(entry.value):
        hint = "write https://; plain http:// only reaches this machine itself (127.0.0.1, ::1, localhost)"
        report.at(entry.text, entry.line, "token-url: secrets must not travel over plain HTTP", hint=hint)
