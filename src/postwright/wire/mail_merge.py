"""PowerMTA's mail merge on the wire: the commands XMRG, XDFN, XPRT and XACK, and what a session remembers for them.

    XMRG FROM:<a> [parameters of MAIL]   begins a merge
    XDFN name=value name="v w"           defines variables of the recipient that comes next; may be repeated
    RCPT TO:<b>
    XPRT 1 ... XPRT 2 LAST               each followed by a part of the template as DATA is by a content
    XACK OFF|ON                          no reply to RCPT and XDFN; what was wrong is told when the content is to come

The parsers give a value or the reply that refuses; `Parts` and `Silence` are the state, kept by `server_core`. What a variable means, and
whether a recipient is wanted, is not decided here. Nothing raises. A value can hold no line end, as a command is a line; other control
characters are refused.
"""

from __future__ import annotations

import re
from typing import Final

from postwright.model.reply import Reply
from postwright.wire.body import scan
from postwright.wire.buffer import DotContent
from postwright.wire.events import Content, Define, Event, MergedContent, PartStart, RcptTo, Rejected

PARTS_MOST: Final = 100

XDFN_SYNTAX = Reply(501, "5.5.4", ('Syntax: XDFN name=value name="value with blanks"',))
XDFN_CHARACTER = Reply(501, "5.5.4", ("a control character is not allowed in a variable",))
XPRT_SYNTAX = Reply(501, "5.5.4", ("Syntax: XPRT number [LAST]",))
XACK_SYNTAX = Reply(501, "5.5.4", ("Syntax: XACK ON or XACK OFF",))
TOO_MANY_PARTS = Reply(552, "5.3.4", (f"parts have numbers from 1 to {PARTS_MOST}",))
PART_TWICE = Reply(503, "5.5.1", ("that part has come already",))
NO_BINARY_MERGE = Reply(501, "5.5.4", ("a mail merge cannot be BODY=BINARYMIME",))

_definition = re.compile(r'(\*?[A-Za-z][A-Za-z0-9_]{0,255})=(?:"((?:[^"\\]|\\.)*+)"|([^\s"]*+))(?:[ \t]++|$)').match
_escape = re.compile(r'\\(["\\])')
_control = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x80-\x9f\u2028\u2029]").search
_part = re.compile(r"([0-9]{1,9})(?:[ \t]+(LAST))?", re.IGNORECASE).fullmatch
_switch = re.compile(r"ON|OFF", re.IGNORECASE).fullmatch
_quiet_verb = re.compile(rb"(RCPT|XDFN)\b", re.IGNORECASE).match


def parse_xdfn(argument: str) -> Define | Reply:
    """`name=value` and `name="v w"`, blanks between; within quotation marks `\\"` and `\\\\` stand for the second character."""
    if _control(argument) is not None:
        return XDFN_CHARACTER
    values: dict[str, str] = {}
    at = 0
    while at < len(argument):
        found = _definition(argument, at)
        if found is None:
            return XDFN_SYNTAX
        name, quoted, plain = found.groups()
        values[name.lower()] = plain if quoted is None else _escape.sub(r"\1", quoted)
        at = found.end()
    return Define(values) if values else XDFN_SYNTAX


def parse_xprt(argument: str) -> PartStart | Reply:
    """The number of a part, and whether it is the last to come."""
    found = _part(argument)
    if found is None:
        return XPRT_SYNTAX
    number = int(found[1])
    return PartStart(number, found[2] is not None) if 1 <= number <= PARTS_MOST else TOO_MANY_PARTS


def parse_xack(argument: str) -> bool | Reply:
    """Are replies wanted?"""
    return argument.upper() == "ON" if _switch(argument) is not None else XACK_SYNTAX


class PartContent(DotContent):
    """A part that is coming in; what has come of the merge before it is held, too."""

    __slots__ = ("_before",)

    def __init__(self, most: int | None, before: int) -> None:
        super().__init__(most)
        self._before = before

    @property
    def held(self) -> int:
        return super().held + self._before


class Parts:
    """The parts of one merge that have come; `size` octets, `held` of them kept (all)."""

    __slots__ = ("_kept", "_open", "size")

    def __init__(self) -> None:
        self._kept: dict[int, bytes] = {}
        self._open = PartStart(1, True)
        self.size = 0

    @property
    def held(self) -> int:
        return self.size

    def drop(self) -> None:
        """Nothing is under way between two parts, so nothing more will be kept: the next one is refused."""

    def refusal(self, part: PartStart) -> Reply | None:
        """May this part come?"""
        return PART_TWICE if part.number in self._kept else None

    def begin(self, part: PartStart, most: int | None) -> DotContent:
        """It is coming; `most` octets for all of them together."""
        self._open = part
        return PartContent(None if most is None else max(0, most - self.size), self.size)

    def end(self, content: Content) -> Event | None:
        """It has come whole: the whole merge if it was the last, else None."""
        self._kept[self._open.number] = content.content
        self.size += len(content.content)
        if not self._open.last:
            return None
        numbers = sorted(self._kept)
        whole = b"".join([self._kept[number] for number in numbers])
        facts = content.facts if len(numbers) == 1 else scan(whole)
        return MergedContent(whole, facts, tuple([(number, len(self._kept[number])) for number in numbers]))


class Silence:
    """XACK OFF: replies to RCPT and XDFN are not said; `error` is the first that would have refused one, and cancels the submission."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: Reply | None = None

    def keeps(self, event: Event, reply: Reply) -> bool:
        """Is this reply kept back?"""
        if not isinstance(event, (RcptTo, Define)) and not (isinstance(event, Rejected) and event.verb in ("RCPT", "XDFN")):
            return False
        if reply.code == 421 or (isinstance(event, Rejected) and event.close):
            return False  # nobody may be hung up on without a word
        if reply.code >= 400 and self.error is None:
            self.error = reply
        return True

    def cancels(self) -> Reply | None:
        """What the command that begins the content is told, if something was refused."""
        error = self.error
        return None if error is None else Reply(error.code, error.status, ("submission cancelled: " + error.lines[0], *error.lines[1:]))


def quiet_verb(line: bytes) -> str:
    """The verb of a line that is refused as a line, if its reply may be kept back."""
    found = _quiet_verb(line)
    return found[1].upper().decode("ascii") if found else ""
