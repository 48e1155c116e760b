"""A whole relay that holds its receivers to DANE: a validating name server, real certificates, real records of what came of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.engine.transport_town import Authority
from tests.scenarios.clients import client, send
from tests.scenarios.internet import Internet
from tests.scenarios.town import Town

from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("transport-policy")]

RULES = """
<dns>
    dnssec-validator name-server
</dns>
<source 127.0.0.1>
    always-allow-relaying yes
</source>
<domain *>
    use-dane yes
    retry-after 1s
</domain>
"""


class Held(Town):
    """A town whose relay has `use-dane`; `authority` issues the certificates of its receivers."""

    authority: Authority
    internet: Internet


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Held]:
    folder = tmp_path_factory.mktemp("transport-policy")
    port = free_port()
    async with Internet() as internet:
        internet.dns.signed.add("example")
        async with RelayProcess(folder, plain_config(port) + internet.rules + RULES) as relay:
            town = Held(relay, port, internet)
            town.authority, town.internet = Authority(folder), internet
            yield town


def promise(place: Held, domain: str, record: str) -> None:
    place.internet.dns.zone[f"_{place.internet.port}._tcp.mx.{domain}"] = {"TLSA": [record]}  # type: ignore[index]


@pytest.mark.directive("use-dane", "dnssec-validator")
async def test_what_the_records_promise_gets_its_mail_encrypted(place: Held) -> None:
    certificate = place.authority.issue("mx.good.example")
    promise(place, "good.example", certificate.tlsa())
    async with place.receiver("good.example", tls=certificate.context) as receiver:
        async with client(place.port) as session:
            await send(session, "bob@good.example")
        [message] = await receiver.wait_for(1)
    assert message.connection.tls.startswith("TLSv1.")


@pytest.mark.directive("use-dane", "dnssec-validator")
async def test_another_certificate_gets_nothing_and_the_record_says_why(place: Held) -> None:
    certificate = place.authority.issue("mx.bad.example")
    promise(place, "bad.example", place.authority.issue("mx.bad.example").tlsa())
    async with place.receiver("bad.example", tls=certificate.context) as receiver:
        async with client(place.port) as session:
            await send(session, "bob@bad.example")
        queue, why = "bad.example/{default}", "DANE: no TLSA record matches the certificate"
        await place.relay.until(lambda: why in place.last_error(queue), "the reason for the wait")
        await receiver.wait_until(lambda: receiver.counts.connections >= 2, what="a second attempt")
    assert receiver.counts.messages == 0
    assert not any(connection.messages for connection in receiver.connections)


@pytest.mark.directive("use-dane", "dnssec-validator")
async def test_records_that_cannot_be_had_keep_the_host_from_being_called(place: Held) -> None:
    certificate = place.authority.issue("mx.forged.example")
    promise(place, "forged.example", certificate.tlsa())
    place.internet.dns.faults[f"_{place.internet.port}._tcp.mx.forged.example"] = "bogus"
    async with place.receiver("forged.example", tls=certificate.context) as receiver:
        async with client(place.port) as session:
            await send(session, "bob@forged.example")
        queue = "forged.example/{default}"
        await place.relay.until(lambda: place.last_error(queue), "the reason for the wait")
        assert "TLSA records of mx.forged.example cannot be had: bogus" in place.last_error(queue)
        assert receiver.counts.connections == 0
