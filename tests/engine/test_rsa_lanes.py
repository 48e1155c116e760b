"""Signatures made eight at a time are the key's own, whatever comes together; OpenSSL makes those that are not for the lanes."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from postwright.content.dkim_key import SigningKey
from postwright.engine import crypto_mb
from postwright.engine import signing_frames as f
from postwright.engine.crypto_mb import Unavailable, without
from postwright.engine.rsa_lanes import FEWEST, LANES, LaneKey, Lanes, lane_key
from postwright.engine.signing_process import Hand, together

KEYS = [SigningKey(rsa.generate_private_key(65537, 2048)) for _ in range(2)]
SMALL = SigningKey(rsa.generate_private_key(65537, 1024))
DIGESTS = [hashlib.sha256(b"%d" % number).digest() for number in range(20)]
SHA1 = hashlib.sha1(b"old", usedforsecurity=False).digest()


def lanes() -> Lanes:
    try:
        return Lanes()
    except Unavailable as error:
        pytest.skip(str(error))


def lane(key: SigningKey) -> LaneKey:
    found = lane_key(key)
    assert found is not None
    return found


class Noted:
    """Stands for the lanes of a machine that has some: notes what it is asked for, and signs nothing."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], list[bytes]]] = []

    def sign(self, keys: Sequence[LaneKey], digests: Sequence[bytes]) -> list[bytes]:
        self.asked.append(([key.bits for key in keys], list(digests)))
        return [b""] * len(digests)


def answers(hand: Hand, asked: Sequence[tuple[int, bytes]]) -> dict[int, bytes]:
    """The signature for each order (number of the key, digest), by its place."""
    frames = f.Frames()
    waiting = [hand.wanted(place, f.order(place, key, digest)[9:]) for place, (key, digest) in enumerate(asked)]
    told = b""
    while waiting:
        some, waiting = together(waiting)
        told += hand.answers(some)
    return {number: signature for _, number, signature in frames.take(told)}


@pytest.mark.parametrize("count", range(1, LANES + 1))
def test_signatures_are_the_keys_own(count: int) -> None:
    keys = [KEYS[number % 2] for number in range(count)]
    made = lanes().sign([lane(key) for key in keys], DIGESTS[:count])
    assert made == [key.sign_digest(digest) for key, digest in zip(keys, DIGESTS, strict=False)]


def test_rsa_4096_too() -> None:
    key = SigningKey(rsa.generate_private_key(65537, 4096))
    assert lanes().sign([lane(key)] * LANES, DIGESTS[:LANES]) == [key.sign_digest(digest) for digest in DIGESTS[:LANES]]


def test_a_wrong_signature_is_seen_by_nobody() -> None:
    """A fault in the arithmetic of one prime betrays the other to whoever gets the signature."""
    key, broken = lane(KEYS[0]), lane(KEYS[0])
    ctypes.memset(broken.parts[2], 0x55, 100)  # d mod p-1
    made = lanes().sign([key, broken, key], DIGESTS[:3])
    assert made == [KEYS[0].sign_digest(DIGESTS[0]), b"", KEYS[0].sign_digest(DIGESTS[2])]


def test_a_proof_that_failed_is_none_though_the_last_one_was_good() -> None:
    """The same octets twice, in the same lane: what the last call left behind must not prove this one."""
    made = lanes()
    key, other = lane(KEYS[0]), lane(KEYS[0])
    assert made.sign([key], DIGESTS[:1]) == [KEYS[0].sign_digest(DIGESTS[0])]
    ctypes.memset(other.parts[2], 0x55, 100)
    other.public = None  # type: ignore[assignment]  # refused by the library before it writes anything
    assert made.sign([other], DIGESTS[:1]) == [b""]


def test_what_comes_together_is_signed_together_and_each_order_gets_its_own_answer() -> None:
    noted = Noted()
    hand = Hand(cast(Lanes, noted))
    for number, key in enumerate((*KEYS, SMALL)):
        hand.learn(number, key.pem())
    asked = [(number % 3, digest) for number, digest in enumerate(DIGESTS)] + [(0, SHA1)]
    made = answers(hand, asked)
    assert made == {place: (*KEYS, SMALL)[key].sign_digest(digest) for place, (key, digest) in enumerate(asked)}
    for_lanes = [digest for key, digest in asked if key < 2 and digest != SHA1]
    assert [digest for _, digests in noted.asked for digest in digests] == for_lanes[:LANES] + for_lanes[LANES:]
    assert [len(bits) for bits, _ in noted.asked] == [8, 6]
    assert {size for bits, _ in noted.asked for size in bits} == {2048}


