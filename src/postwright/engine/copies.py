"""Copies of what was delivered (`bcc-upon-delivery`): one for each transaction that a receiver took, as a message of its own.

It is on disk before the delivery is remembered, so a crash may make it twice and never loses it. Nobody hears of a copy that fails, and a
copy is never copied, whatever its own queue says.
"""

from __future__ import annotations

from msgspec.structs import replace

from postwright.model.address import Address
from postwright.model.envelope import Envelope, Notify, Recipient
from postwright.model.message import Message

KIND = "copy"


def wanted(message: Message) -> bool:
    """Reports of ours have nobody to be copied for, either."""
    return message.arrival.kind not in (KIND, "dsn")


def copy_of(message: Message, to: Address, vmta: str, now: float, message_id: int) -> Message:
    """What is stored beside the same content; it goes out by `vmta`."""
    envelope = message.envelope
    utf8 = envelope.smtputf8 or not to.text.isascii()
    return Message(
        id=message_id,
        received_at=now,
        envelope=Envelope(envelope.reverse_path, [Recipient(to, int(Notify.NEVER))], body=envelope.body, smtputf8=utf8),
        facts=message.facts,
        arrival=replace(message.arrival, kind=KIND),
        vmta=vmta,
        job=message.job,
        suppress_dsn=True,
        late_date=message.late_date,
    )
