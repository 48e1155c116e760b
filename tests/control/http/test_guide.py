"""docs/guides/http-api.md: its tables say what holds, its configuration loads (test_process.py runs its commands); docs/reference/api.md is
what the API says of itself."""

from __future__ import annotations

import re
from pathlib import Path

from tests.control.http.asgi import KEY, PLAIN, Page, routes_of

from postwright.control.config import loads
from postwright.control.http.access import ROLES, Gate, Guess
from postwright.control.http.api_page import markdown
from postwright.control.http.keys import SCOPES
from postwright.control.http.openapi import openapi_document

DOCS = Path(__file__).parents[3] / "docs"
GUIDE = (DOCS / "guides" / "http-api.md").read_text("utf-8")
ALWAYS = "smtp-listener 192.0.2.1:25\nlog-file log\npostmaster a@b.example\n"


def test_the_table_of_scopes() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", GUIDE, re.MULTILINE)
    assert [name for name, _ in rows] == list(SCOPES)
    for scope, said in rows:
        having = [role for role, scopes in ROLES.items() if scope in scopes]
        told = [role for role in having if role != "monitor,deny-logs"]
        assert said.replace(" (not `deny-logs`)", "") == ", ".join(told)
        assert ("deny-logs" in said) == ("monitor" in having and "monitor,deny-logs" not in having)


def test_its_configuration(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```conf\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    result = loads(ALWAYS + block, "config", offline=True, state_dir=tmp_path)
    assert [problem.message for problem in result.problems] == []
    assert result.settings is not None
    gate = Gate(result.settings, Guess())
    addresses = ("192.0.2.1", "192.0.2.99", "10.1.2.3", "2001:db8::1", "203.0.113.1")
    assert [gate.role(address) for address in addresses] == ["admin", "operator", "monitor,deny-logs", "monitor", "none"]


def test_the_reference_is_of_today(tmp_path: Path) -> None:
    text = markdown(openapi_document(routes_of(Page(tmp_path))))
    page = DOCS / "reference" / "api.md"
    assert page.read_text("utf-8") == text, "write it anew: python -m postwright.control.http.api_reference docs/reference/api.md"


async def test_the_page_of_a_relay(tmp_path: Path) -> None:
    page = Page(tmp_path, PLAIN)
    got = await page.get("/api/v1/docs", key=KEY)
    text = got.body.decode()
    assert got.headers["content-type"] == "text/html; charset=utf-8"
    assert "<code>/api/v1/queues/{domain}/{vmta}</code>" in text
    assert "<script" not in text
    assert " style=" not in text  # our policy would not have it
    assert re.findall(r'(?:href|src)="(?!/|#)', text) == []
    assert (await page.get(re.findall(r'stylesheet" href="([^"]+)"', text)[0], key=KEY)).status == 200
    anchors = set(re.findall(r' id="([^"]+)"', text))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= anchors
    assert (await page.get("/api/v1", key=KEY)).headers["location"] == "/api/v1/docs"


async def test_every_operation_says_what_it_needs(tmp_path: Path) -> None:
    document = (await Page(tmp_path).get("/api/v1/openapi.json", key=KEY)).json()
    assert document["openapi"].startswith("3.1")
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["x-scopes"], (path, method)
            assert operation["description"], (path, method)
            if path.startswith("/api/v1/"):
                assert {"401", "403", "429"} <= set(operation["responses"]), (path, method)
