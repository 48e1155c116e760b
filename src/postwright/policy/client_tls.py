"""TLS and login towards receivers, out of a queue's settings. Pure; reads no file and asks nobody.

Where PowerMTA checks nobody's certificate we check it when a password or token is to be sent (`auth-verify-tls`, ours): a relay gives the
same password to the same name a thousand times a day, and whoever can answer for that name once would have it.
"""

from __future__ import annotations

from typing import Final

from postwright.model.route import ClientTls, Login
from postwright.policy.domain_settings import DomainSettings
from postwright.policy.server_tls import POWERMTA_CIPHERS, VERSIONS

SMTPS: Final = 465  # RFC 8314 section 7.3: TLS from the first octet


def tls_of(settings: DomainSettings) -> ClientTls:
    """`smtp-tls-*` and `smtp-client-certificate`."""
    allowed = (
        settings.smtp_tls_allow_tlsv1,
        settings.smtp_tls_allow_tlsv1_1,
        settings.smtp_tls_allow_tlsv1_2,
        settings.smtp_tls_allow_tlsv1_3,
    )
    return ClientTls(
        tuple(version for version, yes in zip(VERSIONS, allowed, strict=True) if yes),
        settings.smtp_tls_ciphers if settings.smtp_tls_ciphers != POWERMTA_CIPHERS else "",
        settings.smtp_tls_tlsv1_3_ciphersuites,
        settings.smtp_tls_ca_file,
        settings.smtp_client_certificate,
        settings.smtp_client_certificate_password,
    )


def login_of(settings: DomainSettings) -> Login | None:
    """Whom to log in as; None where nobody said so. A mechanism that wants no name (EXTERNAL) is enough."""
    if not settings.auth_username and settings.auth_mechanism != "EXTERNAL":
        return None
    return Login(
        settings.auth_username,
        "" if settings.auth_oauth_client else settings.auth_password,
        settings.auth_mechanism,
        client=settings.auth_oauth_client,
        certificate=bool(settings.smtp_client_certificate),
        unencrypted=settings.use_unencrypted_plain_auth,
        verify=_verifies(settings),
    )


def _verifies(settings: DomainSettings) -> bool:
    """`auto`: always, but where the operator lets the password go in the clear and does not insist on TLS: then a certificate that fails
    would only make the mail wait for what the next attempt sends to anybody."""
    if settings.auth_verify_tls != "auto":
        return settings.auth_verify_tls == "yes"
    return settings.require_starttls or not settings.use_unencrypted_plain_auth


def implicit_of(settings: DomainSettings) -> bool | None:
    """`smtp-implicit-tls` (ours): None leaves it to the port."""
    return {"yes": True, "no": False}.get(settings.smtp_implicit_tls)
