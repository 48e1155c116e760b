"""The monitor as people meet it: a real relay, a real browser. Pages, looks, keyboard, actions, several at once, and the death of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import expect
from tests.scenarios.alone import Alone
from tests.scenarios.browsing import Visit, browsing, visit

from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

Needs = Callable[[str], Path]
HTTP = """
event-log yes
http-mgmt-port {port}
http-mgmt-address 127.0.0.1
http-redirect-to-https no
http-access 127.0.0.1/32 admin
<virtual-mta news>
    smtp-source-host 127.0.0.1 news.example
</virtual-mta>
<domain *>
    track-recipient-events yes
    retry-after 1h
</domain>
"""
RULES = ["rcpt:*@gone.example 550 5.1.1 no <b>such</b> user", "rcpt:*@late.example 451 4.7.1 greylisted"]
DOMAINS = ["gone.example", "late.example", "one.example", "two.example"]
PAGES = [
    "", "/queues", "/queue?name=late.example/%7Bdefault%7D", "/messages", "/jobs", "/vmtas", "/bounces", "/listeners", "/events", "/logs",
    "/flow?kind=domain&name=late.example", "/doctor", "/configuration", "/audit", "/act/pause?queue=*/*",
]  # fmt: skip


class Watched(Alone):
    """A relay with a monitor at `http`."""

    def __init__(self, folder: Path, receiver: SinkServer, *, shards: int = 1, more: str = "") -> None:
        self.http = free_port()
        super().__init__(folder, receiver, HTTP.format(port=self.http) + more, shards=shards)

    async def http_pid(self) -> int:
        """The HTTP process's, once it answers."""
        await self.until(lambda: bool(self.events("the HTTP process answers")), "the HTTP process")
        return int(str(self.events("the HTTP process answers")[-1]["pid"]))


async def loaded(relay: Watched) -> None:
    """Mail of all kinds has come, and what can be settled is."""
    await relay.load(DOMAINS)
    await relay.until(lambda: relay.status().shards[0].traffic.bounced == 1, "a bounce")
    await relay.until(lambda: relay.status().shards[0].traffic.deferred == 1, "a deferral")
    await relay.http_pid()


async def comes_at_once(here: Visit) -> None:
    """Octets and requests of the first view; its time is for a person with a clock, not for a loaded machine."""
    sizes: dict[str, int] = {}
    here.page.on("response", lambda answer: sizes.update({answer.url: int(answer.headers.get("content-length", "0"))}))
    await here.go("/ui")
    await expect(here.page.locator(".u-wrap canvas")).to_be_visible()
    assert all(url.startswith(f"http://127.0.0.1:{here.port}/") for url in sizes)
    assert sum(sizes.values()) < 300_000
    assert len(sizes) <= 8


async def test_every_page_shows_what_there_is_and_keeps_nobody_out(tmp_path: Path, needs: Needs) -> None:
    async with SinkServer(rules=RULES) as receiver, Watched(tmp_path, receiver) as relay, browsing(needs) as browser:
        await loaded(relay)
        async with visit(browser, relay.http, tmp_path) as here:
            await comes_at_once(here)
            for path in PAGES:
                await here.go(f"/ui{path}")
                assert await here.barriers() == []
                assert await here.fits(), path
            await here.go("/ui/bounces")
            await expect(here.page.get_by_text("no <b>such</b> user")).to_be_visible()
            await here.go("/ui/messages?text=greylisted")
            await here.page.locator("a[href^='/ui/message?id=']").first.click()
            await expect(here.page.locator("ol.timeline li.deferred")).to_have_count(1)
            assert await here.barriers() == []
        async with visit(browser, relay.http, tmp_path, phone=True, dark=True) as here:
            for path in PAGES:
                await here.go(f"/ui{path}")
                assert await here.fits(), path
            assert await here.barriers() == []


@pytest.mark.soak
@pytest.mark.parametrize(("phone", "dark"), [(True, False), (False, True)])
async def test_every_page_on_a_telephone_and_in_the_dark(tmp_path: Path, needs: Needs, phone: bool, dark: bool) -> None:
    async with SinkServer(rules=RULES) as receiver, Watched(tmp_path, receiver) as relay, browsing(needs) as browser:
        await loaded(relay)
        async with visit(browser, relay.http, tmp_path, phone=phone, dark=dark) as here:
            for path in PAGES:
                await here.go(f"/ui{path}")
                assert await here.fits(), path
                assert await here.barriers() == []
                await here.shot(path.strip("/").partition("?")[0].replace("/", "-") or "overview")


