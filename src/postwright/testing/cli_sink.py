"""`postwright sink`: a `SinkServer` from the command line.

Prints `listening on HOST:PORT` when it is ready, its counts when it ends (SIGINT, SIGTERM, or --stop-after). Exit status 1 when it
cannot listen, 2 for a rule or an option that is wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import ssl
import threading
from pathlib import Path

import click
from msgspec import structs

from postwright.testing import sink_rules
from postwright.testing.certificate import self_signed
from postwright.testing.loop import run_on_fast_loop
from postwright.testing.sink import Extensions, SinkMessage, SinkServer

_SWITCHES = {
    "pipelining": "pipelining",
    "8bitmime": "eightbitmime",
    "chunking": "chunking",
    "dsn": "dsn",
    "smtputf8": "smtputf8",
    "enhancedstatuscodes": "enhanced_status_codes",
    "size": "size",
    "ehlo": "ehlo",
}
_EPILOG = "Rules\n\n" + "\n\n".join(f"\b\n{part}" for part in (sink_rules.__doc__ or "").split("\n\n")[1:-1])


@click.command(epilog=_EPILOG)
@click.option("--listen", default="127.0.0.1:2600", show_default=True, metavar="HOST:PORT", help="Where to listen; port 0: any free one.")
@click.option("--rule", "rules", multiple=True, metavar="RULE", help="A rule (see below); may be given again and again.")
@click.option("--rules-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Rules from a file, one a line.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the chance in rules.")
@click.option("--save", type=click.Path(file_okay=False, path_type=Path), help="Save messages in this folder as .eml with .json envelopes.")
@click.option("--show", is_flag=True, help="Print a line for each message taken.")
@click.option("--without", default="", metavar="NAME,NAME", help=f"Do not offer these: {', '.join(_SWITCHES)}.")
@click.option("--binarymime", is_flag=True, help="Offer BINARYMIME.")
@click.option("--max-size", type=click.IntRange(min=0), default=0, metavar="OCTETS", help="The limit that SIZE announces; 0: none.")
@click.option("--tls", is_flag=True, help="Offer STARTTLS, with a self-signed certificate unless one is given.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False), help="PEM certificate (and key) for STARTTLS.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="PEM key, when it is in a file of its own.")
@click.option("--implicit-tls", is_flag=True, help="TLS from the first octet.")
@click.option("--require-tls", is_flag=True, help="530 for MAIL before STARTTLS.")
@click.option("--user", "users", multiple=True, metavar="NAME:PASSWORD", help="Offer AUTH and accept these credentials.")
@click.option("--require-auth", is_flag=True, help="530 for MAIL before AUTH.")
@click.option("--hostname", default="sink.example", show_default=True)
@click.option("--stop-after", type=click.IntRange(min=1), metavar="N", help="End after N messages.")
@click.option("--until-eof", is_flag=True, help="End when standard input ends, so that it never outlives who started it.")
@click.option("--json", "as_json", is_flag=True, help="The counts at the end as JSON.")
def command(
    listen: str,
    rules: tuple[str, ...],
    rules_file: Path | None,
    seed: int,
    save: Path | None,
    show: bool,
    without: str,
    binarymime: bool,
    max_size: int,
    tls: bool,
    tls_cert: str | None,
    tls_key: str | None,
    implicit_tls: bool,
    require_tls: bool,
    users: tuple[str, ...],
    require_auth: bool,
    hostname: str,
    stop_after: int | None,
    until_eof: bool,
    as_json: bool,
) -> None:
    """A receiver that delivers nothing: it counts, keeps or refuses by rule.

    \b
    Example: postwright sink --listen 127.0.0.1:2600 --show
    Exit status: 0 ended as asked, 1 it cannot listen, 2 a rule or an option is wrong.
    """
    host, port = parse_endpoint(listen)
    try:
        sink = SinkServer(
            [*rules, *_rules_of(rules_file)],
            host=host,
            port=port,
            hostname=hostname,
            extensions=_extensions(without, binarymime, max_size),
            tls=_context(tls or implicit_tls or require_tls, tls_cert, tls_key),
            implicit_tls=implicit_tls,
            users=_users(users),
            require_tls=require_tls,
            require_auth=require_auth,
            keep=save if save is not None else "nothing",
            seed=seed,
            on_message=_show if show else None,
        )
    except sink_rules.RuleError as error:
        raise click.UsageError(str(error)) from None
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
    try:
        run_on_fast_loop(_serve(sink, stop_after, until_eof))
    except OSError as error:
        raise click.ClickException(f"cannot listen on {listen}: {error}") from None
    click.echo(json.dumps(sink.counts.as_dict()) if as_json else _as_text(sink))


async def _serve(sink: SinkServer, stop_after: int | None, until_eof: bool) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    if until_eof:
        # a thread, since standard input may be a file or a terminal, which an event loop cannot watch
        threading.Thread(target=_wait_for_eof, args=(loop, ended), daemon=True).start()
    async with sink:
        click.echo(f"listening on {sink.host}:{sink.port}")
        waiting = loop.create_task(ended.wait())
        if stop_after is None:
            await waiting
            return
        enough = loop.create_task(sink.wait_until(lambda: sink.counts.messages >= stop_after, float("inf")))
        await asyncio.wait([waiting, enough], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        enough.cancel()
        await asyncio.sleep(0)  # the 250 of the last message is written at the end of this turn of the loop


def _wait_for_eof(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass  # closed altogether: that is an end too
    with contextlib.suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(ended.set)


def _show(message: SinkMessage) -> None:
    subject = str(message.parsed.get("Subject", ""))
    recipients = ", ".join(message.recipients)
    click.echo(f"message {message.id}: from <{message.sender}> to {recipients}, {message.size} octets, subject {subject!r}")


def _as_text(sink: SinkServer) -> str:
    return "\n".join(f"{name:12} {value}" for name, value in sink.counts.as_dict().items())


def parse_endpoint(text: str) -> tuple[str, int]:
    """`HOST:PORT`, an IPv6 address in brackets or not. Raises click.UsageError."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise click.UsageError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _rules_of(path: Path | None) -> list[str]:
    lines = path.read_text("utf-8").splitlines() if path is not None else []
    return [line for line in map(str.strip, lines) if line and not line.startswith("#")]


def _extensions(without: str, binarymime: bool, max_size: int) -> Extensions:
    off = {}
    for name in filter(None, (word.strip().lower() for word in without.split(","))):
        if name not in _SWITCHES:
            raise click.UsageError(f"--without {name}: expected one of {', '.join(_SWITCHES)}")
        off[_SWITCHES[name]] = False
    size = None if off.pop("size", True) is False else max_size
    extensions: Extensions = structs.replace(Extensions(size=size, binarymime=binarymime), **off)
    return extensions


def _context(wanted: bool, certificate: str | None, key: str | None) -> ssl.SSLContext | None:
    if certificate is None:
        return self_signed() if wanted else None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise click.UsageError(f"--tls-cert {certificate}: {error}") from None
    return context


def _users(pairs: tuple[str, ...]) -> dict[str, str]:
    users = {}
    for pair in pairs:
        name, colon, password = pair.partition(":")
        if not colon or not name:
            raise click.UsageError("--user wants NAME:PASSWORD")
        users[name] = password
    return users
