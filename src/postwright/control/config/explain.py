"""What holds for a queue or a client, and which line says so: the answer of `postwright config explain`, as values.

Asks `policy.resolve`, as the relay does for every message, so that the answer cannot differ from what happens. Secrets are masked. A name
that the configuration does not have is `Unknown`, with the near one; nothing else is raised.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from msgspec import Struct

from postwright.control.config.directive import Scope, State
from postwright.control.config.shown import row_of, written
from postwright.control.config.suggest import did_you_mean
from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError, PostwrightError
from postwright.policy.resolve import Explained, Resolved
from postwright.policy.settings import Origin, Settings, VmtaSettings

DEFAULT_VMTA = "{default}"


class Unknown(PostwrightError):
    """What was asked about does not exist in this configuration."""


class Setting(Struct, frozen=True):
    """One effective setting. `text` is `value` as one would write it; `state` "not yet" for what is read and not acted on."""

    directive: str
    value: Any
    text: str
    origin: Origin
    state: str = ""

    @property
    def changed(self) -> bool:
        """Somebody wrote it; else it is a default."""
        return bool(self.origin.file)


class Section(Struct, frozen=True):
    """Settings that belong together."""

    title: str
    settings: tuple[Setting, ...]


class Explanation(Struct, frozen=True):
    """The answer: `subject` as it was understood, and its settings."""

    subject: str
    sections: tuple[Section, ...]


def queue(settings: Settings, domain: str, vmta: str = "") -> Explanation:
    """All settings of the queue `domain/vmta`, those of its virtual MTA first."""
    resolved = Resolved(settings)
    name = _domain(domain)
    known = _vmta(resolved, vmta) if vmta and vmta.lower() != DEFAULT_VMTA else resolved.vmta(DEFAULT_VMTA)
    shown = known.name if known is not None else DEFAULT_VMTA
    rows = resolved.explain_queue(name, shown)
    sections = (
        Section(f"virtual MTA {shown}", _sending(resolved, known)),
        Section(f"queue {name}/{shown}", tuple(_setting(row, Scope.DOMAIN) for row in rows)),
    )
    return Explanation(f"{name}/{shown}", sections)


def source(settings: Settings, who: str, named: str = "", user: str = "") -> Explanation:
    """All settings of a client: `who` is its address, or a named source by itself; `named` the listener's source, `user` the login."""
    resolved = Resolved(settings)
    try:
        peer = str(ip_address(who))
    except ValueError:
        peer, named = "", _named(settings, who, "address or named source")
    if named:
        _named(settings, named, "named source")
    if user:
        _known(user, [known.name for known in settings.users.values()], "smtp-user")
    rows = resolved.explain_source(peer, named, user)
    parts = [peer] + [f"source {named}"] * bool(named) + [f"user {user}"] * bool(user)
    subject = ", ".join(filter(None, parts))
    return Explanation(subject, (Section(subject, tuple(_setting(row, Scope.SOURCE) for row in rows)),))


def _domain(text: str) -> str:
    if text.startswith(("[", "{")) or text.lower().endswith(".rollup"):
        return text.lower()
    try:
        return canonical_domain(text)
    except AddressError as error:
        raise Unknown(f"{text!r} is no domain: {error}") from None


def _vmta(resolved: Resolved, name: str) -> VmtaSettings:
    found = resolved.vmta(name)
    if found is not None:
        return found
    pool = resolved.pool(name)
    if pool is not None:
        raise Unknown(f"{pool.name} is a pool; ask for one of its members: {', '.join(pool.members) or 'it has none'}")
    _known(name, [vmta.name for vmta in resolved.settings.vmtas.values()], "virtual-mta")
    raise AssertionError("unreachable: a name that is known is found")


def _named(settings: Settings, name: str, what: str) -> str:
    names = [block.name for block in settings.sources if not block.network]
    return _known(name, names, what)


def _known(name: str, names: list[str], what: str) -> str:
    if name.lower() in (known.lower() for known in names):
        return name
    hint = did_you_mean(name, names) or (f"there are: {', '.join(dict.fromkeys(names))}" if names else "there are none")
    raise Unknown(f"no {what} {name!r} in this configuration; {hint}")


def _setting(row: Explained, scope: Scope) -> Setting:
    directive = row_of(row.directive.replace("-", "_"), scope)
    if directive is None:
        return Setting(row.directive, row.value, written(row.value), row.origin)
    later = row.origin.file and directive.state is State.NOT_YET
    return Setting(directive.name, row.value, written(row.value, directive.kind), row.origin, State.NOT_YET.value if later else "")


def _sending(resolved: Resolved, vmta: VmtaSettings | None) -> tuple[Setting, ...]:
    """Source hosts, names and connections: the virtual MTA's own, else what holds for the whole relay."""
    settings = resolved.settings
    own = vmta or VmtaSettings(DEFAULT_VMTA)
    return (
        _of_vmta("host-name", own.host_name or settings.general.host_name, own, bool(own.host_name)),
        _of_vmta("max-smtp-out", resolved.vmta_connections(own.name), own, own.max_smtp_out is not None),
        _of_vmta("smtp-source-host", own.smtp_source_host or settings.smtp_source_host, own, bool(own.smtp_source_host)),
    )


def _of_vmta(name: str, value: Any, vmta: VmtaSettings, own: bool) -> Setting:
    directive = row_of(name.replace("-", "_"), Scope.VMTA)
    return Setting(name, value, written(value, directive.kind if directive else None), vmta.origin if own else Origin())
