"""Mail from real clients: what each sent arrives at the receiver octet for octet, and our own record says how it came.

Judged is not what a client believes, but the message at the sink, its Received field and the rows of accounting. Everybody may send to
there.example; to far.example only who has logged in, so that its arrival proves the login. PLAIN and LOGIN work inside TLS only.
"""

from __future__ import annotations

import asyncio
import re
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import Struct
from tests.interop.peers import CONTENT, Needs, Relay, received, run, without_received

from postwright.testing.sink import SinkMessage, SinkServer
from postwright.testing.sockets import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANNE = "anne@client.example"
USER, PASSWORD = "anne", "correct-horse=battery"


def rules(sink: SinkServer, certificate: Path, tls_port: int) -> str:
    return f"""
smtp-server-tls-certificate {certificate}
<smtp-listener 127.0.0.1:{tls_port}>
    immediate-tls yes
</smtp-listener>
<acct-file acct.csv>
    record-fields r *, rcvSmtpUser
</acct-file>
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


class World(Struct):
    """A relay (of two shards) and a receiver behind it; all tests of this module share them."""

    relay: Relay
    sink: SinkServer
    tls_port: int


class Case:
    """Recipients of this test alone, and a message to send (`file` with CRLF, `unix_file` with LF as programs of Unix expect it)."""

    def __init__(self, world: World, name: str, folder: Path) -> None:
        self.relay, self.sink = world.relay, world.sink
        self.port, self.tls_port = world.relay.port, world.tls_port
        self.near, self.far = f"{name}@there.example", f"{name}@far.example"
        self.file = folder / "message.eml"
        self.file.write_bytes(CONTENT)
        self.unix_file = folder / "message.txt"
        self.unix_file.write_bytes(CONTENT.replace(b"\r\n", b"\n"))

    def rows(self, kind: str) -> list[dict[str, str]]:
        return [row for row in self.relay.records(kind) if row["rcpt"].endswith((self.near, self.far))]

    def messages(self) -> list[SinkMessage]:
        return [message for message in self.sink.messages if message.recipients[0].endswith((self.near, self.far))]

    async def came(self, recipient: str, protocol: str) -> None:
        """Our accounting knows of one message and one delivery; it arrived whole, and `with` in Received is as it should be."""
        [row] = await self.relay.until(lambda: self.rows("d"), "the delivery")
        assert (row["orig"], row["rcpt"], row["dsnAction"]) == (ANNE, recipient, "relayed")
        [row] = self.rows("r")
        assert row.get("rcvSmtpUser", "") == (USER if recipient == self.far else "")
        [message] = self.messages()
        assert (message.sender, message.recipients) == (ANNE, [recipient])
        assert message.connection.violations == []
        assert without_received(message.content) == CONTENT
        assert f" with {protocol} " in received(message.content)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    tls_port = free_port()
    async with SinkServer() as sink, Relay(tmp_path_factory.mktemp("clients"), rules(sink, certificate, tls_port), shards=2) as relay:
        yield World(relay, sink, tls_port)


@pytest.fixture
def case(world: World, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
    return Case(world, re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-"), tmp_path)


# -- command lines: what to call it, what is in Received, to whom, arguments beside server, addresses and message

SWAKS = [
    ("plain", "ESMTP", "near", []),
    ("pipelining", "ESMTP", "near", ["--pipeline"]),
    ("starttls", "ESMTPS", "near", ["-tls"]),
    ("tls on connect", "ESMTPS", "near", ["-tlsc"]),
    ("auth plain", "ESMTPSA", "far", ["-tls", "-a", "PLAIN"]),
    ("auth login", "ESMTPSA", "far", ["-tls", "-a", "LOGIN"]),
    ("auth cram-md5", "ESMTPA", "far", ["-a", "CRAM-MD5"]),
    ("all at once", "ESMTPSA", "far", ["-tls", "--pipeline", "-a", "CRAM-MD5"]),
]
CURL = [
    ("plain", "ESMTP", "near", []),
    ("starttls", "ESMTPS", "near", ["--ssl-reqd"]),
    ("tls on connect", "ESMTPS", "near", ["smtps"]),
    ("auth plain", "ESMTPSA", "far", ["--ssl-reqd", "--login-options", "AUTH=PLAIN"]),
    ("auth login", "ESMTPSA", "far", ["--ssl-reqd", "--login-options", "AUTH=LOGIN"]),
    ("auth plain at once", "ESMTPSA", "far", ["--ssl-reqd", "--login-options", "AUTH=PLAIN", "--sasl-ir"]),
    ("auth cram-md5", "ESMTPA", "far", ["--login-options", "AUTH=CRAM-MD5"]),
]
MSMTP = [
    ("plain", "ESMTP", "near", []),
    ("starttls", "ESMTPS", "near", ["--tls=on", "--tls-certcheck=off"]),
    ("auth plain", "ESMTPSA", "far", ["--tls=on", "--tls-certcheck=off", "--auth=plain"]),
    ("auth login", "ESMTPSA", "far", ["--tls=on", "--tls-certcheck=off", "--auth=login"]),
    ("auth cram-md5", "ESMTPA", "far", ["--auth=cram-md5"]),
]
Row = tuple[str, str, str, list[str]]


def table(rows: list[Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", rows, ids=[row[0].replace(" ", "-") for row in rows])


@pytest.mark.needs("swaks")
@table(SWAKS)
async def test_swaks(case: Case, needs: Needs, row: Row) -> None:
    _, protocol, where, more = row
    recipient = getattr(case, where)
    login = ["-au", USER, "-ap", PASSWORD] if "-a" in more else []
    server = ["--server", "127.0.0.1", "--port", str(case.tls_port if "-tlsc" in more else case.port)]
    case.unix_file.write_bytes(case.unix_file.read_bytes().removesuffix(b"\n"))  # swaks ends the last line itself
    await run(needs("swaks"), *server, "-f", ANNE, "-t", recipient, "--data", f"@{case.unix_file}", *more, *login)
    await case.came(recipient, protocol)


@pytest.mark.needs("curl")
@table(CURL)
async def test_curl(case: Case, needs: Needs, row: Row) -> None:
    _, protocol, where, more = row
    recipient = getattr(case, where)
    login = ["--user", f"{USER}:{PASSWORD}"] if "--login-options" in more else []
    url = f"smtp://127.0.0.1:{case.port}/client.example"
    if more == ["smtps"]:
        more, url = [], f"smtps://127.0.0.1:{case.tls_port}/client.example"
    await run(needs("curl"), "-sSk", url, "--mail-from", ANNE, "--mail-rcpt", recipient, "-T", case.file, *more, *login)
    await case.came(recipient, protocol)


@pytest.mark.needs("msmtp")
@table(MSMTP)
async def test_msmtp(case: Case, needs: Needs, row: Row) -> None:
    _, protocol, where, more = row
    recipient = getattr(case, where)
    login = [f"--user={USER}", f"--passwordeval=echo {PASSWORD}"] if len(more) and more[-1].startswith("--auth") else []
    server = ["--file=/dev/null", "--host=127.0.0.1", f"--port={case.port}", f"--from={ANNE}"]
    await run(needs("msmtp"), *server, *more, *login, "--", recipient, stdin=case.unix_file.read_bytes())
    await case.came(recipient, protocol)


Use = Callable[[smtplib.SMTP], object]
SMTPLIB: dict[str, tuple[str, str, Use]] = {
    "helo": ("SMTP", "near", lambda client: client.helo("client.example")),
    "plain": ("ESMTP", "near", lambda client: client.ehlo("client.example")),
    "starttls": ("ESMTPS", "near", lambda client: client.starttls(context=nobody_checked())),
    "auth-plain": ("ESMTPSA", "far", lambda client: (client.starttls(context=nobody_checked()), log_in(client, "PLAIN"))),
    "auth-login": ("ESMTPSA", "far", lambda client: (client.starttls(context=nobody_checked()), log_in(client, "LOGIN"))),
    "auth-cram-md5": ("ESMTPA", "far", lambda client: (client.ehlo("client.example"), log_in(client, "CRAM-MD5"))),
}


@pytest.mark.parametrize(("protocol", "where", "use"), SMTPLIB.values(), ids=SMTPLIB)
async def test_smtplib(case: Case, protocol: str, where: str, use: Use) -> None:
    recipient = getattr(case, where)

    def send() -> None:
        with smtplib.SMTP("127.0.0.1", case.port, local_hostname="client.example", timeout=20) as client:
            use(client)
            client.sendmail(ANNE, [recipient], CONTENT)

    await asyncio.to_thread(send)
    await case.came(recipient, protocol)


def nobody_checked() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def log_in(client: smtplib.SMTP, mechanism: str) -> None:
    client.ehlo_or_helo_if_needed()
    client.user, client.password = USER, PASSWORD
    client.auth(mechanism, getattr(client, f"auth_{mechanism.lower().replace('-', '_')}"))


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
    await run(needs("smtp-source"), *counts, *more, "-f", ANNE, "-t", case.near, f"inet:127.0.0.1:{case.port}")
    total = messages * recipients
    await case.relay.until(lambda: len(case.rows("d")) >= total, f"{total} deliveries", 60)
    assert len(case.rows("d")) == sum(len(message.recipients) for message in case.messages()) == total
    texts = [without_received(message.content) for message in case.messages()]
    assert len({text.partition(b"\r\n\r\n")[2] for text in texts}) == 1
    assert all(size - 500 <= len(text) <= size + 500 for text in texts)


@pytest.mark.needs("openssl")
@pytest.mark.parametrize(("version", "works"), [("tls1_1", False), ("tls1_2", True), ("tls1_3", True)])
async def test_versions_of_tls(case: Case, needs: Needs, version: str, works: bool) -> None:
    """TLS 1.0 and 1.1 are off unless the configuration says otherwise (`smtp-server-tls-allow-tlsv1.1`)."""
    options = ["-starttls", "smtp", "-crlf", "-quiet", f"-{version}", "-cipher", "DEFAULT@SECLEVEL=0"]
    command = [needs("openssl"), "s_client", "-connect", f"127.0.0.1:{case.port}", *options]
    done = await run(*command, stdin=b"EHLO client.example\nQUIT\n", check=False)
    assert (re.search(rb"250-AUTH .*CRAM-MD5 PLAIN LOGIN", done.stdout) is not None) is works, done.stdout


@pytest.mark.needs("swaks")
async def test_wrong_password(case: Case, needs: Needs) -> None:
    server = ["--server", "127.0.0.1", "--port", str(case.port), "-tls", "-a", "PLAIN", "-au", USER, "-ap", "wrong"]
    done = await run(needs("swaks"), *server, "-f", ANNE, "-t", case.far, check=False)
    assert b"<** 535 5.7.8 authentication failed" in done.stdout.replace(b"<~*", b"<**")  # inside TLS swaks draws its arrows so
    assert case.rows("r") == []


@pytest.mark.needs("swaks")
async def test_without_login_nothing_goes_far(case: Case, needs: Needs) -> None:
    done = await run(needs("swaks"), "--server", "127.0.0.1", "--port", str(case.port), "-f", ANNE, "-t", case.far, check=False)
    assert b"<** 550 5.7.1 relaying denied, log in first" in done.stdout
    assert case.rows("r") == []
