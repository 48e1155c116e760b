"""`postwright probe`: what a person used to type into telnet, done at once and told in words.

Sends no mail. Text for people (in colour on a terminal) or JSON; the exit status is for scripts. All that a server said reaches the
terminal escaped.
"""

from __future__ import annotations

import socket
import sys
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from postwright.control.cli.send import show_dialogue
from postwright.control.cli.tool import BAD, GOOD, NOTE, PLAIN, AddressType, Line, ToolCommand, as_json, helo, show_sections
from postwright.engine import probe
from postwright.engine.probe import ProbeOrder
from postwright.engine.probe_report import NOTE as NOTE_LEVEL
from postwright.engine.probe_report import ProbeReport
from postwright.engine.targets import parse_target

Section = tuple[str, list[Line]]


@click.command("probe", cls=ToolCommand)
@click.argument("target", metavar="HOST[:PORT]")
@click.option("--port", "mx_port", type=click.IntRange(1, 65535), help="The port, where HOST names none: 25, or 465 with --tls immediate.")
@click.option("--host", "as_host", is_flag=True, help="HOST is a server, not a mail domain: no MX look-up.")
@click.option(
    "--tls", type=click.Choice(["auto", "immediate", "starttls", "none"], case_sensitive=False), default="auto", show_default=True,
    help="TLS from the first byte, by STARTTLS, not at all; auto: by port and offer.",
)  # fmt: skip
@click.option("--mta-sts-policy", "sts_policy", is_flag=True, help="Fetch the MTA-STS policy over HTTPS, too.")
@click.option("--mta-sts-connect", "sts_connect", default="", metavar="ADDRESS:PORT", help="Fetch it from there, whatever the DNS says.")
@click.option("--relay-test", is_flag=True, help="Try whether it relays for strangers (MAIL and RCPT, no content).")
@click.option("--relay-from", type=AddressType(), default="postwright-probe@example.com", show_default=True, metavar="ADDRESS")
@click.option(
    "--relay-to",
    type=AddressType(),
    default="postwright-probe@example.org",
    show_default=True,
    metavar="ADDRESS",
    help="Somebody elsewhere.",
)
@click.option("--name-server", "name_servers", multiple=True, metavar="ADDRESS[:PORT]", help="Ask this one; repeat for more.")
@click.option("--no-dns", is_flag=True, help="No MX, DANE or MTA-STS look-ups.")
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False), help="Authorities to trust (PEM).")
@click.option("--insecure", is_flag=True, help="Do not judge the certificate.")
@click.option("--helo", default="", callback=helo, metavar="NAME", help="What to say in EHLO.")
@click.option("--source", default="", metavar="ADDRESS", help="Connect from this address of ours.")
@click.option("--ipv4", "-4", "family", flag_value=int(socket.AF_INET), type=int, help="By IPv4 only.")
@click.option("--ipv6", "-6", "family", flag_value=int(socket.AF_INET6), type=int, help="By IPv6 only.")
@click.option("--timeout", type=click.FloatRange(0.1, 600), default=30.0, show_default=True, help="Seconds for each step.")
@click.option("--verbose", "-v", is_flag=True, help="Show the dialogue, too.")
@click.option("--json", "json_wanted", is_flag=True, help="One JSON object.")
def command(target: str, json_wanted: bool, verbose: bool, **options: Any) -> None:
    """Look at an SMTP server as a client sees it: DNS, EHLO, TLS and its certificate, logins, latency.

    Of a mail domain the best MX is looked at; of HOST:PORT, or with --host, that server. No mail is sent.

    \b
    Example: postwright probe example.com
             postwright probe smtp.example.com:587
             postwright probe mx1.example.com --host --relay-test --json
    Exit status: 0 fine, 1 reachable with a problem, 2 not reachable, 64 wrong command line.
    """
    try:
        report = probe.run(_order(target, options))
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from None
    if json_wanted:
        click.echo(as_json(_as_dict(report, verbose)))
    else:
        if verbose:
            show_dialogue(report.transcript)
        show_sections(sections(report))
    sys.exit(report.status)


def _order(target: str, options: dict[str, Any]) -> ProbeOrder:
    host, port = parse_target(target)
    return ProbeOrder(
        host=host,
        port=port,
        mx_port=options["mx_port"] or 0,
        as_host=options["as_host"],
        tls=options["tls"].lower(),
        name_servers=options["name_servers"],
        patience=options["timeout"],
        family=options["family"] or socket.AF_UNSPEC,
        helo=options["helo"],
        source=options["source"],
        ca_file=options["ca_file"] or "",
        judge=not options["insecure"],
        relay_from=options["relay_from"].text,
        relay_to=options["relay_to"].text if options["relay_test"] else "",
        dns=not options["no_dns"],
        sts_policy=options["sts_policy"] or bool(options["sts_connect"]),
        sts_connect=options["sts_connect"],
    )


def _as_dict(report: ProbeReport, verbose: bool) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(report)
    dialogue = found.pop("transcript")
    return {**found, "status": report.status, **({"dialogue": dialogue} if verbose else {})}


# the text ------------------------------------------------------------------------------------------------------------


