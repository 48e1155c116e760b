"""What goes wrong at the receiver, for one recipient or for all: each fate is its own, and nothing is lost on the way."""

from __future__ import annotations

import asyncio

import pytest
from tests.scenarios.town import Town

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_transient_failure_is_tried_again(town: Town) -> None:
    async with town.receiver("temp-fail.example", rules=["rcpt first=2 451 4.3.0 later"]) as receiver:
        await town.send("bob@temp-fail.example")
        [message] = await receiver.wait_for(1)
        row = await town.row("d", "bob@temp-fail.example")
    assert message.recipients == ["bob@temp-fail.example"]
    assert [t["dsnDiag"] for t in town.rows("t", "bob@temp-fail.example")] == ["smtp;451 4.3.0 later"] * 2
    assert row["dsnStatus"] == "2.0.0 (success)"


async def test_a_permanent_failure_is_not(town: Town) -> None:
    async with town.receiver("perm-fail.example", rules=["rcpt 550 5.1.1 nobody here"]) as receiver:
        await town.send("bob@perm-fail.example", sender="")
        row = await town.row("b", "bob@perm-fail.example")
        assert receiver.counts.refusals["rcpt", 550] == 1
    assert (row["dsnAction"], row["dsnDiag"]) == ("failed", "smtp;550 5.1.1 nobody here")
    assert town.rows("t", "bob@perm-fail.example") == []


async def test_recipients_of_one_message_have_fates_of_their_own(town: Town) -> None:
    rules = ["rcpt:gone@* 550 5.1.1 nobody here", "rcpt:late@* first=1 450 4.2.1 later"]
    async with town.receiver("mixed.example", rules=rules) as receiver:
        await town.send("here@mixed.example", "gone@mixed.example", "late@mixed.example", sender="")
        await receiver.wait_for(2)
        await town.row("b", "gone@mixed.example")
        await town.row("d", "late@mixed.example")
        assert [message.recipients for message in receiver.messages] == [["here@mixed.example"], ["late@mixed.example"]]
    assert len(town.rows("t", "late@mixed.example")) == 1


@pytest.mark.parametrize("how", ["drop", "reset", "421 4.3.2 going down"])
async def test_a_connection_that_ends_at_any_stage_costs_nothing(town: Town, how: str) -> None:
    await asyncio.gather(*[_ends_at(town, stage, how) for stage in ("connect", "ehlo", "mail", "rcpt", "data", "eod", "quit")])


async def _ends_at(town: Town, stage: str, how: str) -> None:
    domain = f"{stage}-{how.partition(' ')[0]}.example"
    async with town.receiver(domain, rules=[f"{stage} first=1 {how}"]) as receiver:
        await town.send(f"bob@{domain}")
        await town.row("d", f"bob@{domain}")
        assert [message.recipients for message in receiver.messages] == [[f"bob@{domain}"]]
        assert stage == "quit" or receiver.counts.connections >= 2
    assert town.rows("b", f"bob@{domain}") == []


async def test_a_connection_that_ends_inside_the_content(town: Town) -> None:
    async with town.receiver("body.example", rules=["body at=2000 first=1 reset"]) as receiver:
        await town.send("bob@body.example", content=b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * 1000)
        await receiver.wait_for(1)
        assert receiver.messages[0].content.count(b"0123456789abcde\r\n") == 1000


async def test_taken_and_then_cut_off_may_be_sent_twice_but_is_never_lost(town: Town) -> None:
    """The relay cannot know that it was taken: it must send again."""
    async with town.receiver("cut.example", rules=["eod first=1 take-drop"]) as receiver:
        await town.send("bob@cut.example")
        await receiver.wait_for(2)
        await town.row("d", "bob@cut.example")


async def test_a_domain_that_there_is_not_fails_where_the_settings_say_so(town: Town) -> None:
    await town.send("bob@nowhere.example", sender="")
    row = await town.row("b", "bob@nowhere.example")
    assert (row["dsnStatus"].split()[0], row["bounceCat"]) == ("5.1.2", "bad-domain")
