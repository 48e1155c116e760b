"""Which virtual MTA or pool a submission goes out by (powermta.md section 1.5, point 6).

Names are found without regard to case and given back as they were written. The member of a pool is chosen later, when it is known which
of them may send; here only the pool is. A choice is always made: what cannot be honoured comes with the reply that refuses
it, or is marked as unknown, so that delivery can bounce it.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address

from msgspec import Struct

from postwright.model.reply import Reply
from postwright.policy.patterns import network
from postwright.policy.settings import PoolSettings, SourceSettings, VmtaSettings

DEFAULT = "{default}"
BY_SOURCE_IP = "by-smtp-source-ip"
HEADER, PATTERN_LIST, DEFAULT_OF_SOURCE = "x-virtual-mta", "pattern-list", "default-virtual-mta"


class VmtaChoice(Struct, frozen=True):
    """`vmta` as configured, or "" when `pool` (and its `members`) is what was chosen.

    `error` refuses the message (550 5.5.0). `known` is false for a virtual MTA that there is not, taken all the same because
    `reject-invalid-virtual-mta` is off and there is no fallback: it bounces at delivery with status 5.3.5.
    """

    vmta: str
    pool: str = ""
    members: tuple[str, ...] = ()
    error: Reply | None = None
    known: bool = True


_DEFAULT_CHOICE = VmtaChoice(DEFAULT)


def choose_vmta(
    header: str | None,
    source: SourceSettings,
    vmtas: Mapping[str, VmtaSettings],
    pools: Mapping[str, PoolSettings],
    local_ip: str,
    by_ip: Mapping[str, str],
    fallback: str,
    pattern: str = "",
) -> VmtaChoice:
    """High to low: the x-virtual-mta field (where `process-x-virtual-mta`), the `pattern-list`, `default-virtual-mta`, `{default}`.

    `header` is what the field said, None without one; `pattern` what the list said, or ""; `vmtas` and `pools` by name in lower
    case; `local_ip` the address that was connected to, `by_ip` the virtual MTA of each for `default-virtual-mta by-smtp-source-ip`;
    `fallback` is `invalid-virtual-mta-fallback` or "".
    """
    by = chosen_by(header, source, pattern)
    if by == HEADER:
        wanted = (header or "").strip()
    else:
        wanted = pattern if by == PATTERN_LIST else source.default_virtual_mta
        if wanted.lower() == BY_SOURCE_IP:
            wanted = by_ip.get(local_ip, "")
        if not wanted:
            return _DEFAULT_CHOICE
    if not wanted and source.allow_empty_x_virtual_mta:
        return _DEFAULT_CHOICE
    found = _named(wanted, vmtas, pools)
    if found is not None:
        return found
    if source.reject_invalid_virtual_mta:
        return VmtaChoice(wanted, error=_refusal(wanted), known=False)
    if fallback and (found := _named(fallback, vmtas, pools)) is not None:
        return found
    return VmtaChoice(wanted, known=False) if wanted else _DEFAULT_CHOICE


def chosen_by(header: str | None, source: SourceSettings, pattern: str) -> str:
    """Whose word counts for `choose_vmta`: `x-virtual-mta`, `pattern-list`, `default-virtual-mta`, or "" for nobody's."""
    if header is not None and source.process_x_virtual_mta:
        return HEADER
    return PATTERN_LIST if pattern else DEFAULT_OF_SOURCE if source.default_virtual_mta else ""


def vmta_of_address(vmtas: Mapping[str, VmtaSettings], local_ip: str) -> str:
    """The first virtual MTA with a source host of this address (`by-smtp-source-ip`), or "". Linear: keep the answer per listener."""
    try:
        address = ip_address(local_ip)
    except ValueError:
        return ""
    for vmta in vmtas.values():
        for host in vmta.smtp_source_host:
            if address in network(host.network):
                return vmta.name
    return ""


def _named(name: str, vmtas: Mapping[str, VmtaSettings], pools: Mapping[str, PoolSettings]) -> VmtaChoice | None:
    key = name.lower()
    if (vmta := vmtas.get(key)) is not None:
        return VmtaChoice(vmta.name)
    if (pool := pools.get(key)) is not None:
        return VmtaChoice("", pool.name, pool.members)
    return _DEFAULT_CHOICE if key == DEFAULT else None


def _refusal(name: str) -> Reply:
    # The name comes from a message: only what can stand on a reply line goes back.
    shown = "".join([c for c in name if " " <= c <= "~"])[:80]
    return Reply(550, "5.5.0", (f"unknown virtual MTA: {shown}" if shown else "no virtual MTA named in x-virtual-mta",))
