"""Fuzzes what is read for deliveries without a session: command lines and paths with their macros, the file of HTTP header fields,
answers of web servers; and the forms that mail is given there. ValueError is for what an operator writes, and nothing else is raised.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Final

import common

from postwright.engine.transports import PutOff
from postwright.engine.transports.files import fit, mbox_entry
from postwright.engine.transports.http import document_of, read_headers
from postwright.engine.transports.http_answers import WAIT_MOST, WORDS_MOST, of_answer, printable, seconds_of
from postwright.engine.transports.macros import expand, place, words
from postwright.model.address import Address
from postwright.model.envelope import Recipient
from postwright.wire.body import scan
from postwright.wire.client_states import Transaction

ALLOWED: Final[tuple[type[Exception], ...]] = (ValueError,)
SEEDS = [
    b'/bin/prog "--to=$to" \'a b\' $user\0x@example.net',
    b"/var/mail/$domain/$user\0../../etc",
    b"X-Key: secret\nX-Other:\n\nX: y\0Wed, 26 Nov 2025 09:42:00 GMT",
    b"Subject: x\r\n y\r\n\r\nFrom here\r\n>From there\r\n\xff\0120",
]
NAMES = ("to", "from", "user", "domain", "envid")
_quoted = re.compile(rb"^>(>*From )", re.MULTILINE)
_headers = Path(tempfile.mkstemp(prefix="pw-fuzz-")[1])


def fuzz_one(data: bytes) -> None:
    first, _, second = data.partition(b"\0")
    text, value = first.decode("utf-8", "replace"), second.decode("utf-8", "replace")
    for read in (_command, _place, _fields):
        try:
            read(text, value)
        except ValueError:
            continue
    _answer(first, value)
    _forms(data)


def _command(text: str, value: str) -> None:
    split = words(text)
    assert split
    assert len([expand(word, dict.fromkeys(NAMES, value)) for word in split]) == len(split)
    assert [expand(word, {}) for word in split] == split, "without values nothing changes"


def _place(text: str, value: str) -> None:
    for mailbox in (False, True):
        found = place(text, mailbox=mailbox)
        assert found.base.startswith("/")
        assert ".." not in (*found.base.split("/"), *found.parts)
        names = [expand(part, dict.fromkeys(NAMES, value)) for part in found.parts]
        if all(map(fit, names)):
            assert not any("/" in name or name in ("", ".", "..") for name in names)


def _fields(text: str, value: str) -> None:
    _headers.write_bytes(text.encode())
    for name, field in read_headers(str(_headers)).items():
        assert name
        assert not re.search(r"[\r\n\0]", name + field)


def _answer(words_: bytes, retry_after: str) -> None:
    assert len(printable(words_)) <= WORDS_MOST
    assert printable(words_).isprintable()
    seconds = seconds_of(retry_after, 1_764_150_000.0)
    assert seconds is None or 1.0 <= seconds <= WAIT_MOST
    for status in (200, 400, 429):
        outcome = of_answer(status, printable(words_), retry_after, 0.0)
        assert isinstance(outcome, PutOff) is (status == 429)


def _forms(content: bytes) -> None:
    entry = mbox_entry("me@example.com", content, "now")
    head, _, body = entry.partition(b"\nReturn-Path: <me@example.com>\n")
    assert head == b"From me@example.com now"
    assert not re.search(rb"^From ", body, re.MULTILINE)
    assert _quoted.sub(rb"\1", body).rstrip(b"\n") == content.replace(b"\r\n", b"\n").rstrip(b"\n")
    facts = scan(content)
    me = Address("me@example.com", "example.com")
    document = json.loads(json.dumps(document_of(Transaction(me, [Recipient(me)], (content,), facts), Recipient(me))))
    assert document["rcpt_to"] == "me@example.com"


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
