"""Whether port 25 is open on the way out: many hosts of machines close it, and everything else looks well then.

Tried are the hosts that the user names and the smarthosts of the configuration, each from every source address of ours that it can be
reached from; a greeting, EHLO and QUIT, no mail. Nobody else's host is troubled unasked."""

from __future__ import annotations

from ipaddress import ip_address

from msgspec import Struct

from postwright.engine.doctor.finding import Finding, Level
from postwright.engine.doctor.patient import Patient
from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.route import MxStatus, Route, SessionOptions, SourceHost, Timeouts
from postwright.policy import mx
from postwright.policy.sources import sources

MOST = 16  # connections that are tried
PORT = 25


class Target(Struct, frozen=True):
    """A host that should take mail."""

    host: str
    port: int


async def check(patient: Patient) -> list[Finding]:
    """A finding for each host and source address."""
    targets = _targets(patient)
    if not targets:
        return [Finding("port-25", "note", "port 25", "the way out was not tried", "name a host that takes mail: --reach mx.example.net")]
    found: list[Finding] = []
    for target in targets:
        found += await _host(patient, target, MOST - len(found))
    return found


def targets_of(text: str, port: int = PORT) -> list[Target]:
    """Hosts as `smtp-hosts` has them. Raises ValueError for what is none."""
    hosts = [mx.as_host(spec) for spec in mx.parse_hosts(text, port)]
    return [Target(host.name, host.port or port) for host in hosts]


def _targets(patient: Patient) -> list[Target]:
    named = [target for text in patient.wishes.reach for target in targets_of(text)]
    for block in patient.settings.domain_blocks():
        said, port = (block.assignments.get(name) for name in ("smtp_hosts", "default_smtp_port"))
        if said is not None and said.value:
            named += targets_of(said.value, port.value if port is not None else PORT)
    return list(dict.fromkeys(named))


async def _host(patient: Patient, target: Target, most: int) -> list[Finding]:
    answer = await patient.resolver.addresses(target.host)
    if answer.status is not MxStatus.FOUND:
        level: Level = "unknown" if answer.status is MxStatus.TEMPORARY else "error"
        return [Finding("port-25", level, target.host, f"its addresses cannot be had: {answer.detail or answer.status.value}")]
    found: list[Finding] = []
    for source in _sources(patient):
        address = next((one for one in answer.addresses if not source.address or _family(one) == _family(source.address)), "")
        if address and len(found) < most:
            found.append(await _try(patient, Route(target.host, address, target.port, source)))
    return found


def _sources(patient: Patient) -> list[SourceHost]:
    """As they are bound on this machine, not as the world sees them."""
    vmtas = patient.settings.vmtas or ("",)
    return list(dict.fromkeys(source for vmta in vmtas for source in sources(patient.resolved, vmta, patient.local)))


def _family(address: str) -> int:
    return ip_address(address).version


async def _try(patient: Patient, route: Route) -> Finding:
    patience = patient.wishes.patience
    outcome = await patient.dialer.open(route, SessionOptions(timeouts=Timeouts(connect=patience, greeting=patience, command=patience)))
    subject = f"{route.source.address or 'this machine'} to {route.host}:{route.port}"
    if not isinstance(outcome, Failure):
        outcome.close()
        return Finding("port-25", "ok", subject, f"{route.address} answers")
    return Finding("port-25", "error", subject, _words(outcome), _cure(outcome, route))


def _words(failure: Failure) -> str:
    said = failure.reply.text if failure.reply is not None else failure.detail or failure.fault.value
    return f"no session, at {failure.stage.value}: {said}"


def _cure(failure: Failure, route: Route) -> str:
    if failure.stage is not Stage.CONNECT:
        return "the way is open: it is that host which does not want us"
    if failure.fault is Fault.TIMEOUT:
        return f"ask whoever runs this network to open port {route.port} outwards, or send through a smarthost (docs/guides/smarthosts.md)"
    if failure.fault is Fault.REFUSED:
        return "nothing takes mail there, or a firewall on the way refuses in its name"
    if route.source.address:
        return f"is {route.source.address} an address of this machine (ip address)?"
    return "is there a way out (ip route)?"
