"""Fuzzes the parsers of single lines and values: addresses, paths, parameters, xtext, base64, commands, replies, content.

Each may raise only what ALLOWED says for it.
"""

from __future__ import annotations

from typing import Final

import common

from postwright.model.address import canonical_domain, parse_mailbox
from postwright.model.errors import AddressError
from postwright.model.reply import Reply
from postwright.wire import commands
from postwright.wire.body import repair, scan, stuff, unstuff
from postwright.wire.events import MailFrom, RcptTo
from postwright.wire.grammar import GrammarError, base64_decode, encode_reply, split_parameters, xtext_decode, xtext_encode
from postwright.wire.options import ServerOptions

ALLOWED: Final[tuple[type[Exception], ...]] = (AddressError, GrammarError)
OPTIONS = ServerOptions(auth=("PLAIN",))


def _addresses(text: str) -> None:
    for smtputf8 in (False, True):
        try:
            address = parse_mailbox(text, smtputf8=smtputf8)
        except AddressError:
            continue
        assert address.domain == canonical_domain(address.domain)
        assert address.domain.isascii()
        assert not set(text) & set("\r\n\0")
        assert smtputf8 or text.isascii()


def _words(data: bytes, text: str) -> None:
    try:
        assert xtext_decode(xtext_encode(xtext_decode(text))) == xtext_decode(text)
    except GrammarError:
        pass
    try:
        split_parameters(text)
    except GrammarError:
        pass
    try:
        base64_decode(data)
    except GrammarError:
        pass


def _lines(text: str) -> None:
    mail = commands.parse_mail(text, OPTIONS)
    assert isinstance(mail, MailFrom) or 500 <= mail.code < 600
    for smtputf8 in (False, True):
        rcpt = commands.parse_rcpt(text, OPTIONS, smtputf8)
        assert isinstance(rcpt, RcptTo) or 500 <= rcpt.code < 600
    commands.parse_helo(text, True)
    commands.parse_bdat(text)
    commands.parse_auth(text)


def fuzz_one(data: bytes) -> None:
    text = data.decode("utf-8", "surrogatepass" if len(data) % 2 else "replace") if _decodes(data) else data.decode("latin-1")
    _addresses(text)
    _words(data, text)
    _lines(text)
    reply = encode_reply(Reply(550, "5.1.1" if len(data) % 2 else "", (text, text[:5])))
    assert all(line[:3] == b"550" and len(line) <= 510 for line in reply.split(b"\r\n")[:-1])
    facts = scan(data)
    assert facts.size == len(data)
    assert not scan(repair(data)).binary or facts.longest_line > 900
    ended = data if not data or data.endswith(b"\r\n") else data + b"\r\n"
    assert unstuff(stuff(data)) == ended


def _decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


SEEDS = [
    b"FROM:<Anna@Example.COM> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=a+2Bb SMTPUTF8 AUTH=<>",
    b'TO:<@a,@b:"quoted \\" part"@[IPv6:2001:db8::1]> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+20b',
    "TO:<用户@bücher.example> ORCPT=utf-8;\\x{20AC}".encode(),
    b"anna@example.com",
    b"a@[192.0.2.1]",
    b"a@xn--bcher-kva.example",
    b"12 LAST",
    b"PLAIN AGFubmEAc2VjcmV0",
    b"Subject: x\r\nReceived: y\r\n\r\n.\r\n..a\r\nb",
    b"a\nb\rc\0",
    b"x" * 1100,
]

if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
