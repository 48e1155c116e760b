"""Dialogues of NTLM in a shard: pyspnego's client, passwords that are there, come later or are not; what is handed to the helper.

Takes about a second.
"""

from __future__ import annotations

import asyncio

import pytest
import spnego
import structlog
from structlog.testing import CapturingLogger

from postwright.engine.acceptors import Acceptors, Secret
from postwright.engine.auth_frames import ExchangeTold
from postwright.model.credentials import Exchanged
from postwright.net.clock import SystemClock
from postwright.policy.settings import GeneralSettings, Settings

REFUSED = Exchanged(done=True, reason="this is no message of NTLM")
ON = Settings(general=GeneralSettings(ntlm_domain="CORP", kerberos_keytab="/etc/keytab"))


class Helper:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.ended: list[str] = []

    async def step(self, kind: str, context: str, data: bytes) -> ExchangeTold:
        self.asked.append((kind, context, data))
        return ExchangeTold(1, b"answer", "anne", done=True, ok=True)

    def over(self, context: str) -> None:
        self.ended.append(context)


class Bench:
    def __init__(self, helper: Helper | None = None, settings: Settings = ON) -> None:
        self.lines = CapturingLogger()
        log = structlog.wrap_logger(self.lines, processors=[])
        self.acceptors = Acceptors(SystemClock(), log, self.secret, helper)
        self.acceptors.apply(settings)

    def secret(self, user: str) -> Secret:
        if user == "later":
            future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
            future.set_result("sesame")
            return future
        return "sesame" if user == "anne" else None

    async def log_in(self, user: str, password: str, context_id: str = "c") -> Exchanged:
        client = spnego.client(user, password, protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
        first = client.step()
        assert first is not None
        challenge = await self.acceptors.exchange("NTLM", context_id, first)
        assert not challenge.done
        third = client.step(challenge.data)
        assert third is not None
        return await self.acceptors.exchange("NTLM", context_id, third)


@pytest.mark.parametrize(
    ("user", "password", "ok"),
    [("anne", "sesame", True), ("later", "sesame", True), ("anne", "wrong", False), ("nobody", "sesame", False), ("nobody", "", False)],
)
async def test_a_login_by_ntlm(user: str, password: str, ok: bool) -> None:
    assert await Bench().log_in(user, password) == Exchanged(user=user, done=True, ok=ok)


async def test_a_challenge_serves_once() -> None:
    bench = Bench()
    client = spnego.client("anne", "sesame", protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    challenge = await bench.acceptors.exchange("NTLM", "c", client.step() or b"")
    third = client.step(challenge.data) or b""
    assert (await bench.acceptors.exchange("NTLM", "c", third)).ok
    assert await bench.acceptors.exchange("NTLM", "c", third) == REFUSED
    again = await bench.acceptors.exchange("NTLM", "d", spnego.client("anne", "x", protocol="ntlm").step() or b"")
    assert not again.done
    assert not (await bench.acceptors.exchange("NTLM", "d", third)).ok, "the answer to another challenge"


@pytest.mark.parametrize("data", [b"", b"NTLMSSP\0", b"NTLMSSP\0\3\0\0\0" + bytes(100)])
async def test_what_is_no_ntlm_is_refused(data: bytes) -> None:
    bench = Bench()
    assert await bench.acceptors.exchange("NTLM", "c", data) == REFUSED
    await bench.acceptors.exchange("NTLM", "c", spnego.client("anne", "x", protocol="ntlm").step() or b"")
    again = await bench.acceptors.exchange("NTLM", "c", data)
    assert (again.done, again.ok, bool(again.reason)) == (True, False, True)


async def test_a_reason_is_told_to_our_log_only() -> None:
    bench = Bench()
    await bench.acceptors.exchange("NTLM", "c", b"\0secret")
    assert [call.kwargs for call in bench.lines.calls] == [
        {"event": "a login was refused", "mechanism": "NTLM", "reason": "this is no message of NTLM"}
    ]


async def test_nothing_is_kept_of_a_dialogue_that_ended() -> None:
    helper = Helper()
    bench = Bench(helper)
    first = spnego.client("anne", "x", protocol="ntlm").step() or b""
    await bench.acceptors.exchange("NTLM", "c", first)
    await bench.acceptors.exchange("GSSAPI", "k", b"ticket")
    bench.acceptors.over("c")
    bench.acceptors.over("k")
    bench.acceptors.over("k")
    assert (bench.acceptors._ntlm, bench.acceptors._elsewhere, helper.ended) == ({}, set(), ["k"])


async def test_kerberos_is_the_helpers() -> None:
    helper = Helper()
    bench = Bench(helper)
    for mechanism in ("GSSAPI", "GSS-SPNEGO"):
        assert await bench.acceptors.exchange(mechanism, mechanism, b"ticket") == Exchanged(b"answer", "anne", done=True, ok=True)
    assert helper.asked == [("gssapi", "GSSAPI", b"ticket"), ("gssapi", "GSS-SPNEGO", b"ticket")]


async def test_what_is_not_configured_is_not_there() -> None:
    assert Bench().acceptors.available == {"ntlm"}, "without a helper no Kerberos"
    assert Bench(Helper()).acceptors.available == {"ntlm", "gssapi"}
    off = Bench(Helper(), Settings())
    assert off.acceptors.available == set()
    assert await off.acceptors.exchange("GSSAPI", "k", b"ticket") == Exchanged(done=True, reason="there is no Kerberos")
    assert await off.acceptors.exchange("NTLM", "c", spnego.client("anne", "x", protocol="ntlm").step() or b"") == REFUSED
