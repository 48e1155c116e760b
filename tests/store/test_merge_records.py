"""Mail merges in the spool: one record for all recipients, what is a recipient's own in its receipts; nothing of it in plain messages."""

from __future__ import annotations

import msgspec

from postwright.model.address import parse_mailbox
from postwright.model.envelope import Envelope, Recipient
from postwright.model.merge import Merge, Own
from postwright.model.message import Arrival, ContentFacts, Message
from postwright.store.spool import receipt_records

ME, YOU = parse_mailbox("me@sender.example"), parse_mailbox("you@example.com")
encode, decode = msgspec.msgpack.encode, msgspec.msgpack.Decoder(Message).decode


def message(envelope: Envelope) -> Message:
    return Message(1, 0.0, envelope, ContentFacts(1, 1), Arrival(), job="all")


def test_a_merge_comes_back_from_the_disk_as_it_went() -> None:
    own = Own({"name": "Änne"}, (1, 3), parse_mailbox("own@sender.example"), "e", "j", "v", 70, ((1.0, 2.0),), 1.0)
    stored = message(Envelope(ME, [Recipient(YOU, own=own), Recipient(YOU)], merge=Merge(((1, 10), (3, 5)), 7, True)))
    assert decode(encode(stored)) == stored


def test_a_plain_message_pays_nothing() -> None:
    plain = encode(message(Envelope(ME, [Recipient(YOU)])))
    assert b"merge" not in plain
    assert b"own" not in plain


def test_what_an_older_version_stored_is_read() -> None:
    """Every field of the envelope spelt out, and none that it did not know."""
    fields = msgspec.to_builtins(message(Envelope(ME, [Recipient(YOU)], envid="x")))
    fields["envelope"] |= {"ret": "", "body": "7BIT", "smtputf8": False, "declared_size": 0, "verp": False, "wishes": None}
    assert decode(encode(fields)).envelope == Envelope(ME, [Recipient(YOU)], envid="x")


def test_receipts_tell_what_is_a_recipients_own() -> None:
    own = Own(sender=parse_mailbox("own@sender.example"), envid="e", job="j")
    records = receipt_records(message(Envelope(ME, [Recipient(YOU, own=own), Recipient(YOU)], envid="all", merge=Merge(((1, 1),)))))
    assert [(r.recipient, r.orig, r.env_id, r.job_id) for r in records] == [
        (0, "own@sender.example", "e", "j"),
        (1, "me@sender.example", "all", "all"),
    ]
