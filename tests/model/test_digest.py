"""Keyed digests: vectors of SipHash's reference, those that PowerMTA's guide prints for `pmta digest` (5.0, section 6.3.30), RFC 4231."""

from __future__ import annotations

import pytest

from postwright.model.digest import hmac_sha256, siphash
from postwright.model.privacy import Privacy


@pytest.mark.parametrize(
    ("key", "result"),
    [(b"secretkey", "EB938A2508145899"), (bytes.fromhex("1234abcd"), "D343D887797D2CFB")],
)
def test_siphash_as_the_vendor_prints_it(key: bytes, result: str) -> None:
    assert siphash(key, "port25") == result


@pytest.mark.parametrize(
    ("key", "result"),
    [
        (b"secretkey", "614648A140A88192D375C22E606BEC922E8CFA71A5063C067E6BE7CB49C506AA"),
        (bytes.fromhex("1234abcd"), "3BB5D751EB1C3ECCD12C10B315DADEBA35C3A6DF822E44A347FC01B38001477A"),
    ],
)
def test_hmac_as_the_vendor_prints_it(key: bytes, result: str) -> None:
    assert hmac_sha256(key, "port25") == result


# the first lines of `vectors_sip64` of the reference implementation: the message is 0, 1, 2 ... octets of 00 01 02 ...
REFERENCE = (
    "310e0edd47db6f72", "fd67dc93c539f874", "5a4fa9d909806c0d", "2d7efbd796666785", "b7877127e09427cf", "8da699cd64557618",
    "cee3fe586e46c9cb", "37d1018bf50002ab", "6224939a79f5f593", "b0e4a90bdf82009e", "f3b9dd94c5bb5d7a", "a7ad6b22462fb3f4",
    "fbe50e86bc8f1e75", "903d84c02756ea14", "eef27a8e90ca23f7", "e545be4961ca29a1",
)  # fmt: skip


def test_siphash_of_every_length_to_two_words() -> None:
    key = bytes(range(16))
    assert [siphash(key, bytes(range(size)).decode("ascii")).lower() for size in range(16)] == list(REFERENCE)


def test_hmac_of_rfc_4231_case_2() -> None:
    found = hmac_sha256(b"Jefe", "what do ya want for nothing?")
    assert found.lower() == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


def test_a_key_that_is_too_long_for_siphash() -> None:
    with pytest.raises(ValueError, match="at most 16 octets"):
        siphash(b"k" * 17, "x")
    assert siphash(b"k" * 16, "x") != siphash(b"k" * 15, "x")


def test_a_policy_lowers_the_case_and_keeps_its_key() -> None:
    policy = Privacy("siphash", "", b"secretkey")
    assert policy.stands_for("PORT25") == "EB938A2508145899"
    assert "secretkey" not in repr(policy)
    assert "secretkey" not in policy.fingerprint
    assert policy.fingerprint != Privacy("siphash", "", b"secretkez").fingerprint != Privacy("hmac-sha256", "", b"secretkez").fingerprint
    assert Privacy("redact", "X").stands_for("anybody") == "X"
