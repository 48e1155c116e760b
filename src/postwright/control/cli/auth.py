"""`postwright auth`: what to type to log in at an SMTP prompt by hand, and what a pasted piece of a login says.

Works on text alone: no server is asked. What is to be typed goes to standard output, and what is said about it to standard error.
Passwords and tokens are asked for, or come from the environment or standard input, and are shown only with --show.
"""

from __future__ import annotations

import sys

import click

from postwright.control.cli.tool import ToolCommand, as_json, escaped, secret
from postwright.control.cli.words import ShortGroup
from postwright.engine import auth_words
from postwright.engine.auth_words import ENCODABLE, NO_ENCRYPTION, Encoded, Explained, Row

HIDDEN = "********  (--show shows it)"
_SECRETS = {"password": "POSTWRIGHT_SMTP_PASSWORD", "token": "POSTWRIGHT_SMTP_TOKEN"}


@click.group("auth", cls=ShortGroup)
def command() -> None:
    """Encode and decode the Base64 of SMTP logins."""


@command.command("encode", cls=ToolCommand)
@click.option("--mechanism", "-m", type=click.Choice(ENCODABLE, case_sensitive=False), default="PLAIN", show_default=True)
@click.option("--user", "-u", default="", help="The user name; asked for when it is missing.")
@click.option("--identity", default="", help="Whom to act as, if not oneself (PLAIN's first field; EXTERNAL).")
@click.option("--host", default="", help="The server's name, which OAUTHBEARER says again.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Its port, likewise.")
@click.option("--challenge", default="", help="What the server said after 334 (CRAM-MD5).")
@click.option("--password-stdin", "--token-stdin", "from_stdin", is_flag=True, help="The secret is the first line of standard input.")
@click.option("--show", is_flag=True, help="Show the secret, too, in what is written out.")
@click.option("--json", "json_wanted", is_flag=True, help="One JSON object.")
def encode(
    mechanism: str, user: str, identity: str, host: str, port: int, challenge: str, from_stdin: bool, show: bool, json_wanted: bool
) -> None:
    """What to type after EHLO to log in by hand.

    \b
    Example: postwright auth encode --mechanism plain --user joe@example.com
    The secret: asked for, or POSTWRIGHT_SMTP_PASSWORD / POSTWRIGHT_SMTP_TOKEN, or --password-stdin.
    Exit status: 0, or 64 for a wrong command line.
    """
    mechanism = mechanism.upper()
    if not user and mechanism != "EXTERNAL":
        user = click.prompt("User", err=True)
    wanted = auth_words.needs(mechanism)
    said = secret(wanted, _SECRETS[wanted], from_stdin=from_stdin) if wanted else ""
    login = auth_words.login(user, **({wanted: said} if wanted else {}), identity=identity, host=host, port=port)
    try:
        encoded = auth_words.encode(mechanism, login, challenge)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _show_encoded(encoded, show, json_wanted)


def _show_encoded(encoded: Encoded, show: bool, json_wanted: bool) -> None:
    inside = encoded.revealed if show else encoded.written_out
    if json_wanted:
        lines = [{"line": typed.line, "when": typed.when} for typed in encoded.lines]
        click.echo(as_json({"lines": lines, "written_out": inside, "warning": NO_ENCRYPTION}))
        return
    for typed in encoded.lines:
        if typed.when:
            click.echo(f"  {typed.when}:", err=True)
        click.echo(typed.line)
    click.echo(f"  written out: {inside}\n  {NO_ENCRYPTION}", err=True)


@command.command("decode", cls=ToolCommand)
@click.argument("text", required=False)
@click.option("--show", is_flag=True, help="Show passwords, tokens and proofs, too.")
@click.option("--json", "json_wanted", is_flag=True, help="One JSON object.")
def decode(text: str | None, show: bool, json_wanted: bool) -> None:
    """Explain a piece of a login: replies, AUTH commands, Base64, tokens.

    Several lines are read as one dialogue. Without TEXT they come from standard input, which keeps them out of the shell's history.

    \b
    Example: postwright auth decode '334 VXNlcm5hbWU6'
             postwright auth decode < dialogue.txt
    Exit status: 0 explained, 1 it is nothing that we know, 64 for a wrong command line.
    """
    if text is None or text == "-":
        if sys.stdin.isatty():
            click.echo("Paste it, then Ctrl-D:", err=True)
        text = sys.stdin.read(auth_words.MAX_TEXT)
    found = auth_words.explain(text)
    if json_wanted:
        click.echo(as_json({"lines": [_as_dict(one, show) for one in found]}))
    else:
        _show_explained(found, show)
    if not found or any(one is auth_words.NOT_BASE64 for one in found):
        sys.exit(1)


def _as_dict(one: Explained, show: bool) -> dict[str, object]:
    rows = [
        {"label": row.label, "text": (row.masked or None) if row.secret and not show else row.text, "secret": row.secret}
        for row in one.rows
    ]
    return {"kind": one.kind, "rows": rows, "notes": one.notes}


def _text(row: Row, show: bool) -> str:
    return escaped(row.text) if show or not row.secret else row.masked or HIDDEN


def _show_explained(found: list[Explained], show: bool) -> None:
    width = max((len(row.label) for one in found for row in one.rows), default=0)
    for one in found:
        click.echo(escaped(one.kind))
        for row in one.rows:
            click.echo(f"  {row.label:<{width}}  {_text(row, show)}")
        for note in one.notes:
            click.echo(f"  {note}")
    if any(row.secret for one in found for row in one.rows):
        click.echo("Base64 is no encryption: change a password that was pasted where others could see it.", err=True)
