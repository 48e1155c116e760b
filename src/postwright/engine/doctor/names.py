"""The names of the machine: what it says in EHLO leads to its addresses, and these lead back (RFC 1912 section 2.1, RFC 8601's iprev)."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from postwright.engine.doctor.finding import Finding, Level
from postwright.engine.doctor.patient import Patient
from postwright.model.route import MxStatus, SourceHost

NO_PUBLIC = "no public address that mail leaves from is known"
NAME_IT = "say by which addresses the world sees this machine: --address 192.0.2.1"


async def check(patient: Patient) -> list[Finding]:
    """The host's own name, then each source address."""
    found = [await _host_name(patient)]
    senders = patient.all_senders()
    if not senders:
        return [*found, Finding("ptr", "unknown", "source addresses", NO_PUBLIC, NAME_IT)]
    looks = [look(patient, sender) for sender in senders for look in (_pointer, _greeting)]
    return [*found, *await asyncio.gather(*looks)]


async def _host_name(patient: Patient) -> Finding:
    name = patient.name
    if "." not in name:
        text = f"host-name {name} is no whole name" if name else "there is no host-name"
        return Finding("host-name", "error", name or "host-name", text, "host-name mail.example.com: a name of yours that has an A record")
    answer = await patient.resolver.addresses(name)
    if answer.status is MxStatus.FOUND:
        return Finding("host-name", "ok", name, f"has the addresses {', '.join(answer.addresses)}")
    if answer.status is MxStatus.TEMPORARY:
        return Finding("host-name", "unknown", name, f"the DNS cannot tell its addresses now: {answer.detail}")
    return Finding("host-name", "error", name, "has neither an A nor an AAAA record", f"publish one: {name}. IN A ADDRESS")


async def _pointer(patient: Patient, sender: SourceHost) -> Finding:
    """What the address is called, and whether that is the name it says."""
    answer = await patient.resolver.names(sender.address)
    if answer.status is MxStatus.TEMPORARY:
        return Finding("ptr", "unknown", sender.address, f"the DNS cannot tell its name now: {answer.detail}")
    record = f"{ip_address(sender.address).reverse_pointer}. IN PTR {sender.name}."
    if answer.status is not MxStatus.FOUND:
        cure = f"have whoever gave you the address publish {record}"
        return Finding("ptr", "error", sender.address, "has no PTR record: many receivers refuse it for that", cure)
    if sender.name.lower() in answer.names:
        return Finding("ptr", "ok", sender.address, f"is called {sender.name}, as it says in EHLO")
    said = f"is called {', '.join(answer.names[:3])}, and says {sender.name} in EHLO"
    cure = f"make both the same: smtp-source-host {sender.address} {answer.names[0]}, or {record}"
    return Finding("ptr", "warning", sender.address, said, cure)


async def _greeting(patient: Patient, sender: SourceHost) -> Finding:
    """Whether the name it says leads to the address (forward-confirmed)."""
    answer = await patient.resolver.addresses(sender.name)
    if answer.status is MxStatus.TEMPORARY:
        return Finding("ehlo", "unknown", sender.name, f"the DNS cannot tell its addresses now: {answer.detail}")
    kind = "AAAA" if ":" in sender.address else "A"
    if sender.address in answer.addresses:
        return Finding("ehlo", "ok", sender.name, f"leads to {sender.address}, which says it in EHLO")
    text = f"does not lead to {sender.address}, which says it in EHLO"
    level: Level = "warning" if answer.addresses else "error"
    return Finding("ehlo", level, sender.name, text, f"publish {sender.name}. IN {kind} {sender.address}")
