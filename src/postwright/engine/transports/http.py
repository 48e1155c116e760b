"""`type http-delivery`: a POST for each recipient, a JSON document with the message in it (powermta.md section 4); 2xx is delivered, all
else later.

The connection is kept, redirections are not followed, and what is in the file of more header fields (a key, mostly) is in no message or
log.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from postwright.engine.transports import delivered, later
from postwright.model.envelope import Recipient
from postwright.model.message import Message
from postwright.model.outcome import Disposition
from postwright.net.http_client import HttpClient, HttpFailed
from postwright.wire.client_states import Transaction

TIMEOUT = 60.0  # seconds for one POST


class HttpDelivery:
    """See `Transport`."""

    name = "http"
    reports = True

    def __init__(self, url: str, headers: dict[str, str], client: HttpClient) -> None:
        self._url = url
        self._headers = headers
        self._client = client

    async def deliver(self, message: Message, transaction: Transaction) -> list[Disposition]:
        return [await self._one(transaction, recipient) for recipient in transaction.recipients]

    async def close(self) -> None:
        """Its connections end; a request under way fails."""
        await self._client.close()

    async def _one(self, transaction: Transaction, recipient: Recipient) -> Disposition:
        document = json.dumps(document_of(transaction, recipient)).encode()
        try:
            answer = await self._client.post_json(self._url, document, headers=self._headers)
        except HttpFailed as failed:
            return later("4.4.1", str(failed))
        if 200 <= answer.status < 300:
            return delivered(f"the server answers {answer.status}")
        return later("4.5.0", f"the server answers {answer.status}")


def document_of(transaction: Transaction, recipient: Recipient) -> dict[str, Any]:
    """The JSON of one delivery; octets that are no UTF-8 go in Base64, and say so."""
    content = b"".join(transaction.content)
    header = content[: transaction.facts.header_size].decode("utf-8", "replace")
    try:
        mail: dict[str, Any] = {"email_rfc822": content.decode("utf-8")}
    except UnicodeDecodeError:
        mail = {"email_rfc822": base64.b64encode(content).decode(), "email_rfc822_is_base64": True}
    mail["headers"] = [{name: value} for name, value in _fields(header)]
    return {"msg_from": transaction.reverse_path.text, "rcpt_to": recipient.address.text, "content": mail}


def _fields(header: str) -> list[tuple[str, str]]:
    lines = header.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n")
    return [(name, value.strip()) for name, colon, value in (line.partition(":") for line in lines) if colon]


def read_headers(name: str) -> dict[str, str]:
    """More header fields out of a file, a line each. Raises OSError, ValueError (with the line's number, never its text)."""
    found: dict[str, str] = {}
    if not name:
        return found
    for number, line in enumerate(Path(name).read_text("utf-8").splitlines(), 1):
        key, colon, value = line.partition(":")
        if line.strip() and not (colon and key.strip().isascii() and key.strip().isprintable() and " " not in key.strip()):
            raise ValueError(f"http-delivery-extra-headers {name}: line {number} is no header field")
        if colon:
            found[key.strip()] = value.strip()
    return found
