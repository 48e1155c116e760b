"""Who may read what nobody else should: the state folder, private keys, files with passwords. Looks at modes and owners, opens nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from postwright.engine.dkim_keys import VAULT, domain_keys
from postwright.engine.doctor.finding import Finding
from postwright.engine.doctor.patient import Patient
from postwright.policy.settings import Settings

READ_BY_ALL, WRITTEN_BY_OTHERS = stat.S_IROTH, stat.S_IWGRP | stat.S_IWOTH


async def check(patient: Patient) -> list[Finding]:
    """The state folder, then each secret file once."""
    found = [_folder(patient.state)]
    secrets = list(dict.fromkeys(_secrets(patient.settings)))
    told = [one for file in secrets if (one := _secret(file)) is not None]
    if secrets and not told:
        told = [Finding("permissions", "ok", f"{len(secrets)} files", "with keys and passwords are read by nobody who should not")]
    return [*found, *told]


def _folder(state: Path) -> Finding:
    try:
        mode = state.stat().st_mode
    except OSError as error:
        return Finding("permissions", "unknown", str(state), f"cannot be looked at: {error.strerror}", "name it with --state-dir")
    if mode & WRITTEN_BY_OTHERS:
        return Finding("permissions", "error", str(state), f"others may write there ({stat.filemode(mode)})", f"chmod 750 {state}")
    if mode & READ_BY_ALL:
        return Finding("permissions", "warning", str(state), f"everybody may look into it ({stat.filemode(mode)})", f"chmod 750 {state}")
    return Finding("permissions", "ok", str(state), f"is {stat.filemode(mode)}")


def _secrets(settings: Settings) -> Iterator[str]:
    general = settings.general
    yield from (key.file for key in domain_keys(settings) if not key.file.startswith(VAULT))
    for file in (general.smtp_server_tls_certificate, general.kerberos_keytab, *general.users_file):
        if file:
            yield file
    for listener in settings.listeners:
        yield from filter(None, [listener.tls_certificate, *(sni.file for sni in listener.tls_sni_certificate)])
    if settings.http.http_tls_certificate:
        yield settings.http.http_tls_certificate
    if settings.file and any(user.password for user in settings.users.values()):
        yield settings.file


def _secret(file: str) -> Finding | None:
    try:
        found = os.stat(file)
    except OSError as error:
        barred = isinstance(error, PermissionError)
        cure = "run the doctor as the relay's user or as root" if barred else "put it there, or take its line out"
        return Finding("permissions", "error", file, f"cannot be looked at: {error.strerror}", cure)
    shown = stat.filemode(found.st_mode)
    if found.st_mode & WRITTEN_BY_OTHERS:
        return Finding("permissions", "error", file, f"others may change it ({shown})", f"chmod 640 {file}")
    if found.st_mode & READ_BY_ALL:
        return Finding("permissions", "error", file, f"everybody on this machine may read its secrets ({shown})", f"chmod 640 {file}")
    return None
