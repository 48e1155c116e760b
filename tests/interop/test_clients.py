"""Mail from real clients: what each sent arrives at the receiver octet for octet, and our own record says how it came.

Judged is not what a client believes, but the message at the sink, its Received field and the rows of accounting. Everybody may send to
there.example; to far.example only who has logged in, so that its arrival proves the login. PLAIN and LOGIN work inside TLS only.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.interop.peers import CONTENT, Needs, Relay, StartRelay, received, run, without_received

from postwright.testing.sink import SinkMessage, SinkServer

ANNE, BOB, FAR = "anne@client.example", "bob@there.example", "bob@far.example"
USER, PASSWORD = "anne", "correct-horse=battery"


def rules(sink: SinkServer, certificate: Path) -> str:
    return f"""
smtp-server-tls-certificate {certificate}
relay-domain there.example
<smtp-user {USER}>
    password {PASSWORD}
</smtp-user>
<source 127.0.0.1/32>
    allow-starttls yes
    require-auth yes
</source>
<domain *>
    smtp-hosts [127.0.0.1]:{sink.port}
    use-starttls no
</domain>
"""


class Case:
    """A relay, a receiver behind it, and a message to send (`file` with CRLF, `unix_file` with LF as programs of Unix expect it)."""

    def __init__(self, relay: Relay, sink: SinkServer, folder: Path) -> None:
        self.relay = relay
        self.port = relay.port
        self.sink = sink
        self.file = folder / "message.eml"
        self.file.write_bytes(CONTENT)
        self.unix_file = folder / "message.txt"
        self.unix_file.write_bytes(CONTENT.replace(b"\r\n", b"\n"))

    async def arrived(self, recipient: str) -> SinkMessage:
        """The one message, as the receiver got it, once our accounting knows of its delivery."""
        [row] = await self.relay.wait_for_records("d", 1)
        assert (row["orig"], row["rcpt"], row["dsnAction"]) == (ANNE, recipient, "relayed")
        [message] = self.sink.messages
        assert (message.sender, message.recipients) == (ANNE, [recipient])
        assert message.connection.violations == []
        return message


@pytest.fixture
async def case(start_relay: StartRelay, certificate: Path, tmp_path: Path) -> AsyncIterator[Case]:
    async with SinkServer() as sink:
        yield Case(await start_relay(rules(sink, certificate)), sink, tmp_path)


# -- command lines: what to call it, what is in Received, to whom, arguments beside server, addresses and message

SWAKS = [
    ("plain", "ESMTP", BOB, []),
    ("pipelining", "ESMTP", BOB, ["--pipeline"]),
    ("starttls", "ESMTPS", BOB, ["-tls"]),
    ("auth plain", "ESMTPSA", FAR, ["-tls", "-a", "PLAIN"]),
    ("auth login", "ESMTPSA", FAR, ["-tls", "-a", "LOGIN"]),
    ("auth cram-md5", "ESMTPA", FAR, ["-a", "CRAM-MD5"]),
    ("all at once", "ESMTPSA", FAR, ["-tls", "--pipeline", "-a", "CRAM-MD5"]),
]
CURL = [
    ("plain", "ESMTP", BOB, []),
    ("starttls", "ESMTPS", BOB, ["--ssl-reqd"]),
    ("auth plain", "ESMTPSA", FAR, ["--ssl-reqd", "--login-options", "AUTH=PLAIN"]),
    ("auth login", "ESMTPSA", FAR, ["--ssl-reqd", "--login-options", "AUTH=LOGIN"]),
    ("auth plain at once", "ESMTPSA", FAR, ["--ssl-reqd", "--login-options", "AUTH=PLAIN", "--sasl-ir"]),
    ("auth cram-md5", "ESMTPA", FAR, ["--login-options", "AUTH=CRAM-MD5"]),
]
MSMTP = [
    ("plain", "ESMTP", BOB, []),
    ("starttls", "ESMTPS", BOB, ["--tls=on", "--tls-certcheck=off"]),
    ("auth plain", "ESMTPSA", FAR, ["--tls=on", "--tls-certcheck=off", "--auth=plain"]),
    ("auth login", "ESMTPSA", FAR, ["--tls=on", "--tls-certcheck=off", "--auth=login"]),
    ("auth cram-md5", "ESMTPA", FAR, ["--auth=cram-md5"]),
]
Row = tuple[str, str, str, list[str]]


def table(rows: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows, ids=[row[0].replace(" ", "-") for row in rows])


@pytest.mark.needs("swaks")
@table(SWAKS)
async def test_swaks(case: Case, needs: Needs, row: Row) -> None:
    _, protocol, recipient, more = row
    login = ["-au", USER, "-ap", PASSWORD] if "-a" in more else []
    server = ["--server", "127.0.0.1", "--port", str(case.port)]
    case.unix_file.write_bytes(case.unix_file.read_bytes().removesuffix(b"\n"))  # swaks ends the last line itself
    await run(needs("swaks"), *server, "-f", ANNE, "-t", recipient, "--data", f"@{case.unix_file}", *more, *login)
    await came(case, recipient, protocol)


@pytest.mark.needs("curl")
@table(CURL)
async def test_curl(case: Case, needs: Needs, row: Row) -> None:
    _, protocol, recipient, more = row
    login = ["--user", f"{USER}:{PASSWORD}"] if "--login-options" in more else []
    url = f"smtp://127.0.0.1:{case.port}/client.example"
    await run(needs("curl"), "-sSk", url, "--mail-from", ANNE, "--mail-rcpt", recipient, "-T", case.file, *more, *login)
    await came(case, recipient, protocol)


@pytest.mark.needs("msmtp")
@table(MSMTP)
async def test_msmtp(case: Case, needs: Needs, row: Row) -> None:
    _, protocol, recipient, more = row
    login = [f"--user={USER}", f"--passwordeval=echo {PASSWORD}"] if len(more) and more[-1].startswith("--auth") else []
    server = ["--file=/dev/null", "--host=127.0.0.1", f"--port={case.port}", f"--from={ANNE}"]
    await run(needs("msmtp"), *server, *more, *login, "--", recipient, stdin=case.unix_file.read_bytes())
    await came(case, recipient, protocol)


Use = Callable[[smtplib.SMTP], object]
SMTPLIB: dict[str, tuple[str, str, Use]] = {
    "helo": ("SMTP", BOB, lambda client: client.helo("client.example")),
    "plain": ("ESMTP", BOB, lambda client: client.ehlo("client.example")),
    "starttls": ("ESMTPS", BOB, lambda client: client.starttls(context=nobody_checked())),
    "auth-plain": ("ESMTPSA", FAR, lambda client: (client.starttls(context=nobody_checked()), log_in(client, "PLAIN"))),
    "auth-login": ("ESMTPSA", FAR, lambda client: (client.starttls(context=nobody_checked()), log_in(client, "LOGIN"))),
    "auth-cram-md5": ("ESMTPA", FAR, lambda client: (client.ehlo("client.example"), log_in(client, "CRAM-MD5"))),
}


@pytest.mark.parametrize(("protocol", "recipient", "use"), SMTPLIB.values(), ids=SMTPLIB)
async def test_smtplib(case: Case, protocol: str, recipient: str, use: Use) -> None:
    def send() -> None:
        with smtplib.SMTP("127.0.0.1", case.port, local_hostname="client.example", timeout=20) as client:
            use(client)
            client.sendmail(ANNE, [recipient], CONTENT)

    await asyncio.to_thread(send)
    await came(case, recipient, protocol)


def nobody_checked() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def log_in(client: smtplib.SMTP, mechanism: str) -> None:
    client.ehlo_or_helo_if_needed()
    client.user, client.password = USER, PASSWORD
    client.auth(mechanism, getattr(client, f"auth_{mechanism.lower().replace('-', '_')}"))


async def came(case: Case, recipient: str, protocol: str) -> None:
    """One message came, whole, in the way that it should."""
    message = await case.arrived(recipient)
    assert without_received(message.content) == CONTENT
    assert f" with {protocol} " in received(message.content)
    assert len(case.relay.records("r")) == 1


# -- many at once, and who may not


@pytest.mark.needs("smtp-source")
@pytest.mark.parametrize(
    ("sessions", "messages", "size", "more"),
    [(20, 400, 4_000, []), (4, 8, 5_000_000, []), (10, 100, 1_000, ["-d"]), (5, 20, 2_000, ["-r", "10"])],
    ids=["many", "big", "kept-open", "ten-recipients"],
)
async def test_smtp_source(case: Case, needs: Needs, sessions: int, messages: int, size: int, more: list[str]) -> None:
    recipients = 10 if "-r" in more else 1
    counts = ["-s", str(sessions), "-m", str(messages), "-l", str(size)]
    await run(needs("smtp-source"), *counts, *more, "-f", ANNE, "-t", BOB, f"inet:127.0.0.1:{case.port}")
    rows = await case.relay.wait_for_records("d", messages * recipients, timeout=40)
    assert len(rows) == messages * recipients
    assert sum(len(message.recipients) for message in case.sink.messages) == messages * recipients
    texts = [without_received(message.content) for message in case.sink.messages]
    assert len({text.partition(b"\r\n\r\n")[2] for text in texts}) == 1
    assert all(size - 500 <= len(text) <= size + 500 for text in texts)
    assert case.sink.counts.violations == 0


@pytest.mark.needs("swaks")
async def test_wrong_password(case: Case, needs: Needs) -> None:
    server = ["--server", "127.0.0.1", "--port", str(case.port), "-tls", "-a", "PLAIN", "-au", USER, "-ap", "wrong"]
    done = await run(needs("swaks"), *server, "-f", ANNE, "-t", FAR, check=False)
    assert b"<** 535 5.7.8 authentication failed" in done.stdout.replace(b"<~*", b"<**")
    assert case.relay.status().shards[0].traffic.messages_in == 0


@pytest.mark.needs("swaks")
async def test_without_login_nothing_goes_far(case: Case, needs: Needs) -> None:
    done = await run(needs("swaks"), "--server", "127.0.0.1", "--port", str(case.port), "-f", ANNE, "-t", FAR, check=False)
    assert b"<** 550 5.7.1 relaying denied, log in first" in done.stdout
    assert case.relay.status().shards[0].traffic.messages_in == 0
