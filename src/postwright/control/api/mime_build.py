"""A message out of its pieces: sender, recipients, subject, text, HTML, AMP, files; as MIME that every receiver can take (7 bits).

    mixed( related( alternative(text, amp, html), inline files ), attachments ), each level only where it is needed

Header values are encoded words (RFC 2047) where they are not ASCII, names of files also as RFC 2231 has them; texts are quoted-printable
or base64 where they are not short lines of ASCII. No value ends a line: a control character is a MimeError, which names its place.

A template of a mail merge is the same message with holes: `{{name}}` in a text or header stands for a recipient's variable. Values are
encoded as the place of the hole needs it (`Holes`), so that what is merged is as right as what was written. Pure but for the boundary.
"""

from __future__ import annotations

import re
import secrets
from base64 import encodebytes
from binascii import b2a_qp
from collections.abc import Mapping, Sequence
from email.header import Header
from email.utils import formataddr
from html import escape
from urllib.parse import quote

from msgspec import Struct

from postwright.model.errors import PostwrightError

TEXT_LINE = 998
_QP_LINE = 72  # octets of a line of quoted-printable before its soft break
_FILE_NAME_MOST = 255
_CHARSET = "utf-8''"
_PIECE = 56  # characters of a parameter's value
CHUNKS_MOST = 64  # pieces of one value; see `Holes`
HOLES_MOST = 10_000  # in one text: each may become as many pieces

