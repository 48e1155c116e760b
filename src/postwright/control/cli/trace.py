"""`postwright trace`: the live dialogue of a queue's next connection, in PowerMTA's form.

Asks the relay a few times a second for what is new. Whoever leaves (Ctrl-C, a closed pipe) leaves the relay as it was: the trace is ended,
the delivery is not.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
import msgspec

from postwright.control.cli.asking import own_form_option, question
from postwright.engine.frames import Told
from postwright.engine.tracing import TraceLines

PAUSE = 0.2  # seconds between two questions


@click.command("trace")
@click.argument("queue", metavar="DOMAIN[/VMTA]")
@click.option("--log-data", is_flag=True, help="Every octet of the message, too.")
@click.option("--log-resolution", is_flag=True, help="The hosts and addresses that the DNS gave.")
@click.option("--to-log", is_flag=True, help="Write the lines to the relay's log as well.")
@click.option("--retry-recipients", is_flag=True, help="Try recipients now that wait for their next retry, not only the queue.")
@click.option("--source-ip", default="", metavar="ADDRESS", help="Wait for a connection from this address.")
@own_form_option
def command(
    queue: str, log_data: bool, log_resolution: bool, to_log: bool, retry_recipients: bool, source_ip: str, state_dir: Path | None
) -> None:
    """Watch the next connection of a queue: >>> is what the relay receives, <<< what it sends. Secrets are hidden.

    The queue is tried at once. Ctrl-C ends the watching, not the delivery.

    \b
    Example: postwright trace example.com/vm1 --log-resolution
    Exit status: 0 the connection came to its end, 1 nothing waits in that queue, 3 no relay runs there, 130 interrupted.
    """
    wishes = {
        "log-data": log_data,
        "log-resolution": log_resolution,
        "to-log": to_log,
        "retry-recipients": retry_recipients,
        "source-ip": source_ip,
    }
    arguments = {"queue": queue, **{name: str(value) for name, value in wishes.items() if value}}
    _expect(question(state_dir, "trace", {"op": "begin", **arguments}))
    try:
        while not _more(question(state_dir, "trace", {"op": "read", "queue": queue})):
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        question(state_dir, "trace", {"op": "end", "queue": queue})
        sys.exit(130)


def _more(told: Told) -> bool:
    """Print what came; whether it was the last."""
    _expect(told)
    lines = msgspec.json.decode(told.body, type=TraceLines)
    if lines.lost:
        click.echo(f"... {lines.lost} lines were lost: they came faster than they were read")
    for line in lines.lines:
        click.echo(line)
    return lines.done


def _expect(told: Told) -> None:
    if not told.ok:
        for line in told.lines:
            click.echo(f"postwright: {line}", err=True)
        sys.exit(1)
