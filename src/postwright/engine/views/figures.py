"""What a shard has moved since it began, in figures that can be added up: what it says once a second (`frames.Beat`)."""

from __future__ import annotations

from msgspec import Struct

from postwright.engine.status import Traffic


class Figures(Struct, frozen=True):
    """Recipients, messages and octets that came in and went out; recipients deferred and bounced; commands refused; reports of either kind
    that processors took. Of mail that goes out a message counts once for each transaction that delivered something."""

    in_rcpts: int = 0
    in_msgs: int = 0
    in_octets: int = 0
    out_rcpts: int = 0
    out_msgs: int = 0
    out_octets: int = 0
    deferred: int = 0
    bounced: int = 0
    rejected: int = 0
    bounce_reports: int = 0
    complaints: int = 0


def figures_of(traffic: Traffic, bounce_reports: int = 0, complaints: int = 0) -> Figures:
    """A shard's totals."""
    return Figures(
        traffic.recipients_in,
        traffic.messages_in,
        traffic.bytes_in,
        traffic.delivered,
        traffic.messages_out,
        traffic.bytes_out,
        traffic.deferred,
        traffic.bounced,
        traffic.rejected,
        bounce_reports,
        complaints,
    )
