"""What AUTH offers, by source, connection and credentials."""

from __future__ import annotations

import pytest

from postwright.model.credentials import CredentialKinds
from postwright.policy.mechanisms import Connection, offered
from postwright.policy.settings import SourceSettings

PLAIN_TEXTS = CredentialKinds(passwords=True, secrets=True)
HASHES = CredentialKinds(passwords=True)
OPEN = Connection()
TLS = Connection(tls=True)
ALL = ("CRAM-MD5", "PLAIN", "LOGIN")


@pytest.mark.parametrize(
    ("source", "connection", "kinds", "names"),
    [
        (SourceSettings(), OPEN, PLAIN_TEXTS, ("CRAM-MD5",)),
        (SourceSettings(), OPEN, HASHES, ()),
        (SourceSettings(), TLS, PLAIN_TEXTS, ALL),
        (SourceSettings(), TLS, HASHES, ("PLAIN", "LOGIN")),
        (SourceSettings(), TLS, CredentialKinds(), ()),
        (SourceSettings(allow_unencrypted_plain_auth=True), OPEN, PLAIN_TEXTS, ALL),
        (SourceSettings(allow_auth=False, allow_unencrypted_plain_auth=True), TLS, PLAIN_TEXTS, ()),
        (SourceSettings(require_starttls_before_auth=True), OPEN, PLAIN_TEXTS, ()),
        (SourceSettings(require_starttls_before_auth=True, allow_unencrypted_plain_auth=True), OPEN, PLAIN_TEXTS, ()),
        (SourceSettings(require_starttls_before_auth=True), TLS, PLAIN_TEXTS, ALL),
    ],
)
def test_passwords(source: SourceSettings, connection: Connection, kinds: CredentialKinds, names: tuple[str, ...]) -> None:
    assert offered(source, connection, kinds) == names


def test_a_source_may_narrow_the_list_and_never_widens_it() -> None:
    source = SourceSettings(auth_mechanisms=("LOGIN", "PLAIN", "NTLM"))
    assert offered(source, TLS, PLAIN_TEXTS) == ("PLAIN", "LOGIN")
    assert offered(source, OPEN, PLAIN_TEXTS) == ()


SCRAM = CredentialKinds(passwords=True, scram=("SHA-1", "SHA-256"))


@pytest.mark.parametrize(
    ("connection", "kinds", "names"),
    [
        (OPEN, SCRAM, ("SCRAM-SHA-256", "SCRAM-SHA-1")),
        (OPEN, CredentialKinds(scram=("SHA-1",)), ("SCRAM-SHA-1",)),
        (Connection(tls=True, channel=True), CredentialKinds(scram=("SHA-256",)), ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")),
        (OPEN, CredentialKinds(tokens=True), ()),
        (TLS, CredentialKinds(tokens=True), ("OAUTHBEARER", "XOAUTH2")),
        (TLS, CredentialKinds(certificates=True), ()),
        (Connection(tls=True, certificate=True), CredentialKinds(certificates=True), ("EXTERNAL",)),
        (Connection(tls=True, certificate=True), CredentialKinds(), ()),
        (OPEN, CredentialKinds(ntlm=True), ()),
        (OPEN, CredentialKinds(ntlm=True, secrets=True), ("CRAM-MD5", "NTLM")),
        (OPEN, CredentialKinds(gssapi=True), ("GSSAPI", "GSS-SPNEGO")),
    ],
)
def test_what_cannot_succeed_is_not_offered(connection: Connection, kinds: CredentialKinds, names: tuple[str, ...]) -> None:
    assert offered(SourceSettings(), connection, kinds) == names
