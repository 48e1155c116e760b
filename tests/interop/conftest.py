"""The relay that real peers talk to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from tests.interop.family import Family, open_family
from tests.interop.peers import Needs, Relay, StartRelay

from postwright.testing.certificate import self_signed_pem


@pytest.fixture
async def start_relay(tmp_path: Path) -> AsyncIterator[StartRelay]:
    """`await start_relay(rules)`: a running relay with these lines in its configuration, stopped and checked at the end of the test."""
    async with AsyncExitStack() as stack:

        async def start(rules: str) -> Relay:
            relay = Relay(tmp_path, rules)
            await stack.enter_async_context(relay)
            return relay

        yield start


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost and relay.example with its key, in one PEM file."""
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    path.touch(mode=0o600)
    path.write_bytes(b"".join(self_signed_pem(["localhost", "relay.example"])))
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def family(tmp_path_factory: pytest.TempPathFactory, needs: Needs) -> AsyncIterator[Family]:
    """Postfix, Exim, OpenSMTPD and Sendmail around one relay, for all tests that are about them (in one group of xdist)."""
    async with open_family(tmp_path_factory.mktemp("family"), needs) as opened:
        yield opened
