"""A real browser for stories: Debian's Chromium driven by playwright, and what a page must never do in it.

`visiting(needs)` opens one; a `Visit` is a person with a window: its `complaints` are errors of scripts, of the console and of the network.
Screenshots go to the test's own folder, to be looked at when something is to be seen.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect

WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
expect.set_options(timeout=20_000)  # a loaded machine
_SERIOUS = ("serious", "critical")


@contextlib.asynccontextmanager
async def browsing(needs: Callable[[str], Path]) -> AsyncIterator[Browser]:
    """A browser without a window."""
    program = needs("chromium")
    async with async_playwright() as playwright:
        # in a container there is no sandbox to be had, and it sees nothing but this relay
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            await browser.close()


class Visit:
    """A person at `http://127.0.0.1:PORT`."""

    def __init__(self, page: Page, port: int, shots: Path) -> None:
        self.page = page
        self.port = port
        self.complaints: list[str] = []
        self._shots = shots
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("console", lambda said: self._heard(said.type, said.text))

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {kind}: {text}")

    async def go(self, path: str) -> None:
        """Open a page of ours, and wait until it is there."""
        answer = await self.page.goto(f"http://127.0.0.1:{self.port}{path}", wait_until="load")
        assert answer is not None
        assert answer.status == 200, f"{path}: {answer.status}"

    async def fits(self) -> bool:
        """Nothing stands out of the window to the right."""
        return bool(await self.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))

    async def shot(self, name: str) -> None:
        """A picture in the test's folder."""
        await self.page.screenshot(path=self._shots / f"{name}.png", full_page=True)

    async def barriers(self) -> list[str]:
        """What axe-core finds that keeps somebody out."""
        found = await Axe().run(self.page)
        serious = [one for one in found.response["violations"] if one["impact"] in _SERIOUS]
        return [f"{self.page.url}: {one['id']}: {[node['html'][:120] for node in one['nodes']][:3]}" for one in serious]


@contextlib.asynccontextmanager
async def visit(browser: Browser, port: int, shots: Path, *, phone: bool = False, dark: bool = False) -> AsyncIterator[Visit]:
    """Somebody comes; when he goes, nothing may have gone wrong in his browser."""
    options: dict[str, Any] = {"viewport": PHONE if phone else WIDE, "color_scheme": "dark" if dark else "light", "is_mobile": phone}
    context = await browser.new_context(**options)
    try:
        here = Visit(await context.new_page(), port, shots)
        yield here
        assert here.complaints == []
    finally:
        await context.close()
