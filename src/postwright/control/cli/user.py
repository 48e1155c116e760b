"""`postwright user`: adds, changes, lists, removes and tries the users of a users file.

Works on the file alone, with or without a running relay, which reads the file again within seconds. A password comes from a prompt (twice
where it is set), from standard input or from the environment, never from an argument. Exit status: 0 done, 1 not done (the reason is
told), 64 wrong command line.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from postwright.control.cli.tool import EX_USAGE, ToolCommand, escaped, secret
from postwright.control.cli.words import ShortGroup
from postwright.control.config import load
from postwright.engine import privileges, user_admin, users_file
from postwright.engine.privileges import PrivilegeError
from postwright.engine.users_file import UserEntry, UsersFileError
from postwright.policy.settings import Settings

PASSWORD = "POSTWRIGHT_PASSWORD"
USUAL = Path("/etc/postwright/config")


class Place(Struct):
    """Where the users are: the settings (empty with `--file`), and the files, one at least for all but `test`."""

    settings: Settings
    files: list[Path]

    def holding(self, name: str) -> Path:
        """The file that has this user; else the command ends."""
        for file in self.files:
            if users_file.read(file).find(name) is not None:
                return file
        raise _Refused(f"there is no {name} in {', '.join(map(str, self.files))}")


class _Refused(Exception):
    """Not done; the text says why."""


@click.group("user", cls=ShortGroup)
def command() -> None:
    """Users who may log in, kept in a users file with hashes of their passwords.

    \b
    Example: postwright user add alice@example.com --source mailings
    A password is asked for, or read from standard input (--password-stdin) or the variable POSTWRIGHT_PASSWORD.
    Exit status: 0 done, 1 not done (the reason is told), 64 wrong command line.
    """


def _verb(name: str) -> Callable[[Callable[..., Any]], click.Command]:
    """A command of the group, with the options that all share; what cannot be done is told with status 1."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def wrapped(config: Path | None, file: Path | None, **more: Any) -> None:
            try:
                function(place=_place(config, file, without_file=name == "test"), **more)
            except (_Refused, UsersFileError, ValueError, OSError) as error:
                click.echo(f"postwright: {escaped(str(error))}", err=True)
                sys.exit(1)

        for option in _OPTIONS:
            wrapped = option(wrapped)
        return command.command(name, cls=ToolCommand)(wrapped)

    return decorate


_OPTIONS = (
    click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="The users file itself."),
    click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help=f"Whose users-file is meant; else {USUAL}."),
)
_password_option = click.option("--password-stdin", is_flag=True, help="The password is the first line of standard input.")
_scram_option = click.option("--no-scram", is_flag=True, help="No keys for SCRAM (then SCRAM is offered to nobody).")
_source_option = click.option("--source", default=None, metavar="NAME", help='The <source> that holds for this user; "" for none.')
_BINDINGS = (
    click.option("--sender", metavar="LIST", help="Sender addresses, domains, *.domains that he may use (commas between)."),
    click.option("--virtual-mta", metavar="LIST", help="Virtual MTAs and pools that he may use; the first is his default."),
    click.option("--max-msg-rate", metavar="RATE", help="Messages that he may send, such as 100/h."),
    click.option("--daily-limit", metavar="N", help="Recipients that he may send to from midnight to midnight."),
    click.option("--network", metavar="LIST", help="Networks that he may log in from."),
    click.option("--check-from-header/--no-check-from-header", default=None, help="The From field, too, has to be one of his senders."),
)


