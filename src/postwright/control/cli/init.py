"""`postwright init`: writes a first configuration that is safe and works: port 25 for mail to us, 587, 2525 and 465 for our users.

On a terminal it asks; else, or with `--yes`, what was not said is filled in. It overwrites nothing without `--force`, writes no password in
clear unless told to, and judges what it has written as `postwright check` does.
"""

from __future__ import annotations

import os
import pwd
import secrets
import stat
import string
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from postwright.control.cli.check import coloured
from postwright.control.cli.init_text import Answers, render
from postwright.control.cli.places import default_state_dir
from postwright.control.config import load, values
from postwright.control.config.build_places import own_name
from postwright.control.config.directive import ValueProblem
from postwright.engine import user_admin, users_file
from postwright.engine.self_signed import keep_certificate

ERRORS = 2
FAILED = 1


def _checked(parse: Callable[[str], str]) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    """A value that the configuration would take; anything else is told at once."""

    def callback(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
        return None if value is None else _parsed(parse, value)

    return callback


def _parsed(parse: Callable[[str], str], value: str) -> str:
    try:
        return parse(value.strip())
    except ValueProblem as problem:
        raise click.BadParameter(problem.message) from None


def _user_name(text: str) -> str:
    if not text or not text.isprintable() or any(c in text for c in ' "#<>%='):
        raise ValueProblem(f"`{text}` is no user name; letters, digits and . _ - @ + are good")
    return text


def _path(text: str) -> str:
    if not text or not text.isprintable() or '"' in text:
        raise ValueProblem("this path cannot stand in a configuration")
    return text


def _made_up() -> str:
    """A password of 139 bits. Letters and digits only: behind `-p`, one that begins with a dash is an option to many a program."""
    return "".join(secrets.choice(_TYPED) for _ in range(24))


_TYPED = "".join(sorted(set(string.ascii_letters + string.digits) - set("0O1lI")))  # what cannot be mistaken when it is read from paper
_PORT = click.IntRange(0, 65535)


@click.command("init")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("postwright.conf"),
    show_default=True,
    help="Where to write it; the users file and a certificate made here go beside it.",
)
@click.option("--host-name", callback=_checked(values.host_name), help="Full name of this host, such as mail.example.com.")
@click.option(
    "--domain", callback=_checked(values.host_name), help="Domain of postmaster; default: the host's name without its first label."
)
@click.option(
    "--certificate", callback=_checked(_path), help="PEM file with certificate, chain and key; without one a self-signed is made."
)
@click.option("--user", callback=_checked(_user_name), help="Name of the first user.")
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="State folder: spool, log, accounting files.")
@click.option("--address", default="0.0.0.0", show_default=True, callback=_checked(values.address), help="Address to listen on.")
@click.option("--mx-port", type=_PORT, default=25, show_default=True, help="Port for mail to us; 0: none.")
@click.option(
    "--submission-port",
    "submission_ports",
    type=_PORT,
    multiple=True,
    default=(587, 2525),
    show_default=True,
    help="Port with STARTTLS and login; may be repeated, 0: none.",
)
@click.option("--smtps-port", type=_PORT, default=465, show_default=True, help="Port with TLS at once and login; 0: none.")
@click.option("--relay-domain", "relay_domains", multiple=True, help="Domain that everybody may send to by way of us; may be repeated.")
@click.option("--run-as-root/--no-run-as-root", default=False, help="Stay root after the ports are open.")
@click.option("--clear-password", is_flag=True, help="The password into the configuration, readable, as PowerMTA has it; no users file.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@click.option("--yes", is_flag=True, help="Ask nothing.")
def command(output: Path, folder: Path | None, clear_password: bool, force: bool, yes: bool, **given: object) -> None:  # fmt: skip
    """Write a first configuration: safe, commented, and ready to run.

    \b
    Example: postwright init --host-name mail.example.com --certificate /etc/ssl/mail.pem --user shop --output /etc/postwright/config
    Exit status: 0 written and good, 1 nothing was written, 2 written, but it has errors.
    """
    output = output.absolute()
    folder = (folder or default_state_dir()).absolute()
    answers, password = _answers(given, asking=interactive() and not yes, output=output, clear=clear_password)
    targets = [output] if clear_password else [output, output.with_name("users")]
    _overwrite_nothing(targets, force)
    try:
        _write(answers, password, output, folder)
    except (OSError, users_file.UsersFileError) as error:
        click.echo(f"postwright: {error}", err=True)
        sys.exit(FAILED)
    _tell(answers, password, output, folder)


def interactive() -> bool:
    """Is there somebody to ask?"""
    return sys.stdin.isatty()


def _answers(given: dict[str, object], *, asking: bool, output: Path, clear: bool) -> tuple[Answers, str]:
    """What was said on the command line, what is said now, and what is taken where nothing is said; and the password."""

    def say(option: str, question: str, default: str, parse: Callable[[str], str]) -> str:
        said = given[option]
        if said is not None:
            return str(said)
        return str(click.prompt(question, default, value_proc=lambda text: _parsed(parse, text))) if asking else default

    host = say("host_name", "Full name of this host", own_name(), values.host_name)
    domain = say("domain", "Domain of your postmaster", host.partition(".")[2] or host, values.host_name)
    certificate = say("certificate", "PEM file with certificate, chain and key", str(output.with_name("postwright.pem")), _path)
    user = say("user", "Name of the first user", "submitter", _user_name)
    password = ""
    if asking:
        password = click.prompt("Password (empty: one is made)", "", hide_input=True, show_default=False)
    password = password or _made_up()
    if '"' in password or not password.isprintable():
        raise click.UsageError("the password may not hold quotation marks or characters that cannot be printed")
    ports = given["submission_ports"]
    relay = given["relay_domains"]
    assert isinstance(ports, tuple)
    assert isinstance(relay, tuple)
    return Answers(
        host, domain, certificate, user,
        users_file="" if clear else str(output.with_name("users")),
        password=password if clear else "",
        address=str(given["address"]),
        mx_port=int(str(given["mx_port"])),
        submission_ports=tuple(port for port in dict.fromkeys(ports) if port),
        smtps_port=int(str(given["smtps_port"])),
        relay_domains=tuple(_parsed(values.domain_pattern, name) for name in relay),
        run_as_root=bool(given["run_as_root"]),
    ), password  # fmt: skip


def _overwrite_nothing(targets: list[Path], force: bool) -> None:
    there = [path for path in targets if path.exists()]
    if there and not force:
        click.echo(f"postwright: {', '.join(map(str, there))} is there already; another --output, or --force to overwrite", err=True)
        sys.exit(FAILED)


def _write(answers: Answers, password: str, output: Path, folder: Path) -> None:
    """Raises OSError or UsersFileError."""
    output.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    certificate = Path(answers.certificate)
    if not certificate.exists():
        keep_certificate(certificate, (answers.host_name,), time.time())
        _give(certificate)
    if answers.users_file:
        with users_file.editing(Path(answers.users_file)) as draft:
            draft.put(user_admin.with_password(users_file.UserEntry(answers.user), password, True))
        _give(Path(answers.users_file))
    mode = stat.S_IRUSR | stat.S_IWUSR if answers.password else 0o644
    fresh = output.with_name(f".{output.name}.new")
    fresh.unlink(missing_ok=True)  # what is there may be somebody else's, or a link
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as opened:
        opened.write(render(answers))
    os.replace(fresh, output)


def _give(path: Path) -> None:
    """What the relay reads when it has given up root must be its user's."""
    if os.geteuid() != 0:
        return
    for name in ("postwright", "pmta"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(path, found.pw_uid, found.pw_gid)
        return


def _tell(answers: Answers, password: str, output: Path, folder: Path) -> None:
    """What was written and what to do next; leaves with 2 when it is not good."""
    result = load(output, state_dir=folder)
    for problem in result.problems:
        if problem.level != "note":
            click.echo(coloured(problem), err=True)
    click.echo(f"written: {output}")
    click.echo(f"user {answers.user}, password {password}" + ("" if answers.password else " (shown this once; only its hash is kept)"))
    if Path(answers.certificate) == output.with_name("postwright.pem"):
        click.echo(f"{answers.certificate} is self-signed: put one of an authority there before others are to trust it")
    where = "" if folder == default_state_dir().absolute() else f" --state-dir {folder}"
    click.echo(f"start it:  postwright run --config {output}{where}")
    if result.settings is None:
        sys.exit(ERRORS)
