"""Receivers that behave like the big providers' submission hosts: what they offer, when, and in which words they refuse.

    async with Provider(GMAIL, context, passwords={...}) as provider:
        ... deliver to 127.0.0.1:provider.port, or to provider.smtps_port for TLS from the first octet ...

Written apart from `postwright.wire` and from our sink: asyncio's streams and nothing else. `mail` is what arrived, with who had logged in
and how; `refusals` who had not. The words are the providers' own, as their pages and people's logs have them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from dataclasses import dataclass, field
from types import TracebackType


@dataclass(frozen=True)
class Manner:
    """How one provider talks. `host` is what its certificate is for."""

    host: str
    mechanisms: str
    must_tls: str
    must_login: str
    bad_login: str
    bad_token: dict[str, str] = field(default_factory=dict)
    welcome: str = "235 2.7.0 Accepted"
    most_recipients: int = 100
    too_many: str = "452 4.5.3 Too many recipients"
    taken: str = "250 2.0.0 OK"


GMAIL = Manner(
    "smtp.gmail.com",
    "LOGIN PLAIN XOAUTH2 PLAIN-CLIENTTOKEN OAUTHBEARER",
    "530-5.7.0 Must issue a STARTTLS command first. For more information, go to\r\n530 5.7.0  https://support.google.example/a - gsmtp",
    "530-5.7.0 Authentication Required. For more information, go to\r\n530 5.7.0  https://support.google.example/mail - gsmtp",
    "535-5.7.8 Username and Password not accepted. For more, go to\r\n535 5.7.8  https://google.example/BadCredentials - gsmtp",
    {"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"},
    taken="250 2.0.0 OK  1732511111 5b1f17b1804b1 - gsmtp",
)
OFFICE365 = Manner(
    "smtp.office365.com",
    "LOGIN XOAUTH2",
    "530 5.7.57 Client not authenticated to send mail.",
    "530 5.7.57 Client not authenticated to send mail.",
    "535 5.7.3 Authentication unsuccessful [FR0P281CA0001.DEUP281.PROD.OUTLOOK.COM]",
    {"status": "401", "schemes": "bearer", "scope": "https://outlook.office.com/"},
    welcome="235 2.7.0 Authentication successful",
    taken="250 2.0.0 OK <abc@FR0P281MB0001.DEUP281.PROD.OUTLOOK.COM> [Hostname=FR0P281MB0001]",
)
DISABLED = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."
THROTTLED = "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"
MAILGUN = Manner(
    "smtp.mailgun.org",
    "PLAIN LOGIN",
    "530 5.7.0 Must issue a STARTTLS command first",
    "530 5.7.0 Authentication required",
    "535 5.7.0 Mailgun is not loving your login or password",
    welcome="235 2.0.0 OK",
    taken="250 2.0.0 Great success",
)
SES = Manner(
    "email-smtp.eu-west-1.amazonaws.com",
    "PLAIN LOGIN",
    "530 Must issue a STARTTLS command first",
    "530 Authentication required",
    "535 Authentication Credentials Invalid",
    welcome="235 Authentication successful.",
    most_recipients=50,
    too_many="554 Transaction failed: Recipient count exceeds 50.",
    taken="250 Ok 0102018c-0000-4000-8000-000000000000-000000",
)
UNVERIFIED = "554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1"
CPANEL = Manner(
    "mail.example.com",
    "PLAIN LOGIN",
    "550 Access denied - Please use encryption",
    "550 relay not permitted, authentication required",
    "535 Incorrect authentication data",
    welcome="235 Authentication succeeded",
    taken="250 OK id=1tFabc-00000001-0abc",
)


@dataclass
class Mail:
    """One message as it came."""

    sender: str
    recipients: list[str]
    content: bytes
    user: str
    mechanism: str
    tls: str


@dataclass
class _Login:
    user: str = ""
    mechanism: str = ""


class Provider:
    """`passwords` by user; `tokens` that are good; `answers` (verb, `END` for the end of data) replace the good reply until taken away."""

    def __init__(self, manner: Manner, tls: ssl.SSLContext, passwords: dict[str, str] | None = None) -> None:
        self.manner = manner
        self.passwords = passwords or {}
        self.tokens: set[str] = set()
        self.answers: dict[str, str] = {}
        self.mail: list[Mail] = []
        self.refusals: list[tuple[str, str]] = []
        self.sessions = 0
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Provider:
        for context in (None, self._tls):
            server = await asyncio.start_server(self._accepted, "127.0.0.1", 0, ssl=context)
            self._servers.append(server)
        self.port, self.smtps_port = (server.sockets[0].getsockname()[1] for server in self._servers)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.sessions += 1
        try:
            await _Session(self, reader, writer).run()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


class _Session:
    def __init__(self, provider: Provider, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.provider = provider
        self.manner = provider.manner
        self.reader = reader
        self.writer = writer
        self.login = _Login()
        self.sender = ""
        self.recipients: list[str] = []

    @property
    def tls(self) -> str:
        found = self.writer.get_extra_info("ssl_object")
        return str(found.version()) if found is not None else ""

    def say(self, text: str) -> None:
        self.writer.write(text.encode() + b"\r\n")

    async def line(self) -> str:
        return (await self.reader.readuntil(b"\r\n")).decode().removesuffix("\r\n")

    async def run(self) -> None:
        self.say(f"220 {self.manner.host} ESMTP ready")
        while True:
            line = await self.line()
            verb = line.partition(" ")[0].upper()
            if verb == "QUIT":
                self.say("221 2.0.0 bye")
                await self.writer.drain()
                return
            await self.obey(verb, line)

    async def obey(self, verb: str, line: str) -> None:
        if verb in self.provider.answers and verb != "AUTH":
            self.say(self.provider.answers[verb])
        elif verb == "EHLO":
            offers = ["STARTTLS"] if not self.tls else [f"AUTH {self.manner.mechanisms}"]
            words = [self.manner.host, "SIZE 35882577", "8BITMIME", *offers, "ENHANCEDSTATUSCODES", "PIPELINING"]
            self.say("\r\n".join([f"250-{word}" for word in words[:-1]] + [f"250 {words[-1]}"]))
        elif verb == "STARTTLS":
            self.say("220 2.0.0 Ready to start TLS")
            await self.writer.start_tls(self.provider._tls)
        elif verb == "AUTH":
            await self.auth(line)
        elif verb == "MAIL":
            self.mail(line)
        elif verb == "RCPT":
            self.rcpt(line)
        elif verb == "DATA":
            await self.data()
        else:
            self.say("250 2.0.0 OK")

    # -- logging in

    async def auth(self, line: str) -> None:
        _, mechanism, *initial = line.split(" ")
        if not self.tls or mechanism not in self.manner.mechanisms.split():
            self.say("504 5.7.4 Unrecognized Authentication Type")
            return
        if mechanism == "LOGIN":
            user = initial[0] if initial else await self.ask("VXNlcm5hbWU6")
            answer = [_text(user), _text(await self.ask("UGFzc3dvcmQ6"))]
            self.judge(mechanism, answer[0], self.provider.passwords.get(answer[0]) == answer[1])
            return
        response = _text(initial[0] if initial else await self.ask(""))
        if mechanism == "PLAIN":
            _, user, password = response.split("\0")
            self.judge(mechanism, user, self.provider.passwords.get(user) == password)
        else:
            await self.bearer(mechanism, response)

    async def bearer(self, mechanism: str, response: str) -> None:
        user = response.partition("user=" if mechanism == "XOAUTH2" else "a=")[2].partition("\1")[0].removesuffix(",")
        token = response.partition("auth=Bearer ")[2].partition("\1")[0]
        good = token in self.provider.tokens
        if not good:
            await self.ask(base64.b64encode(json.dumps(self.manner.bad_token).encode()).decode())
        self.judge(mechanism, user, good)

    async def ask(self, challenge: str) -> str:
        self.say(f"334 {challenge}")
        return await self.line()

    def judge(self, mechanism: str, user: str, good: bool) -> None:
        if "AUTH" in self.provider.answers:
            self.say(self.provider.answers["AUTH"])
        elif good:
            self.login = _Login(user, mechanism)
            self.say(self.manner.welcome)
            return
        else:
            self.say(self.manner.bad_login)
        self.provider.refusals.append((mechanism, user))

    # -- mail

    def mail(self, line: str) -> None:
        if not self.tls:
            self.say(self.manner.must_tls)
        elif not self.login.user:
            self.say(self.manner.must_login)
        else:
            self.sender, self.recipients = _path(line), []
            self.say("250 2.1.0 OK")

    def rcpt(self, line: str) -> None:
        if not self.sender:
            self.say("503 5.5.1 MAIL first")
        elif len(self.recipients) >= self.manner.most_recipients:
            self.say(self.manner.too_many)
        else:
            self.recipients.append(_path(line))
            self.say("250 2.1.5 OK")

    async def data(self) -> None:
        if not self.recipients:
            self.say("503 5.5.1 RCPT first")
            return
        self.say("354 Go ahead")
        content = await self.reader.readuntil(b"\r\n.\r\n")
        if "END" in self.provider.answers:
            self.say(self.provider.answers["END"])
        else:
            self.provider.mail.append(Mail(self.sender, self.recipients, content, self.login.user, self.login.mechanism, self.tls))
            self.say(self.manner.taken)
        self.sender, self.recipients = "", []


def _path(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode()
