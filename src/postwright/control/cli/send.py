"""`postwright send`: one test message with the fields that a CMS or mail program asks for, and plain words on what is wrong with them.

The password comes from a prompt, the environment or standard input, never from an argument; the dialogue of `-v` has no secret in it.
Nothing is tried but what was asked for. Exit status: see `command`.
"""

from __future__ import annotations

import socket
import ssl
import sys
from pathlib import Path
from typing import Any

import click

from postwright.control.cli.tool import (
    BAD,
    GOOD,
    NOTE,
    PLAIN,
    AddressType,
    Line,
    ToolCommand,
    as_json,
    escaped,
    helo,
    secret,
    show_sections,
)
from postwright.engine import trial
from postwright.engine.targets import parse_target
from postwright.engine.trial import Order, Outcome
from postwright.engine.trial_message import Composed, Draft, MessageError, compose
from postwright.engine.troubles import Exit
from postwright.model.envelope import Notify

MECHANISMS = (
    *("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"),
    *("XOAUTH2", "OAUTHBEARER", "EXTERNAL"),
)
_PORTS = {"none": 25, "starttls": 587, "ssl": 465}
_BY_TOKEN = ("XOAUTH2", "OAUTHBEARER")
_EVENTS = {"success": Notify.SUCCESS, "failure": Notify.FAILURE, "delay": Notify.DELAY, "never": Notify.NEVER}


class _HeaderType(click.ParamType[tuple[str, str]]):
    name = "header"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, colon, text = str(value).partition(":")
        if not colon or not name.isascii() or not name.replace("-", "").isalnum():
            self.fail(f"{value!r} is not 'NAME: VALUE'", param, ctx)
        return name, text.strip()


class _ServerType(click.ParamType[str]):
    """A bare host name or address: a URL or a port behind it is what people paste, and no CMS takes it either."""

    name = "host"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        try:
            host, port = parse_target(text)
        except ValueError:
            self.fail(f"{text!r} is no host name; it stands alone, without smtp:// and without a path", param, ctx)
        if port:
            self.fail(f"give the port by --port {port}, the host name stands alone", param, ctx)
        return host


