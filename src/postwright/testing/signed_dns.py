"""A name server for tests whose zones are signed (RFC 4033), each an island with a key of its own: what a validator needs to say secure.

    async with SignedServer({"mx.a.test": {"A": ["127.0.0.1"]}}, signed=["a.test"]) as server:
        anchors.write_text(server.anchors)

`expired` apexes have signatures that ended yesterday; records of `forged` names are changed after signing. Names outside of `signed` are
served as `DnsServer` does. Denials are by NSEC. Never to be used beyond tests.
"""

from __future__ import annotations

import time
from collections.abc import Collection

import dns.dnssec
import dns.message
import dns.name
import dns.node
import dns.rcode
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm

from postwright.testing.dns_server import DnsServer
from postwright.testing.fake_resolver import MAX_ALIASES, Zone

_DAY = 86400


class SignedServer(DnsServer):
    """`anchors`: the trust anchors of all signed zones, in presentation form."""

    def __init__(
        self, zone: Zone, *, signed: Collection[str], expired: Collection[str] = (), forged: Collection[str] = (), ttl: int = 300
    ) -> None:
        super().__init__(zone, ttl=ttl)
        self.anchors = ""
        self._zones = [self._sign(apex, apex in expired) for apex in signed]
        for name in forged:
            self._forge(dns.name.from_text(name))

    def _sign(self, apex: str, expired: bool) -> dns.zone.Zone:
        origin = dns.name.from_text(apex)
        made = dns.zone.Zone(origin, relativize=False)
        basics = {apex: {"SOA": [f"ns.{apex}. hostmaster.{apex}. 1 3600 600 86400 {self.negative}"], "NS": [f"ns.{apex}."]}}
        for names in (basics, self.zone):
            for name, kinds in names.items():
                owner = dns.name.from_text(name)
                for kind, texts in kinds.items() if owner.is_subdomain(origin) else ():
                    made.replace_rdataset(owner, dns.rdataset.from_text_list(dns.rdataclass.IN, kind, self.ttl, list(texts)))
        key = ec.generate_private_key(ec.SECP256R1())
        public = dns.dnssec.make_dnskey(key.public_key(), Algorithm.ECDSAP256SHA256, flags=257)
        end = time.time() + (-_DAY if expired else _DAY)
        dns.dnssec.sign_zone(made, keys=[(key, public)], inception=end - 3 * _DAY, expiration=end)
        self.anchors += f"{origin} 3600 IN DNSKEY {public}\n"
        return made

    def _forge(self, name: dns.name.Name) -> None:
        """One more record in every set, which no signature covers."""
        [zone] = [zone for zone in self._zones if zone.origin is not None and name.is_subdomain(zone.origin)]
        for rdataset in zone.nodes[name].rdatasets:
            if rdataset.rdtype in (dns.rdatatype.A, dns.rdatatype.MX, dns.rdatatype.TLSA):
                text = {"A": "127.6.6.6", "MX": "0 evil.example.", "TLSA": "3 1 1 " + "00" * 32}[dns.rdatatype.to_text(rdataset.rdtype)]
                rdataset.add(dns.rdataset.from_text(rdataset.rdclass, rdataset.rdtype, rdataset.ttl, text)[0])

    def _fill(self, reply: dns.message.Message, name: str, kind: dns.rdatatype.RdataType) -> None:
        asked = dns.name.from_text(name)
        for _ in range(MAX_ALIASES):
            zone = next((z for z in self._zones if z.origin is not None and asked.is_subdomain(z.origin)), None)
            if zone is None:
                super()._fill(reply, asked.to_text(omit_final_dot=True), kind)
                return
            if _set(reply.answer, zone, asked, kind):
                return
            alias = zone.get_rdataset(asked, dns.rdatatype.CNAME)
            if alias is None:
                _deny(reply, zone, asked)
                return
            _set(reply.answer, zone, asked, dns.rdatatype.CNAME)
            asked = alias[0].target


def _set(section: list[dns.rrset.RRset], zone: dns.zone.Zone, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> bool:
    """Puts a set with its signatures into a section, if there is one."""
    node = zone.nodes.get(name)
    found = node.get_rdataset(dns.rdataclass.IN, kind) if node is not None else None
    if node is None or found is None:
        return False
    section.append(dns.rrset.from_rdata_list(name, found.ttl, list(found)))
    signatures = node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.RRSIG, kind)
    if signatures is not None:
        section.append(dns.rrset.from_rdata_list(name, signatures.ttl, list(signatures)))
    return True


def _deny(reply: dns.message.Message, zone: dns.zone.Zone, name: dns.name.Name) -> None:
    """RFC 4035 section 3.1.3: the NSEC of the name, or those that show that neither it nor a wildcard is there."""
    assert zone.origin is not None
    _set(reply.authority, zone, zone.origin, dns.rdatatype.SOA)
    if name in zone.nodes or any(other.is_subdomain(name) for other in zone.nodes):
        shown = {_before(zone, name)}
    else:
        reply.set_rcode(dns.rcode.NXDOMAIN)
        parent = name.parent()
        while parent not in zone.nodes and not any(other.is_subdomain(parent) for other in zone.nodes):
            parent = parent.parent()
        shown = {_before(zone, name), _before(zone, dns.name.Name(("*", *parent.labels)))}
    for owner in sorted(shown):
        _set(reply.authority, zone, owner, dns.rdatatype.NSEC)


def _before(zone: dns.zone.Zone, name: dns.name.Name) -> dns.name.Name:
    return max(owner for owner in zone.nodes if owner <= name)
