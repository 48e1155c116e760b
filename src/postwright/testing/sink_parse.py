"""What a sink reads out of single lines: paths with their parameters, credentials, stuffed dots.

Pure functions. What does not parse is None or empty, never an exception; written apart from `postwright.wire`, like all of the sink.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Generator, Mapping

from postwright.testing.sink_records import Extensions

# MAIL's parameters, and the extension that brings each.
_MAIL_PARAMS = {
    "SIZE": "size",
    "BODY=7BIT": "eightbitmime",
    "BODY=8BITMIME": "eightbitmime",
    "BODY=BINARYMIME": "binarymime",
    "SMTPUTF8": "smtputf8",
    "RET": "dsn",
    "ENVID": "dsn",
}

# The same for extensions that a sink is told to offer by name.
_MORE_PARAMS = {"REQUIRETLS": "REQUIRETLS", "BY": "DELIVERBY", "MT-PRIORITY": "MT-PRIORITY"}

# Yields challenges, is sent the answers, returns the user's name, or None when the credentials are wrong.
Exchange = Generator[bytes, bytes, str | None]


def path(rest: bytes, keyword: bytes) -> tuple[str, str] | None:
    """`FROM:<path> parameters` as (path, parameters), or None. No space after the colon, as RFC 5321 section 3.3 says twice."""
    start = len(keyword)
    if rest[start : start + 1] != b"<" or rest[:start].upper() != keyword:
        return None
    end = _closing(rest) if b'"' in rest else rest.find(b">")
    if end < 0:
        return None
    text = rest[start + 1 : end].decode("utf-8", "replace")
    if end == len(rest) - 1:
        return text, ""
    if rest[end + 1 : end + 2] != b" ":
        return None
    return text, rest[end + 2 :].decode("utf-8", "replace")


def _closing(rest: bytes) -> int:
    """The bracket that ends a path which may have a quoted local part."""
    quoted = escaped = False
    for at, octet in enumerate(rest):
        if escaped:
            escaped = False
        elif quoted and octet == 0x5C:
            escaped = True
        elif octet == 0x22:
            quoted = not quoted
        elif octet == 0x3E and not quoted:
            return at
    return -1


def not_offered(params: str, offered: Extensions, auth: bool) -> str:
    """The first parameter of a MAIL command whose extension was not offered, or nothing."""
    for word in params.upper().split():
        name, _, value = word.partition("=")
        if name == "AUTH":
            if not auth:
                return word
        elif name == "SIZE":
            if offered.size is None:
                return word
        elif _MORE_PARAMS.get(name) in offered.more:
            continue
        elif not getattr(offered, _MAIL_PARAMS.get(f"BODY={value}" if name == "BODY" else name, "_"), False):
            return word
    return ""


def declared_size(params: str) -> int:
    """The value of SIZE (RFC 1870), 0 without."""
    for word in params.upper().split():
        if word.startswith("SIZE=") and word[5:].isdigit():
            return int(word[5:25])
    return 0


def unstuffed(content: bytes) -> bytes:
    """Content without the dots that RFC 5321 section 4.5.2 added."""
    if content[:1] == b".":
        content = content[1:]
    return content.replace(b"\r\n.", b"\r\n") if b"\r\n." in content else content


def _plain(initial: bytes, users: Mapping[str, str], challenge: bytes) -> Exchange:
    answer = initial or (yield b"")
    user, _, password = _decoded(answer).partition(b"\0")[2].partition(b"\0")
    return _checked(users, user, lambda known: hmac.compare_digest(known, password))


def _login(initial: bytes, users: Mapping[str, str], challenge: bytes) -> Exchange:
    user = _decoded(initial or (yield b"Username:"))
    password = _decoded((yield b"Password:"))
    return _checked(users, user, lambda known: hmac.compare_digest(known, password))


def _cram_md5(initial: bytes, users: Mapping[str, str], challenge: bytes) -> Exchange:
    user, _, digest = _decoded((yield challenge)).rpartition(b" ")
    return _checked(users, user, lambda known: hmac.compare_digest(hmac.digest(known, challenge, "md5").hex().encode(), digest))


MECHANISMS: Mapping[bytes, Callable[[bytes, Mapping[str, str], bytes], Exchange]] = {
    b"PLAIN": _plain,
    b"LOGIN": _login,
    b"CRAM-MD5": _cram_md5,
}


def _checked(users: Mapping[str, str], user: bytes, right: Callable[[bytes], bool]) -> str | None:
    name = user.decode("utf-8", "replace")
    known = users.get(name)
    return name if known is not None and right(known.encode()) else None


def _decoded(line: bytes) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        return b""
