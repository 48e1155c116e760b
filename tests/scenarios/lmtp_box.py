"""A small LMTP server, as a mailbox store is one: on a port or a Unix socket, with an answer of its own for each recipient's content.

Speaks as RFC 2033 says and no more; written for tests, independently of the relay's own intake.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Box:
    """`answers` by local part: the reply to the content (else 250); `taken` what was stored, as (recipient, content)."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.taken: list[tuple[str, bytes]] = []
        self.said: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One session."""
        writer.write(b"220 box.example LMTP ready\r\n")
        to: list[str] = []
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            verb = line.partition(" ")[0].upper()
            self.said.append(verb)
            if verb == "LHLO":
                reply = "250-box.example\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME"
            elif verb == "RCPT":
                to.append(line.partition("<")[2].partition(">")[0])
                reply = "250 2.1.5 ok"
            elif verb == "DATA":
                writer.write(b"354 go\r\n")
                content = (await reader.readuntil(b"\r\n.\r\n"))[:-3]
                reply = "\r\n".join([self._store(one, content) for one in to])
                to = []
            else:
                reply = {"MAIL": "250 2.1.0 ok", "RSET": "250 2.0.0 ok", "QUIT": "221 2.0.0 bye"}.get(verb, "500 5.5.1 what")
            writer.write(f"{reply}\r\n".encode())
            if verb == "QUIT":
                break
        writer.close()

    def _store(self, recipient: str, content: bytes) -> str:
        answer = self.answers.get(recipient.partition("@")[0], "250 2.0.0 stored")
        if answer.startswith("2"):
            self.taken.append((recipient, content))
        return answer


@asynccontextmanager
async def box_at(where: str | int, **answers: str) -> AsyncIterator[Box]:
    """A box on a port of loopback, or on the Unix socket of that path."""
    box = Box(**answers)
    if isinstance(where, int):
        server = await asyncio.start_server(box.serve, "127.0.0.1", where)
    else:
        server = await asyncio.start_unix_server(box.serve, where)
    async with server:
        yield box
