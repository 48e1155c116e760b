"""A mail cut into its parts, within bounds: for reading the reports that strangers send, not for showing mail.

The standard library's parser keeps everything and recurses as deep as the mail says. This one looks at the first megabyte, goes down eight
levels, knows a hundred parts, and does not look into a message that is attached. It knows no wrong mail: what does not parse is text.
Lines may end in CRLF or LF; inside they end in LF. Nothing is raised, whatever the octets.
"""

from __future__ import annotations

import binascii
import re
from html import unescape

from msgspec import Struct

MOST_OCTETS = 1 << 20
MOST_DEPTH = 8
MOST_PARTS = 100
MOST_FIELDS = 500
MOST_TEXT = 1 << 17
_MOST_VALUE = 4000
_MOST_GROUPS = 2000

_field = re.compile(rb"([!-9;-~]{1,100})[ \t]*:[ \t]*(.*(?:\n[ \t].*){0,300})(?:\n|$)")
_parameter = re.compile(r';\s*([\w.*-]{1,40})\s*=\s*(?:"((?:[^"\\]|\\.){0,300})"|([^\s;"]{1,300}))')
_charset = re.compile(
    r"(?:utf-?(?:8|7|16)|us-ascii|iso-?8859-\d{1,2}|iso-2022-(?:jp|kr)[\w-]{0,5}|windows-\d{3,4}|cp-?\d{3,4}|koi8-[ru]|shift[_-]jis|euc-(?:jp|kr)"
    r"|gb2312|gbk|gb18030|big5|hz-gb-2312|ks_c_5601-1987|tis-620|mac-?roman)",
    re.IGNORECASE,
).fullmatch
_word = re.compile(r"=\?([\w.+-]{1,40})(?:\*[\w-]{0,20})?\?([bq])\?([^?\s]{0,2000})\?=", re.IGNORECASE)
_between_words = re.compile(r"(\?=)\s+(?==\?)")
_controls = re.compile("[\0-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
_not_base64 = re.compile(rb"[^A-Za-z0-9+/]+")
_hidden = re.compile(r"<(style|script|head)\b", re.IGNORECASE)
_shown = {name: re.compile(f"</{name}", re.IGNORECASE) for name in ("style", "script", "head")}
_break = re.compile(r"</?(?:br|p|div|tr|td|li|h\d|table|ul|pre|blockquote)\b[^<>]*>", re.IGNORECASE)
_first_delimiter = re.compile(rb"\s{0,100}--(\S{1,100})[ \t]*\n").match
_tag = re.compile(r"<[/!?a-zA-Z][^<>]*>")

Fields = tuple[tuple[str, str], ...]


class Part(Struct, frozen=True):
    """A part that has no parts of its own. `type` is "text/plain" and so on, in lower case; `body` its octets, not yet decoded."""

    type: str
    parameters: dict[str, str]
    fields: Fields
    body: bytes

    def find(self, name: str) -> str:
        """The first field of that name (lower case), or ""."""
        return find(self.fields, name)

    def octets(self) -> bytes:
        """The body without its transfer encoding."""
        encoding = self.find("content-transfer-encoding").lower()
        if encoding.startswith("base64"):
            return _base64(self.body).replace(b"\r\n", b"\n")
        if encoding.startswith("quoted-printable"):
            return binascii.a2b_qp(self.body)
        return self.body

    def text(self) -> str:
        """The body as text, with HTML's tags left out and its breaks as line ends; at most 128 K characters."""
        text = decoded(self.octets()[:MOST_TEXT], self.parameters.get("charset", ""))
        return _without_tags(text) if self.type == "text/html" else text


class Mail(Struct, frozen=True):
    """A mail: its header fields, and its leaves in order. `shape` is the type of the whole; `excess` "" or the bound that was met."""

    fields: Fields
    shape: str
    parameters: dict[str, str]
    parts: tuple[Part, ...]
    excess: str = ""

    def find(self, name: str) -> str:
        """The first header field of that name (lower case), or ""."""
        return find(self.fields, name)


def parse(content: bytes) -> Mail:
    """The mail in `content`, of which the first megabyte counts."""
    octets = content[:MOST_OCTETS].replace(b"\r\n", b"\n")
    if octets.startswith(b"From "):  # out of an mbox
        octets = octets.partition(b"\n")[2]
    fields, body = split(octets)
    kind, parameters = content_type(find(fields, "content-type"))
    parts: list[Part] = []
    excess = _leaves(Part(kind, parameters, fields, body), parts, 0)
    return Mail(fields, kind, parameters, tuple(parts), excess)


def _leaves(part: Part, found: list[Part], depth: int) -> str:
    boundary = part.parameters.get("boundary", "") or _guessed(part)
    if not part.type.startswith("multipart/") or not boundary:
        found.append(part)
        return "parts" if len(found) > MOST_PARTS else ""
    if depth >= MOST_DEPTH:
        return "depth"
    within = _pieces(part.body, boundary)
    if not within:  # said to be in parts, and is not
        found.append(Part("text/plain", {}, part.fields, part.body))
    for piece in within:
        fields, body = split(piece)
        default = "message/rfc822" if part.type == "multipart/digest" else "text/plain"
        kind, parameters = content_type(find(fields, "content-type") or default)
        if excess := _leaves(Part(kind, parameters, fields, body), found, depth + 1):
            return excess
    return ""


def _guessed(part: Part) -> str:
    """The parameter got lost in a header that was folded wrongly: the first line of the body shows it."""
    match = _first_delimiter(part.body) if part.type.startswith("multipart/") else None
    return match.group(1).decode("ascii", "replace") if match else ""


def _pieces(body: bytes, boundary: str) -> list[bytes]:
    """RFC 2046 section 5.1.1. Without a closing delimiter the last piece goes on to the end: it was cut short on its way."""
    delimiter = re.compile(rb"^--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(--)?[ \t]*$", re.MULTILINE)
    pieces: list[bytes] = []
    start = -1
    for match in delimiter.finditer(body):
        if start >= 0:
            pieces.append(body[start : max(start, match.start() - 1)])
        start = match.end() + 1
        if match.group(1) or len(pieces) > MOST_PARTS:
            return pieces
    if start >= 0:
        pieces.append(body[start:])
    return pieces


def split(octets: bytes) -> tuple[Fields, bytes]:
    """Header fields and body. What stands before the blank line and is no field is passed over; without any field all is body."""
    fields: list[tuple[str, str]] = []
    at = skipped = 0
    while at < len(octets) and octets[at] != 10:
        if len(fields) >= MOST_FIELDS or skipped >= MOST_FIELDS:
            blank = octets.find(b"\n\n", at)
            at = blank + 1 if blank >= 0 else len(octets)
            break
        match = _field.match(octets, at)
        if match is None:
            if not fields:
                return (), octets
            skipped += 1
            at = octets.find(b"\n", at) + 1 or len(octets)
            continue
        at = match.end()
        fields.append((match.group(1).decode("ascii"), _value(match.group(2))))
    return tuple(fields), octets[at + 1 :]


def find(fields: Fields, name: str) -> str:
    """The first field of that name (lower case), or ""."""
    return next((value for field, value in fields if field.lower() == name), "")


def groups(octets: bytes) -> list[Fields]:
    """The blocks of fields that blank lines part, as RFC 3464 section 2.1 has them; what is no field is passed over."""
    blocks = re.split(rb"\n(?:[ \t]*\n)+", octets.strip(b"\n \t"), maxsplit=_MOST_GROUPS)
    return [fields for block in blocks if (fields := split(block.lstrip(b"\n"))[0])]


def content_type(value: str) -> tuple[str, dict[str, str]]:
    """RFC 2045 section 5.1: type in lower case ("text/plain" if it is none), and parameters by lower-case name."""
    kind = value.partition(";")[0].strip().lower()
    parameters: dict[str, str] = {}
    for name, quoted, plain in _parameter.findall(value):
        parameters.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted else plain)
    return (kind if re.fullmatch(r"[\w.+-]{1,60}/[\w.+-]{1,100}", kind) else "text/plain"), parameters


