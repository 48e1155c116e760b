"""The guide's configuration in force: one relay, and the small internet that it lives in.

The same stories are told of our guide.conf and, where it is there, of the file that it was written after. Only what must differ is
changed: the listeners' port, and at the end where the DNS is, at which port receivers listen, and that a test may run as root.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.scenarios.internet import Internet
from tests.scenarios.town import Town

from postwright.testing.certificate import self_signed_pem
from postwright.testing.relay_process import RelayProcess
from postwright.testing.sockets import free_port

PORT_OF_THE_GUIDE = ":2525"
NEIGHBOUR = "127.0.0.20"  # may feed without a login
USER, PASSWORD = "foo", "barbaz"


def adapted(text: str, port: int, internet: Internet) -> str:
    """The guide's text as it can run in a test."""
    assert text.count(f"smtp-listener 127.0.0.1{PORT_OF_THE_GUIDE}") == text.count(f"smtp-listener [::1]{PORT_OF_THE_GUIDE}") == 1
    return text.replace(PORT_OF_THE_GUIDE, f":{port}") + internet.rules + "run-as-root yes\n"


def write_certificate(folder: Path) -> None:
    """The certificate that the guide names, with its key in the same file."""
    path = folder / "yourcert.pem"
    path.touch(mode=0o600)
    path.write_bytes(b"".join(self_signed_pem(["localhost"])))


@asynccontextmanager
async def guide_in_force(file: Path, folder: Path) -> AsyncIterator[Town]:
    """A relay with this guide, its state in `folder`."""
    write_certificate(folder)
    port = free_port("::1")
    async with Internet() as internet:
        async with RelayProcess(folder, adapted(file.read_text("utf-8"), port, internet)) as relay:
            yield Town(relay, port, internet)
