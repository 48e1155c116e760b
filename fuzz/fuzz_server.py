"""Fuzzes `wire.SmtpServer`: no octets may make it raise, and whatever it lets through must be clean.

The first octet of the input picks the options and how the rest is cut. No exception is allowed.
"""

from __future__ import annotations

import re
from typing import Final

import common

from postwright.model.credentials import Exchanged
from postwright.model.reply import Reply
from postwright.wire import events, sasl
from postwright.wire.body import scan, stuff
from postwright.wire.events import Signal
from postwright.wire.grammar import base64_encode
from postwright.wire.options import Limits, Offers, ServerOptions
from postwright.wire.sasl_scram import Scram
from postwright.wire.scram import made_up_keys
from postwright.wire.server import SmtpServer
from postwright.wire.watched import WatchedServer

ALLOWED: Final[tuple[type[Exception], ...]] = ()

OPTIONS = [
    ServerOptions(auth=sasl.mechanisms(), starttls=True),
    ServerOptions(bare="repair", limits=Limits(message_size=100, errors=None, junk=None, text_line=None)),
    ServerOptions(chunking=False, dsn=False, smtputf8=False, limits=Limits(message_size=2000, recipients=2)),
    ServerOptions(auth=("CRAM-MD5",), limits=Limits(message_size=50, hops=1, errors=None)),
    ServerOptions(unqualified=True, bad_recipients=True, hang_up=True),
    ServerOptions(xclient=True, limits=Limits(errors=None)),
    ServerOptions(offers=Offers(True, 3600, True, True, ("RCPTMAX=2",)), limits=Limits(mails=3, rcpt_domains=1, errors=None)),
    ServerOptions(lmtp=True, limits=Limits(message_size=60, errors=None)),
    ServerOptions(offers=Offers(merge=True), limits=Limits(message_size=500, errors=None)),
]
CONTEXT = sasl.SaslContext("mx.example", "0" * 32, True, {"tls-exporter": b"x" * 32})
KEYS = made_up_keys(b"k" * 32, "anna", "SHA-256")
OK = Reply(250, "2.0.0", ("ok",))
_odd = re.compile(rb"(?<!\r)\n|\r(?!\n)|\0")
_reply = re.compile(rb"(?:[2-5][0-9][0-9]-[ -~]*\r\n)*[2-5][0-9][0-9] [ -~]*\r\n").fullmatch


class _Answers:
    """Somebody to answer; checks what is let through."""

    def __init__(self) -> None:
        self.mechanism: sasl.Mechanism | None = None
        self.binary = False

    def reply(self, event: events.Event) -> Reply:
        match event:
            case events.Rejected():
                return event.reply
            case events.MailFrom():
                self.binary = event.body == "BINARYMIME"
                return OK
            case events.RcptTo():
                return Reply(550, "5.1.1", ("no",)) if event.address.text.startswith("no") else OK
            case events.DataStart():
                return Reply(354, "", ("go",))
            case events.Content():
                self.check(event)
                return OK
            case events.StartTls():
                return Reply(220, "2.0.0", ("go",))
            case events.Auth():
                self.mechanism = sasl.create(event.mechanism, CONTEXT)
                assert self.mechanism is not None
                return self.step(self.mechanism.start(event.initial))
            case events.AuthResponse():
                assert self.mechanism is not None
                return self.step(self.mechanism.respond(event.data))
        return OK

    def step(self, step: sasl.Step) -> Reply:
        mechanism = self.mechanism
        assert mechanism is not None
        match step:
            case sasl.NeedSecret():
                step = mechanism.secret("secret")
            case sasl.NeedScramKeys():
                assert "\0" not in step.user
                step = mechanism.keys(KEYS)
            case sasl.Exchange():
                done = step.data.startswith(b"done")
                step = mechanism.exchanged(Exchanged(step.data[:9], "anna", done, done))
            case sasl.CheckToken():
                return Reply(334, "", (base64_encode(mechanism.refused("invalid_token", "mail")),))
        assert not (isinstance(step, sasl.Proved) and isinstance(mechanism, Scram)), "made up keys were proved"
        if isinstance(step, sasl.Challenge):
            return Reply(334, "", (base64_encode(step.data),))
        return Reply(235 if isinstance(step, sasl.Proved) else 535, "", ("x",))

    def check(self, event: events.Content) -> None:
        content = event.content
        assert event.facts == scan(content)
        if self.binary:
            return
        assert _odd.search(content) is None
        assert not content or content.endswith(b"\r\n")
        assert b"\r\n.\r\n" not in b"\r\n" + stuff(content)


