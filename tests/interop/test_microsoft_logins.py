"""NTLM and Kerberos at a running relay, by clients that are not ours: curl for NTLM and GSSAPI, gsasl for GSSAPI, a real MIT KDC.

Judged is that the message arrived, which only a login may send, and whom our record says it was. Takes about six seconds.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
import spnego
from tests.interop.gss_client import Initiator
from tests.interop.kdc import Kdc
from tests.interop.peers import run
from tests.scenarios.clients import client

from postwright.engine.gssapi import KERBEROS, SPNEGO
from postwright.model.reply import Reply
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port
from postwright.testing.source import SourceClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

REALM = "CORP.EXAMPLE"
MAIL = b"Subject: hello\r\n\r\nhello\r\n"


class Office:
    """A relay to which only logins may give mail; with `kdc` in a realm."""

    def __init__(self, folder: Path, receiver: SinkServer, more: str, kdc: Kdc | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        (folder / "mail").write_bytes(MAIL)
        rules = f"{plain_config(self.port)}{RULES.format(receiver=receiver.port)}{more}"
        self.relay = RelayProcess(folder, rules, environment=kdc.environment if kdc is not None else None)
        self._kdc = kdc
        self._numbers = count()

    @property
    def kdc(self) -> Kdc:
        assert self._kdc is not None
        return self._kdc

    async def curl(self, curl: Path, mechanism: str, login: str, *, check: bool = True) -> tuple[str, str]:
        """curl sends a message; gives what it printed, and the recipient."""
        recipient = f"{next(self._numbers)}@far.example"
        where = (f"smtp://localhost:{self.port}/client.example", "--mail-from", "anne@client.example", "--mail-rcpt", recipient)
        words = ("--login-options", f"AUTH={mechanism}", "--user", login, "--upload-file", str(self.folder / "mail"))
        done = await run(curl, "-4sSv", *where, *words, check=check, env=self._kdc.environment if self._kdc is not None else None)
        return done.stdout.decode(errors="replace"), recipient

    async def user_of(self, recipient: str) -> str:
        """Whom our record says that the message to `recipient` is from."""

        def rows() -> list[dict[str, str]]:
            return [row for row in self.relay.records("r") if row["rcpt"] == recipient]

        return (await self.relay.until(rows, f"the record of {recipient}"))[0]["rcvSmtpUser"]


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
    authentication-method elsewhere
</smtp-user>
<domain *>
    smtp-hosts [127.0.0.1]:{receiver}
</domain>
"""


# -- one office for all ---------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory, needs: Callable[[str], Path]) -> AsyncIterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    kdc = Kdc(folder / "kdc", REALM, needs)
    await kdc.make()
    await kdc.add("alice", "wonderland")
    await kdc.add("carol", "christmas")
    keytab = await kdc.keytab("smtp/localhost")
    await kdc.keytab("smtp/elsewhere", "other.keytab")
    async with SinkServer() as receiver, kdc.serving():
        office = Office(folder, receiver, f"ntlm-domain CORP\nkerberos-keytab {keytab}\n", kdc)
        async with office.relay:
            yield office


# -- NTLM ---------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["anne", "CORP\\anne", "ANNE"])
async def test_curl_sends_by_ntlm(office: Office, needs: Callable[[str], Path], user: str) -> None:
    _, recipient = await office.curl(needs("curl"), "NTLM", f"{user}:correct horse")
    assert await office.user_of(recipient) == "anne"


async def test_a_wrong_password_and_a_stranger_are_told_the_same(office: Office, needs: Callable[[str], Path]) -> None:
    for login in ("anne:wrong", "nobody:correct horse"):
        printed, _ = await office.curl(needs("curl"), "NTLM", login, check=False)
        assert "535 5.7.8" in printed


