"""NTLM messages (MS-NLMP section 2.2.1) told in words: which of the three, and the names inside.

Pure, for people who look at a dialogue: it never computes or checks a response. Offsets and lengths in the message are a stranger's, and
what lies outside of it is shown as nothing. Never raises.
"""

from __future__ import annotations

import struct

from postwright.wire.explained import Explained, Row, printable

SIGNATURE = b"NTLMSSP\0"
_UNICODE = 0x1
_PAIRS = {1: "computer (NetBIOS)", 2: "domain (NetBIOS)", 3: "computer (DNS)", 4: "domain (DNS)", 5: "forest"}
_MAX_PAIRS = 16


def explain_ntlm(data: bytes) -> Explained:
    """`data` begins with SIGNATURE."""
    kind = _number(data, 8)
    if kind == 1:
        return _negotiate(data)
    if kind == 2:
        return _challenge(data)
    if kind == 3:
        return _authenticate(data)
    return Explained("NTLM message of an unknown type", (Row("type", str(kind)),))


def _negotiate(data: bytes) -> Explained:
    rows = [Row("flags", f"{_number(data, 12):#010x}")]
    rows += _rows(data, (("domain", 16), ("workstation", 24)), unicode=False)
    return Explained("NTLM type 1 (negotiate), from the client", tuple(rows), ("It holds no secret: the client says what it can.",))


def _challenge(data: bytes) -> Explained:
    flags = _number(data, 20)
    rows = [*_rows(data, (("target", 12),), bool(flags & _UNICODE)), Row("flags", f"{flags:#010x}"), Row("challenge", data[24:32].hex())]
    rows += _target_info(_field(data, 40))
    return Explained(
        "NTLM type 2 (challenge), from the server", tuple(rows), ("The names tell everybody what the server's machine is called.",)
    )


def _authenticate(data: bytes) -> Explained:
    unicode = bool(_number(data, 60) & _UNICODE)
    rows = _rows(data, (("domain", 28), ("user", 36), ("workstation", 44)), unicode)
    response = _field(data, 20)
    rows.append(Row("response", f"{'NTLMv2' if len(response) > 24 else 'NTLMv1'}, {len(response)} octets"))
    rows.append(Row("proof", response[:16].hex(), secret=True))
    return Explained(
        "NTLM type 3 (authenticate), from the client",
        tuple(rows),
        ("The password is not in it, but who has type 2 and type 3 can try passwords at leisure.",),
    )


def _target_info(data: bytes) -> list[Row]:
    rows: list[Row] = []
    at = 0
    while at + 4 <= len(data) and len(rows) < _MAX_PAIRS:
        kind, size = struct.unpack_from("<HH", data, at)
        if kind == 0:
            break
        if kind in _PAIRS:
            rows.append(Row(_PAIRS[kind], _text(data[at + 4 : at + 4 + size], unicode=True)))
        at += 4 + size
    return rows


def _rows(data: bytes, fields: tuple[tuple[str, int], ...], unicode: bool) -> list[Row]:
    found = [(label, _text(_field(data, at), unicode)) for label, at in fields]
    return [Row(label, text) for label, text in found if text]


def _field(data: bytes, at: int) -> bytes:
    """Length, allocated length and offset stand at `at`; the octets elsewhere."""
    if at + 8 > len(data):
        return b""
    size, _, offset = struct.unpack_from("<HHI", data, at)
    return data[offset : offset + size]


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")


def _text(raw: bytes, unicode: bool) -> str:
    return printable(raw.decode("utf-16-le", "replace").encode("utf-8", "replace") if unicode else raw)
