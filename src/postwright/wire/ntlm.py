"""NTLM (MS-NLMP), the server's side of a login: reads NEGOTIATE and AUTHENTICATE, writes CHALLENGE, judges an NTLMv2 response.

Pure: challenge and time come in as arguments, the password from the caller. Only NTLMv2 is judged; a response of NTLMv1 or LM is `OLD`,
whatever the password (an old one can be broken on the way in a day). No session security is granted, since SMTP has no use for it; so the
session key is the session base key, and a client's integrity code (MIC) is checked by that. Octets of a stranger make None, never an
exception. Nothing that was sent is in a repr.
"""

from __future__ import annotations

import hmac
import struct
from enum import Enum

from msgspec import Struct

from postwright.wire.md4 import md4

SIGNATURE = b"NTLMSSP\0"
LONGEST = 8192  # octets of a message; a response with a long target info has some 600

# MS-NLMP section 2.2.2.5
UNICODE = 0x00000001
OEM = 0x00000002
REQUEST_TARGET = 0x00000004
NTLM = 0x00000200
ALWAYS_SIGN = 0x00008000
TARGET_TYPE_DOMAIN = 0x00010000
EXTENDED_SESSIONSECURITY = 0x00080000
TARGET_INFO = 0x00800000
ONLY_IF_ASKED = ALWAYS_SIGN | 0x20000000 | 0x80000000  # and keys of 128 and 56 bits: nothing to us, but some clients insist

# MS-NLMP section 2.2.2.1
_END, _COMPUTER, _DOMAIN, _FLAGS, _TIMESTAMP = 0, 1, 2, 6, 7
_MIC_PRESENT = 0x2
_MIC = 16  # octets
_HEAD = 64  # octets before version, MIC and payload
_OLD_RESPONSE = 24  # octets of an LM or NTLMv1 response
_PROOF = 16


class Verdict(Enum):
    """What became of a response."""

    RIGHT = "right"
    WRONG = "wrong"
    OLD = "old"


class Negotiate(Struct, frozen=True):
    """NEGOTIATE_MESSAGE: what the client can. Names that it may hold are not looked at."""

    flags: int


class Authenticate(Struct, frozen=True):
    """AUTHENTICATE_MESSAGE. `domain` and `user` as the client wrote them: both are under its proof."""

    domain: str
    user: str
    response: bytes
    raw: bytes

    def __repr__(self) -> str:
        return f"Authenticate({self.user!r})"

    @property
    def is_old(self) -> bool:
        """A response of NTLMv1 (or none, as an anonymous client sends)."""
        return len(self.response) <= _OLD_RESPONSE


def read_negotiate(data: bytes) -> Negotiate | None:
    """The first message; None if it is not that, or from one who does not speak NTLM."""
    if len(data) > LONGEST or len(data) < 16 or data[:12] != SIGNATURE + b"\1\0\0\0":
        return None
    flags = _number(data, 12)
    return Negotiate(flags) if flags & (UNICODE | OEM) and flags & NTLM else None


def challenge(asked: Negotiate, nonce: bytes, domain: str, now: float) -> bytes:
    """The second message (section 2.2.1.2): `nonce` 8 octets that nobody can foresee, `now` Unix time.

    The only name in it is `domain`, as the operator wrote it: that of this machine is nobody's business. With a time in it clients know
    that they may send a MIC. Who does not ask for Unicode (curl) gets the name in ASCII, and has to give its own so.
    """
    letters = UNICODE if asked.flags & UNICODE else OEM
    flags = letters | NTLM | REQUEST_TARGET | TARGET_TYPE_DOMAIN | EXTENDED_SESSIONSECURITY | TARGET_INFO | asked.flags & ONLY_IF_ASKED
    name = domain.encode("utf-16-le")
    target = name if letters is UNICODE else domain.encode("ascii", "replace")
    time = struct.pack("<Q", int((now + 11_644_473_600) * 10_000_000))  # 100 ns since 1601
    info = b"".join(_pair(*pair) for pair in ((_DOMAIN, name), (_COMPUTER, name), (_TIMESTAMP, time), (_END, b"")))
    head = SIGNATURE + struct.pack("<IHHII8s8xHHI", 2, len(target), len(target), 56, flags, nonce, len(info), len(info), 56 + len(target))
    return head + b"\0" * 8 + target + info


