"""What holds for a queue or a virtual MTA in a running relay: directives by their names, values as one writes them, secrets masked.

Given to the supervisor at the start (`engine.views.settings.Describe`). Raises ValueError for what there is none of.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import fields

from postwright.control.config.directive import Scope
from postwright.control.config.explain import DEFAULT_VMTA, Explanation, Setting, Unknown, queue
from postwright.control.config.shown import row_of, written
from postwright.engine.views.gathering import Arguments
from postwright.engine.views.settings import SettingRow, SettingsSection, SettingsTable, SettingsView
from postwright.policy.settings import Origin, Settings, VmtaSettings

_TABLES = frozenset(("smtp_source_host", "domain_keys"))
_NO_DIRECTIVES = frozenset(("name", "domains", "pools", "origin"))


def described(settings: Settings, what: str, arguments: Arguments) -> SettingsView:
    """See `Describe`."""
    try:
        return _vmta(settings, arguments.get("vmta", "")) if what == "vmta" else _queue(settings, arguments.get("queue", ""))
    except Unknown as error:
        raise ValueError(str(error)) from None


def _queue(settings: Settings, name: str) -> SettingsView:
    domain, _, vmta = name.strip().partition("/")
    explanation = queue(settings, domain, vmta or DEFAULT_VMTA)
    titles = ("Virtual MTA Settings", "Queue Settings")
    sections = [_section(title, one.settings) for title, one in zip(titles, explanation.sections, strict=True)]
    return SettingsView(explanation.subject, sections)


def _section(title: str, settings: Iterable[Setting]) -> SettingsSection:
    rows = [SettingRow(one.directive, one.text, one.origin.file, one.origin.line) for one in settings]
    return SettingsSection(title, sorted(rows, key=lambda row: row.name))


def _vmta(settings: Settings, name: str) -> SettingsView:
    explanation: Explanation = queue(settings, "example.com", name or DEFAULT_VMTA)  # finds it, or says what there is
    subject = explanation.subject.partition("/")[2]
    vmta = settings.vmtas.get(subject.lower(), VmtaSettings(subject))
    hosts = vmta.smtp_source_host or settings.smtp_source_host
    section = SettingsSection("Virtual MTA Settings", sorted(_own(settings, vmta), key=lambda row: row.name))
    tables = [
        SettingsTable(["Source Host IP", "Source Host"], [[host.network, host.name] for host in hosts]),
        SettingsTable(["Selector", "Domain", "Source"], [[key.selector, key.domain, key.file] for key in vmta.domain_keys]),
    ]
    return SettingsView(subject, [section], tables)


def _own(settings: Settings, vmta: VmtaSettings) -> Iterable[SettingRow]:
    for field in fields(VmtaSettings):
        if field.name in _NO_DIRECTIVES or field.name in _TABLES:
            continue
        directive = row_of(field.name, Scope.VMTA)
        name = directive.name if directive is not None else field.name.replace("_", "-")
        origin = settings.lines.get((f"virtual-mta {vmta.name}".lower(), field.name), Origin())
        value = getattr(vmta, field.name)
        yield SettingRow(name, written(value, directive.kind if directive is not None else None), origin.file, origin.line)
