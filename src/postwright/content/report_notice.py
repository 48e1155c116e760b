"""What a bounce says in words: its own text, cut before the message it returns, and whether it is a bounce at all.

Language decides nothing that structure can: the returned message begins where a block of header fields stands, whatever the line above
it says. Pure, bounded, total.
"""

from __future__ import annotations

import re

from msgspec import Struct

from postwright.content import report_words
from postwright.content.mime import Fields, Mail, split, tidy, words
from postwright.content.readings import Action, Returned
from postwright.content.report_fields import addresses_in, bare_address

_MOST_LINES = 400
_MOST_LINE = 2000
_MOST_NOTICE = 20_000

_lone_address = re.compile(r"\s{0,40}(?:\"[^\"]{0,100}\"\s{0,4})?[<'\"]?[^\s<>@]{1,100}@[\w.-]{3,200}[>'\"]?\s*$").match
_header_line = re.compile(r"([A-Za-z][A-Za-z0-9-]{1,60}):(?:\s|\S)").match
_OURS = frozenset(
    {"received", "message-id", "mime-version", "return-path", "dkim-signature", "x-originating-ip", "delivered-to", "content-type"}
)
_EVERYBODYS = frozenset({"from", "to", "subject", "date", "reply-to", "sender"})
_quoted = re.compile(r"(?:> ?)+").match

_machine = re.compile(
    r"\W*(?:mailer-?daemon|post-?_?master|mail-?(?:daemon|system|delivery)|mdaemon|daemon|microsoftexchange|amavis)", re.IGNORECASE
).match
_weak_machine = re.compile(
    r"\W*(?:bounce|delivery|no-?_?reply|system|smtp|virus|listserv|notification|mail-?admin|mailer)", re.IGNORECASE
).match
_refusal = re.compile(r"(?:^|[\s:(<])(?:[45]\d\d[ -]|[45]\.\d{1,2}\.\d{1,3}\b)[^\n]{0,200}[^\W\d_]{3}", re.MULTILINE).search
_named_machine = re.compile(
    r"mail(?:er)?[ -]?(?:daemon|deliver|system|administrator)|postmaster|system administrator", re.IGNORECASE
).search


class Notice(Struct, frozen=True):
    """The words of a bounce. `lines` without what it returns; `returned` that, when it stood in the text; `ours` addresses that cannot be
    the recipient's: who wrote, and to whom."""

    lines: tuple[str, ...]
    returned: Returned
    ours: frozenset[str]
    addressee: str

    @property
    def text(self) -> str:
        """The lines again, as one text."""
        return "\n".join(self.lines)


def of(mail: Mail) -> Notice:
    """The notice in the first parts that are text. HTML counts only where there is no plain text: it says the same again."""
    plain = [part for part in mail.parts if part.type == "text/plain"]
    texts = plain or [part for part in mail.parts if part.type == "text/html"]
    text = "\n".join([part.text() for part in texts[:3]])
    lines = [tidy(line[:_MOST_LINE]).rstrip() for line in text.split("\n")[:_MOST_LINES]]
    if sum(1 for line in lines if line.startswith(">")) * 2 > len([line for line in lines if line]):
        lines = [_unquoted(line) for line in lines]  # a person passed the bounce on
    end, header = _end(lines)
    fields, _ = split("\n".join(lines[header:]).encode()) if header >= 0 else ((), b"")
    addressee = bare_address(mail.find("to")).lower()
    ours = frozenset((bare_address(mail.find("from")).lower(), addressee)) - {""}
    return Notice(tuple(_within(lines[:end])), Returned(fields, _octets(lines[header:], fields)), ours, addressee)


def is_bounce(mail: Mail, notice: Notice, null_sender: bool) -> bool:
    """A machine says that mail did not arrive: by its name or a null reverse-path, and words that say so.

    A sender that may be anybody (a person, a shop's no-reply address) must also give proof: a server's reply, or a message that it returns.
    """
    if mail.find("x-failed-recipients"):
        return True
    subject = words(mail.find("subject"))
    said = f"{subject}\n{notice.text}"
    if not (report_words.failure(said) or report_words.success(said) or report_words.delayed(said) or _refusal(said)):
        return False
    if null_sender or _by_machine(mail):
        return True
    returns = bool(notice.returned.fields) or any(part.type in ("message/rfc822", "text/rfc822-headers") for part in mail.parts)
    of_list = any(mail.find(name) for name in ("list-id", "list-post", "list-subscribe", "mailing-list", "x-mailing-list", "x-mlserver"))
    about = bool(report_words.subject(subject)) or bool(_weak_machine(bare_address(mail.find("from"))))
    return about and (returns or of_list or bool(_refusal(notice.text)) or _lists_undelivered(notice))


def _lists_undelivered(notice: Notice) -> bool:
    """It says that a *mail* was not delivered, and a line is nothing but an address."""
    return bool(report_words.undelivered(notice.text)) and any(_lone_address(line) for line in notice.lines)


def _by_machine(mail: Mail) -> bool:
    sender = mail.find("from")
    name = bare_address(sender) or sender.strip(' "<>')
    return bool(_machine(name) or _named_machine(words(sender))) or mail.find("return-path").strip() in ("<>", "<MAILER-DAEMON>")


def action(mail: Mail, notice: Notice) -> Action:
    """What happened, by the words: failed unless they say that it is not over, or went well."""
    subject = words(mail.find("subject"))
    text = f"{subject}\n{notice.text}"
    if report_words.success(text) and not report_words.failure(text):
        return "relayed" if "relay" in text.lower() else "delivered"
    if report_words.delayed(subject) or (report_words.delayed(notice.text) and not report_words.final(text)):
        return "delayed"
    return "failed"


def addresses_of(value: str) -> list[str]:
    """All addresses of a header field, in order, each once."""
    return list(dict.fromkeys(addresses_in(value[:_MOST_NOTICE])))


def _unquoted(line: str) -> str:
    match = _quoted(line)
    return line[match.end() :] if match else line


def _end(lines: list[str]) -> tuple[int, int]:
    """Where the notice ends, and where the header of the returned message begins (-1 if it is not there)."""
    header = -1
    for at, line in enumerate(lines):
        if _header_line(line) and _is_header(lines, at):
            header = at
            break
    stop = header if header >= 0 else len(lines)
    for at in range(1, stop):
        # The separator stands above the header, or it is the last word of the notice.
        if report_words.separator(lines[at]) and (header < 0 or header - at <= 8) and any("@" in line for line in lines[:at]):
            return at, header
    return stop, header


def _is_header(lines: list[str], at: int) -> bool:
    """Three fields in a row, of which one only mail programs write and another everybody does."""
    names: set[str] = set()
    for line in lines[at : at + 80]:
        match = _header_line(line)
        if match:
            names.add(match.group(1).lower())
        elif not line[:1].isspace() or not line.strip():
            break
        if len(names) >= 3 and names & _OURS and names & (_EVERYBODYS | {"received"}):
            return True
    return False


def _octets(lines: list[str], fields: Fields) -> bytes:
    if not fields:
        return b""
    text = "\n".join(lines)
    return text.partition("\n\n")[0].encode() + b"\n"


def _within(lines: list[str]) -> list[str]:
    """At most so much as a person would read."""
    kept, size = [], 0
    for line in lines:
        size += len(line)
        if size > _MOST_NOTICE:
            break
        kept.append(line)
    return kept