def read_authenticate(data: bytes) -> Authenticate | None:
    """The third message (section 2.2.1.3); None if it is not that, or a name in it is none."""
    if len(data) > LONGEST or len(data) < 64 or data[:12] != SIGNATURE + b"\3\0\0\0":
        return None
    response, domain, user = (_field(data, at) for at in (20, 28, 36))
    if response is None or domain is None or user is None:
        return None
    encoding = "utf-16-le" if _number(data, 60) & UNICODE else "ascii"
    try:
        names = domain.decode(encoding), user.decode(encoding)
    except UnicodeDecodeError:
        return None
    return Authenticate(*names, response, data) if all(name.isprintable() for name in names) else None


def judge(said: Authenticate, password: str | None, nonce: bytes, before: bytes) -> Verdict:
    """Does the response to the challenge with `nonce` prove `password`? None is a user that there is not: wrong, in the same time.

    `before` is the first and the second message, for the MIC.
    """
    if said.is_old:
        return Verdict.OLD
    key = key_of(password or "", said.user, said.domain)
    proof, rest = said.response[:_PROOF], said.response[_PROOF:]
    right = hmac.compare_digest(hmac.digest(key, nonce + rest, "md5"), proof)
    right &= _mic_is_right(said, hmac.digest(key, proof, "md5"), before)
    return Verdict.RIGHT if right and password is not None and said.user else Verdict.WRONG


def key_of(password: str, user: str, domain: str) -> bytes:
    """NTOWFv2 (section 3.3.2)."""
    return hmac.digest(md4(_utf16(password)), _utf16(_upper(user) + domain), "md5")


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def _upper(text: str) -> str:
    """As Windows does it: one character out of one."""
    return "".join(upper if len(upper := letter.upper()) == 1 else letter for letter in text)


def _mic_is_right(said: Authenticate, session_key: bytes, before: bytes) -> bool:
    """Section 3.2.5.1.2: over all three messages, with zeros in its own place. True where the client has sent none."""
    if not _av_flags(said.response[_PROOF:]) & _MIC_PRESENT:
        return True
    raw = said.raw
    at = _payload(raw) - _MIC
    if at < _HEAD:
        return False
    blank = raw[:at] + bytes(_MIC) + raw[at + _MIC :]
    return hmac.compare_digest(hmac.digest(session_key, before + blank, "md5"), raw[at : at + _MIC])


def _payload(raw: bytes) -> int:
    """Where the fields' octets begin. The MIC ends there: after a version of 8 octets, which Windows always writes, and others not."""
    fields = (struct.unpack_from("<HHI", raw, at) for at in range(12, 60, 8))
    return min((offset for size, _, offset in fields if size and offset <= len(raw)), default=0)


def _av_flags(temp: bytes) -> int:
    """MsvAvFlags out of the client's part of the response (section 2.2.2.7): pairs after 28 octets."""
    at = 28
    while at + 4 <= len(temp):
        kind, size = struct.unpack_from("<HH", temp, at)
        if kind == _END:
            break
        if kind == _FLAGS and size == 4 and at + 8 <= len(temp):
            return _number(temp, at + 4)
        at += 4 + size
    return 0


def _pair(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", kind, len(value)) + value


def _field(data: bytes, at: int) -> bytes | None:
    """Length, allocated length and offset stand at `at`; None if the field is not within the message."""
    size, _, offset = struct.unpack_from("<HHI", data, at)
    return data[offset : offset + size] if offset + size <= len(data) else None


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")
