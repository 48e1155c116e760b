"""MTA-STS policies over days of simulated time: fetched once for all who wait, renewed before their end, kept when the web host is away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from postwright.engine import sts_cache
from postwright.engine.sts_cache import AGAIN, StsCache
from postwright.net.sts_fetch import Fetched
from postwright.testing.fake_clock import FakeClock, settle
from postwright.testing.fake_resolver import FakeResolver

DAY = 86400.0
TEXT = "version: STSv1\nmode: {}\nmx: mx.a.example\nmax_age: {}\n"
pytestmark = pytest.mark.directive("use-mta-sts")


class Web:
    """What the policy host says; `asked` counts, `gate` holds answers up."""

    def __init__(self, mode: str = "enforce", age: float = 7 * DAY) -> None:
        self.answer = Fetched(TEXT.format(mode, int(age)))
        self.asked = 0
        self.gate: asyncio.Event | None = None

    async def __call__(self, host: str, addresses: tuple[str, ...]) -> Fetched:
        assert (host, addresses) == ("mta-sts.a.example", ("192.0.2.1",))
        self.asked += 1
        if self.gate is not None:
            await self.gate.wait()
        return self.answer


class House:
    def __init__(self, folder: Path, web: Web) -> None:
        self.clock = FakeClock()
        self.web = web
        self.folder = folder / "mta-sts"
        self.names = FakeResolver({}, clock=self.clock, ttl=60.0)
        self.names.source.zone["mta-sts.a.example"] = {"A": ["192.0.2.1"]}
        self.record("1")
        self.begin()

    def begin(self) -> None:
        self.cache = StsCache(self.clock, lambda: self.names, self.folder, self.web)

    def record(self, number: str) -> None:
        self.names.source.zone["_mta-sts.a.example"] = {"TXT": [f"v=STSv1; id={number}"]}

    async def mode(self) -> str:
        """The mode in force now, once what was begun for it has ended."""
        found = (await self.cache.policy("a.example")).policy
        await settle()
        return found.mode if found is not None else ""


async def test_who_comes_first_waits_and_the_others_with_him(tmp_path: Path) -> None:
    web = Web()
    web.gate = asyncio.Event()
    house = House(tmp_path, web)
    asking = [asyncio.ensure_future(house.mode()) for _ in range(20)]
    await settle()
    assert not any(task.done() for task in asking)
    web.gate.set()
    assert await asyncio.gather(*asking) == ["enforce"] * 20
    assert web.asked == 1


async def test_a_new_id_is_fetched_beside_the_mail(tmp_path: Path) -> None:
    web = Web()
    house = House(tmp_path, web)
    assert await house.mode() == "enforce"
    web.answer = Fetched(TEXT.format("testing", 86400))
    assert await house.mode() == "enforce"
    house.record("2")
    await house.clock.advance(61)
    web.gate = asyncio.Event()
    assert await house.mode() == "enforce"  # the old one, and nobody waits
    assert web.asked == 2
    web.gate.set()
    await settle()
    assert await house.mode() == "testing"


async def test_it_is_renewed_before_its_end(tmp_path: Path) -> None:
    house = House(tmp_path, Web(age=2 * DAY))
    await house.mode()
    await house.clock.advance(0.9 * DAY)
    await house.mode()
    assert house.web.asked == 1
    await house.clock.advance(0.2 * DAY)
    await house.mode()
    assert house.web.asked == 2
    await house.clock.advance(1.9 * DAY)  # beyond the end of the first
    assert await house.mode() == "enforce"


async def test_the_web_host_is_away(tmp_path: Path) -> None:
    house = House(tmp_path, Web(age=2 * DAY))
    await house.mode()
    house.web.answer = Fetched(problem="no answer within 30 s")
    for _ in range(3):
        await house.clock.advance(0.6 * DAY)
        assert await house.mode() == "enforce"
    await house.clock.advance(0.3 * DAY)  # its time is over
    answer = await house.cache.policy("a.example")
    assert (answer.policy, answer.result, answer.why) == (None, "sts-policy-fetch-error", "no answer within 30 s")
    before = house.web.asked
    await house.cache.policy("a.example")
    assert house.web.asked == before  # not for five minutes
    house.web.answer = Fetched(TEXT.format("enforce", 86400))
    await house.clock.advance(AGAIN + 1)
    assert await house.mode() == "enforce"


async def test_a_restart_keeps_it_and_so_does_a_record_that_is_gone(tmp_path: Path) -> None:
    house = House(tmp_path, Web())
    await house.mode()
    house.begin()
    house.names.source.zone.pop("_mta-sts.a.example")
    await house.clock.advance(61)
    assert await house.mode() == "enforce"
    assert house.web.asked == 1
    await house.clock.advance(8 * DAY)
    assert await house.mode() == ""


async def test_a_domain_without_a_record_is_not_asked(tmp_path: Path) -> None:
    house = House(tmp_path, Web())
    assert (await house.cache.policy("b.example")).policy is None
    assert house.web.asked == 0


async def test_a_file_of_somebody_elses_making_is_none(tmp_path: Path) -> None:
    house = House(tmp_path, Web())
    await house.mode()
    [file] = house.folder.iterdir()
    file.write_bytes(b"{broken")
    house.begin()
    assert await house.mode() == "enforce"
    assert house.web.asked == 2


async def test_the_folder_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts_cache, "MOST", 5)
    house = House(tmp_path, Web())
    house.folder.mkdir()
    for number in range(5):
        (house.folder / f"{number:040}.json").write_bytes(b"{}")
    await house.mode()
    assert len(list(house.folder.iterdir())) == 5
