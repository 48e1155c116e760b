"""Names that lead somewhere: virtual MTAs, pools, lists, sources, groups, proxies. Looked up without regard to case.

Works on the tree, before settings are built: what leads nowhere is reported and, where tolerant mode forgives it, taken out of the tree, so
that settings never hold a dangling name. A pattern-list must stand above the source that uses it (powermta.md 1.5); pools must not
quarrel about a member.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from postwright.control.config.directive import Scope
from postwright.control.config.lines import Line, Text
from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report
from postwright.control.config.suggest import did_you_mean
from postwright.policy.settings import SubmissionRule

_TO_VMTA = ("virtual-mta", "virtual-mta-pool")
_WORDS = {"virtual-mta": "virtual MTA", "virtual-mta-pool": "pool"}
_RESERVED = {"virtual-mta": ("{default}",), "proxy": ("none",), "source": ("{api}", "{auth}", "{pickup}", "{transmissions-api}")}
# (directive, scope) -> the blocks that it may name
_LEADS: dict[tuple[str, Scope], tuple[str, ...]] = {
    ("default-virtual-mta", Scope.SOURCE): _TO_VMTA,
    ("invalid-virtual-mta-fallback", Scope.GLOBAL): _TO_VMTA,
    ("reroute-to-virtual-mta", Scope.DOMAIN): _TO_VMTA,
    ("backoff-reroute-to-virtual-mta", Scope.DOMAIN): _TO_VMTA,
    ("cold-virtual-mta", Scope.VMTA): ("virtual-mta",),
    ("cold-virtual-mta", Scope.POOL): ("virtual-mta",),
    ("virtual-mta", Scope.POOL): ("virtual-mta",),
    ("pattern-list", Scope.SOURCE): ("pattern-list",),
    ("rewrite-list", Scope.SOURCE): ("rewrite-list",),
    ("rewrite-list", Scope.VMTA): ("rewrite-list",),
    ("rewrite-list", Scope.POOL): ("rewrite-list",),
    ("source-group", Scope.SOURCE): ("source-group",),
    ("suppression-lists", Scope.SOURCE): ("address-list",),
    ("smtp-pattern-list", Scope.DOMAIN): ("smtp-pattern-list",),
    ("auth-oauth-client", Scope.DOMAIN): ("oauth-client",),
    ("use-proxy", Scope.GLOBAL): ("proxy",),
    ("use-proxy", Scope.VMTA): ("proxy",),
    ("source", Scope.USER): ("source",),
    ("virtual-mta", Scope.USER): _TO_VMTA,
    ("source", Scope.LISTENER): ("source",),
    ("source", Scope.OAUTH_PROVIDER): ("source",),
    ("smtp-listener", Scope.GLOBAL): ("source",),
    ("mail-from", Scope.PATTERN_LIST): _TO_VMTA,
    ("rcpt-to", Scope.PATTERN_LIST): _TO_VMTA,
    ("header", Scope.PATTERN_LIST): _TO_VMTA,
    ("*", Scope.PATTERN_LIST): _TO_VMTA,
}
BY_SOURCE_IP = "by-smtp-source-ip"


class References:
    """Judges the tree `items` of a whole configuration."""

    def __init__(self, report: Report, items: list[Entry | Block]) -> None:
        self._report = report
        self._items = items
        self._blocks: dict[str, list[Block]] = {}
        for item in items:
            if isinstance(item, Block):
                self._blocks.setdefault(item.row.name, []).append(item)
        self._known = {tag: {_name(block) for block in blocks} for tag, blocks in self._blocks.items()}

    def check(self) -> None:
        """Reports what is wrong, and takes it out of the tree."""
        self._pool_names()
        self._walk(self._items, Scope.GLOBAL)
        self._lists_above()
        self._quarrels()
        self._empty_pools()

    # -- names ------------------------------------------------------------------------------

    def _walk(self, items: list[Entry | Block], scope: Scope) -> None:
        keep: list[Entry | Block] = []
        for item in items:
            if isinstance(item, Block):
                self._walk(item.items, item.scope)
                keep.append(item)
            elif self._leads(item, scope):
                keep.append(item)
        if len(keep) < len(items):
            items[:] = keep

    def _leads(self, entry: Entry, scope: Scope) -> bool:
        tags = _LEADS.get((entry.row.name, scope))
        if tags is None:
            return True
        # who steers is no matter of taste: a user whose source or virtual MTA is not there must not get another
        forgiven = tags not in (("source",), ("oauth-client",)) and scope is not Scope.USER
        missing = [name for name in _names(entry) if not self._exists(name, tags)]
        for name in missing:
            what = " or ".join(_WORDS.get(tag, f"<{tag}>") for tag in tags)
            hint = did_you_mean(name, (block_name for tag in tags for block_name in self._shown(tag)))
            offset = max(entry.line.value.lower().find(name.lower()), 0)
            self._report.at(entry.text, entry.line, f"there is no {what} `{name}`", offset=offset, hint=hint, forgiven=forgiven)
        return not missing

    def _exists(self, name: str, tags: tuple[str, ...]) -> bool:
        lower = name.lower()
        return any(lower in self._known.get(tag, ()) or lower in _RESERVED.get(tag, ()) for tag in tags)

    def _shown(self, tag: str) -> Iterator[str]:
        return (block.head for block in self._blocks.get(tag, ()))

    # -- pattern lists ------------------------------------------------------------------------

    def _lists_above(self) -> None:
        defined: set[str] = set()
        for item in self._items:
            if not isinstance(item, Block):
                continue
            if item.row.name == "pattern-list":
                defined.add(_name(item))
            elif item.row.name == "source":
                for entry in item.entries():
                    if entry.row.name == "pattern-list" and entry.value.lower() not in defined:
                        self._below(entry)

    def _below(self, entry: Entry) -> None:
        block = next((b for b in self._blocks.get("pattern-list", ()) if _name(b) == entry.value.lower()), None)
        if block is None:
            return
        message = f"pattern-list `{entry.value}` is used above its definition"
        hint = f"it is defined on {_place(block.text, block.line, entry.text)}: move it above the source"
        self._report.at(entry.text, entry.line, message, offset=0, hint=hint, forgiven=True)

    # -- pools ------------------------------------------------------------------------------

    def _pool_names(self) -> None:
        vmtas = {_name(block): block for block in reversed(self._blocks.get("virtual-mta", []))}
        for pool in self._blocks.get("virtual-mta-pool", ()):
            vmta = vmtas.get(_name(pool))
            if vmta is not None:
                where = f"is the virtual MTA of {_place(vmta.text, vmta.line, pool.text)}"
            elif _name(pool) == "{default}":
                where = "is what mail without a virtual MTA goes by"
            else:
                continue
            self._report.at(pool.text, pool.line, f"a pool cannot be called `{pool.head}`: so {where}")

    def _quarrels(self) -> None:
        """A virtual MTA may be in two pools only if at most one of them contains <domain> blocks."""
        pools = self._blocks.get("virtual-mta-pool", [])
        with_domains = {_name(pool) for pool in pools if any(True for _ in pool.blocks("domain"))}
        owner: dict[str, Entry] = {}
        owning_pool: dict[str, str] = {}
        for pool in pools:
            if _name(pool) not in with_domains:
                continue
            for entry in pool.entries():
                if entry.row.name != "virtual-mta":
                    continue
                member = entry.value.lower()
                if owning_pool.setdefault(member, _name(pool)) != _name(pool):
                    other = owner[member]
                    hint = f"the other place is {_place(other.text, other.line, entry.text)}"
                    message = f"virtual MTA `{entry.value}` is in two pools that both contain <domain> blocks"
                    self._report.at(entry.text, entry.line, message, offset=0, hint=hint)
                owner.setdefault(member, entry)

    def _empty_pools(self) -> None:
        """A pool whose members were all left out is left out itself: mail for it is refused, and not sent by chance."""
        filled = {
            _name(pool)
            for pool in self._blocks.get("virtual-mta-pool", ())
            if any(entry.row.name == "virtual-mta" for entry in pool.entries())
        }
        for pool in self._blocks.get("virtual-mta-pool", ()):
            if _name(pool) in filled:
                continue
            if self._report.tolerant or not self._report.failed:  # else its members are among the errors
                self._report.at(pool.text, pool.line, f"pool `{pool.head}` has no member", level="warning", hint="mail for it is refused")
            self._items.remove(pool)


def _name(block: Block) -> str:
    return str(block.head).lower()


def _place(text: Text, line: Line, here: Text) -> str:
    return f"line {line.number}" if text.name == here.name else f"{text.name}:{line.number}"


def _names(entry: Entry) -> Iterable[str]:
    value = entry.value
    if not value:  # `""` clears
        return ()
    if isinstance(value, tuple):
        return value
    if isinstance(value, SubmissionRule):
        return (value.result.virtual_mta,) if value.result.virtual_mta else ()
    if entry.row.name == "smtp-listener":
        return (value.source,) if value.source else ()
    return () if value.lower() == BY_SOURCE_IP and entry.row.name == "default-virtual-mta" else (value,)
