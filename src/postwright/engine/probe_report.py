"""What `postwright probe` found out, as plain values: what the text is made of, and the JSON.

Data and nothing else. Names of fields are for programs and stay as they are. Times are milliseconds.
"""

from __future__ import annotations

from msgspec import Struct

from postwright.net.talk import Said
from postwright.net.tls_look import CertFacts

PROBLEM, NOTE = "problem", "note"
FINE, TROUBLED, UNREACHABLE = 0, 1, 2


class Finding(Struct, frozen=True):
    """Something that a person should know: a `level` of PROBLEM makes the exit status 1."""

    level: str
    text: str


class MxLine(Struct, frozen=True):
    """One MX host."""

    preference: int
    host: str


class AddressLine(Struct, frozen=True):
    """One address that was tried; `detail` why it did not answer."""

    address: str
    connected: bool
    milliseconds: float
    detail: str = ""


class EhloLine(Struct, frozen=True):
    """One line of the EHLO reply, explained. `tls`: it was said after the connection was encrypted (too, or only)."""

    keyword: str
    parameters: tuple[str, ...]
    meaning: str


class TlsReport(Struct):
    """`mode` "starttls" or "immediate"; `trouble` a name of `engine.troubles` or ""; `why` it in words; `days_left` of the server's own
    certificate."""

    mode: str
    version: str = ""
    cipher: str = ""
    verified: bool = False
    trouble: str = ""
    why: str = ""
    host_match: bool = False
    days_left: float = 0.0
    chain: tuple[CertFacts, ...] = ()


class DaneReport(Struct):
    """`validated`: the name server says so; `told` how far that can be believed. `matches` None when there is nothing to compare."""

    name: str
    state: str
    records: tuple[str, ...] = ()
    validated: bool = False
    told: str = ""
    matches: bool | None = None


class StsReport(Struct):
    """`state` "none", "record" (the policy was not fetched), "policy" or "broken"; `covers` whether the policy allows this MX host."""

    state: str
    id: str = ""
    mode: str = ""
    max_age: int = 0
    mx: tuple[str, ...] = ()
    covers: bool | None = None
    detail: str = ""


class RelayLine(Struct, frozen=True):
    """One try of the relay test: what was asked and what was said to RCPT. `open`: it was taken."""

    recipient: str
    said: str
    open: bool


class ProbeReport(Struct):
    """`domain` is set when HOST was a mail domain, and `host` then is its best MX. `stages` milliseconds by name, in their order."""

    target: str
    host: str = ""
    port: int = 0
    domain: str = ""
    mx: list[MxLine] = []
    addresses: list[AddressLine] = []
    address: str = ""
    greeting: str = ""
    extended: bool = False
    ehlo_clear: list[EhloLine] = []
    ehlo: list[EhloLine] = []
    auth_clear: tuple[str, ...] = ()
    auth_tls: tuple[str, ...] = ()
    size: int | None = None
    tls: TlsReport | None = None
    pipelining: str = ""
    dane: DaneReport | None = None
    mta_sts: StsReport | None = None
    relay: list[RelayLine] = []
    stages: dict[str, float] = {}
    findings: list[Finding] = []
    reached: bool = False
    transcript: list[Said] = []

    @property
    def status(self) -> int:
        """The exit status: FINE, TROUBLED or UNREACHABLE."""
        if not self.reached:
            return UNREACHABLE
        return TROUBLED if any(finding.level == PROBLEM for finding in self.findings) else FINE

    def problem(self, text: str) -> None:
        """Adds a finding."""
        self.findings.append(Finding(PROBLEM, text))

    def note(self, text: str) -> None:
        """Adds a finding that is no problem."""
        self.findings.append(Finding(NOTE, text))
