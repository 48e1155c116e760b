"""People who send: from which address, logged in or not, in a line or two."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from postwright.model.reply import Reply
from postwright.testing.sink import SinkMessage
from postwright.testing.source import SourceClient

SENDER = "anne@client.example"
HELLO = b"From: Anne <anne@client.example>\r\nSubject: hello\r\n\r\nhello\r\n"


def trusting() -> ssl.SSLContext:
    """A client's context that takes any certificate: ours is made on the spot."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@asynccontextmanager
async def client(port: int, *, source: str | None = None, host: str = "127.0.0.1", tls: bool = False) -> AsyncIterator[SourceClient]:
    """A session after EHLO, from the address `source`; with `tls` after STARTTLS and the second EHLO."""
    async with await SourceClient.connect(host, port, source=source) as session:
        await session.ehlo("client.example")
        if tls:
            assert (await session.starttls(trusting())).code == 220
            await session.ehlo("client.example")
        yield session


async def send(session: SourceClient, *recipients: str, sender: str = SENDER, content: bytes = HELLO, **more: str) -> str:
    """A message that must be taken, all recipients of it. Returns its id."""
    sent = await session.send(sender, recipients, content, mail_params=more.get("mail", ""), rcpt_params=more.get("rcpt", ""))
    assert [reply.code for reply in sent.rcpts] == [250] * len(recipients), sent
    assert sent.final.code == 250, sent
    return sent.final.text.partition("id=")[2]


async def send_from(port: int, *recipients: str, source: str | None = None, **more: object) -> str:
    """One message by a session of its own."""
    async with client(port, source=source) as session:
        return await send(session, *recipients, **more)  # type: ignore[arg-type]


async def ask(session: SourceClient, recipients: Sequence[str], sender: str = SENDER) -> list[Reply]:
    """What RCPT says to each, within a transaction that is then taken back."""
    await session.command(f"MAIL FROM:<{sender}>")
    replies = [await session.command(f"RCPT TO:<{recipient}>") for recipient in recipients]
    await session.command("RSET")
    return replies


def received(message: SinkMessage) -> str:
    """The first Received field of what arrived, on one line."""
    return " ".join(str(message.parsed["Received"]).split())
