"""The certificates that this relay shows: readable, with their keys, in their time, and for how long still. Looks at files alone."""

from __future__ import annotations

from collections.abc import Iterator

from postwright.engine import certificates
from postwright.engine.certificates import DAY
from postwright.engine.doctor.finding import Finding, Level
from postwright.engine.doctor.patient import Patient
from postwright.policy.settings import FilePassword, Settings


async def check(patient: Patient) -> list[Finding]:
    """Each file once, with all listeners that show it."""
    shown: dict[FilePassword, list[str]] = {}
    for place, certificate in _shown(patient.settings):
        shown.setdefault(certificate, []).append(place)
    if not shown:
        cure = "smtp-server-tls-certificate FILE, and allow-starttls yes in the <source>s (docs/reference/tls.md)"
        return [Finding("certificate", "note", "certificates", "no listener has one: who sends to us does so in the clear", cure)]
    return [_judged(certificate, ", ".join(places), patient.clock.now()) for certificate, places in shown.items()]


def _shown(settings: Settings) -> Iterator[tuple[str, FilePassword]]:
    general = settings.general
    for listener in settings.listeners:
        place = f"{listener.address}:{listener.port}"
        if listener.tls_certificate:
            yield place, FilePassword(listener.tls_certificate, listener.tls_certificate_password)
        elif general.smtp_server_tls_certificate:
            yield place, FilePassword(general.smtp_server_tls_certificate, general.smtp_server_tls_certificate_password)
        for sni in listener.tls_sni_certificate or general.smtp_server_tls_sni_certificate:
            yield place, sni
    for api in settings.transmissions_api_listeners:
        if api.tls_certificate:
            yield f"{api.address}:{api.port}", FilePassword(api.tls_certificate, api.tls_certificate_password)
    http = settings.http
    if http.http_tls_certificate:
        yield "the monitor", FilePassword(http.http_tls_certificate, http.http_tls_certificate_password)


def _judged(certificate: FilePassword, places: str, now: float) -> Finding:
    found = certificates.judge_server(certificate.file, certificate.password, now)
    for one in found:
        level: Level = "error" if one.level == "error" or "expired" in one.message else "warning"
        return Finding("certificate", level, certificate.file, f"{one.message} (shown at {places})", one.hint)
    own = certificates.read(certificate.file).certificates[0]
    days = (own.not_valid_after_utc.timestamp() - now) / DAY
    names = ", ".join(certificates.names(own)[:4])
    return Finding("certificate", "ok", certificate.file, f"is good for {days:.0f} days, for {names} (shown at {places})")
