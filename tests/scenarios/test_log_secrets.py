"""No secret in any log at any level: everybody logs in, well and badly, with every log switched on and `--debug`; then the log is searched.

DIALOGUES is the table: a row is what a client sends, line by line, whatever is answered; each octet string in angle brackets there is
a secret. All of them are looked for raw, in base64 (at each of its three alignments) and in hexadecimal, as lines and across the rows of
`log-data`. A new mechanism joins with a row.
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from tests.scenarios.clients import HELLO, client, send, trusting
from tests.scenarios.internet import Internet

from postwright.testing.certificate import self_signed_pem
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("log-secrets")]

PASSWORD = b"Corr3ct-h0rse-b4ttery"
WRONG = b"Wr0ng-staple-gu3ss"
TOKEN = b"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJlLW9mLWE"
PROOF = b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
TICKET = b"YII-a-kerberos-ticket-or-an-NTLM-message-of-some-length"
SECRETS = (PASSWORD, WRONG, TOKEN, PROOF, TICKET)


def coded(*parts: bytes) -> bytes:
    return base64.b64encode(b"".join(parts))


# name -> lines; the session is inside TLS, or in the clear where the name says so
DIALOGUES: dict[str, list[bytes]] = {
    "PLAIN": [b"AUTH PLAIN " + coded(b"\0anna\0", PASSWORD)],
    "PLAIN wrong": [b"AUTH PLAIN " + coded(b"\0anna\0", WRONG)],
    "PLAIN in two steps": [b"AUTH PLAIN", coded(b"\0anna\0", PASSWORD)],
    "LOGIN": [b"AUTH LOGIN", coded(b"anna"), coded(PASSWORD)],
    "LOGIN initial": [b"auth login " + coded(b"anna"), coded(PASSWORD)],
    "LOGIN the password as the name": [b"AUTH LOGIN", coded(PASSWORD), coded(WRONG)],
    "LOGIN and three guesses": [b"AUTH LOGIN", coded(b"anna"), coded(WRONG), coded(WRONG), coded(PASSWORD)],
    "CRAM-MD5": [b"AUTH CRAM-MD5", coded(b"anna ", b"5c4f0b1d2e3a4f5b6c7d8e9f0a1b2c3d")],
    "SCRAM-SHA-256": [b"AUTH SCRAM-SHA-256 " + coded(b"n,,n=anna,r=rOprNGfwEbeRWgbNEkqO"), coded(b"c=biws,r=x,p=", PROOF)],
    "SCRAM-SHA-1-PLUS": [b"AUTH SCRAM-SHA-1-PLUS", coded(b"p=tls-exporter,,n=anna,r=abc"), coded(b"c=biws,r=x,p=", PROOF)],
    "XOAUTH2": [b"AUTH XOAUTH2 " + coded(b"user=anna\x01auth=Bearer ", TOKEN, b"\x01\x01"), b""],
    "OAUTHBEARER": [b"AUTH OAUTHBEARER", coded(b"n,a=anna,\x01auth=Bearer ", TOKEN, b"\x01\x01"), b"AQ=="],
    "NTLM": [b"AUTH NTLM " + coded(b"NTLMSSP\0\x01", TICKET), coded(b"NTLMSSP\0\x03", TICKET)],
    "X-EXPS": [b"X-EXPS NTLM " + coded(b"NTLMSSP\0\x01", TICKET), coded(b"NTLMSSP\0\x03", TICKET)],
    "GSSAPI": [b"AUTH GSSAPI " + coded(TICKET), coded(TICKET)],
    "EXTERNAL": [b"AUTH EXTERNAL " + coded(TICKET)],
    "no such mechanism": [b"AUTH X-OURS " + coded(PASSWORD), coded(PASSWORD)],
    "not base64": [b"AUTH PLAIN " + PASSWORD, b"AUTH LOGIN", PASSWORD],
    "the password as a command": [PASSWORD, coded(PASSWORD), b"PASS " + PASSWORD],
    "too long": [b"AUTH PLAIN " + coded(PASSWORD * 700)],
    "behind a transaction": [b"MAIL FROM:<anna@client.example>", b"AUTH PLAIN " + coded(b"\0anna\0", PASSWORD), coded(PASSWORD)],
    "in the clear: PLAIN": [b"AUTH PLAIN " + coded(b"\0anna\0", PASSWORD)],
    "in the clear: LOGIN goes on though it is refused": [b"AUTH LOGIN", coded(b"anna"), coded(PASSWORD)],
    "in the clear: before EHLO": [b"AUTH PLAIN " + coded(b"\0anna\0", PASSWORD)],
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relay(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayProcess]:
    folder = tmp_path_factory.mktemp("log-secrets")
    certificate = folder / "both.pem"
    certificate.touch(mode=0o600)
    certificate.write_bytes(b"".join(self_signed_pem(["relay.example"])))
    rules = f"""
