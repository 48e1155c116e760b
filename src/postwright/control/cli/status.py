"""`postwright status`: queues, connections, rates and shards of a running relay, as text or JSON."""

from __future__ import annotations

from pathlib import Path

import click

from postwright.control.cli.asking import question, show, state_dir_option


@click.command("status")
@state_dir_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(state_dir: Path | None, as_json: bool) -> None:
    """Queues, connections, rates and shards of a running relay.

    \b
    Example: postwright status --json
    Exit status: 0 answered, 1 the relay could not, 3 no relay runs there.
    """
    show(question(state_dir, "status"), as_json)
