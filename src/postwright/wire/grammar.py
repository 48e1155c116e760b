"""The small words of SMTP that both sides speak: xtext, strict base64, paths, `KEY=value` parameters, replies as bytes.

Pure functions over one line at most; every one is linear in its input. They raise ValueError (GrammarError) and nothing else.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

from postwright.model.reply import Reply

REPLY_LINE = 512  # octets with CRLF, RFC 5321 section 4.5.3.1.5


class GrammarError(ValueError):
    """A word is not well formed; the text says which and is fit for a peer."""


# xtext ---------------------------------------------------------------------------------------------------------------

_xtext = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*").fullmatch
_hex_pair = re.compile(r"\+([0-9A-F]{2})")
_not_xchar = re.compile(rb"[^!-*,-<>-~]")


def xtext_decode(text: str) -> str:
    """RFC 3461 section 4. What is encoded must be printable ASCII or blank, or UTF-8: a line end hidden here would travel on."""
    if _xtext(text) is None:
        raise GrammarError("not xtext")
    if "+" not in text:
        return text
    raw = _hex_pair.sub(lambda pair: chr(int(pair[1], 16)), text).encode("latin-1")
    try:
        decoded = raw.decode()
    except UnicodeDecodeError:
        raise GrammarError("the encoded characters are not UTF-8") from None
    if not decoded.isprintable():
        raise GrammarError("an encoded character is not printable")
    return decoded


def xtext_encode(text: str) -> str:
    """The inverse of `xtext_decode`; characters beyond ASCII go as the octets of their UTF-8."""
    return _not_xchar.sub(lambda octet: b"+%02X" % octet[0][0], text.encode()).decode("ascii")


# base64 --------------------------------------------------------------------------------------------------------------


def base64_decode(text: bytes) -> bytes:
    """Base64 as RFC 4954 section 4 wants it: padded, nothing else on the line. Raises GrammarError."""
    try:
        return a2b_base64(text, strict_mode=True) if text else b""
    except (Base64Error, ValueError):
        raise GrammarError("not base64") from None


def base64_encode(data: bytes) -> str:
    """On one line, as an SMTP AUTH challenge or response."""
    return b2a_base64(data, newline=False).decode("ascii")


# paths and parameters ------------------------------------------------------------------------------------------------

# A source route is taken and forgotten, as RFC 5321 section 4.1.1.3 asks. Blanks after the colon, and addresses without angle
# brackets, are wrong and common; neither can be mistaken for anything else. The alternatives cannot begin with the same character,
# and possessive as they are there is nothing to backtrack over.
_WORDS = r'[^<>"\s\x00-\x1f]*+(?:"(?:[^"\\\x00-\x1f]|\\[^\x00-\x1f])*+"[^<>"\s\x00-\x1f]*+)*+'
_PATH = rf"[ \t]*+(?:<(?:@[^:<>\"\s]*+:)?({_WORDS})>|(?=[^<\s])({_WORDS}))(?:[ \t]++(.*))?"
match_mail = re.compile(r"FROM:" + _PATH, re.IGNORECASE).fullmatch
match_rcpt = re.compile(r"TO:" + _PATH, re.IGNORECASE).fullmatch
# The same three groups for what only stands between brackets, whatever it is; for those who want it bounced and not refused.
match_any_rcpt = re.compile(r"TO:[ \t]*+<([^<>\x00-\x1f\x7f]++)>()(?:[ \t]++(.*))?", re.IGNORECASE).fullmatch

_parameter = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^=\x00-\x20\x7f]+))?").fullmatch


def split_parameters(text: str) -> dict[str, str | None]:
    """`esmtp-param`s of RFC 5321 section 4.1.2, by upper-case keyword; the value is None when there is no `=`.

    A keyword said twice is an error: whichever were taken, somebody further on would take the other.
    """
    found: dict[str, str | None] = {}
    for word in text.split():
        match = _parameter(word)
        if match is None:
            raise GrammarError("malformed parameter")
        keyword = match[1].upper()
        if keyword in found:
            raise GrammarError(f"{keyword} given twice")
        found[keyword] = match[2]
    return found


# replies -------------------------------------------------------------------------------------------------------------

_unsafe = re.compile(r"[\x00-\x1f\x7f]")


def encode_reply(reply: Reply) -> bytes:
    """The octets of a reply, RFC 5321 section 4.2, with its enhanced status code on every line (RFC 2034 section 4).

    Control characters in the text become blanks, so that no text can forge a reply of its own; what is not ASCII becomes
    "?"; a line that would be over 512 octets goes on in the next.
    """
    head = f"{reply.code} {reply.status} " if reply.status else f"{reply.code} "
    lines = reply.lines
    if len(lines) == 1:
        text = head + lines[0] + "\r\n"
        if len(text) <= REPLY_LINE and text.isascii() and text[:-2].isprintable():
            return text.encode("ascii")
    width = REPLY_LINE - 2 - len(head)
    out: list[str] = []
    for line in lines or ("",):
        line = _unsafe.sub(" ", line)
        out += [line[at : at + width] for at in range(0, len(line) or 1, width)]
    rest = "".join([f"{head[:3]}-{head[4:]}{line}\r\n" for line in out[:-1]])
    return f"{rest}{head}{out[-1]}\r\n".encode("ascii", "replace")
