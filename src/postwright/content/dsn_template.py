"""Failure reports in an operator's own words: `dsn-failed-from-template`, `dsn-failed-subject-template`, `dsn-failed-body-template-from`.

`${name}` stands for what is known of the failure (`model.report_macros`). Pure, and total: what is written for a macro can neither end a
header field nor make another, an unknown one stays as it is (the load tells of it), and a From or Subject that comes to nothing gives way
to the usual one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import Header, decode_header, make_header
from email.utils import formataddr

from msgspec import Struct

from postwright.model.report_macros import MACROS, macro

TEXT_MOST = 64 * 1024
"""Octets of a file with a text, and of what it comes to."""

_HEADER_MOST = 500  # characters of a From or Subject
_NAME_MOST = 100  # of the name in a From, which encoded and with its address must stay one line
_READ_MOST = 16 * _HEADER_MOST  # of a Subject before it is decoded: some charsets take a time that grows with the square
# and halves of letters, which some charsets of encoded words make and no octets can say
_controls = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_text_controls = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]+")
_named = re.compile(r"(.*)<([^<>]*)>").fullmatch
_mailbox = re.compile(r"[^\s<>@,;:\"\\()\[\]]+@[^\s<>@,;:\"\\()]+").fullmatch
_LINE_MOST = 900  # octets


class Templates(Struct, frozen=True):
    """As they are configured; "" for the usual words. `body` has LF line ends."""

    sender: str = ""
    subject: str = ""
    body: str = ""


class Words(Struct, frozen=True):
    """What they came to: values of From and Subject, ASCII unless an address is not, and a text with LF line ends; "" for the usual."""

    sender: str = ""
    subject: str = ""
    body: str = ""


NO_WORDS = Words()


def words(templates: Templates, values: Mapping[str, str]) -> Words:
    """The templates with `values` by the names of `MACROS` in place; a value that is not given is empty."""
    return Words(_sender(templates.sender, values), _subject(templates.subject, values), _body(templates.body, values))


def _expanded(template: str, values: Mapping[str, str]) -> str:
    return macro.sub(lambda found: values.get(found[1], "") if found[1] in MACROS else found[0], template)


def _line(template: str, values: Mapping[str, str]) -> str:
    return _controls.sub(" ", _expanded(template, values)).strip()[:_HEADER_MOST]


def _sender(template: str, values: Mapping[str, str]) -> str:
    line = _line(template, values)
    found = _named(line)  # not parseaddr: a macro in the name may bring an `@`
    name, address = (found[1].strip(' "'), found[2]) if found is not None else ("", line)
    if _mailbox(address) is None:
        return ""
    name = name[:_NAME_MOST]
    if not address.isascii():
        return f'"{_inside_quotes(name)}" <{address}>'
    return formataddr((name, address)) if name.isascii() else f"{_encoded(name)} <{address}>"


def _encoded(name: str) -> str:
    """As many encoded words as it takes: each has 75 characters at most (RFC 2047 section 2)."""
    return Header(name, "utf-8", maxlinelen=75, header_name="From").encode(linesep="")


def _inside_quotes(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _subject(template: str, values: Mapping[str, str]) -> str:
    """Folded as a header field is; letters beyond ASCII as encoded words (RFC 2047)."""
    line = _line(template, values)
    if not line:
        return ""
    return Header(line, "us-ascii" if line.isascii() else "utf-8", maxlinelen=76, header_name="Subject").encode(linesep="\r\n")


def _body(template: str, values: Mapping[str, str]) -> str:
    if not template:
        return ""
    text = _text_controls.sub(" ", _expanded(template, values))[:TEXT_MOST]
    lines = [piece for line in text.split("\n") for piece in _short(line)]
    return "\n".join(lines).rstrip("\n") + "\n"


def _short(line: str) -> list[str]:
    """A line of any length as such that may be sent (RFC 5321 section 4.5.3.1.6)."""
    octets = line.rstrip().encode("utf-8", "replace")
    if len(octets) <= _LINE_MOST:
        return [octets.decode("utf-8", "replace")]
    return [octets[at : at + _LINE_MOST].decode("utf-8", "ignore") for at in range(0, len(octets), _LINE_MOST)]


def readable(value: str) -> str:
    """A Subject as people read it: encoded words decoded, of which nobody needs more than a header field of ours may hold."""
    value = value[:_READ_MOST]
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, ValueError):
        return value
