"""Messages that an older version has stored: fields that it did not know have their defaults."""

from __future__ import annotations

from typing import Any

import msgspec

from postwright.model.address import Address
from postwright.model.envelope import Envelope, Recipient
from postwright.model.message import Arrival, ContentFacts, Message
from postwright.model.work import QueueKey, queue_of

OF_ITS_TIME: dict[str, Any] = {
    "id": 7,
    "received_at": 1.5,
    "envelope": {
        "reverse_path": {"text": "me@a.example", "domain": "a.example"},
        "recipients": [{"address": {"text": "you@b.example", "domain": "b.example"}, "notify": 0, "orcpt": ""}],
        "ret": "",
        "envid": "",
        "body": "7BIT",
        "smtputf8": False,
        "declared_size": 0,
    },
    "facts": {"size": 10, "header_size": 5},
    "arrival": {"kind": "smtp", "peer": "192.0.2.1"},
    "vmta": "v",
    "pool": "",
    "job": "",
    "priority": 50,
    "not_before": 0.0,
    "suppress_dsn": False,
}


def test_a_message_of_the_first_version_reads_as_it_was_meant() -> None:
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(OF_ITS_TIME), type=Message)
    recipient = Recipient(Address("you@b.example", "b.example"))
    envelope = Envelope(Address("me@a.example", "a.example"), [recipient])
    assert read == Message(7, 1.5, envelope, ContentFacts(10, 5), Arrival(peer="192.0.2.1"), vmta="v")
    assert queue_of(read, read.envelope.recipients[0]) == QueueKey("b.example", "v")


def test_what_a_recipient_has_of_its_own_is_stored_and_nothing_else() -> None:
    plain = Recipient(Address("you@b.example", "b.example"))
    own = Recipient(plain.address, vmta="w", pool="p", priority=7, refusal="5.7.1 no")
    encoded = [msgspec.msgpack.decode(msgspec.msgpack.encode(recipient)) for recipient in (plain, own)]
    assert encoded[0].keys() == {"address"}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(own), type=Recipient) == own
    assert queue_of(msgspec.msgpack.decode(msgspec.msgpack.encode(OF_ITS_TIME), type=Message), own) == QueueKey("{bounce}", "w")
