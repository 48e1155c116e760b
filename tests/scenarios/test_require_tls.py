"""REQUIRETLS (RFC 8689): a message whose sender wants TLS on the whole way, and receivers that can and cannot keep that."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.scenarios.clients import SENDER, client, send
from tests.scenarios.internet import Internet
from tests.scenarios.test_signed_mail import make_key
from tests.scenarios.town import Town

from postwright.testing.certificate import self_signed, self_signed_pem
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sink_records import Extensions
from postwright.testing.sockets import free_port

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("require-tls")]

OFFERED = Extensions(more=("REQUIRETLS",))
SECRET = b"Subject: hello\r\n\r\nthe body is secret\r\n"


class Trusted(Town):
    """A town whose relay trusts `tls`; reports come to `home`."""

    tls: ssl.SSLContext
    home: SinkServer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trusted]:
    folder = tmp_path_factory.mktemp("require-tls")
    authority, both = folder / "authority.pem", folder / "both.pem"
    names = ["relay.example", *[f"mx.{name}.example" for name in ("can", "client", "cannot", "later", "many", "unsigned")]]
    certificate, key = self_signed_pem(names)
    authority.write_bytes(certificate)
    both.touch(mode=0o600)
    both.write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    port = free_port()
    rules = f"smtp-server-tls-certificate {both}\n<source 127.0.0.1>\n always-allow-relaying yes\n allow-starttls yes\n</source>\n"
    make_key(folder, "s")
    rules += f"domain-key s, client.example, {folder}/s.pem\n"
    rules += "<domain can.example>\n dkim-sign yes\n dkim-identity @client.example\n</domain>\n"
    rules += "<domain many.example>\n max-smtp-out 1\n</domain>\n"
    rules += "<dns>\n dnssec-validator name-server\n</dns>\n"
    async with Internet() as internet:
        internet.dns.signed |= {f"{name}.example" for name in ("can", "client", "cannot", "later", "many")}
        config = plain_config(port) + internet.rules + rules
        async with RelayProcess(folder, config, environment={"SSL_CERT_FILE": str(authority)}) as relay:
            town = Trusted(relay, port, internet)
            town.tls = context
            async with town.receiver("client.example", tls=context, extensions=OFFERED) as town.home:
                yield town


async def submit(place: Trusted, recipient: str, params: str = "REQUIRETLS RET=FULL") -> None:
    async with client(place.port, tls=True) as session:
        assert "REQUIRETLS" in session.capabilities
        await send(session, recipient, content=SECRET, mail=params)


async def test_in_the_clear_it_is_neither_offered_nor_taken(place: Trusted) -> None:
    async with client(place.port) as session:
        assert "REQUIRETLS" not in session.capabilities
        assert (await session.command(f"MAIL FROM:<{SENDER}> REQUIRETLS")).code == 555


async def test_it_goes_to_a_host_that_can_and_asks_him_for_the_same(place: Trusted) -> None:
    async with place.receiver("can.example", tls=place.tls, extensions=OFFERED) as receiver:
        await submit(place, "bob@can.example")
        [message] = await receiver.wait_for(1)
    assert "REQUIRETLS" in message.sender_params
    assert message.content.startswith(b"DKIM-Signature: v=1;"), "what has a session of its own is signed as all else is"
    assert (await place.row("d", "bob@can.example"))["dsnStatus"].startswith("2.")
    assert [bool(connection.tls) for connection in receiver.connections if connection.messages] == [True]


@pytest.mark.parametrize("lack", ["no REQUIRETLS", "no TLS", "a certificate that nobody knows"])
async def test_where_it_cannot_be_kept_it_goes_back_and_the_report_is_as_secret(place: Trusted, lack: str) -> None:
    recipient = f"{lack.replace(' ', '-').lower()}@cannot.example"
    tls = {"no REQUIRETLS": place.tls, "no TLS": None}.get(lack, self_signed(["mx.cannot.example"]))
    extensions = Extensions() if lack == "no REQUIRETLS" else OFFERED
    before = len(place.home.messages)
    async with place.receiver("cannot.example", tls=tls, extensions=extensions, host="127.77.200.1") as receiver:
        await submit(place, recipient)
        row = await place.row("b", recipient)
        report = (await place.home.wait_for(before + 1))[before]
    assert row["dsnStatus"].split()[0] == ("5.7.30" if lack == "no REQUIRETLS" else "5.7.10")  # RFC 8689 section 4.2.1
    assert receiver.counts.messages == 0
    assert "REQUIRETLS" in report.sender_params
    assert b"Subject: hello" in report.content
    assert b"the body is secret" not in report.content


async def test_a_host_that_is_not_there_is_tried_again(place: Trusted) -> None:
    async with place.receiver("later.example", tls=place.tls, extensions=OFFERED, rules=["mail first=1 451 4.3.0 later"]) as receiver:
        await submit(place, "carol@later.example")
        assert (await place.row("t", "carol@later.example"))["dsnStatus"].split()[0] == "4.3.0"
        assert receiver.counts.messages == 0
    assert place.rows("b", "carol@later.example") == []


async def test_many_go_one_by_one(place: Trusted) -> None:
    """Each has a session of its own, and yet a burst is no flood of connections."""
    recipients = [f"m{number}@many.example" for number in range(15)]
    async with place.receiver("many.example", tls=place.tls, extensions=OFFERED) as receiver:
        async with client(place.port, tls=True) as session:
            for recipient in recipients:
                await send(session, recipient, content=SECRET, mail="REQUIRETLS")
        await receiver.wait_for(len(recipients))
    assert sorted(one for message in receiver.messages for one in message.recipients) == sorted(recipients)
    assert receiver.counts.most_open <= 3  # the queue's one connection, the message's own, and one that is saying goodbye
    assert max(connection.messages for connection in receiver.connections) == 1


async def test_a_host_that_nobody_vouches_for_gets_nothing(place: Trusted) -> None:
    """RFC 8689 section 4.2.1: neither DNSSEC nor MTA-STS says that this is where the mail should go, however good its certificate."""
    before = len(place.home.messages)
    async with place.receiver("unsigned.example", tls=place.tls, extensions=OFFERED) as receiver:
        await submit(place, "dave@unsigned.example")
        row = await place.row("b", "dave@unsigned.example")
        await place.home.wait_for(before + 1)
    assert row["dsnStatus"].split()[0] == "5.7.10"
    assert "vouches" in row["dsnDiag"]
    assert receiver.counts.messages == 0
