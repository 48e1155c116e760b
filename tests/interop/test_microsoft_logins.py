"""NTLM and Kerberos at a running relay, by clients that are not ours: curl for NTLM and GSSAPI, gsasl for GSSAPI, a real MIT KDC.

Judged is that the message arrived, which only a login may send, and whom our record says it was. Takes about four seconds.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import spnego
from tests.interop.kdc import Kdc
from tests.interop.peers import run
from tests.scenarios.clients import client

from postwright.model.reply import Reply
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient

FAR = "bob@far.example"
REALM = "CORP.EXAMPLE"
MAIL = b"Subject: hello\r\n\r\nhello\r\n"


class Office:
    """A relay to which only logins may give mail."""

    def __init__(self, folder: Path, receiver: SinkServer, more: str, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.receiver = receiver
        self.port = free_port()
        (folder / "mail").write_bytes(MAIL)
        self.relay = RelayProcess(folder, f"{plain_config(self.port)}{RULES.format(receiver=receiver.port)}{more}", environment=environment)

    async def curl(self, curl: Path, mechanism: str, login: str, *, check: bool = True, env: dict[str, str] | None = None) -> str:
        """curl sends a message; gives what it printed."""
        where = (f"smtp://localhost:{self.port}/client.example", "--mail-from", "anne@client.example", "--mail-rcpt", FAR)
        words = ("--login-options", f"AUTH={mechanism}", "--user", login, "--upload-file", str(self.folder / "mail"))
        done = await run(curl, "-4sSv", *where, *words, check=check, env=env)
        return done.stdout.decode(errors="replace")

    async def arrived_from(self, user: str) -> None:
        await self.receiver.wait_for(1, 20)
        [row] = await self.relay.wait_for_records("r", 1)
        assert row["rcvSmtpUser"] == user


RULES = """
<source 127.0.0.1/32>
    require-auth yes
</source>
<acct-file acct.csv>
    record-fields r *, rcvSmtpUser
</acct-file>
<smtp-user anne>
    password "correct horse"
</smtp-user>
<smtp-user alice>
    password "not hers at the KDC"
</smtp-user>
<domain *>
    smtp-hosts [127.0.0.1]:{receiver}
</domain>
"""


# -- NTLM ---------------------------------------------------------------------------------


@pytest.fixture
async def ntlm(tmp_path: Path) -> AsyncIterator[Office]:
    async with SinkServer() as receiver:
        office = Office(tmp_path, receiver, "ntlm-domain CORP\n")
        async with office.relay:
            yield office


@pytest.mark.parametrize("user", ["anne", "CORP\\anne", "ANNE"])
async def test_curl_sends_by_ntlm(ntlm: Office, needs: Callable[[str], Path], user: str) -> None:
    await ntlm.curl(needs("curl"), "NTLM", f"{user}:correct horse")
    await ntlm.arrived_from("anne")


async def test_a_wrong_password_and_a_stranger_are_told_the_same(ntlm: Office, needs: Callable[[str], Path]) -> None:
    for login in ("anne:wrong", "nobody:correct horse"):
        printed = await ntlm.curl(needs("curl"), "NTLM", login, check=False)
        assert "535 5.7.8" in printed
    assert ntlm.receiver.messages == []


async def by_ntlm(session: SourceClient, verb: str) -> tuple[bytes, Reply]:
    """A dialogue of pyspnego's: our challenge, the final reply."""
    login = spnego.client("anne", "correct horse", protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    asked = await session.command(f"{verb} NTLM {base64.b64encode(login.step() or b'').decode()}")
    assert asked.code == 334
    challenge = base64.b64decode(asked.lines[0])
    return challenge, await session.command(base64.b64encode(login.step(challenge) or b""))


@pytest.mark.parametrize("verb", ["AUTH", "X-EXPS"])
async def test_the_challenge_tells_the_configured_name_and_no_other(ntlm: Office, verb: str) -> None:
    async with client(ntlm.port) as session:
        assert "NTLM" in session.capabilities["AUTH"].split()
        challenge, reply = await by_ntlm(session, verb)
    assert reply.code == 235
    text = challenge.decode("utf-16-le", "replace") + challenge[1:].decode("utf-16-le", "replace")
    assert "CORP" in text
    assert "relay" not in text.lower()


async def test_ntlm_is_off_where_nobody_asked_for_it(tmp_path: Path) -> None:
    async with SinkServer() as receiver:
        office = Office(tmp_path, receiver, "")
        async with office.relay, client(office.port) as session:
            assert not {"NTLM", "GSSAPI", "GSS-SPNEGO"} & set(session.capabilities["AUTH"].split())
            for mechanism in ("NTLM", "GSSAPI"):
                assert (await session.command(f"AUTH {mechanism} TlRMTVNTUAABAAAAB4IIAA==")).code == 504


# -- Kerberos -------------------------------------------------------------------------------


@pytest.fixture
async def kdc(tmp_path: Path, needs: Callable[[str], Path]) -> AsyncIterator[Kdc]:
    kdc = Kdc(tmp_path / "kdc", REALM, needs)
    await kdc.make()
    await kdc.add("alice", "wonderland")
    await kdc.add("carol", "christmas")
    async with kdc.serving():
        yield kdc


@pytest.fixture
async def kerberos(tmp_path: Path, kdc: Kdc) -> AsyncIterator[Office]:
    keytab = await kdc.keytab("smtp/localhost")
    async with SinkServer() as receiver:
        office = Office(tmp_path, receiver, f"kerberos-keytab {keytab}\n", kdc.environment)
        async with office.relay:
            yield office


async def test_curl_sends_by_kerberos(kerberos: Office, kdc: Kdc, needs: Callable[[str], Path]) -> None:
    await kdc.kinit("alice", "wonderland")
    await kerberos.curl(needs("curl"), "GSSAPI", f"alice@{REALM}:", env=kdc.environment)
    await kerberos.arrived_from("alice")
