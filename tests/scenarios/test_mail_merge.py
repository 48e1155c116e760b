"""A mail merge by a real relay that is killed between taking it and sending it: each recipient gets its own text, by its own way, once."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from pathlib import Path

from tests.scenarios.alone import Alone
from tests.scenarios.clients import client

from postwright.testing.sink import SinkServer
from postwright.testing.source import SourceClient

MORE = """
<source 127.0.0.1/32>
    allow-mailmerge yes
</source>
<virtual-mta one>
</virtual-mta>
<virtual-mta two>
</virtual-mta>
<virtual-mta three>
</virtual-mta>
"""
FIRST = b"Subject: for [name]\r\nDate: [*date]\r\nTo: <[*to]>\r\n\r\nDear [name],\r\n"
SECOND = b"something for [*vmta] only\r\n"
THIRD = b"yours\r\n"


async def say(session: SourceClient, line: str, code: int) -> str:
    reply = await session.command(line)
    assert reply.code == code, (line, reply)
    return reply.text


async def submit(session: SourceClient) -> None:
    await say(session, "XMRG FROM:<news@client.example> ENVID=spring", 250)
    for number, (vmta, parts) in enumerate((("one", "1-3"), ("two", "1,3"), ("three", "1,3,2"))):
        await say(session, f'XDFN name="N {number}" *vmta={vmta} *parts={parts} *jobid=job-{number}', 250)
        if number == 2:
            await say(session, 'XDFN *schedule="2020-01-01 00:00 / 2099-01-01 00:00"', 250)
        await say(session, f"RCPT TO:<{number}@d{number}.example>", 250)
    for number, part in enumerate((FIRST, SECOND, THIRD), 1):
        await say(session, f"XPRT {number}" + (" LAST" if number == 3 else ""), 354)
        await say(session, part.decode() + ".", 250)


async def test_killed_between_taking_and_sending(tmp_path: Path) -> None:
    async with SinkServer(["rcpt 450 4.2.0 later"]) as receiver, Alone(tmp_path, receiver, MORE, shards=2) as relay:
        async with client(relay.port) as session:
            await submit(session)
        await relay.wait_for_records("t", 3)
        relay.kill()
        receiver.set_rules([])
        await relay.start()
        await receiver.wait_for(3)
        rows = await relay.wait_for_records("d", 3)
        assert sorted((row["rcpt"], row["vmta"], row["jobId"], row["envId"]) for row in rows) == [
            ("0@d0.example", "one", "job-0", "spring"),
            ("1@d1.example", "two", "job-1", "spring"),
            ("2@d2.example", "three", "job-2", "spring"),
        ]
        got = {message.recipients[0]: message.parsed for message in receiver.messages}
        assert len(got) == len(receiver.messages) == 3
        texts = {
            "0": "Dear N 0,\nsomething for one only\nyours\n",
            "1": "Dear N 1,\nyours\n",
            "2": "Dear N 2,\nyours\nsomething for three only\n",
        }
        for number, text in texts.items():
            message = got[f"{number}@d{number}.example"]
            assert str(message.get_payload()).replace("\r\n", "\n") == text
            assert message["Subject"] == f"for N {number}"
            assert message["To"] == f"{number}@d{number}.example"
            assert parsedate_to_datetime(message["Date"]).year >= 2024
