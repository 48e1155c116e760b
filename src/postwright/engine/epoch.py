"""What one generation of settings comes to for intake: compiled rules, shared replies, caches that live as long as the generation.

Made once per reload and process, then only read; sessions keep the one that their transaction began with. Raises ValueError or OSError for
settings that cannot be put in force (a pattern that is none, a certificate that cannot be read).
"""

from __future__ import annotations

from msgspec import Struct

from postwright.content import dkim_options
from postwright.content.headers import Finder
from postwright.engine import credentials, noting, sorting
from postwright.engine.addressing import Addressing
from postwright.engine.header_files import HeaderFiles
from postwright.engine.processing import Processing, processing_of
from postwright.engine.tickets import Tickets
from postwright.engine.tls_server import ServerTls
from postwright.engine.transports.http import read_headers
from postwright.engine.transports.making import problem
from postwright.model.reply import Reply
from postwright.policy.access import AccessRules
from postwright.policy.assign import vmta_of_address
from postwright.policy.resolve import Resolved
from postwright.policy.settings import Settings, SourceSettings
from postwright.wire.options import ServerOptions


class Epoch(Struct):
    """Of one shard. The dictionaries are caches; their keys are ids of values that `resolved` keeps alive."""

    resolved: Resolved
    access: AccessRules
    host: str
    greeting: Reply
    addressing: Addressing
    tls: ServerTls
    noted: Finder | None = None  # header fields that some accounting file asks for
    processing: Processing | None = None  # of mail that may be reports
    options: dict[tuple[int, bool, bool, bool, bool, bool, bool], ServerOptions] = {}
    injecting: dict[tuple[int, bool, bool], tuple[SourceSettings, ServerOptions]] = {}  # `injector`'s
    _remove: dict[int, frozenset[bytes]] = {}
    _by_ip: dict[str, str] = {}

    @property
    def settings(self) -> Settings:
        return self.resolved.settings

    def removed(self, source: SourceSettings) -> frozenset[bytes]:
        """`remove-header` of a source as the transformation wants it, and what is for nobody but us: a private key, above all."""
        found = self._remove.get(id(source))
        if found is None:
            names = {name.lower().encode() for name in source.remove_header}
            if not source.retain_x_dkim_key:
                names.add(dkim_options.KEY)  # also where it is not processed (powermta.md section 2)
            if source.process_x_dkim_options and not source.retain_x_dkim_options:
                names.add(dkim_options.OPTIONS)
            found = self._remove[id(source)] = frozenset(names)
        return found

    def vmta_of(self, local: str) -> str:
        """The virtual MTA whose source host is `local` (`default-virtual-mta by-smtp-source-ip`), or ""."""
        if local not in self._by_ip:
            self._by_ip[local] = vmta_of_address(self.resolved.settings.vmtas, local)
        return self._by_ip[local]


def make_epoch(resolved: Resolved, tickets: Tickets | None = None, troubles: list[str] | None = None) -> Epoch:
    """Raises ValueError or OSError, naming what cannot be used; with `troubles`, certificates are noted there instead."""
    settings = resolved.settings
    general = settings.general
    host = general.host_name[0] if general.host_name else "localhost"
    access = AccessRules(settings.relay_domains, settings.relay_addresses, general.host_name)
    return Epoch(
        resolved=resolved,
        access=access,
        host=host,
        greeting=Reply(220, "", (f"{host} (Postwright) ESMTP service ready",)),
        addressing=Addressing(settings, access, host),
        tls=ServerTls(settings, tickets, troubles),
        noted=noting.finder_of(settings),
        processing=processing_of(resolved),
    )


def check(settings: Settings) -> None:
    """Could a shard put these in force? Raises ValueError or OSError, as it would (a certificate that cannot be read …)."""
    make_epoch(Resolved(settings))
    HeaderFiles(settings)
    sorting.shadow_pack(settings)
    _transports(Resolved(settings))
    credentials.check(settings)


def _transports(resolved: Resolved) -> None:
    """A queue with a `type` of its own has what that type wants; looked at for a domain that each pattern fits."""
    scopes = [("{default}", resolved.settings.domains), *((vmta.name, vmta.domains) for vmta in resolved.settings.vmtas.values())]
    for vmta, blocks in scopes:
        for block in blocks:
            domain = block.pattern.replace("[*.]", "").replace("*.", "x.").replace("*", "x.invalid")
            settings = resolved.queue(domain, vmta)
            wrong = problem(settings) if settings.type != "smtp" else ""
            if wrong:
                raise ValueError(f"<domain {block.pattern}>: {wrong}")
            if settings.type == "http-delivery":
                read_headers(settings.http_delivery_extra_headers)
