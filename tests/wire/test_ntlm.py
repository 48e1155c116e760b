"""NTLM by the published vectors (RFC 1320; MS-NLMP section 4.2), by a client that is not ours (pyspnego), and by broken messages.

Takes about a second.
"""

from __future__ import annotations

import hmac
import struct

import pytest
import spnego
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from postwright.wire import ntlm
from postwright.wire.md4 import md4
from postwright.wire.ntlm import Authenticate, Negotiate, Verdict

# -- MD4 ----------------------------------------------------------------------------------

# RFC 1320 appendix A.5
MD4 = [
    (b"", "31d6cfe0d16ae931b73c59d7e0c089c0"),
    (b"a", "bde52cb31de33e46245e05fbdbd6fb24"),
    (b"abc", "a448017aaf21d8525fc10ae87aa6729d"),
    (b"message digest", "d9130a8164549fe818874806e1c7014b"),
    (b"abcdefghijklmnopqrstuvwxyz", "d79e1c308aa5bbcdeea8ed63df412da9"),
    (b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "043f8582f241db351ce627e153e7f0e4"),
    (b"1234567890" * 8, "e33b4ddc9c38f2199c3e7b164fcc0536"),
]


@pytest.mark.parametrize(("data", "digest"), MD4)
def test_md4(data: bytes, digest: str) -> None:
    assert md4(data).hex() == digest


# -- MS-NLMP section 4.2: user "User", domain "Domain", password "Password", time 0 ----------

NONCE = bytes.fromhex("0123456789abcdef")
CHALLENGE_OF_THE_SPECIFICATION = bytes.fromhex(
    "4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef00000000000000002400240044000000060070170000000f"
    "53006500720076006500720002000c0044006f006d00610069006e0001000c0053006500720076006500720000000000"
)
AUTHENTICATE_OF_THE_SPECIFICATION = bytes.fromhex(
    "4e544c4d5353500003000000180018006c00000054005400840000000c000c00480000000800080054000000100010005c00000010001000d8000000"
    "358288e20501280a0000000f44006f006d00610069006e00550073006500720043004f004d0050005500540045005200"
    "86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa"
    "68cd0ab851e51c96aabc927bebef6a1c01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000"
    "02000c0044006f006d00610069006e0001000c005300650072007600650072000000000000000000"
    "c5dad2544fc9799094ce1ce90bc9d03e"
)


def test_the_hash_of_the_password() -> None:
    assert md4("Password".encode("utf-16-le")).hex() == "a4f49c406510bdcab6824ee7c30fd852"  # 4.2.2.1.2


def test_the_key_of_a_user() -> None:
    assert ntlm.key_of("Password", "User", "Domain").hex() == "0c868a403bfd7a93a3001ef22ef02e3f"  # 4.2.4.1.1
    assert ntlm.key_of("Password", "uSER", "Domain") == ntlm.key_of("Password", "User", "Domain")
    assert ntlm.key_of("Password", "User", "domain") != ntlm.key_of("Password", "User", "Domain")


def test_the_message_of_the_specification_is_right() -> None:
    said = ntlm.read_authenticate(AUTHENTICATE_OF_THE_SPECIFICATION)
    assert said is not None
    assert (said.user, said.domain, said.response[:16].hex()) == ("User", "Domain", "68cd0ab851e51c96aabc927bebef6a1c")
    assert ntlm.judge(said, "Password", NONCE, b"") is Verdict.RIGHT
    for password, nonce in [("password", NONCE), (None, NONCE), ("Password", NONCE[::-1])]:
        assert ntlm.judge(said, password, nonce, b"") is Verdict.WRONG


def test_no_name_but_the_domain_is_in_our_challenge() -> None:
    ours = ntlm.challenge(Negotiate(0xE2088297), NONCE, "Domain", 0.0)
    assert ours[:8] == CHALLENGE_OF_THE_SPECIFICATION[:8]
    assert ours[24:32] == CHALLENGE_OF_THE_SPECIFICATION[24:32] == NONCE
    size, _, at = struct.unpack_from("<HHI", ours, 12)
    assert ours[at : at + size].decode("utf-16-le") == "Domain"
    size, _, at = struct.unpack_from("<HHI", ours, 40)
    assert at + size == len(ours)
    domain = b"\x0c\0" + "Domain".encode("utf-16-le")
    time = b"\x07\0\x08\0" + struct.pack("<Q", 116_444_736_000_000_000)  # 1970 in Windows' reckoning
    assert ours[at:] == b"\x02\0" + domain + b"\x01\0" + domain + time + bytes(4)


def test_who_asks_for_no_unicode_gets_none() -> None:
    ours = ntlm.challenge(Negotiate(0x00088206), NONCE, "Domain", 0.0)  # what curl asks
    size, _, at = struct.unpack_from("<HHI", ours, 12)
    assert ours[at : at + size] == b"Domain"
    assert ours[20] & 3 == 2


# -- a client that is not ours -----------------------------------------------------------------


