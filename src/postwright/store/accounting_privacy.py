"""`privacy-policy`: the local part of the recipient's address is taken out of a whole row, wherever it stands, and a stand-in put there.

Pure. A row names its recipient in `rcpt` and `orcpt`; a receiver's reply repeats the address or its local part, a VERP return path has it
as `local=domain`, an envelope id or a header field may have it in either form. Domains, and with them all statistics by domain, stay. What
a digest stands for is the same in every row, so a reader can still count recipients.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from postwright.model.columns import HEADER
from postwright.model.privacy import Privacy

Replace = Callable[[str], str]

# What a mailbox may hold (RFC 5321 atoms, and UTF-8): a local part of one letter must not be found within every word.
_BEFORE = r"(?<![\w.!#$%&'*+/=?^`{|}~-])"
_BEHIND = r"(?![\w!#$%&'*+/=?^`{|}~-]|\.\w)"
_WITHIN_REPLIES = ("dsnDiag",)
_NEVER = frozenset((
    "type", "timeLogged", "timeQueued", "timeFirstAttempt", "totalSecondsQueued", "dsnAction", "dsnStatus", "bounceCat", "srcType",
    "dlvType", "dlvSize", "dlvEsmtpAvailable", "dlvTlsProtocol", "dlvTlsCipher", "dlvSourceIp", "dlvDestinationIp", "queue", "vmta",
    "vmtaPool", "userString",
))  # fmt: skip
_CODE = re.compile(r"[A-Za-z0-9-]*;\s*\d{3}(?:[ -]\d\.\d{1,3}\.\d{1,3})?")


class Veil:
    """A policy over the columns of one file."""

    def __init__(self, privacy: Privacy, header: Sequence[str]) -> None:
        self._stand_in = lru_cache(maxsize=4096)(privacy.stands_for)
        self._addresses = [i for i, name in enumerate(header) if name in ("rcpt", "orcpt")]
        self._replies = [i for i, name in enumerate(header) if name in _WITHIN_REPLIES or name.startswith(HEADER)]
        rest = {*self._addresses, *self._replies, *[i for i, name in enumerate(header) if name in _NEVER]}
        self._others = [i for i in range(len(header)) if i not in rest]

    def over(self, values: list[str], rcpt: str) -> list[str]:
        """The same list with what names the recipient hidden. `rcpt` is the record's, whatever the columns say."""
        local, at, domain = rcpt.rpartition("@")
        for i in self._addresses:
            values[i] = self._hidden(values[i])
        if not at:
            return values
        stand_in = self._stand_in(local)
        whole, bare = _expressions(local, domain)
        for i in self._others:
            if values[i]:
                values[i] = whole.sub(lambda found: stand_in + found[1], values[i])
        for i in self._replies:
            if values[i]:
                values[i] = self._reply(values[i], whole, bare, stand_in)
        return values

    def _hidden(self, text: str) -> str:
        """An address, or an `orcpt` (`rfc822;address`), without its local part."""
        kind, semicolon, address = text.rpartition(";")
        local, at, domain = address.rpartition("@")
        return f"{kind}{semicolon}{self._stand_in(local)}@{domain}" if at else text

    def _reply(self, text: str, whole: re.Pattern[str], bare: re.Pattern[str], stand_in: str) -> str:
        code = _CODE.match(text)  # whose local part is 550 must not take a reply's code away
        begin = code.end() if code is not None else 0
        said = whole.sub(lambda found: stand_in + found[1], text[begin:])
        return text[:begin] + bare.sub(lambda found: stand_in, said)


@lru_cache(maxsize=1024)
def _expressions(local: str, domain: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Where the whole address stands (also as `local=domain` of VERP, to which any prefix may be joined), and where the local part."""
    text = re.escape(local)
    whole = re.compile(rf"{text}([@=]{re.escape(domain)})", re.IGNORECASE)
    return whole, re.compile(_BEFORE + text + _BEHIND, re.IGNORECASE)
