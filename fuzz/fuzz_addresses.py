"""Fuzzes what is made of addresses and of fields that hold some: completion, VERP, rewriting, lists, From and Authentication-Results.

Nothing may raise; a From field keeps all but its domains, no return path is too long or ends a line, and a list holds its own lines.
"""

from __future__ import annotations

from typing import Final

import common

from postwright.content.authres import Result, field, is_from
from postwright.content.from_field import rewritten
from postwright.content.transform import prepare
from postwright.model.address import MAX_MAILBOX, Address, parse_mailbox
from postwright.model.errors import AddressError
from postwright.policy.aliases import Aliases
from postwright.policy.list_settings import AddressList, RewriteRule, SubmissionResult, SubmissionRule
from postwright.policy.qualify import qualify
from postwright.policy.rewrite import Rewriting
from postwright.policy.select import Selection, Subject
from postwright.policy.service_settings import Alias
from postwright.policy.suppress import SortedLines, Suppression
from postwright.policy.verp import return_path
from postwright.wire.body import scan
from postwright.wire.commands import parse_mail, parse_rcpt
from postwright.wire.events import RcptTo
from postwright.wire.options import ServerOptions

LENIENT: Final = ServerOptions(unqualified=True, bad_recipients=True)
SENDER: Final = parse_mailbox("me@sender.example")
ALIASES: Final = Aliases([Alias("*@a.example", ("x@a.example", "y@b.example")), Alias("y@b.example", ("z@a.example",))], ("a.example",))
REWRITING: Final = Rewriting([RewriteRule("mail-from", "*@a.example", "*@b.example"), RewriteRule("from-domain", "*", "b.example")])
SELECTION: Final = Selection("s", {"s": [SubmissionRule("rcpt-to", "/^(a|b)+@/", SubmissionResult("v", None, ("s",)))]})
LIST: Final = Suppression("l", AddressList(("a@b.example", "/x+y/"), ("*.c.example",)), [b"one\ntwo@b.example\n"])

SEEDS: Final = (
    b"TO:<user@a.example> NOTIFY=NEVER",
    b"TO:<not..one@b.example>",
    b'TO:<"a b"@c.example>',
    "TO:<j\u00fcrgen@b\u00fccher.example>".encode(),
    b'From: "x@old.example" <a@old.example> (c@old.example)\r\nDate: x\r\n\r\nbody\r\n',
    b"Authentication-Results: (c) us.example 1; spf=pass\r\n\r\n",
    b"gone@a.example\nlocal\n# comment\n\n",
)


def _address(address: Address) -> None:
    whole = qualify(address, "suffix.example", ("relay",))
    path = return_path(SENDER, whole)
    assert len(path.text.encode("utf-8", "replace")) <= MAX_MAILBOX
    assert "\r" not in path.text
    assert "\n" not in path.text
    REWRITING.sender(whole)
    assert len(ALIASES.expand(whole) or ()) <= 1000
    LIST.holds(whole)
    SELECTION.choose(Subject(whole.text, whole.text))


def _command(argument: str) -> None:
    found = parse_rcpt(argument, LENIENT, True)
    parse_mail(argument.replace("TO:", "FROM:"), LENIENT)
    if isinstance(found, RcptTo):
        assert found.invalid is None or (found.address.text.isprintable() and not found.address.domain)
        _address(found.address)


def _content(data: bytes) -> None:
    facts = scan(data)
    made = rewritten(data, facts.header_size, REWRITING.from_domain)
    if made is not None:
        assert made.count(b"\n") == data.count(b"\n")
        assert made.endswith(data[facts.header_size :])
    told = field("us.example", [Result("iprev", "pass", (("policy.iprev", data[:80].decode("latin-1")),), (data[:300].decode("latin-1"),))])
    assert told.count(b"\r\n") == told.count(b"\n") == told.count(b"\r")
    assert b"\r\n\r\n" not in told
    is_from(data, "us.example")
    submission = prepare(data, facts, authres=told, authres_id="us.example", add_date=b"Date: x\r\n", late_date=True)
    assert submission.facts.size == sum(map(len, submission.parts))


def fuzz_one(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    _command(text)
    try:
        _address(parse_mailbox(text, smtputf8=True))
    except AddressError:
        pass
    _content(data)
    lines = SortedLines(data)
    for line in data.lower().split(b"\n"):
        if line and line.isascii() and line == line.strip() and not line.startswith(b"#") and b"\r" not in line:
            assert line in lines or not data.isascii()


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
