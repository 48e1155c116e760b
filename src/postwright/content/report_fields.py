"""Values of the fields that reports are made of: addresses, statuses, times, hosts, diagnostics; tolerant, bounded, never failing."""

from __future__ import annotations

import re
from email.utils import mktime_tz, parsedate_tz

from postwright.content.mime import clean

MOST_DIAGNOSTIC = 1000
# Brackets and stops of East Asia, where no blank stands between a word and an address.
_WIDE = "\uff08\uff09\u3010\u3011\u300a\u300b\u300c\u300d\uff0c\u3002\uff1b\uff1a\u3001\u201c\u201d\u2018\u2019\uff1c\uff1e"
_NOT_LOCAL = rf"\s<>()\[\]\\,;:\"'@|={_WIDE}"
_ADDRESS = (
    rf"(?:\"[^\"\s@]{{1,64}}\"|[^{_NOT_LOCAL}]{{1,100}}(?:[='][^{_NOT_LOCAL}]{{1,60}}){{0,3}})"
    r"@(?:[\w-]{1,63}(?:\.[\w-]{1,63}){0,10}|\[[0-9A-Fa-f:.]{2,60}\])"
)
address_in = re.compile(_ADDRESS).search
addresses_in = re.compile(_ADDRESS).findall
_quoted_address = re.compile(r"\s{0,9}<?(\"(?:[^\"\\]|\\.){1,64}\"@[\w.-]{1,253})>?").match
_gateway = re.compile(r"^(?:smtp|rfc-?822|internet)=", re.IGNORECASE)
_type = re.compile(r"\s*[A-Za-z0-9_.-]{1,40}\s*;\s*").match
_escaped = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_xtext = re.compile(r"\+([0-9A-F]{2})")
_status = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")
_reply_code = re.compile(r"(?:^|[\s:;(<>\[#'\"-])([245][0-7]\d)(?=[\s:;,)\]#'\"-]|$)")


def untyped(value: str) -> str:
    """Without the type before the semicolon (`rfc822;`, `dns;`, `smtp;`)."""
    match = _type(value)
    return value[match.end() :].strip() if match else value.strip()


def bare_address(value: str) -> str:
    """The address in a field such as `rfc822; <a@b>` or `utf-8;\\x{E4}@b` (RFC 6533 section 3), or "" if there is none."""
    text = untyped(value)
    if value.lower().lstrip().startswith("utf-8"):
        text = _escaped.sub(_unescape, text)
    if (quoted := _quoted_address(text)) is not None:
        return quoted.group(1)
    match = address_in(text[:1000])
    return plain_address(match.group(0)) if match else ""


def plain_address(found: str) -> str:
    """Without what X.400's names and old gateways put before it (`dda:SMTP=a@b`)."""
    return _gateway.sub("", found).strip("'.")


def original_recipient(value: str) -> str:
    """As ORCPT has it: `type;address`, xtext read where it was left in; "" if it is no address."""
    address = bare_address(_xtext.sub(lambda m: chr(int(m.group(1), 16)), value) if "+40" in value or "+2B" in value else value)
    if not address:
        return ""
    kind = value.partition(";")[0].strip().lower() if _type(value) else "rfc822"
    return f"{kind};{address}"


def status_in(value: str) -> str:
    """The first enhanced status code (RFC 3463) in a text, or ""."""
    match = _status.search(value[:MOST_DIAGNOSTIC])
    return f"{match.group(1)}.{int(match.group(2))}.{int(match.group(3))}" if match else ""


def reply_code_in(value: str) -> str:
    """The first SMTP reply code that stands by itself, or ""."""
    match = _reply_code.search(value[:MOST_DIAGNOSTIC])
    return match.group(1) if match else ""


def time_of(value: str) -> float:
    """Unix seconds of a date (RFC 5322 section 3.3, its obsolete forms too), 0.0 if it is none."""
    try:
        parsed = parsedate_tz(value[:100])
        return float(mktime_tz(parsed)) if parsed else 0.0
    except (ValueError, TypeError, IndexError, OverflowError):  # the library's parser is not total
        return 0.0


def host_of(value: str) -> str:
    """The host of `dns;host (comment)`, in brackets or with a port as it stands."""
    words = clean(untyped(value)).split()
    return words[0].strip("<>,.;")[:255] if words else ""


def diagnostic_of(value: str) -> str:
    """As dsnDiag shows it: type, semicolon, text, without blanks between."""
    match = _type(value)
    text = clean(value)
    if match:
        text = f"{match.group(0).strip().rstrip(';').strip().lower()};{clean(value[match.end() :])}"
    return re.sub(r"\s+", " ", text)[:MOST_DIAGNOSTIC]


def _unescape(match: re.Match[str]) -> str:
    code = int(match.group(1), 16)
    return chr(code) if 0x20 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "?"
