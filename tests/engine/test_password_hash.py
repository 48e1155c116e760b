"""Hashes of passwords: the RFCs' vectors, what is read and refused, both kinds, preparation."""

from __future__ import annotations

import hashlib

import pytest

from postwright.engine import password_hash
from postwright.engine.password_hash import PasswordHash, dummy, make, read

SALT = bytes(range(16))
# The reference implementation's own test (phc-winner-argon2, src/test.c): "password", "somesalt", t=2, m=2^16, p=1, 32 octets
ARGON2ID = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"


def test_argon2id_is_the_reference_implementations() -> None:
    assert read(ARGON2ID).verify("password")
    assert not read(ARGON2ID).verify("differentpassword")


def test_scrypt_is_rfc_7914s() -> None:
    vector = bytes.fromhex(
        "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b3731622eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"
    )
    assert PasswordHash("scrypt", (1024, 8, 16), b"NaCl", vector).verify("password")


@pytest.mark.parametrize("argon2id", [True, False])
def test_what_is_made_is_read_and_verified(argon2id: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password_hash, "has_argon2id", lambda: argon2id)
    text = make("päss\u00adwörd", SALT)
    assert text.startswith(password_hash.ARGON2ID if argon2id else password_hash.SCRYPT)
    assert read(text).verify("pässwörd")  # the soft hyphen is mapped to nothing (RFC 4013 section 2.1)
    assert not read(text).verify("passwörd")
    assert dummy(SALT).costs == read(text).costs
    assert not dummy(SALT).verify("")


def test_odd_texts_are_passwords_too() -> None:
    text = make("a\0b\udcff", SALT)
    assert read(text).verify("a\0b\udcff")
    assert not read(text).verify("a")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "$2b$12$abcdefghijklmnopqrstuv",
        ARGON2ID.replace("argon2id", "argon2i"),
        ARGON2ID.replace("m=65536", "m=4194304"),
        ARGON2ID.replace("m=65536", "m=4"),
        ARGON2ID.replace("t=2", "t=65"),
        ARGON2ID.replace("t=2", "t=0"),
        ARGON2ID.replace("p=1", "p=0"),
        ARGON2ID + "$",
        ARGON2ID + "\n",
        "$scrypt$ln=30,r=8,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$scrypt$ln=15,r=8,p=99$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$scrypt$ln=0,r=8,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    ],
)
def test_what_is_no_hash_or_too_dear_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"PHC string|out of bounds"):
        read(text)


def test_no_repr_shows_salt_or_digest() -> None:
    assert repr(read(ARGON2ID)) == "PasswordHash('argon2id', (65536, 2, 1))"
    assert hashlib.sha256(SALT).digest() == dummy(SALT).digest