class Exchange:
    """A dialogue with pyspnego's initiator."""

    def __init__(self, user: str = "anne", password: str = "sesame", version: bool = False) -> None:
        self.client = spnego.client(user, password, hostname="relay.example", protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
        first = self.client.step()
        assert first is not None
        asked = ntlm.read_negotiate(first)
        assert asked is not None
        second = ntlm.challenge(asked, NONCE, "CORP", 1_800_000_000.0)
        if version:  # as Windows does it: a version before the MIC
            second = second[:23] + bytes([second[23] | 0x02]) + second[24:]
        third = self.client.step(second)
        assert third is not None
        self.before = first + second
        self.third = third

    def verdict(self, password: str | None, third: bytes | None = None, before: bytes | None = None) -> Verdict:
        said = ntlm.read_authenticate(third or self.third)
        assert said is not None
        return ntlm.judge(said, password, NONCE, self.before if before is None else before)


@pytest.mark.parametrize("user", ["anne", "CORP\\anne", "anne@corp.example", "Änne", "жанна"])
def test_pyspnego_logs_in(user: str) -> None:
    exchange = Exchange(user, "grüße-пароль-🔑")
    assert exchange.verdict("grüße-пароль-🔑") is Verdict.RIGHT
    assert exchange.verdict("grüße-пароль-🗝") is Verdict.WRONG
    assert exchange.verdict(None) is Verdict.WRONG


@pytest.mark.parametrize(("version", "place"), [(False, 64), (True, 72)])
def test_the_integrity_code_covers_all_three_messages(version: bool, place: int) -> None:
    exchange = Exchange(version=version)
    assert exchange.verdict("sesame") is Verdict.RIGHT
    said = ntlm.read_authenticate(exchange.third)
    assert said is not None
    assert ntlm._av_flags(said.response[16:]) & 2, "or this test tests nothing"
    spoiled = bytearray(exchange.before)
    spoiled[13] ^= 0x80  # a flag of the first message, by somebody on the way
    assert exchange.verdict("sesame", before=bytes(spoiled)) is Verdict.WRONG
    code = bytearray(exchange.third)
    code[place] ^= 1
    assert exchange.verdict("sesame", third=bytes(code)) is Verdict.WRONG


def test_every_octet_of_the_response_counts() -> None:
    exchange = Exchange()
    size, _, at = struct.unpack_from("<HHI", exchange.third, 20)
    for octet in range(at, at + size):
        spoiled = bytearray(exchange.third)
        spoiled[octet] ^= 1
        assert exchange.verdict("sesame", third=bytes(spoiled)) is Verdict.WRONG, octet - at


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("response", [b"", b"\0", bytes(24), b"\xaa" * 24])
def test_old_responses_are_refused_whatever_the_password(response: bytes) -> None:
    said = Authenticate("Domain", "User", response, AUTHENTICATE_OF_THE_SPECIFICATION)
    assert ntlm.judge(said, "Password", NONCE, b"") is Verdict.OLD


def test_nobody_is_let_in_as_nobody() -> None:
    key = ntlm.key_of("", "", "")
    temp = bytes(44)
    said = Authenticate("", "", hmac.digest(key, NONCE + temp, "md5") + temp, bytes(100))
    assert ntlm.judge(said, "", NONCE, b"") is Verdict.WRONG
    assert ntlm.judge(structs.replace(said, user=""), None, NONCE, b"") is Verdict.WRONG


GOOD_NEGOTIATE = ntlm.SIGNATURE + struct.pack("<II", 1, 0xE2088297) + bytes(24)

BAD_NEGOTIATES = [
    b"",
    b"NTLMSSP\0",
    GOOD_NEGOTIATE[:15],
    b"X" + GOOD_NEGOTIATE[1:],
    ntlm.SIGNATURE + struct.pack("<II", 3, 0xE2088297),
    ntlm.SIGNATURE + struct.pack("<II", 1, 0xE2088294),  # neither Unicode nor OEM
    ntlm.SIGNATURE + struct.pack("<II", 1, 0xE2088097),  # no NTLM
    GOOD_NEGOTIATE + bytes(ntlm.LONGEST),
]


def test_a_negotiate_is_read() -> None:
    assert ntlm.read_negotiate(GOOD_NEGOTIATE) == Negotiate(0xE2088297)


@pytest.mark.parametrize("data", BAD_NEGOTIATES)
def test_bad_negotiates(data: bytes) -> None:
    assert ntlm.read_negotiate(data) is None


@pytest.mark.parametrize(
    ("at", "value"),
    [(8, b"\2"), (20, b"\xff\xff"), (24, b"\xff\xff\xff\xff"), (28, b"\xff\xff"), (36, b"\x07"), (40, b"\x00\x00\x00\x80"), (84, b"\n\0")],
)
def test_bad_authenticates(at: int, value: bytes) -> None:
    spoiled = AUTHENTICATE_OF_THE_SPECIFICATION[:at] + value + AUTHENTICATE_OF_THE_SPECIFICATION[at + len(value) :]
    assert ntlm.read_authenticate(spoiled) is None


@given(st.binary(max_size=200), st.integers(0, 220))
def test_no_octets_make_it_raise(data: bytes, keep: int) -> None:
    ntlm.read_negotiate(ntlm.SIGNATURE + b"\1\0\0\0" + data)
    for third in (ntlm.SIGNATURE + b"\3\0\0\0" + data, AUTHENTICATE_OF_THE_SPECIFICATION[:keep] + data):
        said = ntlm.read_authenticate(third)
        if said is not None:
            assert ntlm.judge(said, "Password", NONCE, data) in Verdict


def test_nothing_that_was_sent_is_in_a_repr() -> None:
    assert repr(ntlm.read_authenticate(AUTHENTICATE_OF_THE_SPECIFICATION)) == "Authenticate('User')"