smtp-server-tls-certificate {certificate}
<source 127/8>
    always-allow-relaying yes
    allow-starttls yes
    log-connections yes
    log-commands yes
    log-data yes
    log-tls yes
</source>
<smtp-user anna>
    password {PASSWORD.decode()}
    source {{in}}
</smtp-user>
<source {{in}}>
    always-allow-relaying yes
</source>
"""
    async with Internet() as internet, internet.receiver("far.example"):
        port = free_port()
        process = RelayProcess(folder, plain_config(port) + internet.rules + rules, options=("--debug",))
        process.port = port  # type: ignore[attr-defined]
        async with process:
            yield process


def forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """All that a log could have made of it; of base64 the middle, which is the same whatever stands before and behind."""
    yield "raw", secret
    yield "hex", secret.hex().encode()
    for before in range(3):
        text = base64.b64encode(b"x" * before + secret)
        yield f"base64 at {before}", text[4 if before else 0 : len(text) - 4]


def searchable(log: bytes) -> list[bytes]:
    """The log as it is, and what the dumps in it come to: their hexadecimal and their octets, each in one piece."""
    octets = {arrow: bytearray() for arrow in (b">>>", b"<<<")}
    for arrow, row in re.findall(rb'"(>>>|<<<) [0-9a-f]{4,}  ((?:[0-9a-f]{2} )+) ', log):
        octets[arrow] += bytes.fromhex(row.decode())
    return [log, *[bytes(dumped) for dumped in octets.values()], *[dumped.hex().encode() for dumped in octets.values()]]


async def say(session: SourceClient, line: bytes) -> int:
    await session.send_raw(line + b"\r\n")
    return (await session.read_reply()).code


@pytest.mark.parametrize("name", DIALOGUES)
async def test_what_a_client_proves_himself_with_is_never_logged(relay: RelayProcess, name: str) -> None:
    port: int = relay.port  # type: ignore[attr-defined]
    before = len(relay.log_file.read_bytes())
    async with await SourceClient.connect("127.0.0.1", port) as session:
        if name != "in the clear: before EHLO":
            await session.ehlo("client.example")
        if not name.startswith("in the clear"):
            await session.starttls(trusting())
            await session.ehlo("client.example")
        codes = [await say(session, line) for line in DIALOGUES[name]]
        if name in ("PLAIN", "LOGIN", "LOGIN initial", "PLAIN in two steps"):
            assert codes[-1] == 235  # else the test would be about nothing
    await relay.until(lambda: b"session ends" in relay.log_file.read_bytes()[before:], "the end of the session in the log")
    log = relay.log_file.read_bytes()[before:]
    assert b"AUTH" in log or "command" in name  # the log is on: what may be shown, is
    for text in searchable(log):
        for secret in SECRETS:
            for form, octets in forms(secret):
                assert octets not in text, f"{name}: {secret!r} {form} in the log"


async def test_everything_else_is_there(relay: RelayProcess) -> None:
    port: int = relay.port  # type: ignore[attr-defined]
    before = len(relay.log_file.read_bytes())
    async with client(port, tls=True) as session:
        await send(session, "bob@far.example")
        await say(session, b"HELP \xc3\xa9\x1b[2J")
        await say(session, b"QUIT")
    await relay.until(lambda: b"session ends" in relay.log_file.read_bytes()[before:], "the end of the session in the log")
    log = relay.log_file.read_bytes()[before:]
    lines = [str(event["event"]) for event in relay.log() if str(event.get("session", "")).startswith("127.0.0.1:")]
    for wanted in (">>> EHLO client.example", ">>> STARTTLS", "<<< 250 2.1.0 MAIL ok", ">>> DATA", "TLS begins", "session begins"):
        assert wanted in lines
    assert b"\x1b" not in log  # a peer's octets move nobody's terminal
    assert HELLO in searchable(log)[1]
