"""Every route, with every role and every scope of a key: who may, and who may not. A new route without a row here fails.

The table is rights.tsv: path, method, scopes of which one is enough. Whoever may not is asked through the whole application and gets 403;
whoever may is asked of the guard alone, since some answers never end.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from litestar import Request
from litestar.handlers import BaseRouteHandler
from tests.control.http.asgi import Page, routes_of

from postwright.control.http.access import ROLES
from postwright.control.http.guard import may, scopes_of
from postwright.control.http.keys import SCOPES, add
from postwright.control.http.problems import Refused

TABLE = Path(__file__).with_name("rights.tsv")
ROLE_LINES = "".join(f"http-access 192.0.2.{number} {role}\n" for number, role in enumerate(ROLES, 1))
CONFIG = "http-redirect-to-https no\nhttp-csrf-protection no\n" + ROLE_LINES
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


def routes(page: Page) -> dict[tuple[str, str], BaseRouteHandler]:
    """All of them, but those that litestar adds for OPTIONS, which are nobody's."""
    found: dict[tuple[str, str], BaseRouteHandler] = {}
    for route in routes_of(page).routes:
        for handler in route.route_handlers:  # type: ignore[union-attr]
            for method in handler.http_methods - {"OPTIONS"}:  # type: ignore[union-attr]
                found[route.path, str(method)] = handler
    return found


def table() -> dict[tuple[str, str], tuple[str, ...]]:
    rows = [line.split("\t") for line in TABLE.read_text().splitlines() if line]
    return {(path, method): tuple(scopes.split("|")) for path, method, scopes in rows}


def target(path: str) -> str:
    """An address of this route."""
    return re.sub(r"\{[^}]*\}", "x", path)


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(tmp_path, CONFIG)


def test_every_route_is_in_the_table(page: Page) -> None:
    found = {key: scopes_of(handler) for key, handler in routes(page).items()}
    assert found == table(), "rights.tsv: say who may, and think about it"
    assert all(set(scopes) <= set(SCOPES) for scopes in found.values())


async def test_roles(page: Page) -> None:
    for number, (role, has) in enumerate(ROLES.items(), 1):
        await _judged(page, has, {"client": f"192.0.2.{number}"}, role)
    await _judged(page, frozenset(), {"client": "198.51.100.1"}, "a stranger")


async def test_scopes_of_keys(page: Page, tmp_path: Path) -> None:
    for scope in SCOPES:
        key = add(tmp_path / "http-keys.json", scope, [scope], 0.0)
        has = frozenset(SCOPES) if scope == "admin" else frozenset({scope})
        await _judged(page, has, {"client": "198.51.100.1", "key": key}, f"a key for {scope}")


async def _judged(page: Page, has: frozenset[str], how: dict[str, Any], who: str) -> None:
    handlers = routes(page)
    for (path, method), scopes in table().items():
        page.site.paces = type(page.site.paces)()
        if has.isdisjoint(scopes):
            async with asyncio.timeout(10):  # some answers never end
                got = await page.ask(method, target(path), **how)
            assert got.status == 403, f"{who} may {method} {path}"
        else:
            await _let_in(page, method, target(path), handlers[path, method], how, who)
    assert page.relay.asked == [], f"{who} has asked the relay something"


async def _let_in(page: Page, method: str, path: str, handler: BaseRouteHandler, how: dict[str, Any], who: str) -> None:
    scope = page.scope(method, path, **how)
    found = page.site.identify(how["client"], {"x-api-key": how["key"]} if "key" in how else {})
    scope |= {"litestar_app": routes_of(page), "identity": found}
    try:
        await may(Request(scope), handler)
    except Refused as error:
        raise AssertionError(f"{who} may not {method} {path}: {error.detail}") from error


async def test_a_change_by_a_browser_needs_a_token_everywhere(tmp_path: Path) -> None:
    page = Page(tmp_path, "http-redirect-to-https no\nhttp-access 192.0.2.1 admin\n")
    for path, method in table():
        if method in UNSAFE:
            got = await page.ask(method, target(path), client="192.0.2.1", body=b"{}")
            assert (got.status, b"CSRF" in got.body) == (403, True), f"{method} {path}"
    assert page.relay.asked == []


async def test_options_are_nobodys(page: Page) -> None:
    for path in {path for path, _ in table()}:
        got = await page.ask("OPTIONS", target(path), client="192.0.2.5")
        assert got.status in (204, 403)
        assert not [name for name in got.headers if name.startswith("access-control")]
