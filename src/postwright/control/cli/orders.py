"""`postwright disable source`, `enable source`, `set queue`: an operator's orders about queues, in PowerMTA's words."""

from __future__ import annotations

import re
from pathlib import Path

import click

from postwright.control.cli.asking import question, show, state_dir_option

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@click.group("disable")
def disable() -> None:
    """Take something out of use: source."""


@disable.command("source")
@click.argument("address")
@click.argument("queue", metavar="DOMAIN[/VMTA]")
@click.option("--reenable-after", default="", metavar="TIME", help="Such as 2h, or never; else as the queue's settings say.")
@state_dir_option
def disable_source(address: str, queue: str, reenable_after: str, state_dir: Path | None) -> None:
    """Send nothing of a queue (or of all that fit: *) by this source address any more.

    \b
    Example: postwright disable source 192.0.2.10 '*/vm1' --reenable-after 2h
    Exit status: 0 done, 1 no such queue has that address, 2 wrong command line, 3 no relay runs there.
    """
    after = reenable_after if reenable_after in ("", "never") else str(_seconds(reenable_after))
    show(question(state_dir, "disable-source", {"source": address, "queue": queue, "after": after}))


@click.group("enable")
def enable() -> None:
    """Put something back into use: source."""


@enable.command("source")
@click.argument("address")
@click.argument("queue", metavar="DOMAIN[/VMTA]")
@state_dir_option
def enable_source(address: str, queue: str, state_dir: Path | None) -> None:
    """Use a source address of a queue again.

    \b
    Example: postwright enable source 192.0.2.10 example.com/vm1
    Exit status: 0 done, 1 it was not disabled there, 3 no relay runs there.
    """
    show(question(state_dir, "enable-source", {"source": address, "queue": queue}))


@click.group("set")
def set_() -> None:
    """Change something of a running relay: queue."""


@set_.command("queue")
@click.argument("queue", metavar="DOMAIN[/VMTA]")
@click.option("--mode", required=True, type=click.Choice(["backoff", "normal"]), help="The mode to be in from now on.")
@state_dir_option
def set_queue(queue: str, mode: str, state_dir: Path | None) -> None:
    """Put a queue (or all that fit: *) into backoff or normal mode.

    \b
    Example: postwright set queue --mode=normal example.com/vm1
    Exit status: 0 done, 1 there is no such queue, 2 wrong command line, 3 no relay runs there.
    """
    show(question(state_dir, "set-mode", {"queue": queue, "mode": mode}))


def _seconds(text: str) -> int:
    """PowerMTA's TIME: 1d12h, 90s, a bare number in seconds."""
    if text.isdecimal():
        return int(text)
    parts = re.findall(r"(\d+)([smhdw])", text.lower())
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != text.lower():
        raise click.BadParameter(f"{text!r} is no time; such as 90s, 2h, 1d12h, never", param_hint="--reenable-after")
    return sum(int(number) * _UNITS[unit] for number, unit in parts)
