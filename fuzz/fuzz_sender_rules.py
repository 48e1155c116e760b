"""Fuzzes what judges a header by the sender rules of large providers, and reads a Date. None of it may raise anything.

Beside that: what is said of a message has no octet of it and stays on one line, rules come in their order and those excepted not at all,
and what a relay adds in the place of what it mends breaks none of these rules.
"""

from __future__ import annotations

from typing import Final

import common

from postwright.content.date_field import seconds
from postwright.content.dkim_canon import Mail
from postwright.content.dkim_sign import NAMES
from postwright.content.sender_rules import RULES, Case, Cover, judge, mendable, outgrown
from postwright.content.transform import prepare
from postwright.wire.body import scan

NOW: Final = 1.79e9
DATE: Final = b"Date: Mon, 21 Sep 2026 13:33:20 +0000\r\n"
MESSAGE_ID: Final = b"Message-ID: <m@us.example>\r\n"
OURS: Final = (None, (), (Cover("a.example", NAMES),))
ORDER: Final = list(RULES)
SEEDS: Final = (
    b"From: A <a@a.example>\r\nTo: b@b.example\r\nSubject: x\r\n" + DATE + MESSAGE_ID + b"\r\nhello\r\n",
    b'From: "a@b" <a@a.example>, (c) b@b.example\r\nSender: a@a.example\r\n'
    b'Date: 1 Jan 2027 00:00 EST (c)\r\nmessage-id : <"a b"@[1]>\r\n\r\n',
    b"List-Unsubscribe: <mailto:u@a.example>,\r\n <https://a.example/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n",
    b"DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; h=from:date:list-unsubscribe; bh=AAAA; b=AAAA; x=2\r\nFrom: a@a.example\r\n\r\n",
    b"From joe\r\nSubject: a\r\nsubject: b\r\nno field\r\n folded\r\nX: \xc3\xbc\xff\r\nReply-To:\r\n\r\n" + b"x" * 1100 + b"\r\n",
)


def organization(domain: str) -> str:
    return ".".join(domain.split(".")[-2:])


def _judged(content: bytes) -> None:
    facts = scan(content)
    bits = len(content)
    header = content[: facts.header_size]
    assert outgrown(header, len(header)) is None
    except_for = frozenset(ORDER[bits % 5 :: 3]) if bits & 1 else frozenset()
    case = Case(NOW, NOW, bool(bits & 2), bool(bits & 4), bool(bits & 8), facts.longest_line, except_for)
    mail = Mail(header, b"")
    for ours in OURS:
        found = judge(mail.fields, case, ours, organization)
        places = [ORDER.index(one.rule) for one in found]
        assert places == sorted(places)
        assert not except_for.intersection(one.rule for one in found)
        for one in found:
            assert one.text.isascii()
            assert one.text.isprintable()
    _mended(content, mail, case)


def _mended(content: bytes, mail: Mail, case: Case) -> None:
    found = mendable(mail.fields, case)
    made = prepare(
        content,
        scan(content),
        add_message_id=MESSAGE_ID if b"message-id" in found else b"",
        add_date=DATE if b"date" in found else b"",
        remove=frozenset(found),
    )
    again = b"".join(made.parts)[: made.facts.header_size]
    left = {one.rule for one in judge(Mail(again, b"").fields, case, None, organization)}
    assert not left.intersection(one.rule for one in found.values())


def fuzz_one(data: bytes) -> None:
    when = seconds(data)
    assert when is None or -1e11 < when < 3e11
    _judged(data)


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
