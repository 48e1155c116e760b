"""The relay of the catalogue of failures: everybody on this machine may relay, and what is deferred is tried again after a second."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.scenarios.internet import Internet
from tests.scenarios.town import Town

from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port

RULES = """
smtp-listener [::1]:{port}
<source 127.0.0.0/8>
    always-allow-relaying yes
    process-x-virtual-mta yes
</source>
<source ::1/128>
    always-allow-relaying yes
</source>
<domain *>
    retry-after 1s
</domain>
<domain nowhere.example>
    bounce-upon-no-mx yes
</domain>
<domain split.example>
    max-rcpt-per-message 300
</domain>
<virtual-mta one>
    smtp-source-host 127.0.0.21 one.relay.example
</virtual-mta>
<virtual-mta two>
    smtp-source-host 127.0.0.22 two.relay.example
</virtual-mta>
<virtual-mta-pool both>
    virtual-mta one
    virtual-mta two
</virtual-mta-pool>
<virtual-mta many>
    smtp-source-host 127.0.0.31 first.relay.example
    smtp-source-host 127.0.0.32 second.relay.example
    smtp-source-host 127.0.0.33 third.relay.example
</virtual-mta>
"""


@asynccontextmanager
async def catalogue_in_force(folder: Path) -> AsyncIterator[Town]:
    port = free_port("::1")
    async with Internet() as internet:
        async with RelayProcess(folder, plain_config(port) + RULES.format(port=port) + internet.rules) as relay:
            yield Town(relay, port, internet)
