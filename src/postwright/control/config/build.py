"""From the tree of blocks to the tree of settings: one method a block, repeated blocks merged, the later line winning.

References between blocks are noted on the way and judged by `checks` when all is known. A block that makes no sense is reported and left
out; nothing is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from msgspec import Struct

from postwright.control.config import build_events, build_lines, build_lists, build_lookup, build_oauth, build_oauth_client, fill
from postwright.control.config.build_places import Places, own_name
from postwright.control.config.directive import Scope, ValueProblem
from postwright.control.config.directives import find
from postwright.control.config.macros import Macros
from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report
from postwright.control.config.values import domain_pattern, plain_name
from postwright.policy.settings import (
    AddressList,
    ApiListener,
    ApiSettings,
    DnsSettings,
    DomainBlock,
    DomainKey,
    DomainSettings,
    EventSettings,
    GeneralSettings,
    HttpSettings,
    PoolSettings,
    ProxySettings,
    Settings,
    SourceBlock,
    SourceGroup,
    SourceSettings,
    UserSettings,
    VaultSettings,
    VmtaSettings,
)


class Builder:
    """Builds once. `vmta_blocks` and `pool_blocks` by lower-case name, and the global directives, are there for the checks."""

    def __init__(self, report: Report, places: Places, items: Iterable[Entry | Block]) -> None:
        self._report = report
        self._places = places
        self.macros = Macros(report)
        self.entries: list[Entry] = []
        self.blocks: dict[str, list[Block]] = {}
        for item in items:
            if isinstance(item, Block):
                self.blocks.setdefault(item.row.name, []).append(item)
            elif item.row.field == "macros":
                self.macros.define(item)
            else:
                self.entries.append(item)
        self.macros.check()
        # `local` as a domain stands for all names of this host (powermta.md 1.1)
        self._own = [domain_pattern(entry.value) for entry in self.entries if entry.row.name == "host-name"] or [own_name().lower()]

    def build(self) -> Settings:
        """The settings, not yet checked."""
        entries = self.entries
        whole = fill.values(entries, Settings)
        whole["relay_domains"] = self._patterns([e for e in entries if e.row.field == "relay_domains"])
        whole["domain_keys"] = self._keys(entries)
        whole["ip_connection_limit"] = tuple(whole.get("ip_connection_limit", ()))
        whole |= self._lists()
        whole |= self._services()
        return Settings(**{
            **whole,
            "general": GeneralSettings(**fill.values(entries, GeneralSettings)),
            "http": HttpSettings(**fill.values(entries, HttpSettings)),
            "macros": self.macros.words(),
            "listeners": self._places.listeners(entries, self._of("smtp-listener")),
            "spools": self._places.spools(entries, self._of("spool")),
            "acct_files": self._places.acct_files(self._of("acct-file")),
            "sources": self._sources(),
            "users": self._users(),
            "user_lookup": build_lookup.lookup(self._of("user-lookup"), self._report),
            "oauth_providers": build_oauth.providers(_by_name(self._of("oauth-provider")), self._places, self._report),
            "oauth_clients": build_oauth_client.clients(_by_name(self._of("oauth-client")), self._places, self._report),
            "events": EventSettings(**fill.values(entries, EventSettings)),
            "event_streams": build_events.streams(_by_name(self._of("event-stream")), self._report),
            "domains": self._domains(self._of("domain")),
            "vmtas": self._vmtas(),
            "pools": self._pools(),
            "lines": build_lines.lines(entries, self.blocks),
        })  # fmt: skip

    def _of(self, *tags: str) -> list[Block]:
        return list(chain.from_iterable(self.blocks.get(tag, ()) for tag in tags))

    # -- who sends to us ----------------------------------------------------------------

    def _sources(self) -> tuple[SourceBlock, ...]:
        merged: dict[tuple[str, str], SourceBlock] = {}
        for block in self._of("source"):
            network, name = self._places.source_head(block)
            if not network and not name:
                continue
            key = (network, name.lower())
            scope = fill.assignments(block.entries(), SourceSettings)
            before = merged.get(key)
            if before is not None:
                scope = {**before.assignments, **scope}
            merged[key] = SourceBlock(network, name, scope, block.origin)
        return tuple(merged.values())

    def _users(self) -> dict[str, UserSettings]:
        users: dict[str, UserSettings] = {}
        for blocks in _by_name(self._of("smtp-user")).values():
            first = blocks[0]
            values = fill.values(_entries(blocks), UserSettings)
            user = users[first.head.lower()] = UserSettings(**{**values, "name": first.head, "origin": first.origin})
            if user.authentication_method == "password" and not user.password:
                self._report.at(first.text, first.line, f"smtp-user `{first.head}` has no password")
            if user.authentication_method == "certificate" and not user.tls_certificate:
                self._report.at(first.text, first.line, f"smtp-user `{first.head}` has no tls-certificate")
        return users

    # -- where it goes ------------------------------------------------------------------

    def _domains(self, blocks: Iterable[Block]) -> tuple[DomainBlock, ...]:
        merged: dict[tuple[str, bool], DomainBlock] = {}
        for block in blocks:
            scope = fill.assignments(block.entries(), DomainSettings)
            by_macro = "$" in block.head
            for pattern in self.names(block.head, _as_entry(block)):
                before = merged.get((pattern, by_macro))
                whole = scope if before is None else {**before.assignments, **scope}
                merged[pattern, by_macro] = DomainBlock(pattern, whole, by_macro)
        return tuple(merged.values())

    def names(self, pattern: str, user: Entry) -> list[str]:
        """The canonical patterns that one written on the line of `user` stands for; what is wrong with them is reported."""
        if pattern == "local":
            return list(self._own)
        names = self.macros.expand(pattern, user)
        if "$" not in pattern:
            return list(names)
        found: list[str] = []
        for name in names:
            if plain_name(name):
                found.append(name)
                continue
            try:
                found.append(domain_pattern(name))
            except ValueProblem as problem:
                self._report.at(user.text, user.line, f"`{pattern}` stands for `{name}`: {problem.message}", hint=problem.hint)
        return found

    def _patterns(self, entries: Iterable[Entry]) -> tuple[str, ...]:
        """Domains of addresses, so none of the reserved names of queues."""
        found: list[str] = []
        for entry in entries:
            names = self.names(entry.value, entry)
            if any(name.startswith("{") for name in names):
                self._report.at(entry.text, entry.line, f"{entry.line.name}: no address is at a reserved name", offset=0)
            else:
                found += names
        return tuple(found)

    def _keys(self, entries: Iterable[Entry]) -> tuple[DomainKey, ...]:
        keys: list[DomainKey] = []
        for entry in entries:
            if entry.row.name == "domain-key":
                key: DomainKey = entry.value
                file = key.file if key.file.startswith("{vault}") else self._places.beside(key.file)
                self._places.must_exist(entry, file)
                names = self.names(key.domain, entry)
                keys += [DomainKey(key.selector, name, file, entry.origin) for name in names]
        return tuple(keys)

    def _vmtas(self) -> dict[str, VmtaSettings]:
        vmtas: dict[str, VmtaSettings] = {}
        for key, blocks in _by_name(self._of("virtual-mta")).items():
            values = self._identity(blocks, VmtaSettings)
            vmtas[key] = VmtaSettings(**{**values, "name": blocks[0].head, "origin": blocks[0].origin})
        return vmtas

    def _pools(self) -> dict[str, PoolSettings]:
        pools: dict[str, PoolSettings] = {}
        for key, blocks in _by_name(self._of("virtual-mta-pool")).items():
            values = self._identity(blocks, PoolSettings)
            pools[key] = PoolSettings(**{**values, "name": blocks[0].head, "origin": blocks[0].origin})
        return pools

    def _identity(self, blocks: list[Block], kind: type[Struct]) -> dict[str, Any]:
        """What a virtual MTA and a pool have in common."""
        entries = list(_entries(blocks))
        values = fill.values(entries, kind)
        values["domain_keys"] = self._keys(entries)
        values["domains"] = self._domains(chain.from_iterable(block.blocks("domain") for block in blocks))
        return values

    # -- lists and services -----------------------------------------------------------------

    def _lists(self) -> dict[str, Any]:
        return {
            "pattern_lists": self._merged("pattern-list", lambda block: build_lists.submissions(block, self._report)),
            "smtp_pattern_lists": self._merged("smtp-pattern-list", build_lists.replies),
            "rewrite_lists": self._merged("rewrite-list", build_lists.rewrites),
            "domain_key_lists": self._merged("domain-key-list", lambda block: self._keys(block.entries())),
            "bounce_categories": self._categories(),
            "mx_rollups": tuple(chain.from_iterable(map(build_lists.rollups, self._of("mx-rollup-list")))),
            "address_lists": self._address_lists(),
        }

    def _merged(self, tag: str, make: Callable[[Block], tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        lists: dict[str, tuple[Any, ...]] = {}
        for block in self._of(tag):
            key = block.head.lower()
            lists[key] = (*lists.get(key, ()), *make(block))
        return lists

    def _categories(self) -> Any:
        # the first match wins, so what the vendor's file brings comes last
        blocks = sorted(self._of("bounce-category-patterns"), key=lambda block: block.text.name == self._places.defaults)
        return tuple(chain.from_iterable(map(build_lists.categories, blocks))) if blocks else None

    def _address_lists(self) -> dict[str, AddressList]:
        lists: dict[str, AddressList] = {}
        for block in self._of("address-list"):
            key = block.head.lower()
            lists[key] = build_lists.joined(lists.get(key, AddressList(name=block.head)), self._address_list([block]))
        return lists

    def _address_list(self, blocks: Iterable[Block]) -> AddressList:
        whole = AddressList()
        for block in blocks:
            domains = self._patterns([entry for entry in block.entries() if entry.row.name == "domain"])
            whole = build_lists.joined(whole, build_lists.address_list(block, domains))
        return whole

    def _services(self) -> dict[str, Any]:
        found: dict[str, Any] = {"aliases": self._places.aliases(chain(self.entries, _entries(self._of("aliases"))))}
        for tag, field in (("bounce-processor", "bounce_processor"), ("feedback-loop-processor", "feedback_loop_processor")):
            for block in self._of(tag):
                found[field] = build_lists.processor(block, self._address_list(block.blocks("address-list")))
        for tag, field, kind in _SINGLE:
            blocks = self._of(tag)
            if blocks:
                found[field] = kind(**fill.values(_entries(blocks), kind))
        found["source_groups"] = self._named("source-group", SourceGroup)
        found["proxies"] = self._named("proxy", ProxySettings)
        found["transmissions_api_listeners"] = tuple(
            ApiListener(**{**self._places.address_of(block), **fill.values(block.entries(), ApiListener), "origin": block.origin})
            for block in self._of("transmissions-api-listener")
        )
        return found

    def _named(self, tag: str, kind: Callable[..., Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, blocks in _by_name(self._of(tag)).items():
            values = fill.values(_entries(blocks), kind)  # type: ignore[arg-type]
            if "server" in values:
                values["server"] = (values["server"].host, values["server"].port)
            found[key] = kind(**{**values, "name": blocks[0].head})
        return found


_SINGLE: tuple[tuple[str, str, type[Struct]], ...] = (
    ("dns", "dns", DnsSettings),
    ("vault", "vault", VaultSettings),
    ("transmissions-api", "transmissions_api", ApiSettings),
)


def _by_name(blocks: Iterable[Block]) -> dict[str, list[Block]]:
    named: dict[str, list[Block]] = {}
    for block in blocks:
        named.setdefault(block.head.lower(), []).append(block)
    return named


def _entries(blocks: Iterable[Block]) -> Iterable[Entry]:
    return chain.from_iterable(block.entries() for block in blocks)


def _as_entry(block: Block) -> Entry:
    """A block's head where a place in the text is wanted."""
    row = find("include", Scope.GLOBAL)
    assert row is not None
    return Entry(row, block.head, block.text, block.line)
