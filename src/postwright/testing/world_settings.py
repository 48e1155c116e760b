"""Settings for simulated worlds, without a configuration file: `relay(domain("*", retry_after=(600.0,)), vmta("a", "192.0.2.10"))`.

Directives are named as in `policy.settings`, `_` for `-`. Nothing is checked here beyond what the structs check.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from postwright.policy.settings import (
    AcctFileSettings,
    Assignment,
    DomainBlock,
    GeneralSettings,
    ListenerSettings,
    Origin,
    PoolSettings,
    Settings,
    SourceBlock,
    SourceHostRule,
    VmtaSettings,
)

ANYBODY = "0.0.0.0/0"
RECORDS = ("d", "b", "t", "tq", "r")


def domain(pattern: str, **directives: Any) -> DomainBlock:
    """`<domain PATTERN>`."""
    return DomainBlock(pattern, _scope(directives))


def source(network: str, **directives: Any) -> SourceBlock:
    """`<source NETWORK>`, or by name when it is in braces."""
    named = network.startswith("{")
    return SourceBlock("" if named else network, network if named else "", _scope(directives))


def vmta(name: str, address: str = "", *domains: DomainBlock, **directives: Any) -> VmtaSettings:
    """`<virtual-mta NAME>` with one `smtp-source-host`."""
    hosts = (SourceHostRule(address, f"{name}.relay.example"),) if address else ()
    return VmtaSettings(name, smtp_source_host=hosts, domains=domains, **directives)


def pool(name: str, *members: str) -> PoolSettings:
    """`<virtual-mta-pool NAME>`."""
    return PoolSettings(name, members)


def relay(*blocks: DomainBlock | SourceBlock | VmtaSettings | PoolSettings, general: dict[str, Any] | None = None, **more: Any) -> Settings:
    """A relay named relay.example with these blocks. Without a `source` everybody may relay and choose virtual MTA, job and envid."""
    sources = tuple(block for block in blocks if isinstance(block, SourceBlock))
    if not sources:
        free = {"always_allow_relaying": True, "process_x_virtual_mta": True, "process_x_job": True, "process_x_envid": True}
        sources = (source(ANYBODY, **free),)
    settings = Settings(
        general=GeneralSettings(**{"host_name": ("relay.example",), **(general or {})}),
        listeners=(ListenerSettings("192.0.2.1", 25),),
        sources=sources,
        domains=tuple(block for block in blocks if isinstance(block, DomainBlock)),
        vmtas={block.name.lower(): block for block in blocks if isinstance(block, VmtaSettings)},
        pools={block.name.lower(): block for block in blocks if isinstance(block, PoolSettings)},
        acct_files=(AcctFileSettings("acct.csv", records=RECORDS),),
    )
    return replace(settings, **more)


def _scope(directives: dict[str, Any]) -> dict[str, Assignment]:
    return {name: Assignment(value, Origin()) for name, value in directives.items()}
