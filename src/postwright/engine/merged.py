"""Mail merges at delivery: out of the stored template one recipient's message, when it is about to leave.

A template is compiled once for each choice of parts and kept with its message while recipients of it are being sent to: to read a
hundred thousand recipients' variables anew for each of them would take longer than sending. What has not been used for a while is
forgotten. All that a recipient has of its own stands in the `Message` that comes back, so whoever sends, records or reports needs to
know nothing of merges. Never raises for what a template or a variable may hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from postwright.content import trace
from postwright.content.merge import Template
from postwright.engine.merging import NOTHING_OWN, template_text, told, values_of
from postwright.engine.noting import expander
from postwright.model.message import Message, SpoolRef
from postwright.net.clock import Clock
from postwright.wire.body import scan

KEPT_MOST: Final = 4  # messages
KEPT_FOR: Final = 60.0  # seconds without use
_TEMPLATES_MOST: Final = 64  # of a message: choices of parts


class Original:
    """One stored merge, as it was read."""

    __slots__ = ("_content", "_templates", "message", "used")

    def __init__(self, message: Message, content: bytes, now: float) -> None:
        self.message = message
        self.used = now
        self._content = content
        self._templates: dict[tuple[int, ...], Template] = {}

    def content_for(self, index: int, now: float) -> bytes:
        """The octets for the recipient of that index, at `now` (Unix seconds)."""
        merge = self.message.envelope.merge
        assert merge is not None
        own = self.message.envelope.recipients[index].own or NOTHING_OWN
        values = _values(self.message, index)
        values["*date"] = trace.date_header(now)[6:-2]
        return self._content[: merge.ahead] + self._template(own.parts).expand(values)

    def _template(self, numbers: tuple[int, ...]) -> Template:
        found = self._templates.get(numbers)
        if found is None:
            merge = self.message.envelope.merge
            assert merge is not None
            if len(self._templates) >= _TEMPLATES_MOST:
                self._templates.clear()
            text = template_text(merge, self._content, numbers)
            found = self._templates[numbers] = Template(text, keep=merge.keeps_undefined)
        return found


def _values(message: Message, index: int) -> dict[str, bytes]:
    """A recipient's variables, but for the date."""
    recipient = message.envelope.recipients[index]
    return values_of(recipient.own or NOTHING_OWN) | told(message.envelope, recipient, job=message.job, vmta=message.vmta)


def apart(message: Message) -> Callable[[int], Message]:
    """What gives the message of one recipient, the header fields that are noted of it expanded; its facts are the template's."""
    merge = message.envelope.merge
    expand = expander(message.noted, keep=merge.keeps_undefined) if merge is not None and message.noted else None
    if expand is None:
        return message.for_recipient
    return lambda index: replace(message.for_recipient(index), noted=expand(_values(message, index)))


def known_as(message: Message, index: int) -> Message:
    """That of one recipient."""
    return apart(message)(index)


def sent_as(message: Message, index: int, content: bytes) -> Message:
    """The message of one recipient with the facts of what it gets: a variable may bring octets above 127 and long lines."""
    facts = scan(content)
    made = known_as(message, index)
    envelope = made.envelope
    body = "8BITMIME" if facts.eight_bit and envelope.body == "7BIT" else envelope.body
    return replace(made, facts=facts, envelope=replace(envelope, body=body))


class Originals:
    """Those that are being sent just now, by where they lie."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.kept: dict[SpoolRef, Original] = {}
        self._sweeping = False

    def read(self, ref: SpoolRef, index: int, read: Callable[[], tuple[Message, bytes]]) -> tuple[Message, bytes]:
        """What one recipient gets, and its message; any message that is no merge as `read` gave it."""
        now = self._clock.now()
        original = self.kept.get(ref)
        if original is None:
            message, content = read()
            if message.envelope.merge is None:
                return message, content
            original = self._keep(ref, Original(message, content, now))
        original.used = now
        content = original.content_for(index, now)
        return sent_as(original.message, index, content), content

    def message(self, ref: SpoolRef, index: int, read: Callable[[], Message]) -> Message:
        """The message of one recipient; its facts are the template's."""
        original = self.kept.get(ref)
        return known_as(read() if original is None else original.message, index)

    def _keep(self, ref: SpoolRef, original: Original) -> Original:
        while len(self.kept) >= KEPT_MOST:
            del self.kept[min(self.kept, key=lambda kept: self.kept[kept].used)]
        self.kept[ref] = original
        if not self._sweeping:
            self._sweeping = True
            self._clock.call_later(KEPT_FOR, self._sweep)
        return original

    def _sweep(self) -> None:
        now = self._clock.now()
        for ref in [ref for ref, original in self.kept.items() if now - original.used >= KEPT_FOR]:
            del self.kept[ref]
        self._sweeping = bool(self.kept)
        if self._sweeping:
            self._clock.call_later(KEPT_FOR, self._sweep)
