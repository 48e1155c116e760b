"""The status as lines for a terminal: what strangers said is in them, and can do no harm there."""

from __future__ import annotations

from postwright.engine.export_frames import ConsumerStatus
from postwright.engine.status import QueueStatus, RelayStatus, ShardStatus, Traffic, status_lines


def test_what_others_said_reaches_no_terminal_as_it_was_said() -> None:
    """A receiver's reply, and what a consumer of events answered."""
    queue = QueueStatus("example.com/v", 1, 0, 1, 0, 0, "normal", "retry", last_error="450 \x1b]0;owned\x07 later\r\n")
    shard = ShardStatus(0, 1, 0.0, 0, 0, 0, 0, 0, 0, Traffic(), 0, 0, 0, [queue])
    consumer = ConsumerStatus("hook", trouble="500 \x1b[2J")
    lines = status_lines(RelayStatus("1", 100.0, 0.0, [1], [shard], consumers=[consumer]))
    assert any("last error: 450 \\x1b]0;owned\\x07 later\\r\\n" in line for line in lines)
    assert lines[-1].endswith("500 \\x1b[2J")
    assert all(line.isprintable() for line in lines)
