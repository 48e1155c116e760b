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
    yield from (key.file for key in domain_keys(settings) if not key.file.startswith(VAULT))
    yield from filter(None, _named(settings))
    if settings.file and _written(settings):
        yield settings.file


def _named(settings: Settings) -> Iterator[str]:
    """Files that directives name: certificates with their keys, users, what we log in elsewhere with."""
    general = settings.general
    yield from (general.smtp_server_tls_certificate, general.kerberos_keytab, *general.users_file)
    yield from (sni.file for sni in general.smtp_server_tls_sni_certificate)
    for listener in settings.listeners:
        yield from (listener.tls_certificate, *(sni.file for sni in listener.tls_sni_certificate))
    yield settings.http.http_tls_certificate
    yield from (listener.tls_certificate for listener in settings.transmissions_api_listeners)
    yield from _said(settings, "smtp_client_certificate")
    yield from (file.http_webhook_certificate for file in settings.acct_files)
    yield from (client.token_file for client in settings.oauth_clients.values())
    if settings.user_lookup is not None:
        yield settings.user_lookup.secret_file


def _written(settings: Settings) -> bool:
    """Are there secrets in the configuration itself?"""
    passwords = (user.password for user in settings.users.values())
    keys = settings.transmissions_api.api_key if settings.transmissions_api is not None else ()
    token = settings.vault.access_token if settings.vault is not None else ""
    return any((*passwords, *settings.http.http_api_key, *keys, token, *_said(settings, "auth_password")))


def _said(settings: Settings, field: str) -> Iterator[str]:
    """What `<domain>` blocks say."""
    yield from (str(block.assignments[field].value) for block in settings.domain_blocks() if field in block.assignments)


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
