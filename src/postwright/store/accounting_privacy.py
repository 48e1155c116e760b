"""`privacy-policy`: the local part of the recipient's address is taken out of a whole row, wherever it stands, and a stand-in put there.

Pure. A row names its recipient in `rcpt` and `orcpt`; a receiver's reply repeats the address or its local part, a VERP return path has it
as `local=domain`, an envelope id or a header field may have it in either form. Domains, and with them all statistics by domain, stay. What
a digest stands for is the same in every row, so a reader can still count recipients. Texts are searched, not matched by expressions: one
for each recipient would cost ten times what the row does.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from functools import lru_cache

from postwright.model.columns import HEADER
from postwright.model.privacy import Privacy

# What a mailbox may hold (RFC 5321 atoms, and UTF-8): a local part of one letter must not be found within every word.
_WORD = frozenset("!#$%&'*+/=?^_`{|}~-")
_WITHIN_REPLIES = ("dsnDiag",)
_NEVER = frozenset((
    "type", "timeLogged", "timeQueued", "timeFirstAttempt", "totalSecondsQueued", "dsnAction", "dsnStatus", "bounceCat", "srcType",
    "dlvType", "dlvSize", "dlvEsmtpAvailable", "dlvTlsProtocol", "dlvTlsCipher", "dlvSourceIp", "dlvDestinationIp", "queue", "vmta",
    "vmtaPool", "userString",
))  # fmt: skip
# An orcpt's address type (RFC 3461 section 4.2). The semicolon of a quoted local part ends none.
_typed = re.compile(r"[A-Za-z0-9-]+;").match
_code = re.compile(r"[A-Za-z0-9-]*;\s*\d{3}(?:[ -]\d\.\d{1,3}\.\d{1,3})?").match


class Veil:
    """A policy over the columns of one file. `mapped` are columns that hold header fields instead of their own values in some records."""

    def __init__(self, privacy: Privacy, header: Sequence[str], mapped: Container[str] = ()) -> None:
        self._stand_in = lru_cache(maxsize=4096)(privacy.stands_for)
        self._rcpt = [i for i, name in enumerate(header) if name == "rcpt"]
        self._orcpt = [i for i, name in enumerate(header) if name == "orcpt"]
        free = [(i, name) for i, name in enumerate(header) if name not in ("rcpt", "orcpt")]
        self._replies = [i for i, name in free if name in _WITHIN_REPLIES or name in mapped or name.startswith(HEADER)]
        rest = {*self._rcpt, *self._orcpt, *self._replies, *[i for i, name in free if name in _NEVER]}
        self._others = [i for i in range(len(header)) if i not in rest]

    def over(self, values: list[str], rcpt: str) -> list[str]:
        """The same list with what names the recipient hidden. `rcpt` is the record's, whatever the columns say."""
        local, at, domain = rcpt.rpartition("@")
        for i in self._rcpt:
            values[i] = self._hidden(values[i])
        for i in self._orcpt:
            kind = _typed(values[i])
            begin = kind.end() if kind is not None else 0
            values[i] = values[i][:begin] + self._hidden(values[i][begin:])
        if not at or not local:
            return values
        stand_in = self._stand_in(local)
        needle = local.lower()
        behind = (f"@{domain.lower()}", f"={domain.lower()}")
        for i in self._others:
            if values[i]:
                values[i] = _replaced(values[i], needle, stand_in, behind)
        for i in self._replies:
            if values[i]:
                values[i] = _reply(values[i], needle, stand_in, behind)
        return values

    def _hidden(self, address: str) -> str:
        local, at, domain = address.rpartition("@")
        return f"{self._stand_in(local)}@{domain}" if at else address


def _reply(text: str, needle: str, stand_in: str, behind: tuple[str, ...]) -> str:
    """The whole address, and the local part as a word. A reply's code is never taken away, though somebody's local part be 550."""
    code = _code(text)
    begin = code.end() if code is not None else 0
    return text[:begin] + _replaced(_replaced(text[begin:], needle, stand_in, behind), needle, stand_in)


def _replaced(text: str, needle: str, stand_in: str, behind: tuple[str, ...] = ()) -> str:
    """`stand_in` for each `needle` (lower case) that is followed by one of `behind`, or without those is a word of its own."""
    lower = text.lower()
    at = lower.find(needle)
    if at < 0:
        return text
    if len(lower) != len(text):  # a few letters change their number with their case: the places would not fit
        text = lower
    pieces, begin = [], 0
    while at >= 0:
        end = at + len(needle)
        if lower.startswith(behind, end) if behind else _is_word(lower, at, end):
            pieces += [text[begin:at], stand_in]
            begin = end
        at = lower.find(needle, end)
    return "".join([*pieces, text[begin:]])


def _is_word(text: str, begin: int, end: int) -> bool:
    """Stands there alone: neither before nor behind it anything that belongs to a mailbox's name; a dot at a sentence's end does not."""
    if begin and (_joins(text[begin - 1]) or text[begin - 1] == "."):
        return False
    rest = text[end : end + 2]
    return not rest or not (_joins(rest[0]) or (rest[0] == "." and len(rest) == 2 and _joins(rest[1])))


def _joins(letter: str) -> bool:
    return letter.isalnum() or letter in _WORD
