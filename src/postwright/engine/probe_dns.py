"""What the DNS says of a server that is probed: MX hosts, addresses, TLSA records (DANE), MTA-STS.

Asks as the relay does (`CachingResolver` gives MX answers their meaning) and says honestly how far DNSSEC is known: this program validates
nothing itself. Raises Broken (RESOLVE) when there is no address to go to; all else is written into the report.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address

from postwright.engine.probe_report import DaneReport, MxLine, ProbeReport, StsReport
from postwright.model.outcome import Failure, Fault, Stage
from postwright.model.route import MxAnswer, MxStatus
from postwright.net import sts_fetch
from postwright.net.dns_ask import Asker, Looked
from postwright.net.dns_query import DnsStatus
from postwright.net.resolver import CachingResolver
from postwright.net.talk import Broken, look_up
from postwright.policy import dane, mta_sts


def best_mx(asker: Asker, domain: str, report: ProbeReport) -> str:
    """The best MX host of `domain`, all of them noted; the name itself where there is none. Raises Broken for a null MX."""
    answer = asyncio.run(CachingResolver(asker).mx(domain))
    if answer.status is MxStatus.FOUND:
        report.domain = domain
        report.mx = [MxLine(host.preference, host.name) for host in answer.hosts]
        return answer.hosts[0].name
    if answer.status is MxStatus.NULL_MX:
        raise _nowhere(f"{domain} takes no mail: its MX is null (RFC 7505)")
    _note_no_mx(answer, domain, report)
    return domain


def _note_no_mx(answer: MxAnswer, domain: str, report: ProbeReport) -> None:
    if answer.status is MxStatus.IMPLICIT:
        report.domain = domain
        report.note(f"{domain} has no MX records: mail for it goes to the name's own address")
    elif answer.status is MxStatus.TEMPORARY:
        report.note(f"MX records of {domain}: no answer ({answer.detail})")


def addresses(asker: Asker, host: str, family: int, *, by_dns: bool, by_system: bool = True) -> tuple[str, ...]:
    """Where `host` is: by the name servers asked, else by the system with its hosts file. Raises Broken."""
    try:
        found: Sequence[str] = (str(ip_address(host)),)
    except ValueError:
        found = asyncio.run(CachingResolver(asker).addresses(host)).addresses if by_dns else ()
        if not found and by_system:
            found = look_up(host, family)
    wanted = {socket.AF_INET: 4, socket.AF_INET6: 6}.get(socket.AddressFamily(family))
    usable = tuple([address for address in found if wanted is None or ip_address(address.partition("%")[0]).version == wanted])
    if not usable:
        raise _nowhere(f"{host} has no {f'IPv{wanted} ' if wanted else ''}address")
    return usable


def _nowhere(detail: str) -> Broken:
    return Broken(Failure(Stage.RESOLVE, None, Fault.UNREACHABLE, detail))


# DANE ------------------------------------------------------------------------------------------------------------------


def look_at_dane(asker: Asker, report: ProbeReport, chain: Sequence[tuple[bytes, bytes]]) -> None:
    """TLSA records of the server, held against its certificates (whole, public key)."""
    name = f"_{report.port}._tcp.{report.host}"
    looked = asker.ask(name, "TLSA")
    if looked.status is not DnsStatus.FOUND:
        state = f"unknown: {looked.detail}" if looked.status is DnsStatus.FAILED else "none"
        report.dane = DaneReport(name, state)
        return
    records = [record for record in map(dane.read_tlsa, looked.records) if record is not None]
    usable = [record for record in records if record.usable]
    state = "records" if usable else "no usable records"
    matches = any(dane.matches(record, chain) for record in usable) if chain and usable else None
    shown = tuple([record.text for record in records])
    report.dane = DaneReport(name, state, shown, looked.validated, _validation(looked), matches)
    if matches is False:
        report.problem(f"DANE: the certificate matches none of the TLSA records at {name}; senders that check will not deliver")


def _validation(looked: Looked) -> str:
    if not looked.validated:
        return "not validated: the name server does not say that DNSSEC was checked"
    if looked.by_ourselves:
        return "validated by the name server of this machine"
    return f"said to be validated by {looked.by}, which the network between could forge"


# MTA-STS -----------------------------------------------------------------------------------------------------------------


def look_at_sts(asker: Asker, report: ProbeReport, *, fetch: bool, connect: str, patience: float, ca_file: str) -> None:
    """The TXT record of the mail domain, and with `fetch` its policy over HTTPS; `connect` "ADDRESS:PORT" goes before the DNS."""
    looked = asker.ask(f"_mta-sts.{report.domain}", "TXT")
    if looked.status is DnsStatus.FAILED:
        report.mta_sts = StsReport("none", detail=f"unknown: {looked.detail}")
        return
    found = mta_sts.record_id(looked.records)
    if found is None:
        broken = any(text.startswith("v=STSv1") for text in looked.records)
        report.mta_sts = StsReport("broken" if broken else "none", detail="the TXT record is malformed" if broken else "")
    elif not fetch:
        report.mta_sts = StsReport("record", found, detail="the policy was not fetched (--mta-sts-policy does)")
    else:
        report.mta_sts = _policy(asker, report, found, connect, patience, ca_file)
    if report.mta_sts.state == "broken":
        report.problem(f"MTA-STS of {report.domain} is broken: {report.mta_sts.detail}")
    if report.mta_sts.covers is False:
        report.problem(f"MTA-STS: the policy of {report.domain} does not allow the MX {report.host}")


def _policy(asker: Asker, report: ProbeReport, record_id: str, connect: str, patience: float, ca_file: str) -> StsReport:
    host = f"mta-sts.{report.domain}"
    address, _, port = connect.rpartition(":")
    try:
        where = (address.strip("[]"),) if address else addresses(asker, host, socket.AF_UNSPEC, by_dns=True)
    except Broken as broken:
        return StsReport("broken", record_id, detail=f"{host}: {broken}")
    fetched = sts_fetch.fetch_now(host, where, int(port or 443), patience, ca_file)
    if fetched.problem:
        return StsReport("broken", record_id, detail=f"the policy cannot be had: {fetched.problem}")
    policy = mta_sts.read_policy(fetched.text)
    if policy.problem:
        return StsReport("broken", record_id, detail=policy.problem)
    covers = mta_sts.covers(policy, report.host) if policy.mode != "none" else None
    return StsReport("policy", record_id, policy.mode, policy.max_age, policy.mx, covers)
