"""Which virtual MTA a submission gets: powermta.md section 1.5, point 6."""

from __future__ import annotations

import pytest

from postwright.policy.assign import VmtaChoice, choose_vmta, vmta_of_address
from postwright.policy.settings import PoolSettings, SourceHostRule, SourceSettings, VmtaSettings

VMTAS = {
    "mta1": VmtaSettings("MTA1", (SourceHostRule("192.0.2.11", "mta1.example"), SourceHostRule("198.51.100/28", "mta1.example"))),
    "mta2": VmtaSettings("mta2", (SourceHostRule("192.0.2.12", "mta2.example"), SourceHostRule("192.0.2.11", "again.example"))),
    "mta6": VmtaSettings("mta6", (SourceHostRule("2001:db8::/64", "mta6.example"),)),
    "bare": VmtaSettings("bare"),
}
POOLS = {"pool": PoolSettings("Pool", ("MTA1", "mta2"))}
BY_IP = {"192.0.2.11": "mta1", "192.0.2.99": "gone"}

ONE = VmtaChoice("MTA1")
DEFAULT = VmtaChoice("{default}")
POOL = VmtaChoice("", "Pool", ("MTA1", "mta2"))
PROCESS = SourceSettings(process_x_virtual_mta=True)
LENIENT = SourceSettings(process_x_virtual_mta=True, reject_invalid_virtual_mta=False)


def choose(header: str | None, source: SourceSettings, local_ip: str = "192.0.2.1", fallback: str = "") -> VmtaChoice:
    return choose_vmta(header, source, VMTAS, POOLS, local_ip, BY_IP, fallback)


@pytest.mark.parametrize(
    ("header", "source", "local_ip", "fallback", "choice"),
    [
        (None, SourceSettings(), "", "", DEFAULT),
        (None, PROCESS, "", "", DEFAULT),
        ("mta1", SourceSettings(), "", "", DEFAULT),
        ("mta1", PROCESS, "", "", ONE),
        (" MtA1 ", PROCESS, "", "", ONE),
        ("pool", PROCESS, "", "", POOL),
        ("{Default}", PROCESS, "", "", DEFAULT),
        ("mta1", SourceSettings(process_x_virtual_mta=True, default_virtual_mta="mta2"), "", "", ONE),
        (None, SourceSettings(default_virtual_mta="mta2"), "", "", VmtaChoice("mta2")),
        (None, SourceSettings(default_virtual_mta="POOL"), "", "", POOL),
        (None, SourceSettings(default_virtual_mta="By-SMTP-Source-IP"), "192.0.2.11", "", ONE),
        (None, SourceSettings(default_virtual_mta="by-smtp-source-ip"), "192.0.2.1", "", DEFAULT),
        ("", SourceSettings(process_x_virtual_mta=True, allow_empty_x_virtual_mta=True, default_virtual_mta="mta2"), "", "", DEFAULT),
        ("no", LENIENT, "", "", VmtaChoice("no", known=False)),
        ("no", LENIENT, "", "mta2", VmtaChoice("mta2")),
        ("no", LENIENT, "", "pool", POOL),
        ("no", LENIENT, "", "gone", VmtaChoice("no", known=False)),
        ("", LENIENT, "", "mta2", VmtaChoice("mta2")),
        ("", LENIENT, "", "", DEFAULT),
    ],
)
def test_choice(header: str | None, source: SourceSettings, local_ip: str, fallback: str, choice: VmtaChoice) -> None:
    assert choose(header, source, local_ip, fallback) == choice


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("no", "550 5.5.0 unknown virtual MTA: no"),
        ("", "550 5.5.0 no virtual MTA named in x-virtual-mta"),
        ("a\r\n250 ok", "550 5.5.0 unknown virtual MTA: a250 ok"),
        ("\u00fc", "550 5.5.0 no virtual MTA named in x-virtual-mta"),
        ("x" * 500, "550 5.5.0 unknown virtual MTA: " + "x" * 80),
    ],
)
def test_unknown_is_refused(header: str, says: str) -> None:
    choice = choose(header, PROCESS, fallback="mta1")
    assert not choice.known
    assert choice.error is not None
    assert choice.error.text == says


def test_unknown_default_is_refused_too() -> None:
    assert choose(None, SourceSettings(default_virtual_mta="gone")).error is not None
    assert choose(None, SourceSettings(default_virtual_mta="by-smtp-source-ip"), "192.0.2.99").error is not None


@pytest.mark.parametrize(
    ("ip", "name"),
    [
        ("192.0.2.11", "MTA1"),
        ("192.0.2.12", "mta2"),
        ("198.51.100.15", "MTA1"),
        ("198.51.100.16", ""),
        ("2001:db8::5", "mta6"),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_vmta_of_address(ip: str, name: str) -> None:
    assert vmta_of_address(VMTAS, ip) == name
