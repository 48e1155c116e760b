"""The TLS of a listener as plain values: which certificates, versions, ciphers and authorities hold, after inheritance.

What a `<smtp-listener>` does not say it has from the `smtp-server-tls-*` directives, whether or not it brings a certificate of its own
(powermta.md: "inherited by listeners"). It reads no file and makes no context; every question has an answer.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from postwright.policy.list_settings import FilePassword
from postwright.policy.settings import GeneralSettings, ListenerSettings, Settings

VERSIONS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
POWERMTA_CIPHERS: Final = "HIGH:!ADH:@STRENGTH"

# Mozilla's intermediate profile 5.7 without its DHE suites: they cost the server ten times what they cost who asks (CVE-2002-20001),
# and every client that knows them knows ECDHE.
INTERMEDIATE: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
    ":ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
# What clients without TLS 1.2 can do: CBC with SHA-1, forward secrecy first.
_OLD = ":ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:AES128-SHA:AES256-SHA"
# TLS 1.0 and 1.1 sign the key exchange with MD5 and SHA-1 together, which OpenSSL 3 does at security level 0 only.
_LOWEST = ":@SECLEVEL=0"


class ServerTlsRules(Struct, frozen=True):
    """`certificate` serves who names no other's host; `others` are chosen by the name that the client asks for (SNI).

    `ca_file` checks clients' certificates ("" for none), `users` are the files of users' own, trusted as they stand. `versions` of
    `VERSIONS`, in order and at least one unless the operator turned all off. `suites` of TLS 1.3, "" for OpenSSL's.
    """

    certificate: FilePassword
    others: tuple[FilePassword, ...] = ()
    ca_file: str = ""
    users: tuple[str, ...] = ()
    versions: tuple[str, ...] = ("TLSv1.2", "TLSv1.3")
    ciphers: str = INTERMEDIATE
    suites: str = ""

    @property
    def asks(self) -> bool:
        """Is a certificate asked of the client?"""
        return bool(self.ca_file or self.users)

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that these rules read."""
        return tuple(
            dict.fromkeys(file for file in (self.certificate.file, *(o.file for o in self.others), self.ca_file, *self.users) if file)
        )


def has_certificate(general: GeneralSettings, listener: ListenerSettings) -> bool:
    """Can this listener do TLS at all?"""
    return bool(listener.tls_certificate or general.smtp_server_tls_certificate)


def rules_of(settings: Settings, listener: ListenerSettings) -> ServerTlsRules | None:
    """What holds on `listener`; None without a certificate."""
    general = settings.general
    if not has_certificate(general, listener):
        return None
    if listener.tls_certificate:
        certificate = FilePassword(listener.tls_certificate, listener.tls_certificate_password)
        others = listener.tls_sni_certificate  # the global ones belong to the certificate that this one replaces
    else:
        certificate = FilePassword(general.smtp_server_tls_certificate, general.smtp_server_tls_certificate_password)
        others = (*listener.tls_sni_certificate, *general.smtp_server_tls_sni_certificate)
    versions = _versions(general, listener)
    return ServerTlsRules(
        certificate,
        others,
        listener.tls_ca_file or general.smtp_server_tls_ca_file,
        _users(settings),
        versions,
        openssl_ciphers(listener.tls_ciphers or general.smtp_server_tls_ciphers, versions),
        listener.tls_tlsv1_3_ciphersuites or general.smtp_server_tls_v1_3_ciphersuites,
    )


def _versions(general: GeneralSettings, listener: ListenerSettings) -> tuple[str, ...]:
    inherited = (
        (listener.tls_allow_tlsv1, general.smtp_server_tls_allow_tlsv1),
        (listener.tls_allow_tlsv1_1, general.smtp_server_tls_allow_tlsv1_1),
        (listener.tls_allow_tlsv1_2, general.smtp_server_tls_allow_tlsv1_2),
        (listener.tls_allow_tlsv1_3, general.smtp_server_tls_allow_tlsv1_3),
    )
    allowed = [whole if own is None else own for own, whole in inherited]
    return tuple(version for version, yes in zip(VERSIONS, allowed, strict=True) if yes)


def openssl_ciphers(written: str, versions: tuple[str, ...]) -> str:
    """The list for OpenSSL. PowerMTA's default stands for "what is good today" and not for every cipher of high strength of 2005."""
    old = any(version in versions for version in ("TLSv1", "TLSv1.1"))
    if not written or written == POWERMTA_CIPHERS:
        written = INTERMEDIATE + (_OLD if old else "")
    return written + (_LOWEST if old and "@SECLEVEL" not in written else "")


def _users(settings: Settings) -> tuple[str, ...]:
    wanted = (u.tls_certificate for u in settings.users.values() if u.authentication_method == "certificate" and u.tls_certificate)
    return tuple(dict.fromkeys(wanted))
