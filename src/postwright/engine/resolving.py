"""From settings to who answers questions of the DNS, and who validates DNSSEC. Opens nothing; loads libunbound where it is wanted.

Raises NoValidator when what is wanted cannot be had on this machine.
"""

from __future__ import annotations

from postwright.net.dns_cache import CacheLimits
from postwright.net.dns_client import ClientOptions, DnsClient
from postwright.net.dns_query import DnsSource
from postwright.net.dns_servers import ServerBook
from postwright.net.unbound import Unavailable, UnboundSource
from postwright.policy.settings import Settings

LEAST_EDNS, MOST_EDNS = 512, 2048


class NoValidator(Exception):
    """`hint` says what to do."""

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(text)
        self.hint = hint


def choose_validator(settings: Settings, *, wanted: bool) -> str:
    """`dnssec-validator`, or what there is: "libunbound", "name-server", or "" for nobody. `wanted`: some domain has `use-dane`."""
    chosen = settings.dns.dnssec_validator
    servers = ServerBook(settings.general.name_server).all()
    local = all(server.local for server in servers)
    if chosen == "no" or not (chosen or wanted):
        if wanted:
            raise NoValidator("use-dane needs DNSSEC, and `dnssec-validator no` excludes it", "leave out one of the two")
        return ""
    if chosen == "name-server" and not local:
        far = next(server for server in servers if not server.local)
        hint = "ask a validating name server on a loopback address, or say `dnssec-validator libunbound`"
        raise NoValidator(f"the name server {far} is not on this machine: its word on DNSSEC could be forged on the way", hint)
    if chosen == "name-server" or (local and not chosen):
        return "name-server"
    try:
        UnboundSource(settings.general.name_server, anchors=settings.dns.trust_anchor_file)
    except Unavailable as missing:
        hint = "or ask a validating name server on a loopback address (`name-server 127.0.0.1`)"
        raise NoValidator(f"DNSSEC cannot be validated here: {missing}", hint) from missing
    return "libunbound"


def dns_source(settings: Settings) -> DnsSource:
    """Who answers: libunbound, or `name-server` (without any, the system's), whose AD bit counts if it is the validator."""
    servers, validator = settings.general.name_server, settings.dns.validator
    if validator == "libunbound":
        return UnboundSource(servers, anchors=settings.dns.trust_anchor_file)
    return DnsClient(servers, ClientOptions(edns=edns_length(settings.general.edns_udp_length), trust_local=validator == "name-server"))


def edns_length(wanted: int) -> int:
    """`edns-udp-length`: clamped without a word, as PowerMTA does; 0 for no EDNS."""
    return min(max(wanted, LEAST_EDNS), MOST_EDNS) if wanted else 0


def cache_limits(settings: Settings) -> CacheLimits:
    """`stale-answers` and `max-cached-names`."""
    return CacheLimits(stale=settings.dns.stale_answers, entries=max(settings.dns.max_cached_names, 1))
