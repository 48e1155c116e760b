"""Verifying with a resolver: each name is asked for once, and who does not answer holds nobody up."""

from __future__ import annotations

import asyncio

import pytest
from tests.content.dkim_vectors import KEYS, RFC8463

from postwright.content.dkim_canon import Mail
from postwright.engine import dkim_check
from postwright.engine.dkim_check import verify
from postwright.model.route import MxStatus
from postwright.net.resolver import TextAnswer
from postwright.wire.body import scan

SIZE = scan(RFC8463).header_size
MAIL = Mail(RFC8463[:SIZE], RFC8463[SIZE:])
RSA = "test._domainkey.football.example.com"
ED25519 = "brisbane._domainkey.football.example.com"


class Names:
    """A resolver that knows the RFC's keys; names in `silent` are never answered, those in `broken` not now."""

    def __init__(self, silent: tuple[str, ...] = (), broken: tuple[str, ...] = ()) -> None:
        self.asked: list[str] = []
        self.silent, self.broken = silent, broken

    async def texts(self, name: str) -> TextAnswer:
        self.asked.append(name)
        if name in self.silent:
            await asyncio.get_running_loop().create_future()
        if name in self.broken:
            return TextAnswer(MxStatus.TEMPORARY)
        record = KEYS.get(name)
        return TextAnswer(MxStatus.NO_HOSTS) if record is None else TextAnswer(MxStatus.FOUND, (record.decode(),))


async def test_all_keys_are_asked_for_once() -> None:
    names = Names()
    found = await verify(Mail(RFC8463[:SIZE].replace(b"From:", b"X-Nothing: 1\r\nFrom:", 1), RFC8463[SIZE:]), names, 1.6e9)
    assert [verdict.result for verdict in found.verdicts] == ["pass", "pass"]
    assert sorted(names.asked) == [ED25519, RSA]
    assert found.trace == (f"TXT {ED25519}: 1 record", f"TXT {RSA}: 1 record")


async def test_no_signature_asks_nobody() -> None:
    names = Names()
    assert (await verify(Mail(b"From: a\r\n\r\n", b""), names, 1.6e9)).verdicts == ()
    broken = RFC8463[:SIZE].replace(b"v=1;", b"v=3;")
    assert [verdict.result for verdict in (await verify(Mail(broken, b""), names, 1.6e9)).verdicts] == ["neutral", "neutral"]
    assert names.asked == []


async def test_who_cannot_answer_is_a_temperror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dkim_check, "PATIENCE", 0.05)
    found = await verify(MAIL, Names(silent=(RSA,)), 1.6e9)
    assert [verdict.result for verdict in found.verdicts] == ["pass", "temperror"]
    found = await verify(MAIL, Names(broken=(ED25519,)), 1.6e9)
    assert [verdict.result for verdict in found.verdicts] == ["temperror", "pass"]
    assert f"TXT {ED25519}: no answer" in found.trace
