"""`type http-delivery`: a POST for each recipient, a JSON document with the message in it (powermta.md section 4); 2xx is delivered, all
else later (`http_answers`).

The connection is kept, redirections are not followed, and what is in the file of more header fields (a key, mostly) is in no message or
log.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

from postwright.engine.transports import PutOff, later, never
from postwright.engine.transports.http_answers import of_answer, printable
from postwright.model.envelope import Recipient
from postwright.model.message import Message
from postwright.model.outcome import Disposition
from postwright.net.clock import Clock
from postwright.net.http_client import HttpClient, HttpFailed, HttpLate
from postwright.wire.client_states import Transaction

HEADERS_MOST = 65536  # octets of the file of more header fields
# RFC 9110 section 5.6.2 and 5.5, of whose octets above 127 nobody knows what they mean
_field = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[!-~](?:[ \t!-~]*[!-~])?)?)[ \t]*").fullmatch
_OURS = frozenset(("host", "content-length", "transfer-encoding", "connection", "expect", "content-type"))
_IN_THE_CLEAR = never("5.7.10", "the sender requires TLS on the whole way, and http-delivery-url has none")


class HttpDelivery:
    """See `Transport`."""

    name = "http"
    most: int | None = 1
    reports = True

    def __init__(self, url: str, headers: dict[str, str], client: HttpClient, clock: Clock) -> None:
        self._url = url
        self._headers = headers
        self._client = client
        self._clock = clock

    async def deliver(self, message: Message, transaction: Transaction) -> list[Disposition] | PutOff:
        wishes = message.envelope.wishes
        if wishes is not None and wishes.require_tls and not self._url.startswith("https:"):
            return [_IN_THE_CLEAR] * len(transaction.recipients)
        fates = []
        for recipient in transaction.recipients:
            fate = await self._one(transaction, recipient)
            if isinstance(fate, PutOff):
                return fate
            fates.append(fate)
        return fates

    async def close(self) -> None:
        """Its connections end; a request under way fails."""
        await self._client.close()

    async def _one(self, transaction: Transaction, recipient: Recipient) -> Disposition | PutOff:
        document = json.dumps(document_of(transaction, recipient)).encode()
        try:
            answer = await self._client.post_json(self._url, document, headers=self._headers)
        except HttpLate as late:  # of this message, perhaps, and it may have been taken
            return later("4.4.2", f"{late}; the message may be delivered more than once")
        except HttpFailed as failed:
            return PutOff(later("4.4.1", str(failed)))
        return of_answer(answer.status, printable(answer.body), answer.retry_after, self._clock.now())


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


def read_headers(name: str, directive: str = "http-delivery-extra-headers") -> dict[str, str]:
    """More header fields out of a file, a line each. Raises OSError, ValueError (with the line's number, never its text)."""
    found: dict[str, str] = {}
    if not name:
        return found
    with Path(name).open("rb") as file:
        octets = file.read(HEADERS_MOST + 1)
    if len(octets) > HEADERS_MOST:
        raise ValueError(f"{directive} {name}: more than {HEADERS_MOST} octets")
    for number, line in enumerate(octets.split(b"\n"), 1):
        if not line.strip():
            continue
        field = _field(line.rstrip(b"\r"))
        if field is None:
            raise ValueError(f"{directive} {name}: line {number} is no header field")
        if field[1].lower().decode() in _OURS:
            raise ValueError(f"{directive} {name}: line {number}: {field[1].decode()} is ours to say")
        found[field[1].decode()] = field[2].decode("ascii")
    return found
