"""What AUTH offers: the SASL mechanisms that can succeed here and now, strongest first.

A pure decision from the source, the state of the connection and the kinds of credentials at hand; nothing is looked up. A mechanism that
cannot succeed is not offered: a client would pick it and fail, though another would have done.
"""

from __future__ import annotations

from msgspec import Struct

from postwright.model.credentials import CredentialKinds
from postwright.policy.settings import SourceSettings


class Connection(Struct, frozen=True):
    """What counts of a connection: `tls`, a `certificate` that was verified, and a `channel` binding to be had (RFC 5929, RFC 9266)."""

    tls: bool = False
    certificate: bool = False
    channel: bool = False


TLS_AT_BEST = Connection(tls=True, certificate=True, channel=True)


def offered(source: SourceSettings, connection: Connection, kinds: CredentialKinds) -> tuple[str, ...]:
    """Mechanism names, strongest first; () when AUTH is not offered at all. `auth-mechanisms` narrows them, and never adds one.

    Nothing without `allow-auth`, nor before TLS with `require-starttls-before-auth`. What shows a password or token needs TLS or
    `allow-unencrypted-plain-auth`.
    """
    if not source.allow_auth or (source.require_starttls_before_auth and not connection.tls):
        return ()
    shown = connection.tls or source.allow_unencrypted_plain_auth
    sha256, sha1 = "SHA-256" in kinds.scram, "SHA-1" in kinds.scram
    possible = (
        ("EXTERNAL", connection.certificate and kinds.certificates),
        ("SCRAM-SHA-256-PLUS", connection.channel and sha256),
        ("SCRAM-SHA-1-PLUS", connection.channel and sha1),
        ("SCRAM-SHA-256", sha256),
        ("SCRAM-SHA-1", sha1),
        ("GSSAPI", kinds.gssapi),
        ("GSS-SPNEGO", kinds.gssapi),
        ("OAUTHBEARER", shown and kinds.tokens),
        ("XOAUTH2", shown and kinds.tokens),
        ("CRAM-MD5", kinds.secrets),
        ("NTLM", kinds.ntlm and kinds.secrets),
        ("PLAIN", shown and kinds.passwords),
        ("LOGIN", shown and kinds.passwords),
    )
    wanted = source.auth_mechanisms
    return tuple([name for name, can in possible if can and (not wanted or name in wanted)])
