"""What all commands that ask a running relay share: where its socket is, how an answer is printed, what the exit status means."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from postwright.control.cli.answers import give
from postwright.control.cli.places import default_state_dir
from postwright.control.cli.words import RelayOption, form_before
from postwright.control.pmta.forms import Answer, ascii_json
from postwright.engine.bus import BusError, ask
from postwright.engine.frames import VERSION, Ask, Told

NOT_RUNNING = 3


def find_socket(state_dir: Path | None) -> Path:
    """The control socket: below `--state-dir`, else in the sandbox's folder if there is one here, else in the default place."""
    if state_dir is not None:
        return state_dir / "control.sock"
    here = Path("postwright-data") / "control.sock"
    return here if here.exists() else default_state_dir() / "control.sock"


def question(state_dir: Path | None, verb: str, arguments: dict[str, str] | None = None, patience: float = 10.0) -> Told:
    """Ask the relay, which has `patience` seconds; on failure print why and leave with 3."""
    try:
        told = ask(find_socket(state_dir), Ask(VERSION, verb, arguments or {}), patience)
    except BusError as error:
        click.echo(f"postwright: {error}", err=True)
        sys.exit(NOT_RUNNING)
    if not isinstance(told, Told):
        click.echo("postwright: the relay gave no answer to that", err=True)
        sys.exit(NOT_RUNNING)
    return told


def show(told: Told, as_json: bool = False) -> None:
    """Print an answer and leave with 0 if it is a good one, else 1; in PowerMTA's form where one was named before the command."""
    form = form_before()
    if form is not None:
        give(Answer({"text": "\n".join(told.lines)}, tuple(told.lines), ok=told.ok), form)
    if as_json and told.body:
        click.echo(ascii_json(told.body.decode()))
    else:
        for line in told.lines:
            click.echo(line, err=not told.ok)
    sys.exit(0 if told.ok else 1)


_WHICH = "State folder of the relay to ask (as given to `run`)."
_FOLDER: click.Path = click.Path(path_type=Path, file_okay=False)

state_dir_option = click.option("--state-dir", cls=RelayOption, type=_FOLDER, help=_WHICH)
own_form_option = click.option("--state-dir", type=_FOLDER, help=_WHICH)
"""The same for a command that prints its answer itself: `--xml` before it is an error, unless it has that option."""