_file = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("send", cls=ToolCommand)
@click.option("--server", required=True, type=_ServerType(), metavar="HOST", help="The server for outgoing mail.")
@click.option("--port", type=click.IntRange(1, 65535), help="Its port; by the security 25, 587 or 465.")
@click.option("--security", type=click.Choice(["none", "starttls", "ssl"], case_sensitive=False), default="starttls", show_default=True)
@click.option("--from", "sender", required=True, type=AddressType(), metavar="ADDRESS", help="The sender, in the envelope too.")
@click.option("--from-name", default="", metavar="NAME", help="The name beside it.")
@click.option(
    "--to", "recipients", required=True, multiple=True, type=AddressType(), metavar="ADDRESS", help="A recipient; repeat for more."
)
@click.option("--auth/--no-auth", "login", default=None, help="Log in or do not; by default if a --user is given.")
@click.option("--user", "-u", default="", metavar="NAME", help="User name, often the whole address.")
@click.option("--password-stdin", "--token-stdin", is_flag=True, help="The password (or token) is the first line of standard input.")
@click.option("--token", "by_token", is_flag=True, help="Log in by an OAuth token, out of POSTWRIGHT_SMTP_TOKEN.")
@click.option("--mechanism", "-m", type=click.Choice(MECHANISMS, case_sensitive=False), help="How to log in; by default the best on offer.")
@click.option("--certificate", type=_file, help="A client certificate (PEM).")
@click.option("--key", type=_file, help="Its key, if that is in a file of its own.")
@click.option("--subject", default="Test message of Postwright", show_default=True)
@click.option("--text", help="The text.")
@click.option("--text-file", type=click.File("r", encoding="utf-8"), help="The text, out of a file; - is standard input.")
@click.option("--html", default="", help="An HTML version.")
@click.option("--attach", "attachments", multiple=True, type=_file, help="A file to attach; repeat for more.")
@click.option("--header", "headers", multiple=True, type=_HeaderType(), metavar="'NAME: VALUE'", help="A header field more; repeat.")
@click.option("--dsn", "events", multiple=True, type=click.Choice(list(_EVENTS), case_sensitive=False), help="Ask for a report; repeat.")
@click.option("--insecure", is_flag=True, help="Do not check the certificate; let a password go in the clear.")
@click.option("--ca-file", type=_file, help="Authorities to trust (PEM), instead of the system's.")
@click.option("--helo", default="", callback=helo, metavar="NAME", help="What to say in EHLO.")
@click.option("--ipv4", "-4", "family", flag_value=int(socket.AF_INET), type=int, help="By IPv4 only.")
@click.option("--ipv6", "-6", "family", flag_value=int(socket.AF_INET6), type=int, help="By IPv6 only.")
@click.option("--timeout", type=click.FloatRange(0.1, 600), default=60.0, show_default=True, help="Seconds for each step.")
@click.option("--verbose", "-v", is_flag=True, help="Show the dialogue; secrets are masked.")
@click.option("--json", "json_wanted", is_flag=True, help="One JSON object.")
def command(**options: Any) -> None:
    """Send a test message, and be told what is wrong and what to change.

    \b
    Example: postwright send --server smtp.example.com --user joe@example.com \\
                 --from joe@example.com --from-name "Joe's shop" --to ann@example.net -v
    The password: asked for, or POSTWRIGHT_SMTP_PASSWORD, or --password-stdin. A token: POSTWRIGHT_SMTP_TOKEN.
    Exit status: 0 all recipients were taken, 1 refused, 2 not reachable, 3 TLS failed, 4 the login failed,
    5 refused for now (try again later), 64 wrong command line.
    """
    composed = _composed(options)
    order = _order(options, composed)
    try:
        outcome = trial.run(order)
    except MessageError as error:
        raise click.UsageError(str(error)) from None
    except (ssl.SSLError, OSError) as error:
        raise click.UsageError(f"--ca-file, --certificate or --key: {getattr(error, 'reason', None) or error}") from None
    if options["json_wanted"]:
        click.echo(as_json(_as_dict(outcome, composed, options["verbose"])))
    else:
        _show(order, outcome, composed, options["verbose"])
    sys.exit(outcome.advice.exit if outcome.advice is not None else Exit.TAKEN)


def _composed(options: dict[str, Any]) -> Composed:
    if options["text"] is not None and options["text_file"] is not None:
        raise click.UsageError("--text or --text-file, not both")
    if options["password_stdin"] and options["text_file"] is not None and options["text_file"].name in ("-", "<stdin>"):
        raise click.UsageError("standard input is the password or the text, not both")
    text = options["text_file"].read() if options["text_file"] is not None else options["text"] or ""
    draft = Draft(
        sender=options["sender"],
        recipients=options["recipients"],
        sender_name=options["from_name"],
        subject=options["subject"],
        text=text,
        html=options["html"],
        headers=options["headers"],
        attachments=options["attachments"],
    )
    try:
        return compose(draft)
    except MessageError as error:
        raise click.UsageError(str(error)) from None


def _order(options: dict[str, Any], composed: Composed) -> Order:
    login = options["login"] if options["login"] is not None else bool(options["user"] or options["by_token"])
    password, token = _secrets(options) if login else ("", "")
    security = options["security"].lower()
    return Order(
        server=options["server"],
        port=options["port"] or _PORTS[security],
        security=security,
        sender=options["sender"],
        recipients=options["recipients"],
        content=composed.content,
        login=login,
        user=options["user"],
        password=password,
        token=token,
        mechanism=(options["mechanism"] or "").upper(),
        notify=_notify(options["events"]),
        insecure=options["insecure"],
        ca_file=str(options["ca_file"] or ""),
        certificate=str(options["certificate"] or ""),
        key=str(options["key"] or ""),
        helo=options["helo"],
        patience=options["timeout"],
        family=options["family"] or socket.AF_UNSPEC,
    )


