"""`postwright top`: queues, rates and errors of a running relay on a terminal, drawn anew every other second until q is pressed.

It only asks (`view-status`, `view-queues`); the terminal is left as it was found, also after an error. A relay that does not answer is told
in the frame, and asked again: it may be starting.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import msgspec

from postwright.control.cli.asking import NOT_RUNNING, find_socket, own_form_option
from postwright.control.cli.top_frame import SORTS, Shown, frame, pace, plain
from postwright.engine.bus import BusError, ask
from postwright.engine.frames import VERSION, Ask, Told
from postwright.engine.views.queues import QueuesView
from postwright.engine.views.status import StatusView

WIDTH, HEIGHT = 80, 24  # of a frame that goes into a pipe
_ENTER: Final = "\x1b[?1049h\x1b[?25l"  # the other screen, without a cursor
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_HOME, _REST, _BELOW = "\x1b[H", "\x1b[K\r\n", "\x1b[J"


@click.command("top")
@click.option("--interval", default=2.0, show_default=True, type=click.FloatRange(0.2, 3600), help="Seconds between two frames.")
@click.option("--sort", default="rcpt", show_default=True, type=click.Choice(["rcpt", "size", "name"]), help="Order of the queues.")
@click.option("--errors", is_flag=True, help="Only queues with a last error.")
@click.option("--once", is_flag=True, help="One frame of 80 x 24, then leave; so it is in a pipe, too.")
@own_form_option
def command(interval: float, sort: str, errors: bool, once: bool, state_dir: Path | None) -> None:
    """Watch a running relay: how much moves, what waits and why. q leaves.

    \b
    Example: postwright top --errors
    Exit status: 0 left by q (or after one frame), 3 no relay runs there.
    """
    watch = _Watch(find_socket(state_dir), sort, errors)
    try:
        watch.look()
    except BusError as error:
        click.echo(f"postwright: {error}", err=True)
        sys.exit(NOT_RUNNING)
    if once or not (sys.stdout.isatty() and sys.stdin.isatty()):
        for line in plain(frame(watch.shown(), WIDTH, HEIGHT)):
            click.echo(line)
        return
    with _terminal():
        watch.until_quit(interval)


class _Watch:
    """What was seen last, and how it is to be shown."""

    def __init__(self, path: Path, sort: str, errors: bool) -> None:
        self._path = path
        self._sort = sort
        self._errors = errors
        self._before: StatusView | None = None
        self._status: StatusView | None = None
        self._queues = QueuesView(0, 0, 0, [])
        self._trouble = ""

    def look(self) -> None:
        """Ask. Raises BusError."""
        arguments = {"sort": self._sort, "maxitems": "200", "no-rcpt-events": "yes", **({"errors": "yes"} if self._errors else {})}
        status, queues = self._ask("view-status", {}), self._ask("view-queues", arguments)
        self._before, self._status = self._status, msgspec.json.decode(status.body, type=StatusView)
        self._queues = msgspec.json.decode(queues.body, type=QueuesView)
        self._trouble = "; ".join(dict.fromkeys((*status.lines, *queues.lines)))

    def _ask(self, verb: str, arguments: dict[str, str]) -> Told:
        told = ask(self._path, Ask(VERSION, verb, arguments))
        if not isinstance(told, Told) or not told.ok:
            raise BusError("; ".join(told.lines) if isinstance(told, Told) else "the relay gave no answer to that")
        return told

    def shown(self) -> Shown:
        """For a frame. Something has been seen."""
        assert self._status is not None
        moved, seconds = pace(self._status, self._before)
        return Shown(self._status, self._queues, moved, seconds, self._sort, self._errors, self._trouble)

    def until_quit(self, interval: float) -> None:
        """Draw, wait for a key, look again."""
        while True:
            size = shutil.get_terminal_size((WIDTH, HEIGHT))
            lines = frame(self.shown(), size.columns, size.lines - 1)
            sys.stdout.write(_HOME + "".join(f"{line}{_REST}" for line in lines) + _BELOW)
            sys.stdout.flush()
            key = _key(interval)
            if key in ("q", "Q", "\x03", "\x04"):
                return
            self._sort = SORTS.get(key, self._sort)
            self._errors ^= key == "e"
            try:
                self.look()
            except BusError as error:
                self._trouble = str(error)


def _key(within: float) -> str:
    """What is pressed within so many seconds, "" for nothing; the end of input counts as q."""
    until = time.monotonic() + within
    while (left := until - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0]:
            return os.read(sys.stdin.fileno(), 1).decode("latin-1") or "q"
    return ""


@contextlib.contextmanager
def _terminal() -> Iterator[None]:
    """Keys come one by one, unseen; the screen that was there comes back."""
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    sys.stdout.write(_ENTER)
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
