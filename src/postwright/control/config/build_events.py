"""`<event-stream>`: from blocks to settings, and what makes one useless, said at its line. Nothing is connected to here."""

from __future__ import annotations

from collections.abc import Iterator

from postwright.control.config import fill
from postwright.control.config.reader import Block
from postwright.control.config.report import Report
from postwright.policy.settings import EventStream


def streams(blocks: dict[str, list[Block]], report: Report) -> dict[str, EventStream]:
    """By lower-case name, as `blocks` are; blocks of one name are one."""
    found: dict[str, EventStream] = {}
    for name, same in blocks.items():
        entries = [entry for block in same for entry in block.entries()]
        stream = EventStream(**{**fill.values(entries, EventStream), "name": same[0].head, "origin": same[0].origin})
        for message, hint in _wrong(stream):
            report.at(same[0].text, same[0].line, f"<event-stream {stream.name}>: {message}", hint=hint)
        found[name] = stream
    return found


def _wrong(stream: EventStream) -> Iterator[tuple[str, str]]:
    if not stream.url:
        yield "it has no url", "such as url nats://127.0.0.1:4222"
    if not stream.topic and not stream.url.startswith("otlp"):
        yield "it has no topic", "the topic of Kafka, the subject of NATS, the queue of AMQP"
    if stream.exchange and not stream.url.startswith("amqp"):
        yield "only AMQP has exchanges", ""
    if stream.username and not stream.password:
        yield "username without password", ""
