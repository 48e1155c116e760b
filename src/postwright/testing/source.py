"""`SourceClient`: a small SMTP client for tests. It does what it is told, right or wrong, and hands back every reply.

    async with await SourceClient.connect("127.0.0.1", port) as client:
        await client.ehlo("tests.example")
        sent = await client.send("a@a.example", ["b@b.example"], b"Subject: x\\r\\n\\r\\nhello\\r\\n")
        assert sent.final.code == 250

It knows no policy: no retry, no fallback, no check of what it sends. A reply is never an exception, whatever its code. `ProtocolError` is
raised for octets that are no reply, EOFError (with the partial reply) when the peer has closed, TimeoutError after `timeout` seconds.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import ssl
from collections.abc import Iterable, Sequence
from types import TracebackType

from msgspec import Struct

from postwright.model.reply import Reply
from postwright.testing import sockets

_LINE = re.compile(rb"([2-5][0-9][0-9])([ -])(.*)|([2-5][0-9][0-9])", re.DOTALL)
_STATUS = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)", re.ASCII)
_LIMIT = 1 << 20


class ProtocolError(Exception):
    """The peer sent something that is not an SMTP reply."""


class Sent(Struct, frozen=True):
    """What `send` got: a reply for MAIL, one for each RCPT, for DATA (None when content went by BDAT, or was not reached), and the last."""

    mail: Reply
    rcpts: tuple[Reply, ...]
    data: Reply | None
    final: Reply


class SourceClient:
    """One connection. `banner` is the greeting, `capabilities` what the last EHLO offered, `transcript` all that was said."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout: float) -> None:
        self._reader = reader
        self._writer = writer
        self.timeout = timeout
        self.banner = Reply(0, "", ())
        self.capabilities: dict[str, str] = {}
        self.transcript: list[str] = []

    @classmethod
    async def connect(
        cls,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        server_hostname: str | None = None,
        source: str | None = None,
        timeout: float = 10.0,
        banner: bool = True,
    ) -> SourceClient:
        """Connects, with TLS from the first octet when `tls` is given, and reads the greeting unless `banner` is false. Raises OSError."""
        local = (source, 0) if source else None
        name = (server_hostname or host) if tls else None
        opening = asyncio.open_connection(host, port, limit=_LIMIT, local_addr=local, ssl=tls, server_hostname=name)
        reader, writer = await asyncio.wait_for(opening, timeout)
        client = cls(reader, writer, timeout)
        if banner:
            try:
                client.banner = await client.read_reply()
            except BaseException:
                client.abort()
                raise
        return client

    async def __aenter__(self) -> SourceClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    # -- octets and replies

    def write(self, data: bytes) -> None:
        """Sends `data` as it is, in one write."""
        self.transcript += [f"C: {line}" for line in data.decode("utf-8", "replace").split("\r\n") if line]
        self._writer.write(data)

    async def send_raw(self, data: bytes) -> None:
        """The same, and waits until the kernel has it."""
        self.write(data)
        await asyncio.wait_for(self._writer.drain(), self.timeout)

    async def read_reply(self, timeout: float | None = None) -> Reply:
        """The next reply, all lines of it."""
        return await asyncio.wait_for(self._reply(), self.timeout if timeout is None else timeout)

    async def _reply(self) -> Reply:
        lines: list[str] = []
        while True:
            raw = await self._line(lines)
            found = _LINE.fullmatch(raw)
            if found is None:
                raise ProtocolError(f"not a reply line: {raw!r}")
            code, more, text, bare = found.groups()
            lines.append((text or b"").decode("utf-8", "replace"))
            if more != b"-":
                return _made(int(code or bare), lines)

    async def _line(self, so_far: Sequence[str]) -> bytes:
        try:
            raw = await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            raise EOFError(f"the peer closed; of this reply it had sent {[*so_far, error.partial]!r}") from None
        except ConnectionError as error:
            raise EOFError(f"the peer closed: {error}") from error
        self.transcript.append(f"S: {raw.rstrip().decode('utf-8', 'replace')}")
        if not raw.endswith(b"\r\n"):
            raise ProtocolError(f"a reply line without CRLF: {raw!r}")
        return raw[:-2]

    async def read_eof(self, timeout: float | None = None) -> bytes:
        """Waits until the peer closes; returns what it sent before. A reset counts as closing."""
        try:
            return await asyncio.wait_for(self._reader.read(-1), self.timeout if timeout is None else timeout)
        except ConnectionError:
            return b""

    # -- commands

    async def command(self, line: str | bytes) -> Reply:
        """Sends one line (CRLF is added) and reads one reply."""
        await self.send_raw(_octets(line) + b"\r\n")
        return await self.read_reply()

    async def pipeline(self, lines: Iterable[str | bytes]) -> list[Reply]:
        """Sends lines in one write and reads as many replies."""
        group = [_octets(line) + b"\r\n" for line in lines]
        await self.send_raw(b"".join(group))
        return [await self.read_reply() for _ in group]

    async def ehlo(self, name: str = "source.example") -> Reply:
        """EHLO; `capabilities` is filled when it succeeds, keywords in capitals."""
        reply = await self.command(f"EHLO {name}")
        if reply.positive:
            self.capabilities = {}
            for line in reply.lines[1:]:
                keyword, _, params = line.partition(" ")
                self.capabilities[keyword.upper()] = params
        return reply

    async def starttls(self, context: ssl.SSLContext, server_hostname: str = "localhost") -> Reply:
        """STARTTLS and, after a 220, the handshake. Raises ssl.SSLError. EHLO is the caller's to say again."""
        reply = await self.command("STARTTLS")
        if reply.code == 220:
            await self.handshake(context, server_hostname)
        return reply

    async def handshake(self, context: ssl.SSLContext, server_hostname: str = "localhost") -> None:
        """Begins TLS on the connection as it stands."""
        self.capabilities = {}
        await asyncio.wait_for(self._writer.start_tls(context, server_hostname=server_hostname), self.timeout)

    @property
    def tls_version(self) -> str:
        """Such as "TLSv1.3", or nothing."""
        tls = self._writer.get_extra_info("ssl_object")
        return (tls.version() or "") if tls is not None else ""

    @property
    def peer_certificate(self) -> str:
        """What the server showed, as PEM, or nothing."""
        tls = self._writer.get_extra_info("ssl_object")
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        return ssl.DER_cert_to_PEM_cert(shown) if shown else ""

    async def auth_plain(self, user: str, password: str, *, initial: bool = True) -> Reply:
        """AUTH PLAIN (RFC 4616), with the response in the command or after a 334."""
        secret = _base64(f"\0{user}\0{password}")
        if initial:
            return await self.command(f"AUTH PLAIN {secret}")
        reply = await self.command("AUTH PLAIN")
        return await self.command(secret) if reply.code == 334 else reply

    async def auth_login(self, user: str, password: str, *, initial: bool = False) -> Reply:
        """AUTH LOGIN, with the user's name in the command or after a 334."""
        reply = await self.command(f"AUTH LOGIN {_base64(user)}" if initial else "AUTH LOGIN")
        for answer in ([] if initial else [user]) + [password]:
            if reply.code != 334:
                break
            reply = await self.command(_base64(answer))
        return reply

    async def auth_cram_md5(self, user: str, password: str) -> Reply:
        """AUTH CRAM-MD5 (RFC 2195)."""
        reply = await self.command("AUTH CRAM-MD5")
        if reply.code != 334:
            return reply
        digest = hmac.digest(password.encode(), base64.b64decode(reply.text[4:]), "md5").hex()
        return await self.command(_base64(f"{user} {digest}"))

    async def send(
        self, sender: str, recipients: Sequence[str], content: bytes, *, mail_params: str = "", rcpt_params: str = "", chunk: int = 0
    ) -> Sent:
        """One whole transaction, command by command; stops where it is refused. `chunk` octets at a time by BDAT, 0: by DATA."""
        mail = await self.command(f"MAIL FROM:<{sender}>{_spaced(mail_params)}")
        if not mail.positive:
            return Sent(mail, (), None, mail)
        rcpts = [await self.command(f"RCPT TO:<{recipient}>{_spaced(rcpt_params)}") for recipient in recipients]
        if not any(reply.positive for reply in rcpts):
            return Sent(mail, tuple(rcpts), None, rcpts[-1] if rcpts else mail)
        if chunk:
            return Sent(mail, tuple(rcpts), None, await self._send_chunks(content, chunk))
        data = await self.command("DATA")
        final = await self.content(content) if data.code == 354 else data
        return Sent(mail, tuple(rcpts), data, final)

    async def content(self, content: bytes) -> Reply:
        """Content after a 354: dots stuffed, CRLF added when it does not end in one, the final dot; then the reply."""
        await self.send_raw(stuffed(content))
        return await self.read_reply()

    async def bdat(self, chunk: bytes, *, last: bool = False) -> Reply:
        """One chunk (RFC 3030)."""
        await self.send_raw(b"BDAT %d%s\r\n" % (len(chunk), b" LAST" if last else b"") + chunk)
        return await self.read_reply()

    async def _send_chunks(self, content: bytes, size: int) -> Reply:
        pieces = [content[at : at + size] for at in range(0, len(content), size)] or [b""]
        for number, piece in enumerate(pieces, 1):
            reply = await self.bdat(piece, last=number == len(pieces))
            if not reply.positive:
                break
        return reply

    # -- the end

    async def quit(self) -> Reply:
        """QUIT, its reply, and the connection's end."""
        reply = await self.command("QUIT")
        await self.close()
        return reply

    async def close(self) -> None:
        """Closes without QUIT."""
        self._writer.close()
        try:
            await asyncio.wait_for(self._writer.wait_closed(), self.timeout)
        except (OSError, TimeoutError):
            self._writer.transport.abort()

    def abort(self, *, reset: bool = False) -> None:
        """Closes at once; with `reset` by a TCP reset."""
        if reset:
            sockets.reset(self._writer.transport)
        else:
            self._writer.transport.abort()

    def half_close(self) -> None:
        """Sends FIN and goes on reading."""
        self._writer.write_eof()


def stuffed(content: bytes) -> bytes:
    """Content as DATA wants it (RFC 5321 section 4.5.2), with the final dot. Looks at CRLF only: a bare LF goes out as it is."""
    if content[:1] == b".":
        content = b"." + content
    content = content.replace(b"\r\n.", b"\r\n..")
    return content + (b".\r\n" if not content or content.endswith(b"\r\n") else b"\r\n.\r\n")


def _made(code: int, lines: list[str]) -> Reply:
    """The status code of RFC 2034 stands on every line of a reply or is no status code."""
    first = _STATUS.match(lines[0])
    if first is None or first[1][0] != str(code)[0] or not all(line.startswith(first[1]) for line in lines):
        return Reply(code, "", tuple(lines))
    return Reply(code, first[1], tuple(line[len(first[0]) :] for line in lines))


def _octets(line: str | bytes) -> bytes:
    return line if isinstance(line, bytes) else line.encode()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _spaced(params: str) -> str:
    return f" {params}" if params else ""
