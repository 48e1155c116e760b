"""What `postwright dkim` does: makes keys, writes their records as a zone file has them, compares with the DNS, plans the change of a key.

A new key file belongs to who makes it and nobody else can read it; one that is there is never written over (FileExistsError). The private
half is in the file alone. What is asked of the DNS is asked anew, as a verifier would.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, Literal, Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from msgspec import Struct

from postwright.content.dkim_key import SigningKey
from postwright.content.dkim_record import KeyRecord, key_record
from postwright.engine import vault_keys
from postwright.engine.dkim_keys import Broken, domain_keys, read
from postwright.model.route import MxStatus
from postwright.net.dns_client import ClientOptions, DnsClient
from postwright.net.resolver import CachingResolver, TextAnswer
from postwright.policy.settings import DomainKey, DomainSettings, Settings, VaultSettings

STRING: Final = 255  # octets of one string of a TXT record (RFC 1035 section 3.3)
SLACK: Final = 7 * 86400.0  # seconds for which a receiver may take a message to look at its signature (forwarders, mailboxes read late)

State = Literal["ok", "missing", "differs", "revoked", "invalid", "unknown", "broken"]


class Comparison(Struct, frozen=True):
    """A key beside its record. `name` is where the record is looked for; `words` for an operator."""

    name: str
    state: State
    words: str

    @property
    def good(self) -> bool:
        return self.state == "ok"


def new_key(kind: str, bits: int = 2048) -> tuple[SigningKey, bytes]:
    """A new key and its PEM text (PKCS#8). `kind` rsa or ed25519; `bits` of RSA, 1024 to 4096."""
    key = rsa.generate_private_key(65537, bits) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return SigningKey(key), pem


def keep(file: str, pem: bytes) -> None:
    """Writes a new key file, readable by its owner only. Raises FileExistsError, OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(pem)


def zone_lines(name: str, text: str) -> list[str]:
    """A TXT record as a zone file has it (RFC 1035 section 5.1), in strings of at most 255 octets."""
    strings = [f'"{text[at : at + STRING]}"' for at in range(0, len(text), STRING)]
    if len(strings) == 1:
        return [f"{name}. IN TXT {strings[0]}"]
    return [f"{name}. IN TXT (", *[f"    {string}" for string in strings], ")"]


def record_name(selector: str, domain: str) -> str:
    """Where a key is published (RFC 6376 section 3.6.2.1)."""
    return f"{selector}._domainkey.{domain}"


def to_compare(settings: Settings, domains: Sequence[str]) -> list[tuple[DomainKey, str]]:
    """Every key of a configuration with the domains that it is looked for under; keys for patterns with `domains`."""
    found: dict[tuple[str, str, str], tuple[DomainKey, str]] = {}
    for key in domain_keys(settings):
        for domain in [key.domain] if "*" not in key.domain else domains:
            if not domains or domain in domains:
                found.setdefault((key.selector, domain, key.file), (key, domain))
    return list(found.values())


def patterns(settings: Settings) -> list[DomainKey]:
    """Keys for patterns (`*`): whose records these are nobody can tell from the configuration."""
    return [key for key in domain_keys(settings) if "*" in key.domain]


class Texts(Protocol):
    """What is asked of a resolver."""

    async def texts(self, name: str) -> TextAnswer: ...


async def compare(wanted: Sequence[tuple[DomainKey, str]], servers: Sequence[str], vault: VaultSettings | None = None) -> list[Comparison]:
    """Each key beside what the DNS has for it. `servers` as `name-server` has them, none: the system's. Raises ValueError for others."""
    resolver = CachingResolver(DnsClient(tuple(servers), ClientOptions(edns=1232)))
    try:
        return await compare_by(resolver, wanted, vault)
    finally:
        await resolver.close()


async def compare_by(resolver: Texts, wanted: Sequence[tuple[DomainKey, str]], vault: VaultSettings | None) -> list[Comparison]:
    """The same, asked of a resolver that is there already. Keys that are in the vault are fetched for that, all at once."""
    kept = await vault_keys.asked({key.file for key, _ in wanted}, vault)
    return [await _compare(key, domain, kept.get(key.file) or read(key.file), resolver) for key, domain in wanted]


async def current(key: DomainKey, vault: VaultSettings | None) -> SigningKey | Broken:
    """The key of a line as it is now, in its file or in the vault."""
    return (await vault_keys.asked({key.file}, vault)).get(key.file) or read(key.file)


async def _compare(key: DomainKey, domain: str, ours: SigningKey | Broken, resolver: Texts) -> Comparison:
    name = record_name(key.selector, domain)
    if isinstance(ours, Broken):
        return Comparison(name, "broken", f"{key.file} {ours.reason}")
    answer = await resolver.texts(name)
    if answer.status is MxStatus.TEMPORARY:
        return Comparison(name, "unknown", f"the DNS cannot tell now: {answer.detail}")
    return Comparison(name, *compared(ours, [text.encode() for text in answer.texts]))


def compared(ours: SigningKey, records: Sequence[bytes]) -> tuple[State, str]:
    """What the records under a key's name are to it."""
    if not records:
        return "missing", "there is no record"
    if len(records) > 1:
        return "invalid", f"there are {len(records)} records, and which one counts is anybody's guess (RFC 6376 section 3.6.2.2)"
    found = key_record(records[0])
    if not isinstance(found, KeyRecord):
        return ("revoked" if found.reason == "key revoked" else "invalid"), found.reason
    theirs = found.key.public_bytes(
        *(
            (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            if found.kind == "rsa"
            else (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        )
    )
    if found.kind != ours.kind or theirs != ours.public:
        return "differs", "the record is that of another key"
    if found.hashes and b"sha256" not in found.hashes:
        return "invalid", "the record does not allow SHA-256 (h=)"
    return "ok", f"{ours.kind}, {ours.bits} bits" + (", in test mode (t=y)" if found.testing else "")


def longest_wait(settings: Settings) -> float:
    """Seconds for which a signature may have to be verified after it was made: the longest `bounce-after`, and `SLACK` at receivers."""
    said = [block.assignments["bounce_after"].value for block in settings.domain_blocks() if "bounce_after" in block.assignments]
    return float(max([DomainSettings().bounce_after, *said])) + SLACK
