"""Real clients x ways to log in x ports, and the page that says so. About fifteen seconds, nearly all of it in the clients.

What is judged is our own record: `client_table`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.interop.client_drivers import CLIENTS, Client
from tests.interop.client_office import open_office
from tests.interop.client_page import OPTIONAL, PAGE, clients_here, comparable, render
from tests.interop.client_table import Table, fill
from tests.interop.peers import Needs

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.xdist_group("client-table"),
    pytest.mark.needs("krb5kdc", "kinit", *(client.program for client in CLIENTS if client.program and client.name != OPTIONAL)),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def table(tmp_path_factory: pytest.TempPathFactory, needs: Needs) -> AsyncIterator[Table]:
    clients = clients_here()
    async with open_office(tmp_path_factory.mktemp("office"), [client.name for client in clients], needs) as office:
        yield await fill(office, needs, clients)


@pytest.mark.parametrize("client", CLIENTS, ids=[client.name.replace(" ", "-") for client in CLIENTS])
async def test_every_login_at_every_port(table: Table, client: Client) -> None:
    rows = [row for row in table.rows if row.client == client.name]
    if not rows and client.name == OPTIONAL:
        pytest.skip("no JDK and Maven here; to enable: tests/system/install jakarta-mail")
    assert [row.login for row in rows if row.login != "nobody"] == list(client.mechanisms)
    assert [f"{row.login}: {trouble}" for row in rows for trouble in row.troubles] == []


async def test_the_page_is_what_the_clients_did(table: Table) -> None:
    optional = OPTIONAL in table.versions
    written = comparable(PAGE.read_text("utf-8"), optional=optional)
    assert comparable(render(table), optional=optional) == written, (
        "run: ./dev exec python -m tests.interop.client_page docs/reference/clients.md"
    )
