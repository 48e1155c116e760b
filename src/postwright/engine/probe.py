"""`postwright probe` as a use case: find the server, reach it, look at it, and ask the DNS what it promises.

`run` gives a `ProbeReport` whatever happens; it raises ValueError for options that make no sense, and OSError for a CA file that cannot be
read. Nothing is sent that a server could take for mail.
"""

from __future__ import annotations

import socket
import time
from ipaddress import ip_address

from msgspec import Struct

from postwright.engine import probe_dns
from postwright.engine.probe_report import AddressLine, ProbeReport
from postwright.engine.probe_session import Session, SessionOrder, relay_recipients
from postwright.engine.trial_advice import Seen, advise, diagnose
from postwright.model.outcome import Failure, Fault, Stage
from postwright.net.dns_ask import Asker
from postwright.net.talk import Broken, connect

PORTS = {"immediate": 465}


class ProbeOrder(Struct, frozen=True):
    """`port` as HOST names it, else 0, and then `mx_port` counts, or the usual one. `as_host`: HOST is a server, whatever MX records the
    name has. `name_servers` as `dns_ask.Asker` wants them: they alone are asked.

    `relay_to` "" for no relay test; `sts_connect` "ADDRESS:PORT" where the policy is fetched instead of where the DNS says.
    """

    host: str
    port: int = 0
    mx_port: int = 0
    as_host: bool = False
    tls: str = "auto"
    name_servers: tuple[str, ...] = ()
    patience: float = 30.0
    family: int = socket.AF_UNSPEC
    helo: str = ""
    source: str = ""
    ca_file: str = ""
    judge: bool = True
    relay_from: str = ""
    relay_to: str = ""
    dns: bool = True
    sts_policy: bool = False
    sts_connect: str = ""


def run(order: ProbeOrder) -> ProbeReport:
    """The whole probe."""
    report = ProbeReport(f"{order.host}:{order.port}" if order.port else order.host)
    asker = Asker(order.name_servers, min(order.patience, 5.0))
    report.port = order.port or order.mx_port or PORTS.get(order.tls, 25)
    start = time.monotonic()
    try:
        where = _find(order, asker, report)
        report.stages["DNS"] = round((time.monotonic() - start) * 1000, 2)
        sock = _reach(order, where, report)
    except Broken as broken:
        seen = Seen(report.host or order.host, report.port, "none", "", False)
        advice = advise(diagnose(broken.failure, seen), broken.failure, seen)
        report.problem(f"{advice.headline} ({broken})")
        return report
    session = Session(_session_order(order, report), report, sock)
    session.look()
    _reach_others(order, where, report)
    session.judge_tls()
    session.judge_logins()
    if order.dns and not _is_address(report.host):
        _ask_dns(order, asker, report, session)
    return report


def _find(order: ProbeOrder, asker: Asker, report: ProbeReport) -> tuple[str, ...]:
    report.host = order.host
    if not order.port and not order.as_host and order.dns and not _is_address(order.host):
        report.host = probe_dns.best_mx(asker, order.host, report)
    named = bool(order.name_servers)
    return probe_dns.addresses(asker, report.host, order.family, by_dns=named or bool(report.mx), by_system=not named)


def _reach(order: ProbeOrder, where: tuple[str, ...], report: ProbeReport) -> socket.socket:
    """A connection to the first address that takes one. Raises Broken with the failure of the first when none does."""
    failed: Broken | None = None
    for address in where:
        tried = _try(order, address, report)
        if not isinstance(tried, Broken):
            report.reached, report.address = True, address
            report.stages["connect"] = report.addresses[-1].milliseconds
            return tried
        failed = failed or tried
    raise failed or Broken(Failure(Stage.RESOLVE, None, Fault.UNREACHABLE, "no address"))


def _reach_others(order: ProbeOrder, where: tuple[str, ...], report: ProbeReport) -> None:
    """Whether the other addresses answer, too: half of all clients will come to them."""
    for address in where[len(report.addresses) :]:
        tried = _try(order, address, report)
        if not isinstance(tried, Broken):
            tried.close()
    silent = [line.address for line in report.addresses if not line.connected]
    if silent:
        report.problem(f"not every address answers: {', '.join(silent)}")


def _try(order: ProbeOrder, address: str, report: ProbeReport) -> socket.socket | Broken:
    start = time.monotonic()
    try:
        found: socket.socket | Broken = connect(address, report.port, order.patience, order.source)
    except Broken as broken:
        found = broken
    detail = str(found) if isinstance(found, Broken) else ""
    report.addresses.append(AddressLine(address, not detail, round((time.monotonic() - start) * 1000, 2), detail))
    return found


def _session_order(order: ProbeOrder, report: ProbeReport) -> SessionOrder:
    recipients = tuple(relay_recipients(report.host, order.relay_to)) if order.relay_to else ()
    return SessionOrder(order.tls, order.patience, order.helo, order.source, order.ca_file, order.judge, order.relay_from, recipients)


def _ask_dns(order: ProbeOrder, asker: Asker, report: ProbeReport, session: Session) -> None:
    probe_dns.look_at_dane(asker, report, session.shown)
    if report.domain:
        probe_dns.look_at_sts(
            asker, report, fetch=order.sts_policy, connect=order.sts_connect, patience=order.patience, ca_file=order.ca_file
        )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
