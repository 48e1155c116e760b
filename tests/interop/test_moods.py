"""What these mail systems do in their odd moments, and that our record and our next try are right: greylisting at RCPT (Exim), 521 and a
closed connection (Postfix), a filter's refusal at DATA (OpenSMTPD), 452 for too many recipients (Sendmail).

The servers are those of `family_servers`, which says what sets their moods.
"""

from __future__ import annotations

from collections import Counter

import pytest
from tests.interop.family import Family
from tests.interop.family_servers import SENDMAIL_RCPTS, SERVERS
from tests.interop.peers import CONTENT

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.xdist_group("family"),
    pytest.mark.needs("root", *(program for program, _ in SERVERS.values())),
]


async def test_greylisted_by_exim(family: Family) -> None:
    """450 is for that recipient only: the other one of the transaction arrives at once, the grey one when Exim has changed its mind."""
    grey, other = (f"{user}@{family.domain('Exim', 'to')}" for user in ("grey", "bob"))
    assert (await family.send("Exim", "to", CONTENT, [grey, other])).final.code == 250
    [message] = await family.arrived("Exim", other)
    assert message.recipients == [other]
    waiting = await family.record("t", grey)
    assert (waiting["dsnStatus"][:5], waiting["dsnDiag"][:8]) == ("4.7.1", "smtp;450"), waiting
    (family.servers["Exim"].folder / "welcome").touch()
    [late] = await family.arrived("Exim", grey)
    assert late.recipients == [grey]
    done = await family.record("d", grey)
    assert done["dsnDiag"].startswith("smtp;250")
    assert {grey, other} & {row["rcpt"] for row in family.relay.records("t", "b")} == {grey}


async def test_turned_away_by_postfix(family: Family) -> None:
    """521 (RFC 7504) and the end of the connection: permanent for this message, whose sender hears why; the next message gets through."""
    rcpt, sender = f"bob@{family.domain('Postfix', 'to')}", "blocked@client.example"
    assert (await family.send("Postfix", "to", CONTENT, [rcpt], sender=sender)).final.code == 250
    row = await family.record("b", rcpt)
    assert (row["dsnStatus"][:5], row["dsnDiag"][:8]) == ("5.3.2", "smtp;521")
    assert "You are not welcome here" in row["dsnDiag"]
    [report] = await family.arrived("Postfix", sender)
    assert b"Status: 5.3.2" in report.content
    assert (await family.send("Postfix", "to", CONTENT, [rcpt])).final.code == 250
    await family.arrived("Postfix", rcpt)


async def test_no_spam_for_opensmtpd(family: Family) -> None:
    """All recipients taken, then 554 at DATA: it holds for each of them, and each is in the record once."""
    rcpts = [f"{user}@{family.domain('OpenSMTPD', 'to')}" for user in ("anton", "berta")]
    sender = "spam@client.example"
    assert (await family.send("OpenSMTPD", "to", CONTENT, rcpts, sender=sender)).final.code == 250
    for rcpt in rcpts:
        row = await family.record("b", rcpt)
        assert (row["dsnStatus"][:5], row["dsnDiag"][:8]) == ("5.7.1", "smtp;554")
        assert "We want no spam" in row["dsnDiag"]
    await family.arrived("OpenSMTPD", sender)
    assert Counter(row["rcpt"] for row in family.relay.records("b")) >= Counter(rcpts)
    assert not [message for message in family.sink.messages if set(rcpts) & set(message.recipients)]


async def test_too_many_at_a_time_for_sendmail(family: Family) -> None:
    """452 from the 101st recipient on (RFC 5321 section 4.5.3.1.10): those taken are delivered, the others later, nobody twice."""
    rcpts = [f"m{number}@{family.domain('Sendmail', 'to')}" for number in range(SENDMAIL_RCPTS * 2 + 50)]
    assert (await family.send("Sendmail", "to", CONTENT, rcpts)).final.code == 250
    messages = await family.arrived("Sendmail", *rcpts)
    assert Counter(rcpt for message in messages for rcpt in message.recipients) == Counter(rcpts)
    assert max(len(message.recipients) for message in messages) <= SENDMAIL_RCPTS
    delivered = await family.relay.until(lambda: _all_of(family.relay.records("d"), rcpts), "their records")
    assert Counter(row["rcpt"] for row in delivered) == Counter(rcpts)
    assert not {row["rcpt"] for row in family.relay.records("t", "b")} & set(rcpts), "452 is no attempt: they go in the next transaction"


def _all_of(rows: list[dict[str, str]], rcpts: list[str]) -> list[dict[str, str]]:
    """The rows of these recipients, once each has one."""
    found = [row for row in rows if row["rcpt"] in set(rcpts)]
    return found if len({row["rcpt"] for row in found}) == len(rcpts) else []
