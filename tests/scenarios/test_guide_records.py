"""The guide, last part: what is written down, in the form that PowerMTA's readers know."""

from __future__ import annotations

import json
import re
import ssl

import pytest
from tests.scenarios.clients import client, send
from tests.scenarios.guide import NEIGHBOUR
from tests.scenarios.town import Town

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("guide")]

# The reference's order: columns of d, b and t, then those of r alone.
COLUMNS = (
    "type,timeLogged,timeQueued,orig,rcpt,orcpt,dsnAction,dsnStatus,dsnDiag,dsnMta,bounceCat,srcType,srcMta,dlvType,dlvSourceIp,"
    "dlvDestinationIp,dlvEsmtpAvailable,dlvSize,vmta,jobId,envId,queue,vmtaPool,rcvSourceIp,rcvDestinationIp"
)
JOB = b"Subject: job\r\nX-Job: spring-7\r\n\r\nhello\r\n"
RULES = ["rcpt:late 451 4.2.2 later, please", "rcpt:gone 550 5.1.1 no such user"]


async def test_a_record_of_each_kind(guide: Town) -> None:
    async with guide.receiver("good.kinds.example", "late", "gone", rules=RULES) as receiver:
        async with client(guide.port, source=NEIGHBOUR) as session:
            await send(session, "bob@good.kinds.example", "bob@late", "bob@gone", content=JOB, sender="", mail="ENVID=e1")
        delivered = await guide.row("d", "bob@good.kinds.example")
        late = await guide.row("t", "bob@late")
        gone = await guide.row("b", "bob@gone")
        taken = await guide.row("r", "bob@good.kinds.example")
        address = receiver.host
    assert {row["jobId"] for row in (delivered, late, gone, taken)} == {"spring-7"}
    assert {row["envId"] for row in (delivered, late, gone, taken)} == {"e1"}
    assert (delivered["dsnAction"], delivered["dsnStatus"], delivered["dlvDestinationIp"]) == ("relayed", "2.0.0 (success)", address)
    assert delivered["dsnDiag"].startswith("smtp;250 ")
    assert delivered["dsnMta"] == f"mx.good.kinds.example ({address})"
    assert "PIPELINING" in delivered["dlvEsmtpAvailable"].split(",")
    assert (late["dsnAction"], late["dsnStatus"].split()[0], late["dsnDiag"]) == ("delayed", "4.2.2", "smtp;451 4.2.2 later, please")
    assert (gone["dsnAction"], gone["dsnStatus"], gone["bounceCat"]) == ("failed", "5.1.1 (bad destination mailbox address)", "bad-mailbox")
    assert "dlvSize" not in gone
    assert (taken["srcType"], taken["rcvSourceIp"], taken["rcvDestinationIp"]) == ("smtp", NEIGHBOUR, "127.0.0.1")
    assert taken["srcMta"] == f"client.example ({NEIGHBOUR})"
    assert "dsnStatus" not in taken


async def test_x_job_stays_with_us(guide: Town) -> None:
    async with guide.receiver("job.example") as receiver:
        async with client(guide.port, source=NEIGHBOUR) as session:
            await send(session, "bob@job.example", content=JOB)
        [message] = await receiver.wait_for(1)
    assert b"X-Job" not in message.content


async def test_the_file_has_powermtas_name_and_header_line(guide: Town) -> None:
    async with guide.receiver("file.example"):
        async with client(guide.port, source=NEIGHBOUR) as session:
            await send(session, "bob@file.example")
        await guide.row("d", "bob@file.example")
    [path] = guide.relay.state_dir.glob("acct*.csv")
    assert re.fullmatch(r"acct-20\d\d-\d\d-\d\d-0000\.csv", path.name)
    lines = path.read_bytes().split(b"\r\n")
    assert lines[0].decode() == COLUMNS
    assert all(b"\n" not in line for line in lines)


async def test_log_and_spool_are_where_the_guide_says(guide: Town) -> None:
    events = [json.loads(line)["event"] for line in guide.relay.log_file.read_text().splitlines()]
    assert "ready" in events
    assert list((guide.relay.state_dir / "spool").rglob("*"))


async def test_tls_is_used_towards_clients_and_receivers_in_the_records_too(guide: Town, receivers_tls: ssl.SSLContext) -> None:
    async with guide.receiver("tls.kinds.example", tls=receivers_tls):
        async with client(guide.port, source=NEIGHBOUR, tls=True) as session:
            await send(session, "bob@tls.kinds.example", content=b"x-virtual-mta: mta1\r\n\r\nhello\r\n")
        row = await guide.row("d", "bob@tls.kinds.example")
    assert "STARTTLS" not in row["dlvEsmtpAvailable"]  # what counts is what was offered inside
