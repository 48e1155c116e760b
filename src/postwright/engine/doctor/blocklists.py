"""Whether our addresses stand in blocklists of the DNS (RFC 5782). Asked only when the user allows it: the question tells the list who
asks.

An answer of 127.255.255.x is a list's word that it does not answer this name server (large public resolvers), not that we are listed.
"""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from postwright.engine.doctor.finding import Finding
from postwright.engine.doctor.names import NAME_IT, NO_PUBLIC
from postwright.engine.doctor.patient import Patient
from postwright.model.route import MxStatus

USUAL = ("zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org")
REFUSED = "127.255.255."


async def check(patient: Patient) -> list[Finding]:
    """A finding for each address that is listed, or one that none is."""
    zones = patient.wishes.blocklists
    if not zones:
        return [Finding("blocklists", "note", "blocklists", "were not asked", "allow it with --blocklists")]
    senders = patient.all_senders()
    if not senders:
        return [Finding("blocklists", "unknown", "blocklists", NO_PUBLIC, NAME_IT)]
    addresses = dict.fromkeys(sender.address for sender in senders)
    found = await asyncio.gather(*[_ask(patient, address, zone) for address in addresses for zone in zones])
    told = [one for one in found if one is not None]
    return told or [Finding("blocklists", "ok", ", ".join(zones), "none of our addresses is listed")]


async def _ask(patient: Patient, address: str, zone: str) -> Finding | None:
    octets = ip_address(address).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    answer = await patient.resolver.records(f"{octets}.{zone}", "A")
    if answer.status is MxStatus.TEMPORARY:
        return Finding("blocklists", "unknown", address, f"{zone} does not answer: {answer.detail}")
    listed = [name for name in answer.names if name.startswith("127.")]
    if not listed:
        return None
    if listed[0].startswith(REFUSED):
        cure = "ask through a name server of your own (name-server 127.0.0.1): lists refuse large public ones"
        return Finding("blocklists", "unknown", address, f"{zone} does not answer this name server ({listed[0]})", cure)
    cure = f"find out why, end it, then ask {zone} to take it out"
    return Finding("blocklists", "error", address, f"is listed in {zone} ({', '.join(listed)})", cure)