async def by_ntlm(session: SourceClient, verb: str) -> tuple[bytes, Reply]:
    """A dialogue of pyspnego's: our challenge, the final reply."""
    login = spnego.client("anne", "correct horse", protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    asked = await session.command(f"{verb} NTLM {base64.b64encode(login.step() or b'').decode()}")
    assert asked.code == 334
    challenge = base64.b64decode(asked.lines[0])
    return challenge, await session.command(base64.b64encode(login.step(challenge) or b""))


@pytest.mark.parametrize("verb", ["AUTH", "X-EXPS"])
async def test_the_challenge_tells_the_configured_name_and_no_other(office: Office, verb: str) -> None:
    async with client(office.port) as session:
        assert "NTLM" in session.capabilities["AUTH"].split()
        challenge, reply = await by_ntlm(session, verb)
    assert reply.code == 235
    text = challenge.decode("utf-16-le", "replace") + challenge[1:].decode("utf-16-le", "replace")
    assert "CORP" in text
    assert "relay" not in text.lower()


async def test_both_are_off_where_nobody_asked_for_them(tmp_path: Path) -> None:
    async with SinkServer() as receiver:
        office = Office(tmp_path, receiver, "")
        async with office.relay, client(office.port) as session:
            assert not {"NTLM", "GSSAPI", "GSS-SPNEGO"} & set(session.capabilities["AUTH"].split())
            assert "X-EXPS" not in session.capabilities
            for mechanism in ("NTLM", "GSSAPI"):
                assert (await session.command(f"AUTH {mechanism} TlRMTVNTUAABAAAAB4IIAA==")).code == 504


# -- Kerberos -------------------------------------------------------------------------------


async def test_curl_sends_by_kerberos(office: Office, needs: Callable[[str], Path]) -> None:
    await office.kdc.kinit("alice", "wonderland")
    _, recipient = await office.curl(needs("curl"), "GSSAPI", f"alice@{REALM}:")
    assert await office.user_of(recipient) == "alice"


async def test_gsasl_logs_in_by_kerberos(office: Office, needs: Callable[[str], Path]) -> None:
    await office.kdc.kinit("alice", "wonderland")
    assert "235 2.7.0" in await gsasl(needs("gsasl"), office)
    await office.kdc.kinit("carol", "christmas")
    assert "535 5.7.8" in await gsasl(needs("gsasl"), office), "a user of the KDC, and none of ours"


async def gsasl(program: Path, office: Office) -> str:
    # libgssglue, which Debian's gsasl goes by, wants to be told which library to load
    (office.folder / "mech.conf").write_text("libgssapi_krb5.so.2 mechglue_internal_krb5_init\n")
    env = {**office.kdc.environment, "GSSAPI_MECH_CONF": str(office.folder / "mech.conf")}
    words = ("--smtp", "--mechanism", "GSSAPI", "--authentication-id", "", "--authorization-id", "", "--service", "smtp", "--no-starttls")
    done = await run(program, *words, "--hostname", "localhost", f"--connect=127.0.0.1:{office.port}", check=False, env=env)
    return done.stdout.decode(errors="replace")


class Gss:
    """A GSS dialogue by hand, after `kinit`."""

    def __init__(self, session: SourceClient, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("KRB5_CONFIG", "KRB5CCNAME"):
            monkeypatch.setenv(name, office.kdc.environment[name])
        self.session = session

    async def say(self, line: str) -> tuple[Reply, bytes]:
        reply = await self.session.command(line)
        return reply, base64.b64decode(reply.lines[0]) if reply.code == 334 else b""

    async def start(self, mechanism: str, initiator: Initiator, verb: str = "AUTH") -> tuple[Reply, bytes]:
        """Tokens to and fro until our side is content."""
        token, done = initiator.step()
        reply, answer = await self.say(f"{verb} {mechanism} {_base64(token)}")
        while reply.code == 334 and not done:
            token, done = initiator.step(answer)
            reply, answer = await self.say(_base64(token))
        return reply, answer


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


@pytest.mark.parametrize(("mechanism", "verb"), [("GSS-SPNEGO", "AUTH"), ("GSSAPI", "X-EXPS")])
async def test_spnego_needs_no_question_of_a_layer(office: Office, monkeypatch: pytest.MonkeyPatch, mechanism: str, verb: str) -> None:
    """The second is what Microsoft's clients do."""
    await office.kdc.kinit("alice", "wonderland")
    async with client(office.port) as session:
        reply, _ = await Gss(session, office, monkeypatch).start(mechanism, Initiator("smtp@localhost", SPNEGO), verb)
        assert (reply.code, reply.status) == (235, "2.7.0")


async def test_many_at_a_time(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """One set of keys and many threads of the helper."""
    await office.kdc.kinit("alice", "wonderland")

    async def log_in() -> int:
        async with client(office.port) as session:
            return (await Gss(session, office, monkeypatch).start("GSS-SPNEGO", Initiator("smtp@localhost", SPNEGO)))[0].code

    assert await asyncio.gather(*(log_in() for _ in range(40))) == [235] * 40


# what the client answers to the offer of no layer: the layer, the size of its messages, whom to act as
LAYERS = {
    "none": (b"\1\0\0\0", 235),
    "as herself": (b"\1\0\0\0alice", 235),
    "as her principal": (b"\1\0\0\0alice@CORP.EXAMPLE", 235),
    "as another": (b"\1\0\0\0anne", 535),
    "a layer that was not offered": (b"\2\0\x10\0", 535),
    "a size without a layer": (b"\1\0\x10\0", 535),
    "too short": (b"\1\0", 535),
}


@pytest.mark.parametrize(("answer", "code"), LAYERS.values(), ids=LAYERS)
async def test_the_question_of_a_security_layer(office: Office, monkeypatch: pytest.MonkeyPatch, answer: bytes, code: int) -> None:
    await office.kdc.kinit("alice", "wonderland")
    async with client(office.port) as session:
        gss = Gss(session, office, monkeypatch)
        initiator = Initiator("smtp@localhost", KERBEROS)
        _, offer = await gss.start("GSSAPI", initiator)
        assert initiator.unwrap(offer) == b"\1\0\0\0", "RFC 4752 section 3.1: no layer, no size"
        reply, _ = await gss.say(_base64(initiator.wrap(answer)))
        assert reply.code == code


async def test_tickets_that_are_no_good(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    await office.kdc.kinit("alice", "wonderland")
    async with client(office.port) as session:
        gss = Gss(session, office, monkeypatch)
        ticket, _ = Initiator("smtp@localhost", KERBEROS).step()
        other, _ = Initiator("smtp@elsewhere", KERBEROS).step()
        reply, _ = await gss.say(f"AUTH GSSAPI {_base64(ticket)}")
        assert reply.code == 334
        await session.command("*")
        spoiled = ticket[:-20] + bytes([ticket[-20] ^ 1]) + ticket[-19:]
        for bad in (ticket, other, spoiled, ticket[:50], b"\x60", b"octets"):
            reply, _ = await gss.say(f"AUTH GSSAPI {_base64(bad)}")
            assert (reply.code, reply.status) == (535, "5.7.8"), "the first of them is a replay"
    reasons = [str(event["reason"]) for event in office.relay.log() if event["event"] == "a login was refused"]
    for words in ("replay", "smtp/elsewhere"):
        assert any(words in reason for reason in reasons), reasons
