"""The monitor over a hundred thousand queues: every page is there soon and is small, in a real browser; so is the count of an action."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect
from tests.scenarios.browsing import browsing, visit
from tests.scenarios.test_monitor import PAGES, Watched

from postwright.testing.sink import SinkServer

BENCH = Path(__file__).resolve().parents[2] / "bench"
QUEUES = 100_000
SOON = 3.0  # seconds, of a machine that does other things, too; on a quiet one no page takes half a second, and no count more than one
LARGEST = 150_000  # octets of a page

Needs = Callable[[str], Path]


@pytest.fixture
def spool() -> Iterator[Any]:
    """The bench's module; its folder is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCH))
        from parts import spool as module

        yield module


@pytest.mark.soak
async def test_a_hundred_thousand_queues_do_not_slow_it_down(tmp_path: Path, needs: Needs, spool: Any) -> None:
    async with SinkServer() as receiver, browsing(needs) as browser:
        relay = Watched(tmp_path, receiver, shards=2, more=spool.ROUTE)
        relay.start_timeout = 120.0
        await spool.fill(relay.state_dir / "spool", spool.Filling(QUEUES, QUEUES, deferred=True, shards=2))
        async with relay, visit(browser, relay.http, tmp_path) as here:
            await relay.http_pid()
            await relay.until(lambda: sum(shard.queues for shard in relay.status().shards) >= QUEUES, "all queues", 120.0)
            slow, sizes = {}, {}
            here.page.on("response", lambda answer: sizes.update({answer.url: int(answer.headers.get("content-length", "0"))}))
            for path in [*PAGES, "/queues?pattern=d99999.*", "/queues?sort=name", "/queues?errors=yes", "/act/delete?queue=*.test/*"]:
                began = time.perf_counter()
                await here.go(f"/ui{path}")
                slow[path] = time.perf_counter() - began
            print({path: round(seconds, 2) for path, seconds in slow.items()})
            assert {path: seconds for path, seconds in slow.items() if seconds > SOON and path != "/doctor"} == {}  # which asks the world
            assert {url: size for url, size in sizes.items() if size > LARGEST} == {}
            await here.go("/ui/queues?pattern=d9*")
            await expect(here.page.locator("caption").first).to_contain_text("50 of 11,111 matching queues")
            first = await here.page.locator("#rows tbody tr a").first.inner_text()
            await here.page.get_by_role("link", name="Next page").click()
            await expect(here.page.locator("#rows tbody tr a").first).not_to_have_text(first)
            await here.page.get_by_role("link", name="Previous page").click()
            await expect(here.page.locator("#rows tbody tr a").first).to_have_text(first)
            await here.page.get_by_role("button", name="Pause").first.click()
            await expect(here.page.get_by_role("dialog")).to_contain_text("11,111 queues")