def words(value: str) -> str:
    """A header value with its encoded words (RFC 2047) read."""
    if "=?" not in value:
        return value
    return clean(_word.sub(_read_word, _between_words.sub(r"\1", value)))


def clean(text: str) -> str:
    """On one line, without control characters, and without those that turn the direction of what follows."""
    return tidy(text).strip()


def tidy(line: str) -> str:
    """`clean` with its blanks left: they tell where a line stands."""
    return _controls.sub(" ", line)


def decoded(octets: bytes, charset: str) -> str:
    """As text. Without a charset, or with one that is none, UTF-8 if it is that, else Latin-1: nothing is lost that a rule could need."""
    if charset and _charset(charset) and charset.lower() != "us-ascii":
        try:
            return octets.decode(charset, "replace")
        except (LookupError, UnicodeError):
            pass
    if b"\x1b$" in octets or b"\x1b(" in octets:  # the escapes of ISO-2022-JP, which old hosts do not announce
        return octets.decode("iso-2022-jp", "replace")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _value(octets: bytes) -> str:
    text = decoded(octets[:_MOST_VALUE], "")
    return clean(" ".join([line.strip() for line in text.split("\n")]))


def _read_word(match: re.Match[str]) -> str:
    octets = match.group(3).encode("ascii", "replace")
    raw = _base64(octets) if match.group(2) in "bB" else binascii.a2b_qp(octets, header=True)
    return decoded(raw, match.group(1))


def _base64(octets: bytes) -> bytes:
    """What is not of the alphabet is left out (RFC 2045 section 6.8), and a torn end is dropped."""
    kept = _not_base64.sub(b"", octets.partition(b"=")[0])
    kept = kept[: len(kept) - 1] if len(kept) % 4 == 1 else kept
    return binascii.a2b_base64(kept + b"=" * (-len(kept) % 4))


def _without_tags(text: str) -> str:
    text = _without_hidden(text.replace("\r", ""))
    if _break.search(text) and "<pre" not in text.lower():
        text = text.replace("\n", " ")  # white space; the breaks are tags
    return unescape(_tag.sub("", _break.sub("\n", text)))


def _without_hidden(text: str) -> str:
    """Each search starts where the last one ended, and one that finds no end takes the rest: linear, whatever the text."""
    kept: list[str] = []
    at = 0
    while (match := _hidden.search(text, at)) is not None:
        kept.append(text[at : match.start()])
        end = _shown[match.group(1).lower()].search(text, match.end())
        if end is None:
            return "".join(kept)
        at = end.start()
    kept.append(text[at:])
    return "".join(kept)
