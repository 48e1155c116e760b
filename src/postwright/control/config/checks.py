"""What only the finished settings can tell: whether this is an open relay, whether slots are enough, which pools have a virtual MTA.

Reports; never changes what was written. References are judged earlier, on the tree (`references`).
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from postwright.control.config import (
    acct_checks,
    bounce_checks,
    dkim_checks,
    dns_checks,
    fed_checks,
    hand_in_checks,
    http_checks,
    lmtp,
    move_checks,
    open_relay,
    proxy_checks,
    spf_checks,
    transport_checks,
)
from postwright.control.config.build import Builder
from postwright.control.config.open_relay import Opening
from postwright.control.config.reader import Block, Entry
from postwright.control.config.report import Report
from postwright.policy.settings import Settings

_OPENERS = ("always_allow_relaying", "allow_xclient")


def check(settings: Settings, builder: Builder, items: list[Entry | Block], report: Report) -> Settings:
    """The settings, with each virtual MTA told of its pools; problems go to `report`."""
    if not settings.general.allow_open_relay:
        for opening in open_relay.openings(settings):
            _tell(opening, builder, items, report)
    _tell_of_slots(settings, items, report)
    lmtp.check(items, report)
    fed_checks.check(items, report)
    hand_in_checks.check(settings, items, report)
    http_checks.check(settings, items, report)
    acct_checks.check(settings, items, report)
    bounce_checks.check(settings, items, report)
    proxy_checks.check(items, report)
    spf_checks.check(settings, items, report)
    if not report.failed:
        move_checks.check(settings, items, report)
    whole = _with_pools(dns_checks.check(settings, items, report))
    if not report.failed:
        transport_checks.check(whole, items, report)
        dkim_checks.check(whole, items, report)
    return whole


def _tell_of_slots(settings: Settings, items: list[Entry | Block], report: Report) -> None:
    """More slots kept for groups than there are: the last groups would find theirs taken, and everybody else none."""
    total = settings.general.total_max_smtp_in
    kept = sum(group.reserved_smtp_in or 0 for group in settings.source_groups.values())
    if total is None or kept <= total:
        return
    blocks = [item for item in items if isinstance(item, Block) and item.row.name == "source-group"]
    entry = next((e for block in reversed(blocks) for e in block.entries() if e.row.field == "reserved_smtp_in"), None)
    assert entry is not None, "what is kept comes out of a line"
    message = f"reserved-smtp-in: {kept} slots are kept for groups, of {total} that there are (total-max-smtp-in)"
    report.at(entry.text, entry.line, message, offset=0, level="warning")


def _tell(opening: Opening, builder: Builder, items: list[Entry | Block], report: Report) -> None:
    entry = next(_guilty(opening, builder, items), None)
    assert entry is not None, "an opening comes out of a line"
    if opening.assignment is not None:
        hint = "say which networks may, or add `require-auth yes`; `allow-open-relay yes`, outside of blocks, says that it is meant"
    else:
        hint = "say which ones, or add `allow-open-relay yes` if it is meant"
    report.at(entry.text, entry.line, opening.message, offset=0, hint=hint)


def _guilty(opening: Opening, builder: Builder, items: list[Entry | Block]) -> Iterator[Entry]:
    """The line of an opening. A domain out of a macro has the line that used the macro."""
    relay = [item for item in items if isinstance(item, Entry) and item.row.field in ("relay_domains", "relay_addresses")]
    if opening.assignment is not None:
        for item in items:
            if isinstance(item, Block) and item.row.name == "source":
                yield from (e for e in item.entries() if e.origin == opening.assignment.origin and e.row.field in _OPENERS)
        return
    yield from (entry for entry in relay if entry.value == opening.value)
    yield from (entry for entry in relay if "$" in entry.value and opening.value in builder.names(entry.value, entry))


def _with_pools(settings: Settings) -> Settings:
    pools_of: dict[str, list[str]] = {}
    for pool in settings.pools.values():
        for member in dict.fromkeys(name.lower() for name in pool.members):
            pools_of.setdefault(member, []).append(pool.name)
    vmtas = dict(settings.vmtas)
    for key, pools in pools_of.items():
        if key in vmtas:
            vmtas[key] = structs.replace(vmtas[key], pools=tuple(pools))
    return structs.replace(settings, vmtas=vmtas)