class _Onlooker:
    """Sees all; what is not hidden must have been there."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def heard(self, line: bytes) -> None:
        shown = line.partition(b"(hidden)")[0].rstrip(b"\r\n")
        assert shown in self.data or b"hidden)" in line or b" ".join(shown.split()) in b" ".join(self.data.split())

    def content(self, data: bytes) -> None:
        assert data in self.data

    def said(self, data: bytes) -> None:
        assert not re.search(rb"^334[ -](?!\(hidden\)\r?$|\r?$)", data, re.MULTILINE)


def converse(options: ServerOptions, pieces: list[bytes], watched: bool = False) -> tuple[list[events.Event], bytes]:
    """All events and all that is answered."""
    engine = WatchedServer(options, _Onlooker(b"".join(pieces))) if watched else SmtpServer(options)
    answers = _Answers()
    engine.send_reply(OK)
    said: list[events.Event] = []
    for piece in pieces:
        engine.receive_data(piece)
        while not isinstance(event := engine.next_event(), Signal):
            said.append(event)
            engine.send_reply(answers.reply(event))
    heard = engine.data_to_send()
    assert _reply(heard) or heard.count(b"\r\n") > 1
    return said, heard


def fuzz_one(data: bytes) -> None:
    if not data:
        return
    step, kind = divmod(data[0], len(OPTIONS))
    options, step = OPTIONS[kind], step + 1
    data = data[1:]
    whole = converse(options, [data])
    cut = converse(options, [data[at : at + step] for at in range(0, len(data), step)])
    # STARTTLS drops what had come by then, which is the one thing that depends on the cut; the answers do not.
    assert whole == cut
    assert converse(options, [data[at : at + step] for at in range(0, len(data), step)], watched=True) == cut


_BEGIN = b"EHLO x\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\n"
_LAST = b"Subject: x\r\nReceived: y\r\n\r\n.text\r\n..\r\n.\r\nQUIT\r\n"
SEEDS = [
    b"\0" + _BEGIN + b"DATA\r\n" + _LAST,
    b"\x0a" + _BEGIN + b"DATA\r\nx\n.\r\n\r.\r\n\0\r\n.\r\nNOOP\n",
    b"\x1b" + _BEGIN + b"BDAT 5\r\nab\r\ncBDAT 3 LAST\r\n.\r\nRSET\r\n",
    b"\x0c" + b"EHLO x\r\nMAIL FROM:<> BODY=BINARYMIME SIZE=5 RET=HDRS ENVID=a+2Bb\r\n"
    b"RCPT TO:<b@example.org> NOTIFY=NEVER\r\nBDAT 2 LAST\r\n\0\n",
    b"\x09" + b"EHLO x\r\nAUTH LOGIN\r\nYW5uYQ==\r\nc2VjcmV0\r\nAUTH PLAIN AGEAYg==\r\nAUTH CRAM-MD5\r\n*\r\nSTARTTLS\r\nNOOP\r\n",
    b"\0" + b"EHLO x\r\nAUTH SCRAM-SHA-256\r\nbiwsbj1hbm5hLHI9Yw==\r\nYz1iaXdzLHI9YzAscD1BQUFB\r\nX-EXPS NTLM ZG9uZQ==\r\n\r\n",
    b"\x09" + b"EHLO x\r\nAUTH XOAUTH2 dXNlcj1hAWF1dGg9QmVhcmVyIHgBAQ==\r\nAQ==\r\nAUTH SCRAM-SHA-1-PLUS\r\n"
    b"cD10bHMtZXhwb3J0ZXIsLG49YW5uYSxyPWM=\r\n*\r\nAUTH EXTERNAL =\r\n"
    b"AUTH GSSAPI eA==\r\neA==\r\nAUTH OAUTHBEARER biwsAWF1dGg9QmVhcmVyIHgBAQ==\r\n",
    b"\x12" + "MAIL FROM:<ü@bücher.example> SMTPUTF8\r\nRCPT TO:<x@[IPv6:::1]> ORCPT=utf-8;\\x{20AC}\r\n".encode(),
    b"\x1b" + b"NOOP\r\nHELP\r\nVRFY x\r\nRSET\r\n" + b"x" * 600 + b"\r\n",
    b"\x05" + b"EHLO x\r\nXCLIENT ADDR=192.0.2.1 PORT=25\r\nXCLIENT LOGIN=a+40b HELO=[UNAVAILABLE]\r\nMAIL FROM:<>\r\nXCLIENT X=1\r\n",
    b"\x06" + b"EHLO x\r\nMAIL FROM:<> REQUIRETLS HOLDFOR=9 BY=5;RT MT-PRIORITY=-3\r\n"
    b"MAIL FROM:<> HOLDUNTIL=2030-01-31T08:00:00.5+02:00\r\n",
    b"\x07" + b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n" + _LAST,
    b"\x08" + b'EHLO x\r\nXACK OFF\r\nXMRG FROM: <a@b.c> VERP\r\nXDFN a="b c" *parts=1-2\r\nRCPT TO:<d@e.f>\r\n'
    b"XPRT 1\r\nA: [a]\r\n.\r\nACKRCPT ON\r\nXPRT 2 LAST\r\n[[]\r\n.\r\nXMRG FROM:<>\r\nXDFN \xff\r\nBDAT 2 LAST\r\n\r\n",
]

if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