def sections(report: ProbeReport) -> list[Section]:
    """The report as titles and lines; what needs a person comes last, where the eye is."""
    parts: list[Section] = [(f"{report.target}", _way(report))]
    if report.reached:
        parts += [("What it offers", _offers(report)), ("TLS", _tls(report)), ("Logins", _logins(report))]
        parts += [("Promises in the DNS", lines)] if (lines := _promises(report)) else []
        parts += [("Relay test", _relay(report))] if report.relay else []
        parts.append(("Latency", [(PLAIN, name, f"{milliseconds:9.2f} ms") for name, milliseconds in report.stages.items()]))
    parts.append((_verdict(report), [(NOTE if one.level == NOTE_LEVEL else BAD, one.level, one.text) for one in report.findings]))
    return parts


def _verdict(report: ProbeReport) -> str:
    count = sum(one.level != NOTE_LEVEL for one in report.findings)
    if not report.reached:
        return "Not reachable"
    return f"{count} problem{'s' * (count != 1)}" if count else "Fine: no problem found"


def _way(report: ProbeReport) -> list[Line]:
    lines: list[Line] = [
        (PLAIN, "MX", f"{line.preference:>5} {line.host}{' (this one)' * (line.host == report.host)}") for line in report.mx
    ]
    for line in report.addresses:
        told = f"connected in {line.milliseconds:.1f} ms" if line.connected else line.detail
        lines.append((GOOD if line.connected else BAD, "address", f"{line.address} port {report.port}: {told}"))
    if report.greeting:
        lines.append((GOOD if report.greeting.startswith("220") else BAD, "greeting", report.greeting))
    return lines


def _offers(report: ProbeReport) -> list[Line]:
    if not report.ehlo:
        return [(PLAIN, "nothing", "no EHLO reply was seen")]
    # STARTTLS is gone once TLS is on, and yet people look for it.
    before = [line for line in report.ehlo_clear if line.keyword == "STARTTLS" and report.tls is not None]
    lines: list[Line] = []
    for line in [*before, *[line for line in report.ehlo if line not in before]]:
        parameters = f" ({' '.join(line.parameters)})" if line.parameters and line.keyword not in ("SIZE", "AUTH") else ""
        lines.append((PLAIN, line.keyword, f"{line.meaning}{parameters}"))
    if report.pipelining:
        lines.append((GOOD if report.pipelining == "works" else NOTE, "pipelining", report.pipelining))
    return lines


def _tls(report: ProbeReport) -> list[Line]:
    tls = report.tls
    if tls is None:
        return [(BAD, "none", "the connection was not encrypted")]
    lines: list[Line] = []
    if tls.version:
        how = "from the first byte" if tls.mode == "immediate" else "by STARTTLS"
        lines.append((GOOD, "on", f"{tls.version}, {tls.cipher}, {how}"))
    else:
        lines.append((BAD, "failed", tls.why))
    for at, one in enumerate(tls.chain):
        names = f" (for {', '.join(one.names[:8])})" if at == 0 and one.names else ""
        told = one.problem or f"{one.subject}{names}, {one.key}, signed by {'itself' if one.self_signed else one.issuer}"
        lines.append((PLAIN, "certificate" if at == 0 else f"chain {at}", told))
    if tls.chain and not tls.chain[0].problem:
        expired = tls.days_left < 0
        told = f"{_day(tls.chain[0].not_after)} ({'expired ' if expired else ''}{abs(tls.days_left):.0f} days{' ago' if expired else ''})"
        lines.append((BAD if expired else GOOD, "valid until", told))
        judged = BAD if tls.trouble else NOTE
        lines.append((GOOD if tls.host_match else judged, "for this host", f"{'yes' if tls.host_match else 'no'}: {report.host}"))
    if tls.chain:
        why = tls.why.removeprefix("certificate not accepted: ") or "nobody asked for it (--insecure)"
        lines.append((GOOD, "verified", "yes") if tls.verified else (BAD if tls.trouble else NOTE, "verified", f"no: {why}"))
    return lines


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _logins(report: ProbeReport) -> list[Line]:
    lines: list[Line] = []
    implicit = report.tls is not None and report.tls.mode == "immediate"
    if not implicit:
        lines.append((PLAIN, "before TLS", " ".join(report.auth_clear) or "none"))
    if report.tls is not None:
        lines.append((PLAIN, "over TLS", " ".join(report.auth_tls) or "none"))
    return lines


def _promises(report: ProbeReport) -> list[Line]:
    lines: list[Line] = []
    dane, sts = report.dane, report.mta_sts
    if dane is not None and dane.records:
        match = {True: "the certificate matches", False: "the certificate matches none", None: "nothing to compare"}[dane.matches]
        lines.append((BAD if dane.matches is False else GOOD, "DANE", f"{match}; {dane.told}"))
        lines += [(PLAIN, "TLSA", record) for record in dane.records]
    elif dane is not None:
        lines.append((PLAIN, "DANE", f"{dane.state} ({dane.name})"))
    if sts is not None:
        lines.append((BAD if sts.state == "broken" or sts.covers is False else PLAIN, "MTA-STS", _sts(report)))
    return lines


def _sts(report: ProbeReport) -> str:
    sts = report.mta_sts
    if sts is None or sts.state == "none":
        return (sts.detail if sts is not None else "") or "none"
    if sts.state == "policy":
        covers = {True: "covers this MX", False: "does not cover this MX", None: "asks for nothing"}[sts.covers]
        return f"mode {sts.mode}, max_age {sts.max_age} s, mx {', '.join(sts.mx) or 'none'}: {covers}"
    return f"{'record id ' + sts.id + '; ' if sts.id else ''}{sts.detail}"


def _relay(report: ProbeReport) -> list[Line]:
    return [(BAD if line.open else GOOD, "taken" if line.open else "refused", f"{line.recipient}: {line.said}") for line in report.relay]
