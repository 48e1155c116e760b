"""Fuzzes the readers of NTLM's messages and the judge of a response: they raise nothing, and nobody is let in without the password.

The octets are the client's third message, and its first behind a mark; the challenge and the password are fixed, so only who computes
an HMAC could be right.
"""

from __future__ import annotations

import struct

import common

from postwright.wire import ntlm

NONCE = bytes.fromhex("0123456789abcdef")
NEGOTIATE = ntlm.SIGNATURE + struct.pack("<II", 1, 0xE2088297) + bytes(16)
PAIRS = b"\2\0\x0c\0D\0o\0m\0a\0i\0n\0\6\0\4\0\2\0\0\0\0\0\0\0"
RESPONSE = bytes(16) + b"\1\1" + bytes(26) + PAIRS


def authenticate(response: bytes, flags: int = 0xE2888215) -> bytes:
    """A message like that of MS-NLMP section 4.2.4.3, with a version and a MIC."""
    payload = [response, "Domain".encode("utf-16-le"), "User".encode("utf-16-le")]
    fields, at = [], 88
    for part in payload:
        fields.append(struct.pack("<HHI", len(part), len(part), at))
        at += len(part)
    empty = struct.pack("<HHI", 0, 0, at)
    head = ntlm.SIGNATURE + struct.pack("<I", 3) + empty + b"".join(fields) + empty + empty + struct.pack("<I", flags)
    return head + bytes(24) + b"".join(payload)


SEEDS = (
    b"\1" + NEGOTIATE,
    b"\3" + authenticate(RESPONSE),
    b"\3" + authenticate(RESPONSE, flags=0xE2888214),
    b"\3" + authenticate(bytes(24)),
    b"\3" + authenticate(b""),
)


def fuzz_one(data: bytes) -> None:
    asked = ntlm.read_negotiate(data[1:])
    if asked is not None:
        challenge = ntlm.challenge(asked, NONCE, "CORP", 1.8e9)
        assert len(challenge) < 200
    said = ntlm.read_authenticate(data[1:])
    if said is not None:
        assert said.user.isprintable() or not said.user
        assert ntlm.judge(said, "correct horse", NONCE, data) is not ntlm.Verdict.RIGHT
        assert ntlm.judge(said, None, NONCE, data) is not ntlm.Verdict.RIGHT


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
