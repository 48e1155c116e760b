"""What AUTH offers, by source, connection and credentials."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from postwright.control.config.directives.source import MECHANISMS
from postwright.model.credentials import CredentialKinds
from postwright.policy.mechanisms import TLS_AT_BEST, Connection, offered
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


def test_the_reference_has_them_all_in_the_order_of_ehlo() -> None:
    everything = CredentialKinds(
        passwords=True, secrets=True, scram=("SHA-1", "SHA-256"), certificates=True, tokens=True, ntlm=True, gssapi=True
    )
    names = offered(SourceSettings(), TLS_AT_BEST, everything)
    reference = Path(__file__).parents[2] / "docs" / "reference" / "authentication.md"
    assert tuple(re.findall(r"^\| `([A-Z0-9-]+)` \|", reference.read_text(), re.MULTILINE)) == names
    assert set(names) == set(MECHANISMS)


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
