"""From settings to the parts that touch the outside: spool folders, accounting files, resolver, dialer, TLS of listeners."""

from __future__ import annotations

import ssl
from pathlib import Path

from postwright.engine.intake import Intake
from postwright.engine.listeners import expand
from postwright.engine.resolving import cache_limits, dns_source
from postwright.net.dialer import Dialer
from postwright.net.interfaces import local_addresses
from postwright.net.resolver import CachingResolver, Resolver
from postwright.policy.acct import QueueFilter
from postwright.policy.event_readers import is_fed
from postwright.policy.settings import AcctFileSettings, ListenerSettings, Settings
from postwright.store.accounting_file import AcctOptions
from postwright.store.segments import SpoolDir


def spool_dirs(settings: Settings, state_dir: Path) -> tuple[SpoolDir, ...]:
    """The `<spool>` folders; without any, `spool` below the state folder."""
    dirs = [SpoolDir(Path(s.path), s.priority, s.deliver_only, s.min_free_space) for s in settings.spools]
    return tuple(dirs) or (SpoolDir(state_dir / "spool"),)


def accounting(settings: Settings) -> list[AcctOptions]:
    """The `<acct-file>`s that are files; programs and webhooks are fed from the event log (`engine.exporter`)."""
    return [acct_options(acct) for acct in settings.acct_files if not is_fed(acct)]


def acct_options(acct: AcctFileSettings) -> AcctOptions:
    """What the store is told of one."""
    return AcctOptions(
        path=Path(acct.path),
        records=acct.records,
        record_fields=acct.record_fields,
        max_size=acct.max_size,
        delete_after=acct.delete_after,
        move_to=Path(acct.move_to) if acct.move_to else None,
        move_interval=acct.move_interval,
        iso_times=acct.iso_times,
        world_readable=acct.world_readable,
        sync=acct.sync,
        user_string=acct.user_string,
        header_map=acct.map_header_to_field,
        privacy=acct.privacy_policy,
        wants_queue=QueueFilter(acct.queue_filter) if acct.queue_filter else None,
        count_moved=acct.count_moved_records,
    )


def own_names(settings: Settings) -> tuple[str, ...]:
    """What this relay calls itself."""
    return settings.general.host_name


def own_endpoints(settings: Settings) -> list[tuple[str, int]]:
    """Where this relay listens; a listener whose network holds no local address listens nowhere."""
    endpoints: list[tuple[str, int]] = []
    for listener in settings.listeners:
        try:
            endpoints += [(one.address, one.port) for one in expand([listener], local_addresses())]
        except OSError:
            continue
    return endpoints


def outside_facts(settings: Settings) -> tuple[object, ...]:
    """What resolver and dialer are made from: they are made anew when a reload changes it."""
    return own_names(settings), own_endpoints(settings), settings.general.name_server, settings.general.edns_udp_length, settings.dns


def make_resolver(settings: Settings) -> Resolver:
    """The resolver of a shard."""
    addresses = {address for address, port in own_endpoints(settings) if port == 25}
    if addresses & {"0.0.0.0", "::"}:
        addresses = set(local_addresses())
    source, limits = dns_source(settings), cache_limits(settings)
    return CachingResolver(source, own_names=own_names(settings), own_addresses=addresses, limits=limits)


def make_dialer(settings: Settings) -> Dialer:
    """The dialer of a shard; it knows who we are, so that a loop is seen."""
    return Dialer(own_names=own_names(settings), own_endpoints=own_endpoints(settings))


def listener_tls(intake: Intake, listener: ListenerSettings) -> ssl.SSLContext | None:
    """TLS from the first octet for `immediate-tls` listeners."""
    return intake.implicit_tls(listener)
