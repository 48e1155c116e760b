"""Finding what was said in the lines around a recipient: the reply of a server if there is one, else the sentence that tells why.

What a mail system says in every bounce is passed over: it would hide what it says in this one. Pure and total.
"""

from __future__ import annotations

import re

from postwright.content.report_fields import MOST_DIAGNOSTIC
from postwright.content.report_words import boilerplate, failure, label

_MOST_LINES = 25
_MOST_SENTENCES = 10
_ANSWER = r"(?:<<<|said:?|reason:?|response was:?|returned(?: was)?:?|responded with(?: failure)?:?|error:?|:|\(|\[|^)\s*[\"']?"
_reply = re.compile(rf"{_ANSWER}(?:SMTP;\s*)?((?:[45]\d\d)(?:[ -]|:\s)\S.*)$", re.IGNORECASE)
_status = re.compile(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?![\d.])")
_summing_up = re.compile(r".{0,300}\.\.\. (?:service unavailable|remote protocol error)\s*$", re.IGNORECASE).match
_introducing = re.compile(r"(?:\bto|\bfor|recipients?|address(?:es)?|\bat)\W{0,6}$", re.IGNORECASE).search
_footer = re.compile(r"\s{0,20}(?:_{10,}|--)\s*$").match  # what a gateway, or a person, puts below everything
_blanks = re.compile(r"\s+")


def clue(lines: list[str], address: str, *, whole: bool = False) -> str:
    """The diagnostic in these lines, of which the first may begin with `address`; "" if they say nothing. "smtp;" stands before a reply.

    `whole`: these are all lines of the notice, and nothing after a blank line is somebody else's.
    """
    shown = lines[:_MOST_LINES]
    if reply := _server_reply(shown):
        return f"smtp;{reply}"[:MOST_DIAGNOSTIC]
    sentences = _sentences(shown, address, whole)
    with_status = [text for text in sentences if _status.search(text)]
    return _blanks.sub(" ", " ".join(with_status[:1] or sentences[:_MOST_SENTENCES])).strip()[:MOST_DIAGNOSTIC]


def _server_reply(lines: list[str]) -> str:
    """The first reply that refuses, with the lines that go on with it."""
    for at, line in enumerate(lines):
        match = _reply.search(line)
        if match is None or _summing_up(match.group(1)):
            continue
        words = [match.group(1)]
        for more in lines[at + 1 : at + 10]:
            if not more.strip() or not _goes_on(more, line, unfinished=words[-1][3:4] == "-"):
                break
            words.append(more.strip().removeprefix("<<<").strip())
        return _blanks.sub(" ", " ".join(words)).strip().rstrip(")")
    return ""


def _goes_on(line: str, first: str, *, unfinished: bool) -> bool:
    """A further line of the reply: with a code after one with a hyphen, or indented as deep, or folded from a long one."""
    text = line.strip().removeprefix("<<<").strip()
    if re.match(r"[45]\d\d[ -]", text):
        return unfinished
    if text.startswith((">>>", "...", "---", "===")) or boilerplate(text) or re.match(r"\S{1,100}@\S{1,100}\s*$", text):
        return False
    indented = len(line) - len(line.lstrip()) >= len(first) - len(first.lstrip()) and line[:1].isspace()
    return (indented or len(first) > 55) and not re.match(r"[<\"'(]?\S{1,100}@", text)


def _sentences(lines: list[str], address: str, whole: bool) -> list[str]:
    """What is said, without what is always said; a sentence that only leads to the address counts when there is no other."""
    told: list[str] = []
    introduction: list[str] = []
    for line in lines:
        if _footer(line):
            break
        text = _without_head(line.strip(), address)
        if not text and told and not whole:
            break  # what comes after is said to everybody
        if not text or boilerplate(text) or not re.search(r"[^\W\d_]", text):
            continue
        (introduction if _leads_to(text, address) else told).append(text)
    return told or introduction


def _without_head(text: str, address: str) -> str:
    if address and label(text) and not failure(text) and text.rstrip(">)] ").lower().endswith(address.lower()):
        return ""
    bare = text.lstrip("<\"'([*-\u2022 ")
    if address and bare.lower().startswith(address.lower()):
        return bare[len(address) :].lstrip(">\"')]:, \t")
    return text


def _leads_to(text: str, address: str) -> bool:
    before, found, after = text.rpartition(address) if address else ("", "", text)
    return bool(found) and not re.search(r"\w", after) and bool(_introducing(before))