def _binding_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a user may be bound to; "" takes a bond away."""
    for option in reversed(_BINDINGS):
        function = option(function)
    return function


def _bind(user: UserEntry, check_from_header: bool | None, given: dict[str, str | None]) -> UserEntry:
    bound = dict(user.bound)
    for name, text in given.items():
        if text is not None:
            bound[name.replace("_", "-")] = text
    checked = user.check_from_header if check_from_header is None else check_from_header
    return replace(user, bound={name: text for name, text in bound.items() if text}, check_from_header=checked)


def _place(config: Path | None, file: Path | None, without_file: bool) -> Place:
    if config is None and file is not None:
        return Place(Settings(), [file])
    config = config or USUAL
    if not config.exists():
        raise _usage("say where the users are: --config CONFIGURATION or --file USERS-FILE")
    settings = load(config, offline=True, tolerant=True).settings
    if settings is None:
        raise _Refused(f"{config} has errors: postwright check {config}")
    files = [file] if file is not None else [Path(path) for path in settings.general.users_file]
    if not files and not without_file:
        raise _Refused(f"{config} names no users file; add a line such as: users-file users")
    return Place(settings, files)


def _usage(text: str) -> click.UsageError:
    error = click.UsageError(text)
    error.exit_code = EX_USAGE  # type: ignore[misc]  # click declares it for the class and reads it from the instance
    return error


def _ask(from_stdin: bool, new: bool) -> str:
    return secret("password", PASSWORD, from_stdin=from_stdin, confirm=new)


@_verb("add")
@click.argument("name")
@_source_option
@_binding_options
@_scram_option
@_password_option
def _add(
    place: Place, name: str, source: str | None, no_scram: bool, password_stdin: bool, check_from_header: bool | None, **bound: str | None
) -> None:
    """Add a user. The file is made if there is none.

    \b
    Example: postwright user add alice@example.com --source mailings
    """
    for file in place.files:
        if users_file.read(file).find(name) is not None:
            raise _Refused(f"there is a {name} in {file} already; a new password comes by: postwright user passwd")
    _warn_of_source(place, source or "")
    entry = _bind(UserEntry(name, source=source or ""), check_from_header, bound)
    user = user_admin.with_password(user_admin.judged(entry), _ask(password_stdin, True), not no_scram)
    new = not place.files[0].exists()
    with users_file.editing(place.files[0]) as draft:
        if draft.table.find(name) is not None:
            raise _Refused(f"{name} has been added meanwhile")
        draft.put(user)
    if new:
        _give(place)
    _done(place.files[0], f"{name} is added")


@_verb("passwd")
@click.argument("name")
@_scram_option
@_password_option
def _passwd(place: Place, name: str, no_scram: bool, password_stdin: bool) -> None:
    """Give a user another password.

    \b
    Example: postwright user passwd alice@example.com
    """
    file = place.holding(name)
    password = _ask(password_stdin, True)
    with users_file.editing(file) as draft:
        user = draft.table.find(name)
        if user is None:
            raise _Refused(f"{name} has been removed meanwhile")
        draft.put(user_admin.with_password(user, password, not no_scram))
    _done(file, f"{user.name} has a new password")


@_verb("set")
@click.argument("name")
@_source_option
@_binding_options
@click.option("--enable/--disable", "enable", default=None, help="Let the user in again, or refuse every login.")
def _set(
    place: Place, name: str, source: str | None, enable: bool | None, check_from_header: bool | None, **bound: str | None
) -> None:
    """Change what else there is to a user.

    \b
    Example: postwright user set alice@example.com --source transactional
    """
    file = place.holding(name)
    _warn_of_source(place, source or "")
    with users_file.editing(file) as draft:
        user = draft.table.find(name)
        if user is None:
            raise _Refused(f"{name} has been removed meanwhile")
        changed = user_admin.judged(_bind(user if source is None else replace(user, source=source), check_from_header, bound))
        draft.put(changed if enable is None else replace(changed, disabled=not enable))
    _done(file, f"{user.name} is changed")


@_verb("remove")
@click.argument("name")
def _remove(place: Place, name: str) -> None:
    """Remove a user.

    \b
    Example: postwright user remove alice@example.com
    """
    file = place.holding(name)
    with users_file.editing(file) as draft:
        if not draft.remove(name):
            raise _Refused(f"{name} has been removed meanwhile")
    _done(file, f"{name} is removed")


@_verb("list")
@click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
def _list(place: Place, as_json: bool) -> None:
    """Who there is, and what each may log in with.

    \b
    Example: postwright user list --config /etc/postwright/config
    """
    users = [user_admin.shown(user) for file in place.files for user in users_file.read(file).entries()]
    if as_json:
        click.echo(msgspec.json.encode(users).decode())
        return
    rows = [("USER", "ENABLED", "PASSWORD", "MECHANISMS", "SOURCE")]
    rows += [(u.name, "yes" if u.enabled else "no", u.password or "-", " ".join(u.mechanisms) or "-", u.source or "-") for u in users]
    widths = [max(len(escaped(row[column])) for row in rows) for column in range(5)]
    for row in rows:
        click.echo("  ".join([escaped(cell).ljust(width) for cell, width in zip(row, widths, strict=True)]).rstrip())


@_verb("test")
@click.argument("name")
@_password_option
def _test(place: Place, name: str, password_stdin: bool) -> None:
    """Tell step by step how a login would end.

    \b
    Example: postwright user test alice@example.com
    """
    fine = True
    for step in user_admin.judge(place.settings, place.files, name, lambda: _ask(password_stdin, False)):
        fine = fine and step.ok
        click.echo(f"{click.style('yes', fg='green') if step.ok else click.style('NO ', fg='red')}  {escaped(step.text)}")
    click.echo("the login would succeed" if fine else "the login would be refused")
    sys.exit(0 if fine else 1)


def _give(place: Place) -> None:
    """A new file is the relay's user's, when root makes it and the relay gives root up."""
    if place.settings.file:
        with contextlib.suppress(PrivilegeError):  # no such user yet: the relay itself will say so
            privileges.give(place.files[0], place.settings, "")


def _warn_of_source(place: Place, source: str) -> None:
    known = {block.name.lower() for block in place.settings.sources}
    if source and place.settings.file and source.lower() not in known:
        click.echo(f"postwright: warning: the configuration has no <source {escaped(source)}>", err=True)


def _done(file: Path, text: str) -> None:
    mode = users_file.too_open(file)
    if mode:
        click.echo(f"postwright: warning: {mode}", err=True)
    click.echo(escaped(f"{file}: {text}"))
