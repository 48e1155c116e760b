"""`postwright run`: the relay itself, in the foreground, until SIGTERM.

Without `--config` it runs the sandbox: an embedded configuration that listens on 127.0.0.1:2525 and delivers everything to a receiver of
its own, so that no mail leaves the machine. A configuration with errors is printed whole, with lines, and nothing starts.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from postwright.control.cli.places import default_state_dir
from postwright.control.cli.sandbox import Sandbox
from postwright.control.config import LoadResult, load
from postwright.control.pmta.described import described
from postwright.engine.privileges import PrivilegeError
from postwright.engine.supervisor import LoadFailed, Options, Supervisor, default_shards
from postwright.policy.settings import Settings

CONFIG_ERROR = 2
START_ERROR = 1


class _Loader:
    """Loads the configuration again and again, each time as the next generation; prints warnings the first time only."""

    def __init__(self, path: Path, state_dir: Path, tolerant: bool) -> None:
        self._path = path
        self._state_dir = state_dir
        self._tolerant = tolerant
        self._epoch = 0

    def __call__(self) -> Settings:
        result: LoadResult = load(self._path, tolerant=self._tolerant, state_dir=self._state_dir)
        errors = [problem.render() for problem in result.problems if problem.level == "error"]
        if errors or result.settings is None:
            raise LoadFailed(errors or [f"{self._path}: no settings"])
        for problem in result.problems:
            click.echo(problem.render(), err=True)
        self._epoch += 1
        return msgspec.structs.replace(result.settings, epoch=self._epoch)


@click.command("run")
@click.option("--config", "config", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file; without it, the sandbox.")
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Where spool, sockets and relative paths are.")
@click.option("--shards", type=click.IntRange(1, 64), help="Processes that carry mail; default one per core.")
@click.option("--tolerant", is_flag=True, help="Warn about unknown or misplaced directives and go on (for moving over).")
@click.option("--drain", type=click.FloatRange(0.0), default=10.0, show_default=True, help="Longest time of a polite stop, seconds.")
@click.option("--user", default="", help="User to run as once the ports are open (with root only).")
@click.option("--port", type=click.IntRange(1, 65535), default=2525, show_default=True, help="Sandbox only: the port to listen on.")
@click.option(
    "--smtps-port", type=click.IntRange(0, 65535), default=2465, show_default=True, help="Sandbox only: the port with TLS at once; 0: none."
)
@click.option(
    "--http-port", type=click.IntRange(0, 65535), help="Sandbox only: the port of the monitor; else 8080 or one that is free; 0: none."
)
@click.option("--debug", is_flag=True, help="Log more.")
def command(
    config: Path | None,
    state_dir: Path | None,
    shards: int | None,
    tolerant: bool,
    drain: float,
    user: str,
    port: int,
    smtps_port: int,
    http_port: int | None,
    debug: bool,
) -> None:
    """Run the relay in the foreground until SIGTERM.

    \b
    Example: postwright run --config /etc/postwright/config --state-dir /var/lib/postwright
    Exit status: 0 stopped as asked, 1 could not start, 2 the configuration has errors.
    """
    if config is None:
        sandbox = Sandbox((state_dir or Path("postwright-data")).absolute(), port, smtps_port, http_port)
        options = Options(sandbox.state_dir, shards or 1, drain, user, debug, http=_http_command(None, False))
        with _started(sandbox):
            _serve(sandbox.load, options, sandbox.announce)
        return
    folder, config = (state_dir or default_state_dir()).absolute(), config.absolute()
    options = Options(folder, shards or default_shards(), drain, user, debug, http=_http_command(config, tolerant))
    _serve(_Loader(config, folder, tolerant), options, lambda: None)


def _http_command(config: Path | None, tolerant: bool) -> tuple[str, ...]:
    """What the supervisor starts to serve the monitor's port."""
    command = [sys.executable, "-m", "postwright.control.http.process"]
    command += ["--config", str(config)] if config is not None else []
    return (*command, "--tolerant") if tolerant else tuple(command)


def _started(sandbox: Sandbox) -> Sandbox:
    """The sandbox, if its folder can be made."""
    try:
        sandbox.inbox.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        click.echo(f"postwright: cannot start: {_words(error)}", err=True)
        sys.exit(START_ERROR)
    return sandbox


def _serve(load_settings: Callable[[], Settings], options: Options, announce: Callable[[], None]) -> None:
    try:
        options.state_dir.mkdir(parents=True, exist_ok=True)
        supervisor = Supervisor(load_settings, options, described)
        status = asyncio.run(supervisor.run(announce))
    except LoadFailed as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        click.echo("the configuration has errors; nothing was started", err=True)
        sys.exit(CONFIG_ERROR)
    except (PrivilegeError, OSError) as error:
        click.echo(f"postwright: cannot start: {_words(error)}", err=True)
        sys.exit(START_ERROR)
    sys.exit(status)


def _words(error: Exception) -> str:
    """Why it cannot start, and for a folder what to do."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    if not error.filename:
        return error.strerror
    cure = "; choose another folder with --state-dir" if isinstance(error, (PermissionError, NotADirectoryError)) else ""
    return f"{error.filename}: {error.strerror}{cure}"
