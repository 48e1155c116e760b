"""The table of replies: whole, as the page has it, and every row provoked: by a conversation here, or by the test that is named."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from postwright.net.session import ServerSession
from postwright.net.session_book import SessionBook
from postwright.net.visit import PeerFacts
from postwright.policy.settings import Settings, UserSettings
from postwright.testing.memory_transport import join
from postwright.testing.reply_page import page
from postwright.testing.reply_rows import ROWS
from postwright.testing.reply_scan import replies
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source
from postwright.wire.server_states import State, out_of_order

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "replies.md"

ANNA = {"anna": UserSettings("anna", password="secret", source="{in}")}


def of(user: bool = False, **said: Any) -> Settings:
    """A relay whose only source says this."""
    people = source("{in}", always_allow_relaying=True)
    return relay(source(ANYBODY, **said), people, relay_domains=("ours.example",), users=ANNA if user else {})


FREE = {"always_allow_relaying": True}
SETTINGS: dict[str, Settings] = {
    "": of(**FREE),
    "login": of(True, allow_unencrypted_plain_auth=True, require_auth=True, auth_failure_delay=0.0),
    "login needs tls": of(True, require_starttls_before_auth=True),
    "stranger": of(),
    "priority": of(smtp_extensions=("mt-priority",)),
    "off": of(smtp_service=False),
    "plain": of(allow_chunking=False, smtp_extensions=("none",), **FREE),
    "small": of(max_message_size=20, **FREE),
    "few": of(max_rcpt_per_message=1, max_msg_per_session=2, max_rcpt_domains_per_message=1, **FREE),
    "two domains": of(max_rcpt_domains_per_message=1, **FREE),
    "void": of(max_rcpt_per_message=1, too_many_rcpts_fails_message=True, **FREE),
    "hops": of(max_message_hops=1, **FREE),
    "headers": of(process_x_virtual_mta=True, process_x_schedule=True, **FREE),
    "debug": relay(source(ANYBODY), general={"relay_debug": True}),
    "crowded": relay(general={"spool_max_recipients": 1}),
    "errors": of(max_smtp_errors=1, **FREE),
    "merge": of(allow_mailmerge=True, max_message_size=1000, **FREE),
    "rules": of(sender_rules="refuse", sender_rules_except=("date", "message-id"), **FREE),
}

E, M, R = "EHLO c.example", "MAIL FROM:<a@c.example>", "RCPT TO:<b@ours.example>"
START = f"{E}\n{M}\n{R}"
X = f"{E}\nXMRG FROM:<a@c.example>"


def content(text: str, before: str = START) -> str:
    return f"{before}\nDATA\n{text}\n."


# reply -> (settings, what the client says, line by line; the last reply is the one)
HERE: dict[str, tuple[str, str]] = {
    "214 2.0.0 EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP STARTTLS AUTH QUIT / see RFC 5321": ("", "HELP"),
    "220 … (Postwright) ESMTP service ready": ("", ""),
    "221 2.0.0 goodbye": ("", "QUIT"),
    "235 2.7.0 authentication succeeded": ("login", f"{E}\nAUTH PLAIN AGFubmEAc2VjcmV0"),
    "250 2.0.0 ok": ("", "NOOP"),
    "250 2.0.0 reset": ("", "RSET"),
    "250 2.1.0 MAIL ok": ("", f"{E}\n{M}"),
    "250 2.1.5 RCPT ok": ("", START),
    "250 2.3.6 … is the new priority assigned to the message": ("priority", f"{E}\n{M} MT-PRIORITY=4"),
    "250 2.6.0 message received id=…": ("", content("Subject: x")),
    "250 2.6.0 part ok": ("", f"{START}\nBDAT 0"),
    "250 … (engine/visitor.py)": ("", "HELO c.example"),
    "250 … (net/session.py)": ("", E),
    "252 2.5.2 cannot verify, but will take mail for delivery": ("", "VRFY anna"),
    "334 … (net/sasl_dialogue.py)": ("login", f"{E}\nAUTH LOGIN"),
    "354 send message": ("", f"{START}\nDATA"),
    "421 4.5.3 too many messages in one session, begin another": ("few", f"{E}\n{M}\nRSET\n{M}\nRSET\n{M}"),
    "421 4.7.0 this is not the protocol spoken here": ("", "GET / HTTP/1.1"),
    "421 4.7.0 too many errors": ("errors", "XX\nXX"),
    "452 4.5.3 too many recipients": ("few", f"{START}\n{R}"),
    "452 4.5.3 too many domains among the recipients": ("two domains", f"{START}\nRCPT TO:<b@far.example>"),
    "450 4.7.1 … (engine/addressing.py)": ("debug", f"{E}\n{M}\nRCPT TO:<b@far.example>"),
    "452 4.3.1 too many recipients are waiting, try again later": ("crowded", content("Subject: x") + "\n" + M),
    "500 5.5.2 command not recognized": ("", "HELLO"),
    "500 5.5.2 lines must end with CRLF": ("", "NO\rOP"),
    "500 5.5.2 a character is not allowed in a command": ("", "HELP \x07"),
    "500 5.5.2 line too long": ("", "NOOP " + "x" * 600),
    "500 5.5.6 authentication exchange line is too long": ("login", f"{E}\nAUTH PLAIN " + "A" * 13000),
    "500 5.6.0 a line of the message is too long": ("", content("x" * 999)),
    "501 5.5.2 cannot decode the response": ("login", f"{E}\nAUTH PLAIN !"),
    "501 5.5.2 not what the mechanism wants": ("login", f"{E}\nAUTH PLAIN eA=="),
    "501 5.5.4 Syntax: MAIL FROM:<address> [parameters]": ("", f"{E}\nMAIL a@c.example"),
    "501 5.5.4 Syntax: RCPT TO:<address> [parameters]": ("", f"{E}\n{M}\nRCPT b@ours.example"),
    "501 5.5.4 Syntax: BDAT size [LAST]": ("", f"{START}\nBDAT all"),
    "501 5.5.4 Syntax: AUTH mechanism [initial-response]": ("login", f"{E}\nAUTH"),
    "501 5.5.4 Syntax: HELO or EHLO and your host name": ("", "EHLO"),
    "501 5.5.4 no argument is allowed here": ("", "RSET now"),
    "501 5.5.4 an argument is needed": ("", "VRFY"),
    "501 5.5.4 SIZE wants a number": ("", f"{E}\n{M} SIZE=big"),
    "501 5.5.4 BODY is not one that is supported here": ("", f"{E}\n{M} BODY=9BIT"),
    "501 5.5.4 RET wants FULL or HDRS": ("", f"{E}\n{M} RET=ALL"),
    "501 5.5.4 ENVID wants up to 100 characters of xtext": ("", f"{E}\n{M} ENVID=" + "x" * 101),
    "501 5.5.4 SMTPUTF8 takes no value": ("", f"{E}\n{M} SMTPUTF8=yes"),
    "501 5.5.4 AUTH wants a mailbox or <>": ("login", f"{E}\n{M} AUTH=anna"),
    "501 5.5.4 NOTIFY wants NEVER, or a list of SUCCESS, FAILURE, DELAY": ("", f"{E}\n{M}\n{R} NOTIFY=ALWAYS"),
    "501 5.5.4 NOTIFY=NEVER stands alone": ("", f"{E}\n{M}\n{R} NOTIFY=NEVER,DELAY"),
    "501 5.5.4 ORCPT wants type;address in xtext": ("", f"{E}\n{M}\n{R} ORCPT=b"),
    "501 5.5.4 ORCPT names a character that does not exist": ("", f"{E}\n{M}\n{R} ORCPT=utf-8;\\x{{FFFFFF}}"),
    "501 5.5.4 ORCPT holds a character that is not printable": ("", f"{E}\n{M}\n{R} ORCPT=utf-8;\\x{{07}}"),
    "501 5.5.4 HOLDFOR wants seconds": ("", f"{E}\n{M} HOLDFOR=soon"),
    "501 5.5.4 HOLDFOR may be … seconds at most": ("", f"{E}\n{M} HOLDFOR=999999999"),
    "501 5.5.4 HOLDUNTIL wants a time such as 2030-01-31T08:00:00Z": ("", f"{E}\n{M} HOLDUNTIL=soon"),
    "501 5.5.4 HOLDUNTIL names a time that does not exist": ("", f"{E}\n{M} HOLDUNTIL=2030-02-31T08:00:00Z"),
    "501 5.5.4 HOLDUNTIL is further ahead than mail is held here": ("", f"{E}\n{M} HOLDUNTIL=2099-01-31T08:00:00Z"),
    "501 5.5.4 HOLDFOR and HOLDUNTIL exclude each other": ("", f"{E}\n{M} HOLDFOR=1 HOLDUNTIL=2030-01-31T08:00:00Z"),
    "501 5.5.4 BY wants seconds;R or seconds;N": ("", f"{E}\n{M} BY=9"),
    "501 5.5.4 BY with R wants a time to come": ("", f"{E}\n{M} BY=0;R"),
    "501 5.5.4 MT-PRIORITY wants -9 to 9": ("", f"{E}\n{M} MT-PRIORITY=10"),
    "501 5.5.4 … (wire/commands.py)": ("", f"{E}\n{M} SIZE=1 SIZE=2"),
    "501 5.7.0 authentication cancelled": ("login", f"{E}\nAUTH LOGIN\n*"),
    "502 5.5.1 not offered here": ("", f"{E}\nSTARTTLS"),
    "502 5.5.1 lists are not expanded here": ("", "EXPN all"),
    "503 5.5.1 send HELO or EHLO first": ("", M),
    "503 5.5.1 a transaction is under way": ("", f"{E}\n{M}\n{M}"),
    "503 5.5.1 need MAIL command": ("", f"{E}\n{R}"),
    "503 5.5.1 need RCPT command": ("", f"{E}\n{M}\nDATA"),
    "503 5.5.1 BDAT has begun: go on with it or RSET": ("", f"{START}\nBDAT 0\nDATA"),
    "503 5.5.1 BODY=BINARYMIME goes by BDAT": ("", f"{E}\n{M} BODY=BINARYMIME\n{R}\nDATA"),
    "503 5.5.1 already authenticated": ("login", f"{E}\nAUTH PLAIN AGFubmEAc2VjcmV0\nAUTH PLAIN AGFubmEAc2VjcmV0"),
    "504 5.5.4 that mechanism is not offered": ("login", f"{E}\nAUTH X-OURS"),
    "521 … does not accept mail from you": ("off", ""),
    "535 5.7.8 authentication failed": ("login", f"{E}\nAUTH PLAIN AGFubmEAd3Jvbmc="),
    "550 5.4.7 the last time in x-schedule has passed": ("headers", content("x-schedule: 2001-01-01 10:00 / 2001-01-01 11:00\n")),
    "550 5.5.0 … (policy/assign.py)": ("headers", content("x-virtual-mta: nobody\n")),
    "550 5.5.3 too many recipients, the message will be refused": ("void", f"{START}\nRCPT TO:<c@ours.example>"),
    "550 5.6.0 … (engine/wishes.py)": ("headers", content("x-schedule: soon\n")),
    "550 5.6.0 … (engine/sender_rules.py)": ("rules", content("Subject: x\n")),
    "550 5.7.20 … (engine/sender_rules.py)": ("rules", content("From: a@c.example\n")),
    "550 5.7.22 … (engine/sender_rules.py)": (
        "rules",
        content("DKIM-Signature: v=1; a=rsa-sha256; d=d.example; s=s; h=from; bh=AAAA; b=AAAA\nFrom: a@c.example\n"),
    ),
    "550 5.6.0 bare CR, bare LF or NUL in the message": ("", content("x\ry")),
    "550 5.7.1 relaying denied": ("stranger", f"{E}\n{M}\nRCPT TO:<b@far.example>"),
    "550 5.7.1 relaying denied, log in first": ("login", f"{E}\n{M}\nRCPT TO:<b@far.example>"),
    "550 5.7.1 relaying denied, the address has a route in it": ("stranger", f"{E}\n{M}\nRCPT TO:<b%far.example@ours.example>"),
    "552 5.3.4 message size exceeds the limit": ("small", content("x" * 30)),
    "553 5.6.7 a non-ASCII address needs SMTPUTF8": ("", f"{E}\nMAIL FROM:<é@c.example>"),
    "553 … … (wire/commands.py)": ("", f"{E}\nMAIL FROM:<a..b@c.example>"),
    "554 5.4.6 too many hops, this message is looping": ("hops", content("Received: a\nReceived: b\n")),
    "554 5.5.3 the message has too many recipients": ("void", f"{START}\nRCPT TO:<c@ours.example>\nDATA"),
    "555 5.5.4 … is not supported here": ("plain", f"{E}\n{M} HOLDFOR=5"),
    "250 2.0.0 XDFN ok": ("merge", f"{X}\nXDFN a=b"),
    "354 send part": ("merge", f"{X}\n{R}\nXPRT 1"),
    "501 5.1.7 *from wants an address": ("merge", f"{X}\nXDFN *from=me"),
    "501 5.5.4 *parts wants numbers such as 1-3 or 1,3,2": ("merge", f"{X}\nXDFN *parts=all"),
    "501 5.5.4 *priority wants a number from 0 to 100": ("merge", f"{X}\nXDFN *priority=high"),
    "501 5.5.4 Syntax: XACK ON or XACK OFF": ("merge", f"{X}\nXACK"),
    '501 5.5.4 Syntax: XDFN name=value name="value with blanks"': ("merge", f"{X}\nXDFN a"),
    "501 5.5.4 Syntax: XPRT number [LAST]": ("merge", f"{X}\n{R}\nXPRT LAST"),
    "501 5.5.4 a control character is not allowed in a variable": ("merge", f"{X}\nXDFN a=\x07"),
    "501 5.5.4 a mail merge cannot be BODY=BINARYMIME": ("merge", f"{X} BODY=BINARYMIME"),
    "501 5.5.4 there is no such reserved variable": ("merge", f"{X}\nXDFN *name=x"),
    "501 5.5.4 … (engine/merging.py)": ("merge", f"{X}\nXDFN *schedule=soon"),
    "503 5.5.1 XPRT has begun: go on with it or RSET": ("merge", f"{X}\n{R}\nXPRT 1\nx\n.\n{R}"),
    "503 5.5.1 need XMRG command": ("merge", f"{START}\nXPRT 1"),
    "503 5.5.1 that part has come already": ("merge", f"{X}\n{R}\nXPRT 1\nx\n.\nXPRT 1 LAST"),
    "550 5.4.7 the last time in *schedule has passed": ("merge", f'{X}\nXDFN *schedule="2001-01-01 10:00 / 2001-01-01 11:00"'),
    "554 5.5.4 a recipient is to get a part that did not come": ("merge", f"{X}\nXDFN *parts=2\n{R}\nXPRT 1 LAST\nx\n."),
    "552 5.3.4 a recipient's message exceeds the size limit once it is merged": (
        "merge",
        f"{X}\nXDFN a={'b' * 600}\n{R}\nXPRT 1 LAST\n[a]\n[a]\n.",
    ),
    "552 5.3.4 parts have numbers from 1 to …": ("merge", f"{X}\n{R}\nXPRT 0"),
    "552 5.3.4 too many variables, or too long ones, for one recipient": (
        "merge",
        X + "".join([f"\nXDFN a{n}={'b' * 8000}" for n in range(9)]),
    ),
}

# provoked where there is what it takes: TLS, the DNS, a full disk, time
# reply -> (the test, words of it that show that it does)
ELSEWHERE: dict[str, tuple[str, str]] = {
    "452 4.3.2 too many reports in a short time, try again later": ("tests/engine/test_processing_stories.py", "too many reports"),
    "552 5.3.4 too many variables in one submission, send fewer recipients at a time": (
        "tests/engine/test_merge_stories.py",
        "too many variables in one submission",
    ),
    "220 … (Postwright) LMTP service ready": ("tests/scenarios/test_lmtp.py", "LMTP service ready"),
    "220 2.0.0 ready to start TLS": ("tests/net/test_listener.py", "ready to start TLS"),
    "421 4.3.2 service is stopping, try again later": ("tests/net/test_session.py", "421 4.3.2 service is stopping"),
    "421 4.4.2 waited too long, closing": ("tests/net/test_session.py", "421 4.4.2 waited too long"),
    "421 4.7.0 too many connections in a short time, try again later": ("tests/net/test_reception.py", "too many connections"),
    "421 4.7.0 too many messages in a short time, try again later": ("tests/engine/test_admission_stories.py", "too many messages"),
    "421 4.7.0 too many recipients in a short time, try again later": ("tests/engine/test_admission_stories.py", "too many recipients"),
    "421 4.7.0 this port wants TLS from the start: choose SSL/TLS, not STARTTLS, or another port": (
        "tests/net/test_listener.py",
        "this port wants TLS",
    ),
    "421 4.7.0 this login counts no more, connect and log in anew": ("tests/engine/test_users_file_stories.py", "== [421, 421]"),
    "421 4.7.0 too many failed logins from your network, try again later": ("tests/scenarios/test_guessing.py", "LOCKED_OUT"),
    "421 4.7.0 too many failed logins, try again later": ("tests/engine/test_lock_stories.py", "421 4.7.0 too many failed logins"),
    "451 4.3.0 who this user is cannot be found out now, try again later": ("tests/engine/test_injection.py", "who this user is cannot"),
    "550 5.7.1 there is no such user any more": ("tests/engine/test_injection.py", "there is no such user any more"),
    "554 5.5.1 no recipient was taken": ("tests/engine/test_injection.py", "554 5.5.1 no recipient was taken"),
    "554 5.6.0 there is no whole message in it": ("tests/engine/test_pickup_stories.py", "there is no whole message in it"),
    "554 5.6.0 there is more than one message in it": ("tests/engine/test_pickup_stories.py", "there is more than one message in it"),
    "450 4.7.1 this login has reached its volume of the day, try again tomorrow": ("tests/engine/test_binding_stories.py", "FULL"),
    "450 4.7.1 this login sends too fast, try again later": ("tests/engine/test_binding_stories.py", "sends too fast"),
    "550 5.7.1 this login may not choose that virtual MTA": ("tests/engine/test_binding_stories.py", "choose that virtual MTA"),
    "550 5.7.1 this login may not use that address in the From field": ("tests/engine/test_binding_stories.py", "in the From field"),
    "550 5.7.1 this login may not use that sender address": ("tests/engine/test_binding_stories.py", "use that sender address"),
    "421 4.7.0 too many sessions, try again later": ("tests/net/test_listener.py", "too many sessions"),
    "451 4.3.0 local error, try again later": ("tests/net/test_session.py", "451 4.3.0 local error"),
    "451 4.4.3 the name of your address cannot be looked up now, try again later": ("tests/policy/test_iprev.py", "451 4.4.3"),
    "452 4.3.1 insufficient system storage, try again later": ("tests/engine/test_intake_stories.py", '(452, "4.3.1")'),
    "452 4.3.1 too much mail is coming in, try again later": ("tests/net/test_session.py", "too much mail is coming in"),
    "452 4.3.2 Server resources temporarily exhausted": ("tests/engine/test_admission_stories.py", "resources temporarily exhausted"),
    "454 4.7.0 TLS is not available": ("tests/engine/test_intake.py", "== 454"),
    "454 4.7.0 temporary authentication failure": ("tests/net/test_sasl_dialogue.py", "454"),
    "501 5.5.4 NAME=value is wanted, once for each attribute": ("tests/wire/test_xclient.py", "501 5.5.4 NAME=value"),
    "501 5.5.4 that attribute is not known": ("tests/wire/test_xclient.py", "501 5.5.4 that attribute"),
    "501 5.5.4 that value cannot be": ("tests/wire/test_xclient.py", "501 5.5.4 that value"),
    "501 5.5.4 REQUIRETLS takes no value": ("tests/wire/transcripts/server/extras.txt", "501 5.5.4 REQUIRETLS takes no value"),
    "501 5.5.4 … (wire/mail_extras.py)": ("tests/wire/transcripts/server/extras.txt", "501 5.5.4 HOLDFOR"),
    "503 5.5.1 bad sequence of commands": ("tests/engine/test_replies.py", "State.CONNECT"),
    "503 5.5.1 no service here, say QUIT": ("tests/wire/transcripts/server/refused_at_the_door.txt", "503 5.5.1 no service here"),
    "530 5.7.0 must issue a STARTTLS command first": ("tests/wire/transcripts/server/starttls_before_auth.txt", "530 5.7.0 must issue"),
    "538 5.7.11 encryption is needed for that mechanism": ("tests/wire/transcripts/server/starttls.txt", "538 5.7.11 encryption"),
    '550 5.7.1 recipient is in suppression list "…": <…>': ("tests/engine/test_address_stories.py", "recipient is in suppression list"),
    "550 5.7.1 recipient is suppressed…: <…>": ("tests/engine/test_suppression_stories.py", "recipient is suppressed (unsubscribed): <"),
    "451 4.3.0 whether this recipient may be sent to is not known now, try again later": (
        "tests/engine/test_suppression_stories.py",
        "whether this recipient may be sent to is not known",
    ),
    "451 4.7.24 SPF of this domain cannot be looked up now, try again later": ("tests/engine/test_spf_stories.py", "451 4.7.24 SPF of"),
    "550 5.7.23 SPF says that you may not send for this domain": ("tests/engine/test_spf_stories.py", "550 5.7.23 SPF says"),
    "550 5.7.24 the SPF record of this domain is in error": ("tests/engine/test_spf_stories.py", "550 5.7.24 the SPF record"),
    "550 5.7.1 the DMARC policy of the domain in From forbids this message": ("tests/engine/test_inbound_checks.py", "the DMARC policy of"),
    "550 5.7.25 the name of your address does not lead back to it": ("tests/policy/test_iprev.py", "550 5.7.25"),
    "550 5.7.25 your address has no name": ("tests/policy/test_iprev.py", "550 5.7.25"),
    "552 5.3.4 message size exceeds the limit of … octets": ("tests/engine/test_intake.py", "message size exceeds the limit of"),
    "554 5.5.1 wait for the greeting before you speak": ("tests/net/test_reception.py", "wait for the greeting"),
    "554 5.5.3 too many recipients, once aliases are expanded": ("tests/policy/test_aliases.py", "MOST"),
}


def pattern(reply: str) -> re.Pattern[str]:
    """What such a reply looks like on one line."""
    text = re.sub(r" \([a-z]+/[a-z_]+\.py\)$", "", reply).replace(" / ", " ")
    return re.compile(re.escape(text).replace("…", ".*"))


class Raw(asyncio.Protocol):
    """A client that keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data