def _secrets(options: dict[str, Any]) -> tuple[str, str]:
    """Password and token; one of them at most is wanted."""
    mechanism = (options["mechanism"] or "").upper()
    if mechanism == "EXTERNAL":
        if options["certificate"] is None:
            raise click.UsageError("EXTERNAL needs a --certificate")
        return "", ""
    if not options["user"]:
        raise click.UsageError("a login needs a --user")
    if options["by_token"] or mechanism in _BY_TOKEN:
        return "", secret("token", "POSTWRIGHT_SMTP_TOKEN", from_stdin=options["password_stdin"])
    return secret("password", "POSTWRIGHT_SMTP_PASSWORD", from_stdin=options["password_stdin"]), ""


def _notify(events: tuple[str, ...]) -> int:
    value = 0
    for event in events:
        value |= _EVENTS[event.lower()]
    if value & Notify.NEVER and value != Notify.NEVER:
        raise click.UsageError("--dsn never stands alone")
    return value


# what is shown -------------------------------------------------------------------------------------------------------


def _as_dict(outcome: Outcome, composed: Composed, verbose: bool) -> dict[str, Any]:
    advice = outcome.advice
    return {
        "sent": outcome.sent,
        "trouble": advice.trouble if advice is not None else "",
        "headline": advice.headline if advice is not None else "",
        "steps": advice.steps if advice is not None else (),
        "stage": outcome.stage,
        "said": outcome.said,
        "detail": outcome.detail,
        "address": outcome.address,
        "greeting": outcome.greeting,
        "tls": outcome.tls,
        "mechanism": outcome.mechanism,
        "message_id": composed.message_id,
        "accepted": outcome.accepted,
        "refused": [{"recipient": recipient, "said": said} for recipient, said in outcome.refused],
        "seconds": round(outcome.seconds, 3),
        "dialogue": outcome.transcript if verbose else [],
    }


def _show(order: Order, outcome: Outcome, composed: Composed, verbose: bool) -> None:
    if verbose:
        show_dialogue(outcome.transcript)
    sections: list[tuple[str, list[Line]]] = [(_verdict(order, outcome), _facts(order, outcome, composed))]
    if outcome.advice is not None:
        sections.append(("What to change", [(PLAIN, f"{at}.", step) for at, step in enumerate(outcome.advice.steps, 1)]))
    show_sections(sections)


def _verdict(order: Order, outcome: Outcome) -> str:
    if outcome.advice is None:
        count = len(outcome.accepted)
        return f"Sent: {order.server} took the message for {count} recipient{'s' * (count != 1)}."
    beginning = "Sent to some only" if outcome.sent else "Not sent"
    return f"{beginning}. {escaped(outcome.advice.headline)}"


def _facts(order: Order, outcome: Outcome, composed: Composed) -> list[Line]:
    failed = outcome.advice is not None
    lines: list[Line] = []
    if outcome.address:
        lines.append((GOOD, "connected", f"{outcome.address} port {order.port}"))
    if outcome.tls:
        lines.append((NOTE if order.insecure else GOOD, "TLS", f"{outcome.tls}{', certificate not checked' if order.insecure else ''}"))
    elif outcome.sent:
        lines.append((NOTE, "TLS", "none: the message could be read on the way"))
    if outcome.mechanism and outcome.stage != "auth":
        lines.append((GOOD, "logged in", f"{order.user or 'by certificate'} by {outcome.mechanism}"))
    lines += [(GOOD, "taken for", recipient) for recipient in outcome.accepted if outcome.sent]
    lines += [(BAD, "refused", f"{recipient}: {said}") for recipient, said in outcome.refused]
    if outcome.said and not outcome.refused:
        lines.append((BAD if failed else GOOD, "it said", outcome.said))
    if failed and outcome.stage:
        detail = f": {outcome.detail}" if outcome.detail and not outcome.said else ""
        lines.append((PLAIN, "at", f"{outcome.stage}{detail}"))
    if outcome.sent:
        lines.append((PLAIN, "Message-ID", composed.message_id))
        lines.append((PLAIN, "took", f"{outcome.seconds:.2f} s"))
    return lines


def show_dialogue(transcript: list[Any]) -> None:
    """Who said what, with the seconds since the start."""
    start = transcript[0].at if transcript else 0.0
    for said in transcript:
        click.echo(click.style(f"{said.at - start:7.3f} {said.who}: {escaped(said.text)}".rstrip(), dim=said.who == "*"))
    click.echo()