def test_few_are_signed_one_by_one() -> None:
    noted = Noted()
    hand = Hand(cast(Lanes, noted))
    hand.learn(0, KEYS[0].pem())
    answers(hand, [(0, digest) for digest in DIGESTS[: FEWEST[2048] - 1]])
    assert noted.asked == []
    answers(hand, [(0, digest) for digest in DIGESTS[: FEWEST[2048]]])
    assert len(noted.asked) == 1


def test_what_the_machine_has_signs_what_came_together() -> None:
    hand = Hand(lanes())
    for number, key in enumerate(KEYS):
        hand.learn(number, key.pem())
    asked = [(number % 2, digest) for number, digest in enumerate(DIGESTS)]
    assert answers(hand, asked) == {place: KEYS[key].sign_digest(digest) for place, (key, digest) in enumerate(asked)}


def test_keys_that_are_not_for_the_lanes() -> None:
    assert lane_key(SigningKey(ed25519.Ed25519PrivateKey.generate())) is None
    assert lane_key(SigningKey(rsa.generate_private_key(3, 2048))) is None
    assert lane_key(SMALL) is None


def test_a_key_with_a_longer_number_than_it_needs_signs_outside_the_lanes() -> None:
    """d in the place of d mod p-1 leaves the same remainder: OpenSSL takes it, and it has no room in a lane."""
    numbers = cast(rsa.RSAPrivateNumbers, KEYS[0].rsa_numbers())
    longer = rsa.RSAPrivateNumbers(
        numbers.p, numbers.q, numbers.d, numbers.d, numbers.dmq1, numbers.iqmp, numbers.public_numbers
    ).private_key(unsafe_skip_rsa_key_validation=True)
    noted = Noted()
    hand = Hand(cast(Lanes, noted))
    hand.learn(0, SigningKey(longer).pem())
    made = answers(hand, [(0, digest) for digest in DIGESTS])
    assert made == {place: KEYS[0].sign_digest(digest) for place, digest in enumerate(DIGESTS)}
    assert noted.asked == []


def test_the_order_of_the_primes_is_any() -> None:
    numbers = cast(rsa.RSAPrivateNumbers, KEYS[0].rsa_numbers())
    p, q = sorted([numbers.p, numbers.q])
    swapped = rsa.RSAPrivateNumbers(p, q, numbers.d, numbers.d % (p - 1), numbers.d % (q - 1), pow(q, -1, p), numbers.public_numbers)
    made = lanes().sign([lane(SigningKey(swapped.private_key()))] * LANES, DIGESTS[:LANES])
    assert made == [KEYS[0].sign_digest(digest) for digest in DIGESTS[:LANES]]


def test_the_reason_names_the_extra_or_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto_mb, "_of_system", lambda: None)
    monkeypatch.setattr(metadata, "files", lambda name: None)
    with pytest.raises(Unavailable, match=r"postwright\[lanes\]"):
        crypto_mb.library()
    monkeypatch.setenv(crypto_mb.SWITCH, "no")
    with pytest.raises(Unavailable, match=crypto_mb.SWITCH):
        crypto_mb.library()


def test_a_library_of_another_kind_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto_mb, "_of_system", lambda: ctypes.CDLL(None))
    with pytest.raises(Unavailable, match="another one"):
        crypto_mb.library()
    for octets in (b"", b"MZ", b"\x7fELF\x02\x01", b"\x7fELF\x02\x01" + b"\xff" * 60):
        with pytest.raises(ValueError, match=r"no library|damaged"):
            without(octets, frozenset())


def package_library() -> bytes:
    try:
        found = [file for file in metadata.files("ipp-crypto") or () if file.name == "libcrypto_mb.so.13"]
    except metadata.PackageNotFoundError:
        found = []
    if not found:
        pytest.skip("the extra lanes is not installed")
    return Path(str(found[0].locate())).read_bytes()


def test_others_are_no_longer_asked_for() -> None:
    elf = package_library()
    gone = frozenset((b"libsvml.so", b"libimf.so"))
    before = [name for _, name in crypto_mb._needed(elf, crypto_mb._sections(elf))]
    changed = without(elf, gone)
    after = [name for _, name in crypto_mb._needed(changed, crypto_mb._sections(changed))]
    assert gone < set(before)
    assert after == [name for name in before if name not in gone]
    assert len(changed) == len(elf)


def test_a_library_that_calls_what_it_is_to_go_without_is_refused() -> None:
    """The linker would end this process, and say `Inconsistency detected by ld.so`."""
    elf = package_library()
    assert b"libc.so.6" in list(crypto_mb._versioned(elf, crypto_mb._sections(elf)))
    with pytest.raises(ValueError, match=r"it calls libc\.so\.6"):
        without(elf, frozenset((b"libc.so.6",)))
