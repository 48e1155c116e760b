"""A process that hands in mail over HTTP as quickly as it is taken: connections kept alive, one request at a time on each.

    python -m parts.injecting_ends PORT KEY COUNT SIZE CONNECTIONS BATCH

`BATCH` recipients a request, each with a variable of its own; 1 is a message of its own each. Ends with status 1 when an answer is no 202.
It reads no more of an answer than its status and length: it is to cost little beside what it measures.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys

from postwright.testing.loop import run_on_fast_loop

_length = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def body(size: int, batch: int) -> bytes:
    """A request's body; the text is about `size` octets in lines."""
    text = "x" * 76 + "\n"
    message = {"from": "bench@client.example", "subject": "bench", "text": text * max(1, (size - 400) // len(text))}
    if batch == 1:
        return json.dumps({**message, "to": "user@there.example"}).encode()
    recipients = [{"email": f"user{number}@there.example", "variables": {"n": str(number)}} for number in range(batch)]
    return json.dumps({**message, "subject": "bench {{n}}", "recipients": recipients}).encode()


async def send(port: int, left: list[bytes]) -> None:
    """One connection's share of the requests."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while left:
        writer.write(left.pop())
        head = await reader.readuntil(b"\r\n\r\n")
        found = _length.search(head)
        told = await reader.readexactly(int(found[1])) if found else b""
        if not head.startswith(b"HTTP/1.1 202"):
            raise SystemExit(f"{head[:40]!r} {told[:300]!r}")
    writer.close()


def request(key: str, size: int, recipients: int) -> bytes:
    """Head and body."""
    content = body(size, recipients)
    fields = ("Host: localhost", f"X-API-Key: {key}", "Content-Type: application/json", f"Content-Length: {len(content)}")
    return "\r\n".join(["POST /api/v1/messages HTTP/1.1", *fields, "", ""]).encode() + content


async def main(port: int, key: str, count: int, size: int, connections: int, batch: int) -> None:
    left = [request(key, size, batch)] * (count // batch)
    if count % batch:
        left.append(request(key, size, count % batch))
    await asyncio.gather(*[send(port, left) for _ in range(connections)])


if __name__ == "__main__":
    port, key, *numbers = sys.argv[1:]
    run_on_fast_loop(main(int(port), key, *map(int, numbers)))
