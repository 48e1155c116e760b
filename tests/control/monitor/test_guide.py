"""docs/guides/monitor.md: its configuration loads and lets in whom it says, its key opens a browser, its pages are there."""

from __future__ import annotations

import re
import time
from base64 import b64encode
from pathlib import Path

from tests.control.http.asgi import Page

from postwright.control.config import loads
from postwright.control.http.access import Gate, Guess
from postwright.control.http.keys import add
from postwright.control.monitor.frame import ENTRIES
from postwright.control.monitor.sampler import Sampler
from postwright.control.monitor.texts import text
from postwright.engine.self_signed import self_signed_pem
from postwright.engine.state_folder import HTTP_KEYS

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "monitor.md").read_text("utf-8")
ALWAYS = "smtp-listener 192.0.2.1:25\nlog-file log\npostmaster a@b.example\n"


def test_its_configuration(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```conf\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    pem = b"".join(self_signed_pem(["relay.example"]))
    certificate = tmp_path / "webmon.pem"
    certificate.write_bytes(pem)
    result = loads(ALWAYS + block.replace("/etc/postwright/webmon.pem", str(certificate)), "config", offline=True, state_dir=tmp_path)
    assert [problem.message for problem in result.problems] == []
    assert result.settings is not None
    gate = Gate(result.settings, Guess())
    assert [gate.role(address) for address in ("127.0.0.1", "192.0.2.7", "203.0.113.1")] == ["admin", "monitor", "none"]


async def test_its_key_opens_a_browser(tmp_path: Path) -> None:
    (options,) = re.findall(r"`postwright key add anne (.*?)`", GUIDE)
    secret = add(tmp_path / HTTP_KEYS, "anne", options.replace("--scope", "").split(), time.time())
    page = Page(tmp_path, "http-redirect-to-https no\n")
    page.site.sampler = Sampler(page.site.relay, tmp_path / "monitor", page.log)  # type: ignore[arg-type]
    stranger = await page.get("/ui")
    assert stranger.status in (401, 403)
    login = {"authorization": "Basic " + b64encode(f"api:{secret}".encode()).decode()}
    shown = (await page.get("/ui", headers=login)).body.decode()
    assert "/ui/messages" in shown
    assert "/ui/configuration" not in shown


def test_it_names_every_page() -> None:
    pages = "\n".join(re.findall(r"^\| (.*?) \|", GUIDE, re.MULTILINE))
    assert [entry.name for entry in ENTRIES if text(f"nav.{entry.name}") not in pages] == []
