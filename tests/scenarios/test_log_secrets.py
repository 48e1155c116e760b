"""No secret in any log at any level: everybody logs in, well and badly, with every log switched on and `--debug`; then the log is searched.

DIALOGUES is the table: a row is what a client sends, line by line, whatever is answered. Where a line is a function, it makes the answer to
the challenge before it, as a real client does, and says what of it is a secret: REAL has such rows, which end in 235 or 535 by what they
prove. All secrets are looked for raw, in base64 (at each of its three alignments) and in hexadecimal, as lines and across the rows of
`log-data`. A new mechanism joins with a row.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
import spnego
from joserfc import jwt
from joserfc.jwk import ECKey
from tests.scenarios.clients import HELLO, client, send, trusting
from tests.scenarios.internet import Internet

from postwright.testing.certificate import self_signed_pem
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient
from postwright.wire import ntlm
from postwright.wire.scram_client import ScramClient

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("log-secrets")]

PASSWORD = b"Corr3ct-h0rse-b4ttery"
WRONG = b"Wr0ng-staple-gu3ss"
TOKEN = b"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJlLW9mLWE"
PROOF = b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
TICKET = b"YII-a-kerberos-ticket-or-an-NTLM-message-of-some-length"
SECRETS = (PASSWORD, WRONG, TOKEN, PROOF, TICKET)
ISSUER = "https://login.example"
KEY = ECKey.generate_key("P-256", parameters={"kid": "log-secrets"})

# the answer to a challenge, and what of it nobody may see
Answer = Callable[[bytes], tuple[bytes, tuple[bytes, ...]]]
Row = list[bytes | Answer]


def coded(*parts: bytes) -> bytes:
    return base64.b64encode(b"".join(parts))


# name -> lines; the session is inside TLS, or in the clear where the name says so
DIALOGUES: dict[str, Row] = {
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


def cram_md5(password: bytes) -> Row:
    def answer(challenge: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        digest = hmac.new(password, challenge, "md5").hexdigest().encode()
        return b"anna " + digest, (digest,)

    return [b"AUTH CRAM-MD5", answer]


def scram(hash: str, password: bytes) -> Row:
    client = ScramClient(hash, "anna", password.decode(), base64.b64encode(password[::-1]).decode())

    def final(challenge: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        message = client.final(challenge) or b""
        proof = message.rpartition(b",p=")[2]
        return message, (proof, base64.b64decode(proof))

    row: Row = [f"AUTH SCRAM-{hash} ".encode() + coded(client.first()), final]
    return [*row, lambda challenge: (client.check(challenge) or b"", ())] if password == PASSWORD else row


def by_ntlm(verb: bytes, password: bytes) -> Row:
    client = spnego.client("anna", password.decode(), protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)

    def answer(challenge: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        message = client.step(challenge) or b""
        said = ntlm.read_authenticate(message)
        assert said is not None
        return message, (message, said.response, said.response[:16])

    return [verb + b" NTLM " + coded(client.step() or b""), answer]


def bearer(mechanism: bytes, audience: str) -> Row:
    claims = {"iss": ISSUER, "aud": audience, "exp": int(time.time()) + 600, "email": "anna"}
    token = jwt.encode({"alg": "ES256", "kid": KEY.kid}, claims, KEY).encode()
    user = b"n,a=anna," if mechanism == b"OAUTHBEARER" else b"user=anna"

    def answer(_: bytes) -> tuple[bytes, tuple[bytes, ...]]:
        return user + b"\x01auth=Bearer " + token + b"\x01\x01", (token, *token.split(b"."))

    return [b"AUTH " + mechanism, answer, *([b"AQ=="] if audience != "relay" else [])]


# name -> what makes the row, and the code that it ends in
REAL: dict[str, tuple[Callable[[], Row], int]] = {
    "a real CRAM-MD5": (lambda: cram_md5(PASSWORD), 235),
    "a real CRAM-MD5, wrong": (lambda: cram_md5(WRONG), 535),
    "a real SCRAM-SHA-256": (lambda: scram("SHA-256", PASSWORD), 235),
    "a real SCRAM-SHA-256, wrong": (lambda: scram("SHA-256", WRONG), 535),
    "a real SCRAM-SHA-1": (lambda: scram("SHA-1", PASSWORD), 235),
    "a real NTLM": (lambda: by_ntlm(b"AUTH", PASSWORD), 235),
    "a real NTLM, wrong": (lambda: by_ntlm(b"AUTH", WRONG), 535),
    "a real X-EXPS": (lambda: by_ntlm(b"X-EXPS", PASSWORD), 235),
    "a real OAUTHBEARER": (lambda: bearer(b"OAUTHBEARER", "relay"), 235),
    "a real OAUTHBEARER, for somebody else": (lambda: bearer(b"OAUTHBEARER", "other"), 535),
    "a real XOAUTH2": (lambda: bearer(b"XOAUTH2", "relay"), 235),
    "a real XOAUTH2, for somebody else": (lambda: bearer(b"XOAUTH2", "other"), 535),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def relay(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RelayProcess]:
    folder = tmp_path_factory.mktemp("log-secrets")
    certificate = folder / "both.pem"
    certificate.touch(mode=0o600)
    certificate.write_bytes(b"".join(self_signed_pem(["relay.example"])))
    keys = folder / "keys.json"
    keys.write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    rules = f"""
smtp-server-tls-certificate {certificate}
ntlm-domain CORP
<oauth-provider corp>
    issuer {ISSUER}
    audience relay
    jwks {keys}
</oauth-provider>
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


async def play(session: SourceClient, row: Row) -> tuple[list[int], list[bytes]]:
    """The codes of all replies, and the secrets that were made on the way."""
    codes: list[int] = []
    secrets = list(SECRETS)
    challenge = b""
    for line in row:
        if not isinstance(line, bytes):
            answer, hidden = line(challenge)
            line = base64.b64encode(answer)
            secrets += hidden
        await session.send_raw(line + b"\r\n")
        reply = await session.read_reply()
        codes.append(reply.code)
        challenge = base64.b64decode(reply.lines[0]) if reply.code == 334 else b""
    return codes, secrets


def judge(name: str, log: bytes, secrets: list[bytes]) -> None:
    assert b"AUTH" in log or b"X-EXPS" in log or "command" in name  # the log is on: what may be shown, is
    for text in searchable(log):
        for secret in secrets:
            for form, octets in forms(secret):
                assert octets not in text, f"{name}: {secret!r} {form} in the log"


@pytest.mark.parametrize("name", [*DIALOGUES, *REAL])
async def test_what_a_client_proves_himself_with_is_never_logged(relay: RelayProcess, name: str) -> None:
    port: int = relay.port  # type: ignore[attr-defined]
    before = len(relay.log_file.read_bytes())
    make, last = REAL.get(name, (lambda: DIALOGUES[name], 0))
    async with await SourceClient.connect("127.0.0.1", port) as session:
        if name != "in the clear: before EHLO":
            await session.ehlo("client.example")
        if not name.startswith("in the clear"):
            await session.starttls(trusting())
            await session.ehlo("client.example")
        codes, secrets = await play(session, make())
        if name in ("PLAIN", "LOGIN", "LOGIN initial", "PLAIN in two steps"):
            last = 235
        assert last in (0, codes[-1]), codes  # else the test would be about nothing
    await relay.until(lambda: b"session ends" in relay.log_file.read_bytes()[before:], "the end of the session in the log")
    judge(name, relay.log_file.read_bytes()[before:], secrets)


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