async def test_with_the_keyboard_alone_a_queue_is_paused_and_resumed(tmp_path: Path, needs: Needs) -> None:
    async with SinkServer(rules=RULES) as receiver, Watched(tmp_path, receiver) as relay, browsing(needs) as browser:
        await loaded(relay)
        async with visit(browser, relay.http, tmp_path) as here:
            page = here.page
            await here.go("/ui/queue?name=late.example/%7Bdefault%7D")
            await page.keyboard.press("Tab")
            await expect(page.get_by_text("Skip to content")).to_be_focused()
            await page.keyboard.press("Enter")
            for _ in range(20):
                await page.keyboard.press("Tab")
                if await page.evaluate("document.activeElement.textContent") == "Pause":
                    break
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("dialog")).to_contain_text("1 recipient of 1 message in 1 queue")
            assert await here.barriers() == []
            await page.get_by_label("Reason, for the audit").focus()
            await page.keyboard.type("too many complaints")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("dialog")).to_contain_text("Queue(s) paused.")
            await page.get_by_role("button", name="Close").press("Enter")
            await expect(page.locator(".pill", has_text="paused")).to_be_visible()
            code, printed = await relay.command("show", "audit")
            assert code == 0
            assert "too many complaints" in printed
            await here.go("/ui/audit")
            await expect(page.get_by_text("too many complaints")).to_be_visible()
            await here.go("/ui/queue?name=late.example/%7Bdefault%7D")
            await page.get_by_role("button", name="Resume").press("Enter")
            await expect(page.get_by_role("dialog")).to_contain_text("Would resume")
            await page.keyboard.press("Escape")  # not that
            await expect(page.get_by_role("dialog")).to_have_count(0)
            await page.get_by_role("button", name="Resume").press("Enter")
            await page.get_by_role("button", name="Do it").press("Enter")
            await expect(page.get_by_role("dialog")).to_contain_text("Queue(s) resumed.")
            await here.go("/ui/queues?pattern=late.*")
            await page.get_by_role("button", name="Delete").press("Enter")  # of all that match
            await expect(page.get_by_role("dialog")).to_contain_text("Would delete 1 recipient of 1 message in 1 queue")
            await page.keyboard.press("Escape")
            await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_two_act_at_once_and_what_fails_is_told_where_one_looks(tmp_path: Path, needs: Needs) -> None:
    async with SinkServer(rules=RULES) as receiver, Watched(tmp_path, receiver) as relay, browsing(needs) as browser:
        await loaded(relay)
        async with visit(browser, relay.http, tmp_path) as one, visit(browser, relay.http, tmp_path) as other:
            await other.go("/ui/queues?pattern=late.*")
            await one.go("/ui/queue?name=late.example/%7Bdefault%7D")
            for here in (one, other):  # both have the question before them
                await here.page.get_by_role("button", name="Pause").click()
                await expect(here.page.get_by_role("dialog")).to_contain_text("Would pause")
            await one.page.get_by_role("button", name="Do it").dblclick()
            await expect(one.page.get_by_role("dialog")).to_contain_text("Queue(s) paused.")
            assert len(relay.events("order")) == 1
            await other.page.route("**/ui/act/pause", lambda route: route.abort())
            await other.page.get_by_role("button", name="Do it").click()
            await expect(other.page.get_by_role("dialog").get_by_role("alert")).to_contain_text("The monitor does not answer")
            await other.page.unroute("**/ui/act/pause")
            await other.page.context.clear_cookies()  # its token is nobody's now
            await other.page.get_by_role("button", name="Do it").click()
            await expect(other.page.get_by_role("dialog").get_by_role("alert")).to_contain_text("token")
            await other.page.get_by_role("button", name="Cancel").click()
            await expect(other.page.locator("#rows .pill", has_text="paused")).to_be_visible()  # it comes by itself
            other.complaints.clear()  # the browser says that requests have failed
            await one.page.get_by_role("button", name="Undo").click()
            await one.page.get_by_role("button", name="Do it").click()
            await expect(one.page.get_by_role("dialog")).to_contain_text("Queue(s) resumed.")
            await expect(other.page.locator("#rows .pill", has_text="paused")).to_have_count(0)


async def test_two_watch_the_same_relay_and_the_death_of_the_monitor_stops_no_mail(tmp_path: Path, needs: Needs) -> None:
    async with SinkServer() as receiver, Watched(tmp_path, receiver, shards=2) as relay, browsing(needs) as browser:
        pid = await relay.http_pid()
        async with visit(browser, relay.http, tmp_path) as one, visit(browser, relay.http, tmp_path, dark=True) as other:
            for here in (one, other):
                await here.go("/ui")
            await relay.load(["one.example"] * 5)
            for here in (one, other):
                await expect(here.page.locator("[data-live=total_out]")).to_have_text("5", timeout=10_000)
            os.kill(pid, signal.SIGKILL)
            await expect(one.page.get_by_text("no live connection")).to_be_visible()
            await relay.load(["one.example"] * 3)
            await receiver.wait_for(8, 10)
            await relay.until(lambda: len(relay.events("the HTTP process answers")) == 2, "another HTTP process")
            for here in (one, other):
                await expect(here.page.locator("[data-live=total_out]")).to_have_text("8", timeout=20_000)
                await expect(here.page.get_by_text("no live connection")).to_be_hidden()
                here.complaints.clear()  # the browser says that the stream broke off


async def test_a_newcomer_sends_a_test_and_sees_it(tmp_path: Path, needs: Needs) -> None:
    port, smtp = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "postwright", "run", "--state-dir", str(tmp_path / "state"), "--port", str(smtp), "--smtps-port", "0"),
        *("--http-port", str(port)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            while b"the HTTP process answers" not in (line := await process.stdout.readline()):
                assert line, "it has ended"
        async with browsing(needs) as browser, visit(browser, port, tmp_path) as here:
            await here.go("/ui/inbox")
            await expect(here.page.get_by_text("No mail yet")).to_be_visible()
            await here.page.get_by_label("Subject").fill("Grüße <b>")
            await here.page.get_by_role("button", name="Send").click()
            await here.page.get_by_role("link", name="Grüße <b>").click()
            await expect(here.page.get_by_text("It works.")).to_be_visible()
            assert await here.barriers() == []
    finally:
        process.terminate()
        await process.wait()
