"""Relays that many stories share, and relays for one story alone.

A shared relay lives for the whole run of a worker, on the session's event loop: its stories say so
(`pytestmark = pytest.mark.asyncio(loop_scope="session")`) and use domains that no other story has.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.conftest import SHARED
from tests.scenarios.catalogue import catalogue_in_force
from tests.scenarios.guide import guide_in_force
from tests.scenarios.town import Town

from postwright.testing.certificate import self_signed

HERE = Path(__file__).parent


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["ours", "shared"])
async def guide(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """The guide in force: our own, and the one of ../shared where that is there."""
    file = HERE / "guide.conf" if request.param == "ours" else SHARED / "powermta-configs" / "00-guide.conf"
    if not file.exists():
        pytest.skip("../shared is not there")
    async with guide_in_force(file, tmp_path_factory.mktemp(f"guide-{request.param}")) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """The relay of the catalogue."""
    async with catalogue_in_force(tmp_path_factory.mktemp("catalogue")) as running:
        yield running


@pytest.fixture(scope="session")
def receivers_tls() -> ssl.SSLContext:
    """TLS for a receiver, with a certificate that nobody knows."""
    return self_signed(["mx.example"])


@pytest.fixture
def folder_for_all() -> Iterator[Path]:
    """A folder that every user of this machine reaches: a relay that runs as root runs programs as somebody else."""
    with tempfile.TemporaryDirectory(prefix="pw-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