_control = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029\ud800-\udfff]").search
_field_name = re.compile(r"[!-9;-~]{1,76}").fullmatch
_media_type = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,127}/[A-Za-z0-9!#$&^_.+-]{1,127}").fullmatch
_content_id = re.compile(r"[^\s<>\x00-\x20\x7f-\uffff]{1,200}").fullmatch
_line_end = re.compile(r"\r\n|\r|\n")
hole = re.compile(r"\{\{[ \t]*([A-Za-z][A-Za-z0-9_]{0,63})[ \t]*\}\}")


class MimeError(PostwrightError):
    """A value that no message can have; the text begins with its place."""


class Mailbox(Struct, frozen=True):
    """An address with a name, "" for none."""

    address: str
    name: str = ""


class File(Struct, frozen=True):
    """`content_id` "" for an attachment, else how HTML refers to it (`cid:`)."""

    name: str
    data: bytes
    media_type: str = "application/octet-stream"
    content_id: str = ""


class Letter(Struct, frozen=True):
    """`fields` are further header fields, in order; those that are made of the rest are not among them."""

    sender: Mailbox
    to: tuple[Mailbox, ...] = ()
    cc: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    subject: str = ""
    text: str = ""
    html: str = ""
    amp: str = ""
    files: tuple[File, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()


MADE_HERE = frozenset(
    {
        *("from", "to", "cc", "bcc", "reply-to", "subject", "sender", "return-path", "received", "mime-version"),
        *("content-type", "content-transfer-encoding", "content-disposition"),
    }
)


class Holes:
    """What stands for a recipient's variables: a place, its pieces, and for each recipient what they come to.

    A piece is a variable of the relay's merge. A value in a text is quoted-printable, which is folded: it is cut into pieces of a line
    each, as many as the longest of all recipients needs. A header field with a hole in it is one piece as a whole, encoded for each. `to`
    are the recipients as To is to name them, `escapes_html`: values are texts, also where they stand in HTML; `pattern` finds a hole, whose
    variable its first group names.
    """

    def __init__(
        self, variables: Sequence[Mapping[str, str]], *, to: Sequence[Mailbox] = (), escapes_html: bool, pattern: re.Pattern[str] = hole
    ) -> None:
        self._variables = variables
        self._to = to
        self._escapes = escapes_html
        self.pattern = pattern
        self.values: list[dict[str, str]] = [{} for _ in variables]
        self._made: dict[tuple[str, str], str] = {}
        self._bodies: dict[tuple[str, str], bytes] = {}

    def _take(self, kind: str, key: str, values: list[str]) -> str:
        """The piece for these values, the same one if it is wanted again."""
        known = self._made.get((kind, key))
        if known is not None:
            return known
        name = self._made[kind, key] = f"p{len(self._made)}"
        for own, value in zip(self.values, values, strict=True):
            if value:
                own[name] = value
        return name

    def header(self, name: str, value: str) -> str:
        """A value of an unstructured field."""
        whole = [self.pattern.sub(lambda found, own=own: own.get(found[1], ""), value) for own in self._variables]  # type: ignore[misc]
        return f"[{self._take('h', f'{name}:{value}', [_unfolded(name, one) for one in whole])}]"

    def to(self) -> str:
        """The field To of each recipient's own copy, "" where nobody said how."""
        if not self._to:
            return ""
        return f"To: [{self._take('a', '', [_unfolded_mailbox(one) for one in self._to])}]"

    def body(self, variable: str, *, html: bool) -> bytes:
        """A hole in a text, with the soft breaks around it: made once, however often the text has it."""
        kind = "q" if html and self._escapes else "t"
        if (kind, variable) not in self._bodies:
            self._bodies[kind, variable] = self._body(kind, variable)
        return self._bodies[kind, variable]

    def _body(self, kind: str, variable: str) -> bytes:
        made = []
        for own in self._variables:
            value = own.get(variable, "")
            made.append(_pieces(escape(value) if kind == "q" else value))
        most = max(map(len, made), default=0)
        if most > CHUNKS_MOST:
            raise MimeError(f"the variable {variable!a} is too long")
        names = [self._take(f"{kind}{n}", variable, [one[n] if n < len(one) else "" for one in made]) for n in range(most)]
        return b"=\r\n" + b"".join([f"[{name}]=\r\n".encode() for name in names])


def build(letter: Letter, holes: Holes | None = None) -> bytes:
    """The content. Raises MimeError."""
    lines = [_addresses("From", (letter.sender,))]
    if holes is not None and (own := holes.to()):
        lines.append(own)
    lines += [_addresses(name, who) for name, who in (("To", letter.to), ("Cc", letter.cc), ("Reply-To", letter.reply_to)) if who]
    lines += [_field(name, value, holes) for name, value in (("Subject", letter.subject), *letter.fields) if value]
    if holes is not None:
        lines = [line if line.endswith("]") and hole_field(line) else line.replace("[", "[[]") for line in lines]
    head = "".join([f"{line}\r\n" for line in lines]).encode("ascii")
    return head + b"MIME-Version: 1.0\r\n" + _whole(letter, holes)


def hole_field(line: str) -> bool:
    """Is this line a field whose value is one piece?"""
    return re.fullmatch(r"[!-9;-~]+: \[p[0-9]+\]", line) is not None


def _whole(letter: Letter, holes: Holes | None) -> bytes:
    inline = [file for file in letter.files if file.content_id]
    attached = [file for file in letter.files if not file.content_id]
    part = _bodies(letter, holes)
    if inline:
        part = _multipart("related", [part, *map(_file, inline)])
    return _multipart("mixed", [part, *map(_file, attached)]) if attached else part


def _bodies(letter: Letter, holes: Holes | None) -> bytes:
    """RFC 2046 section 5.1.4: the best form last; AMP stands before HTML, as AMP4EMAIL wants it."""
    forms = (("plain", letter.text), ("x-amp-html", letter.amp), ("html", letter.html))
    parts = [_text(kind, text, holes) for kind, text in forms if text or (kind == "plain" and not (letter.html or letter.amp))]
    return parts[0] if len(parts) == 1 else _multipart("alternative", parts)


def _multipart(kind: str, parts: list[bytes]) -> bytes:
    mark = f"=_{secrets.token_hex(12)}".encode()  # neither base64 nor quoted-printable has this
    head = b'Content-Type: multipart/%s; boundary="%s"\r\n\r\n' % (kind.encode(), mark)
    return head + b"".join([b"--%s\r\n%s\r\n" % (mark, part) for part in parts]) + b"--%s--\r\n" % mark


# texts -----------------------------------------------------------------------------------------------------------------


def _text(kind: str, text: str, holes: Holes | None) -> bytes:
    try:
        octets = _line_end.sub("\r\n", text).encode()
    except UnicodeEncodeError:
        raise MimeError(f"{kind}: half a character (a lone surrogate)") from None
    octets = octets.replace(b"\0", b"")
    if octets and not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: "
    if holes is not None:
        return f"{head}quoted-printable\r\n\r\n".encode() + _with_holes(octets.decode(), holes, html=kind != "plain")
    if octets.isascii() and max(map(len, octets.split(b"\r\n"))) <= TEXT_LINE:
        return f"{head}7bit\r\n\r\n".encode() + octets
    if sum(octets.translate(_IS_HIGH)) * 6 > len(octets):
        return f"{head}base64\r\n\r\n".encode() + _base64(octets)
    return f"{head}quoted-printable\r\n\r\n".encode() + _quoted(octets)


_IS_HIGH = bytes(int(octet > 127) for octet in range(256))


def _quoted(octets: bytes) -> bytes:
    """Quoted-printable of lines with CRLF. The library folds and minds blanks at line ends; it wants LF."""
    return b2a_qp(octets.replace(b"\r\n", b"\n"), istext=True).replace(b"\n", b"\r\n")


def _with_holes(text: str, holes: Holes, *, html: bool) -> bytes:
    parts, at = [], 0
    for number, found in enumerate(holes.pattern.finditer(text)):
        if number >= HOLES_MOST:
            raise MimeError(f"there are more than {HOLES_MOST} holes in one text")
        parts += [_literal(text[at : found.start()]), holes.body(found[1], html=html)]
        at = found.end()
    return b"".join([*parts, _literal(text[at:])])


def _literal(text: str) -> bytes:
    """Quoted-printable in which a bracket is no bracket."""
    return _quoted(text.encode()).replace(b"[", b"=5B")


def _pieces(value: str) -> list[str]:
    """A value as quoted-printable, cut into lines."""
    octets = _line_end.sub("\r\n", value).encode("utf-8", "replace")
    units = [chr(octet) if _plain(octet) else f"={octet:02X}" for octet in octets]
    lines, line = [], ""
    for unit in units:
        if len(line) + len(unit) > _QP_LINE:
            lines.append(line)
            line = ""
        line += unit
    return [*lines, line] if line else lines


def _plain(octet: int) -> bool:
    return (32 <= octet <= 126 and octet not in b"=[") or octet == 9


# header fields ---------------------------------------------------------------------------------------------------------


def checked(place: str, value: str) -> str:
    """The value, if it has no control character. Raises MimeError."""
    if _control(value) is not None:
        raise MimeError(f"{place}: a control character, such as a line end")
    return value


def _field(name: str, value: str, holes: Holes | None) -> str:
    if _field_name(name) is None:
        raise MimeError(f"headers: {name[:40]!a} is no name of a field")
    checked(name, value)
    if holes is not None and holes.pattern.search(value):
        return f"{name}: {holes.header(name, value)}"
    return f"{name}: {_encoded(name, value)}"


def _encoded(name: str, value: str) -> str:
    """Folded; encoded words where it is not ASCII (RFC 2047), or where a word is too long for a line."""
    if value.isascii() and len(name) + len(value) < 76:
        return value
    plain = value.isascii() and max(map(len, value.split(" ")), default=0) < TEXT_LINE - len(name) - 2
    return str(Header(value, "us-ascii" if plain else "utf-8", header_name=name, maxlinelen=76).encode(linesep="\r\n"))


def _unfolded(name: str, value: str) -> str:
    """The same as one line; a variable has no line ends."""
    checked(f"a variable in {name}", value)
    line = re.sub(r"\r\n[ \t]+", " ", _encoded(name, value))
    if len(line) + len(name) + 2 > TEXT_LINE:
        raise MimeError(f"{name}: too long once it is merged")
    return line


def _addresses(name: str, who: tuple[Mailbox, ...]) -> str:
    """Mailboxes, one a line."""
    lines = [_mailbox(name, one) for one in who]
    return f"{name}: " + ",\r\n ".join(lines)


def _mailbox(place: str, who: Mailbox) -> str:
    checked(place, who.name)
    if not who.address or any(c in who.address for c in " <>,;()") or _control(who.address) is not None:
        raise MimeError(f"{place}: {who.address[:100]!a} is no address")
    if who.name.isascii():
        return formataddr((who.name, _ascii(place, who.address)))
    words = Header(who.name, "utf-8", maxlinelen=70).encode(linesep="\r\n")
    return f"{words} <{_ascii(place, who.address)}>"


def _unfolded_mailbox(who: Mailbox) -> str:
    line = re.sub(r"\r\n[ \t]+", " ", _mailbox("To", who))
    if len(line) > TEXT_LINE - 4:
        raise MimeError("To: a name is too long")
    return line


def _ascii(place: str, address: str) -> str:
    """A domain beyond ASCII has a form in it (IDNA); a local part has none."""
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    try:
        return f"{local.encode('ascii').decode()}@{domain.encode('idna').decode()}"
    except UnicodeError:
        raise MimeError(f"{place}: {address[:100]!a} cannot be written in ASCII; hand in such a message raw") from None


# files -----------------------------------------------------------------------------------------------------------------


def _file(file: File) -> bytes:
    name = checked("the name of a file", file.name)[-_FILE_NAME_MOST:]
    media = file.media_type.lower()
    if _media_type(media) is None or media.startswith(("multipart/", "message/")):
        media = "application/octet-stream"  # RFC 2046 section 5.2.1 forbids to encode those
    lines = [f"Content-Type: {media}", "Content-Transfer-Encoding: base64"]
    kind = "inline" if file.content_id else "attachment"
    lines.append(f"Content-Disposition: {kind}" + (f";\r\n {_file_name(name)}" if name else ""))
    if file.content_id:
        if _content_id(file.content_id) is None:
            raise MimeError(f"{file.content_id[:40]!a} is no Content-ID")
        lines.append(f"Content-ID: <{file.content_id}>")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + _base64(file.data)


def _file_name(name: str) -> str:
    """RFC 2183; what is not plain as RFC 2231 has it. Both forms together would be read for the plain one."""
    if all(c.isascii() and c.isprintable() and c not in '"\\[' for c in name) and len(name) < 60:
        return f'filename="{name}"'
    lines = _lines_of(quote(name.encode("utf-8", "replace"), safe="!#$&+-.^_`|~"))
    if len(lines) == 1:
        return f"filename*={_CHARSET}{lines[0]}"
    return ";\r\n ".join([f"filename*{number}*={line if number else _CHARSET + line}" for number, line in enumerate(lines)])


def _lines_of(coded: str) -> list[str]:
    """In pieces for continuations (RFC 2231 section 3); no `%XX` is cut."""
    found = []
    while len(coded) > _PIECE:
        cut = _PIECE
        if "%" in coded[cut - 2 : cut]:
            cut = coded.rindex("%", 0, cut)
        found.append(coded[:cut])
        coded = coded[cut:]
    return [*found, coded]


def _base64(octets: bytes) -> bytes:
    return encodebytes(octets).replace(b"\n", b"\r\n")