def last_reply(settings: Settings, said: str) -> str:
    """The last reply to a conversation, on one line as `Reply.text` has it."""
    with World(settings) as world:
        raw, facts = Raw(), PeerFacts("192.0.2.77", 40000, "192.0.2.1", 25)
        visitor = world.node.intake.factory(settings.listeners[0])(facts)

        async def connect() -> None:
            join(raw, ServerSession(visitor, facts, SessionBook(world.loop.time), world.loop))

        world.run(connect())
        world.advance(1)
        for line in said.split("\n") if said else []:
            raw.transport.write(line.encode() + b"\r\n")
            world.advance(1)
        lines = raw.heard.decode().splitlines()
    first = len(lines) - 1
    while first and lines[first - 1][3:4] == "-":
        first -= 1
    rest = [re.sub(r"^(?:[245]\.\d+\.\d+ )?", "", line[4:]) for line in lines[first + 1 :]]
    return " ".join([lines[first].replace("-", " ", 1) if lines[first][3] == "-" else lines[first], *rest])


def test_every_reply_of_the_code_has_its_row() -> None:
    """Say why, and what to do, in `testing/reply_rows.py`, and provoke it here or name the test that does."""
    said = replies()
    assert sorted(said.keys() - ROWS.keys()) == []
    assert sorted(ROWS.keys() - said.keys()) == []


def test_the_page_is_what_the_rows_make() -> None:
    assert PAGE.read_text("utf-8") == page(), "stale: python -m postwright.testing.reply_page docs/reference/replies.md"


def test_what_cannot_come_at_such_a_time_has_an_answer_too() -> None:
    """No conversation gets there: the greeting is said before a command is read."""
    assert out_of_order("MAIL", State.CONNECT).text == "503 5.5.1 bad sequence of commands"


def test_every_reply_is_provoked_by_some_test() -> None:
    assert sorted(ROWS.keys() - HERE.keys() - ELSEWHERE.keys()) == []
    for reply, (where, words) in ELSEWHERE.items():
        assert words in (ROOT / where).read_text("utf-8"), f"{where} says nothing of {reply}"


@pytest.mark.parametrize("reply", HERE)
def test_what_provokes_a_reply(reply: str) -> None:
    name, said = HERE[reply]
    found = last_reply(SETTINGS[name], said)
    assert pattern(reply).fullmatch(found) is not None, found
