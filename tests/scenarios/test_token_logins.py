"""Logins by OAuth token at a running relay: real clients with OAUTHBEARER and XOAUTH2, a real authorisation server, and its failures.

Judged is what the relay lets a login do: its own relaying, its source, its name in the record. Takes about three seconds.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from tests.engine.token_issuer import ISSUER, TokenIssuer
from tests.interop.peers import run
from tests.scenarios.alone import Alone
from tests.scenarios.clients import client

from postwright.model.reply import Reply
from postwright.testing.relay_process import plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.source import SourceClient

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Cloud(Alone):
    """A relay whose users are an authorisation server's."""

    def __init__(self, folder: Path, issuer: TokenIssuer, receiver: SinkServer) -> None:
        super().__init__(folder, receiver)
        self.issuer = issuer
        self.receiver = receiver
        self.provider = f"issuer {ISSUER}\naudience relay\njwks {issuer.jwks_url}\nrequired-scopes smtp.send\n"
        self.rules = f"""{plain_config(self.port)}
<source 127.0.0.1/32>
    require-auth yes
    allow-unencrypted-plain-auth yes
</source>
<source cloud>
    max-message-size 2000
</source>
<acct-file acct.csv>
    record-fields r *, rcvSmtpUser
</acct-file>
<smtp-user alice@corp.example>
    authentication-method elsewhere
</smtp-user>
<domain *>
    smtp-hosts [127.0.0.1]:{receiver.port}
</domain>
"""
        self.write_config(self.config(self.provider))

    def config(self, *lines: str) -> str:
        return f"{self.rules}<oauth-provider corp>\n{''.join(lines)}</oauth-provider>\n"

    async def log_in(self, session: SourceClient, token: str, *, user: str = "alice@corp.example") -> tuple[Reply, dict[str, str]]:
        """OAUTHBEARER by hand: the final reply, and what was said before it (RFC 7628 section 3.2.2)."""
        said: dict[str, str] = {}
        reply = await session.command(f"AUTH OAUTHBEARER {bearer(user, token)}")
        if reply.code == 334:
            said = json.loads(base64.b64decode(reply.lines[0]))
            reply = await session.command("AQ==")
        return reply, said


def bearer(user: str, token: str) -> str:
    return base64.b64encode(f"n,a={user},\x01auth=Bearer {token}\x01\x01".encode()).decode()


@asynccontextmanager
async def cloud_in(folder: Path) -> AsyncIterator[Cloud]:
    async with TokenIssuer() as issuer, SinkServer() as receiver, Cloud(folder, issuer, receiver) as running:
        assert isinstance(running, Cloud)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cloud]:
    """One for the tests that change nothing."""
    async with cloud_in(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
async def test_curl_sends_by_token(cloud: Cloud, tmp_path: Path, needs: Callable[[str], Path], mechanism: str) -> None:
    recipient = f"{mechanism.lower()}@far.example"
    (tmp_path / "mail").write_bytes(b"Subject: by token\r\n\r\nhello\r\n")
    login = ("--user", "alice@corp.example:", "--oauth2-bearer", cloud.issuer.token(), "--login-options", f"AUTH={mechanism}")
    where = ("--mail-from", "alice@corp.example", "--mail-rcpt", recipient, "--upload-file", str(tmp_path / "mail"))
    await run(needs("curl"), "-sS", f"smtp://127.0.0.1:{cloud.port}/client.example", *login, *where)
    rows = await cloud.until(lambda: [row for row in cloud.records("r") if row["rcpt"] == recipient], "the record")
    assert rows[0]["rcvSmtpUser"] == "alice@corp.example"


async def test_tokens_are_long(cloud: Cloud) -> None:
    """Microsoft's have some 2,500 characters, with groups more; an AUTH line may have 12,288 (RFC 4954 section 4)."""
    async with client(cloud.port) as session:
        reply, _ = await cloud.log_in(session, cloud.issuer.token(groups="x" * 6000))
        assert reply.code == 235
    async with client(cloud.port) as session:
        assert (await session.command(f"AUTH OAUTHBEARER {bearer('', 'x' * 12000)}")).code == 500


async def test_what_is_said_of_tokens_that_are_no_good(cloud: Cloud) -> None:
    token = cloud.issuer.token
    async with client(cloud.port) as session:
        assert {"OAUTHBEARER", "XOAUTH2"} <= set(session.capabilities["AUTH"].split())
        for bad, error in [(token(aud="other"), "invalid_token"), (token(scope="x"), "insufficient_scope"), ("opaque", "invalid_token")]:
            reply, said = await cloud.log_in(session, bad)
            assert (reply.code, reply.status, said["status"]) == (535, "5.7.8", error)
        assert said == {"status": "invalid_token", "schemes": "bearer"}, "who is nobody's learns nothing of anybody"
        reply, said = await cloud.log_in(session, token(scope="x"))
        assert said["scope"] == "smtp.send"
        reply, _ = await cloud.log_in(session, token(), user="bob@corp.example")
        assert reply.code == 535
        reply, _ = await cloud.log_in(session, token(email="new@corp.example"), user="new@corp.example")
        assert reply.code == 535, "who is no user of ours"
        reply, _ = await cloud.log_in(session, token())
        assert (reply.code, reply.status) == (235, "2.7.0")


async def test_a_server_that_fails_is_no_refusal_and_reloads_let_in_and_out(tmp_path: Path) -> None:
    async with cloud_in(tmp_path) as cloud:
        await _fails(cloud)
        await _lets_unknown_users_in(cloud)
        await _lets_nobody_in(cloud)


async def _fails(cloud: Cloud) -> None:
    cloud.issuer.broken = True
    async with client(cloud.port) as session:
        reply, said = await cloud.log_in(session, cloud.issuer.token())
    assert (reply.code, reply.status, said) == (454, "4.7.0", {})
    [event] = [event for event in cloud.log() if event["event"] == "keys cannot be fetched"]
    assert (event["provider"], event["error"]) == ("corp", "status 503")
    cloud.issuer.broken = False


async def _lets_unknown_users_in(cloud: Cloud) -> None:
    cloud.write_config(cloud.config(cloud.provider, "accept-unknown-users yes\nsource cloud\n"))
    assert (await cloud.command("reload"))[0] == 0
    async with client(cloud.port) as session:
        reply, _ = await cloud.log_in(session, cloud.issuer.token(email="new@corp.example"), user="new@corp.example")
        assert reply.code == 235
        assert (await session.command("MAIL FROM:<new@corp.example> SIZE=2001")).code == 552, "the size of <source cloud>"
        assert (await session.command("MAIL FROM:<new@corp.example> SIZE=2000")).code == 250
        assert (await session.command("RCPT TO:<bob@far.example>")).code == 250


async def _lets_nobody_in(cloud: Cloud) -> None:
    cloud.write_config(cloud.rules)
    assert (await cloud.command("reload"))[0] == 0
    async with client(cloud.port) as session:
        assert "AUTH" not in session.capabilities, "nobody has another way to log in"
        assert (await session.command(f"AUTH OAUTHBEARER {bearer('', cloud.issuer.token())}")).code in (502, 503, 504)
