"""Who hears of what became of a message: reports of RFC 3464 that arrive at the sender's own receiver, and who never gets one."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from tests.scenarios.town import Town

from postwright.testing.sink import SinkMessage
from postwright.testing.sink_records import Extensions

pytestmark = pytest.mark.asyncio(loop_scope="session")

CONTENT = b"From: anne@x.example\r\nSubject: for the report\r\nMessage-ID: <17@x.example>\r\n\r\nthe text\r\n"


def parts(message: SinkMessage) -> tuple[str, EmailMessage, EmailMessage, str]:
    """Of a report: its words, the fields of the message and of the first recipient, and what it returns."""
    report = message.parsed
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    words, status, returned = report.get_payload()  # type: ignore[misc]
    whole, recipient = status.get_payload()  # type: ignore[union-attr, misc]
    return words.get_content(), whole, recipient, returned.as_string()  # type: ignore[union-attr, return-value]


async def test_a_failure_is_reported_to_the_sender(town: Town) -> None:
    async with town.receiver("home.example") as home, town.receiver("refuses.example", rules=["rcpt 550 5.1.1 nobody here"]):
        more = {"mail": "ENVID=e17", "rcpt": "ORCPT=rfc822;old@b.example"}
        await town.send("bob@refuses.example", sender="anne@home.example", content=CONTENT, **more)
        [report] = await home.wait_for(1)
    assert (report.sender, report.recipients) == ("", ["anne@home.example"])
    words, whole, recipient, returned = parts(report)
    assert "bob@refuses.example" in words
    assert (whole["Reporting-MTA"], whole["Original-Envelope-Id"]) == ("dns;relay.example", "e17")
    assert (recipient["Original-Recipient"], recipient["Final-Recipient"]) == ("rfc822;old@b.example", "rfc822;bob@refuses.example")
    assert (recipient["Action"], recipient["Status"].split()[0]) == ("failed", "5.1.1")
    assert recipient["Diagnostic-Code"] == "smtp;550 5.1.1 nobody here"
    assert recipient["Remote-MTA"] == "dns;mx.refuses.example"
    assert "Subject: for the report" in returned
    assert "the text" not in returned


async def test_ret_full_returns_the_whole_message(town: Town) -> None:
    async with town.receiver("home-full.example") as home, town.receiver("refuses-full.example", rules=["rcpt 550 5.1.1 no"]):
        await town.send("bob@refuses-full.example", sender="anne@home-full.example", content=CONTENT, mail="RET=FULL")
        [report] = await home.wait_for(1)
    assert "the text" in parts(report)[3]


async def test_success_is_reported_to_who_asked_when_the_receiver_cannot(town: Town) -> None:
    async with town.receiver("home-ok.example") as home, town.receiver("no-dsn.example", extensions=Extensions(dsn=False)) as receiver:
        await town.send("bob@no-dsn.example", sender="anne@home-ok.example", content=CONTENT, rcpt="NOTIFY=SUCCESS")
        await receiver.wait_for(1)
        [report] = await home.wait_for(1)
    _, _, recipient, _ = parts(report)
    assert (recipient["Action"], recipient["Status"].split()[0]) == ("relayed", "2.0.0")


async def test_a_receiver_that_can_report_is_asked_to(town: Town) -> None:
    async with town.receiver("dsn.example") as receiver:
        await town.send("bob@dsn.example", mail="RET=HDRS ENVID=q1", rcpt="NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@c.example")
        [message] = await receiver.wait_for(1)
    assert {"RET=HDRS", "ENVID=q1"} <= set(message.sender_params.split())
    assert {"NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;b@c.example"} <= set(message.recipient_params[0].split())


@pytest.mark.parametrize(("who", "more"), [("nobody", {}), ("anne", {"rcpt": "NOTIFY=NEVER"})], ids=["null", "never"])
async def test_no_report_to_the_null_path_nor_to_who_wants_none(town: Town, who: str, more: dict[str, str]) -> None:
    domain, home_domain = f"refuses-{who}.example", f"home-of-{who}.example"
    sender = "" if who == "nobody" else f"{who}@{home_domain}"
    async with town.receiver(home_domain) as home, town.receiver(domain, rules=["rcpt 550 5.1.1 no"]):
        await town.send(f"bob@{domain}", sender=sender, **more)
        await town.row("b", f"bob@{domain}")
        # A report would be in the queue of the same home before what is sent there now.
        await town.send(f"{who}@{home_domain}", sender="")
        [message] = await home.wait_for(1)
        assert b"Subject: hello" in message.content


async def test_a_report_that_cannot_be_delivered_makes_no_report(town: Town) -> None:
    full, refuses = ["rcpt 550 5.2.2 full"], ["rcpt 550 5.1.1 no"]
    async with town.receiver("home-full-up.example", rules=full), town.receiver("refuses-too.example", rules=refuses):
        await town.send("bob@refuses-too.example", sender="anne@home-full-up.example")
        row = await town.row("b", "anne@home-full-up.example")
    assert "orig" not in row  # from the null reverse-path, and that is the end of it
