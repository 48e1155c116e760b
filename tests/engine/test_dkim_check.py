"""Verifying with a resolver: each name is asked for once, and who does not answer holds nobody up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from tests.content.dkim_vectors import KEYS, RFC8463
from tests.content.test_arc import hops

from postwright.content.dkim_canon import Mail
from postwright.engine import arc_check, dkim_check
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


@pytest.mark.parametrize(("header", "body"), [(b"", b"x" * dkim_check.LARGE), (b"X: " + b"x" * dkim_check.LARGE + b"\r\n", b"")])
async def test_what_is_large_in_header_or_body_is_no_matter_of_the_loop(
    header: bytes, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    for module in (dkim_check, arc_check):

        def judge(*arguments: object, real: Callable[..., object] = module.judge) -> object:
            threads.append(threading.get_ident())
            return real(*arguments)

        monkeypatch.setattr(module, "judge", judge)
    here = threading.get_ident()
    await verify(MAIL, Names(), 1.6e9)
    assert set(threads) == {here}
    threads.clear()
    await verify(Mail(header + RFC8463[:SIZE], body), Names(), 1.6e9)
    assert len(threads) == 2
    assert here not in threads
    _, chained = hops(1)
    size = scan(chained).header_size
    await arc_check.verify(Mail(header + chained[:size], chained[size:] + body), Names())
    assert len(threads) == 3
    assert here not in threads
