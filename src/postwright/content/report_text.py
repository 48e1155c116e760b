"""Reading bounces that are words for people: qmail, Exim, Postfix, sendmail, Exchange, Notes and some dozen more, in any language.

Their forms are few, though their wordings are many: an address at the head of a block, behind a label, in a transcript of the session,
or in a sentence that says it failed. The strongest form that names anybody wins; what stands around the address is the diagnostic.
Pure, bounded and total: every expression is linear in its line, and lines are bounded by `report_notice`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec.structs import replace

from postwright.content import report_forms, report_notice
from postwright.content.mime import Mail
from postwright.content.readings import MOST_RECIPIENTS, RecipientStatus, Returned, StatusReport
from postwright.content.report_diagnosis import clue
from postwright.content.report_fields import address_in, addresses_in, bare_address, plain_address
from postwright.content.report_notice import Notice
from postwright.content.report_status import fate
from postwright.content.report_words import delayed, failure, label, somebody_else

_A = r"[\s>*\-\u2022.]{0,40}[\"'<(\[]{0,3}"
_head = re.compile(_A + r"(?=[^\s@]{1,200}@)").match
_rcpt = re.compile(r"(?:>>>\s*)?\bRCPT TO:?\s*<?[^\s@<>]{1,100}@", re.IGNORECASE).search
_reply = re.compile(r"\s{0,20}(?:<<<\s*)?[45]\d\d[ -](?:[45]\.\d{1,3}\.\d{1,3}\s+)?<?[^\s@<>]{1,100}@").match
_from_before = re.compile(r"(?:\bfrom|\bby|\bvon|\bpar|\bde|\b\u043e\u0442)\s*[:=]?\s*[\"'<(\[]{0,3}$", re.IGNORECASE).search
_alias = re.compile(r"\(?(?:ultimately )?generated (?:from|by)\s").search
_summary = re.compile(r"\W{0,10}(?:to|cc|an|para|кому)\s{0,9}:", re.IGNORECASE).match
_summing = re.compile(
    r"\s{0,20}(?:subject|sent|betreff|gesendet|objet|envoyé|asunto|enviado|тема|отправлено)\b[^:]{0,10}:", re.IGNORECASE
).match
_invites = re.compile(r"\b(?:to|at)(?: the)?(?: e-?mail)? address\W*$", re.IGNORECASE).search

NOWHERE = -2  # the line of a recipient that no line names

Found = list[tuple[int, str]]


def read(mail: Mail, returned: Returned, null_sender: bool = False) -> StatusReport | None:
    """The report in the words of `mail`, or None if it is none, or names nobody."""
    notice = report_notice.of(mail)
    if not report_notice.is_bounce(mail, notice, null_sender):
        return None
    back = returned if returned.fields else notice.returned
    recipients = _recipients(mail, notice, back)
    if not recipients:
        return None
    excess = "recipients" if len(recipients) > MOST_RECIPIENTS else ""
    host = report_forms.host_in(notice.lines)
    return StatusReport(report_forms.name(mail, notice.text), tuple(recipients[:MOST_RECIPIENTS]), "", host, 0.0, back, excess)


def completed(named: list[RecipientStatus], unnamed: list[RecipientStatus], mail: Mail, returned: Returned) -> list[RecipientStatus]:
    """Recipients of a report for programs, with what only its words say: the address of one that has none, the missing diagnostic."""
    if named and all(telling(one.diagnostic) for one in named):
        return named
    notice = report_notice.of(mail)
    worded = _recipients(mail, notice, returned if returned.fields else notice.returned)
    if not named:
        return [_joined(unnamed[0] if unnamed else None, one) for one in worded]
    by_address = {one.address.lower(): one for one in worded}
    only = worded[0] if len(worded) == len(named) == 1 else None
    whole = clue(list(notice.lines), "", whole=True) if len(named) == 1 else ""
    return [_enriched(one, by_address.get(one.address.lower(), only), whole) for one in named]


def telling(diagnostic: str) -> bool:
    """It has words, not a code alone."""
    return len(re.findall(r"[^\W\d_]{2,}", diagnostic.partition(";")[2] or diagnostic)) >= 2


def _joined(structured: RecipientStatus | None, worded: RecipientStatus) -> RecipientStatus:
    if structured is None:
        return worded
    return replace(structured, address=worded.address, diagnostic=structured.diagnostic or worded.diagnostic)


def _enriched(one: RecipientStatus, worded: RecipientStatus | None, whole: str) -> RecipientStatus:
    if telling(one.diagnostic):
        return one
    said = worded.diagnostic if worded is not None and telling(worded.diagnostic) else whole
    if not said:
        return one
    action, status, stated = fate(one.action, one.status if one.stated else "", said)
    return replace(one, diagnostic=said, action=action, status=status, stated=stated)


def _recipients(mail: Mail, notice: Notice, returned: Returned) -> list[RecipientStatus]:
    found = _each_once(_found(mail, notice) or _last_resort(returned))
    what = report_notice.action(mail, notice)
    starts = [at for at, _ in found]
    alone = len(set(starts)) <= 1
    above = "" if alone else clue(list(notice.lines[: starts[0]]), "", whole=True)  # one reason for all stands above them
    heard: dict[int, str] = {}  # by line: read once, for one line can name hundreds
    ones: list[RecipientStatus] = []
    for index, (at, address) in enumerate(found[: MOST_RECIPIENTS + 1]):
        if at not in heard:
            end = next((start for start in starts[index + 1 :] if start > at), len(notice.lines))
            said = _diagnostic(notice, at, end, address, alone=alone)
            heard[at] = said if telling(said) else above or said
        action, status, stated = fate(what, "", heard[at])
        if what == "delayed" and not stated:
            status = "4.0.0"
        ones.append(RecipientStatus(address, "", action, status, stated, heard[at], inferred=at == NOWHERE))
    return ones


def _each_once(found: Found) -> Found:
    """Where each was named first: named again within its own block, it begins no other."""
    first: dict[str, tuple[int, str]] = {}
    for at, address in found:
        first.setdefault(address.lower(), (at, address))
    return list(first.values())


def _diagnostic(notice: Notice, at: int, end: int, address: str, *, alone: bool) -> str:
    """Of the block of the address; when it is the only one and its block is silent, of the whole notice."""
    lines = list(notice.lines)
    said = clue(lines[at:end], address) if at >= 0 else ""
    if not alone or said.startswith("smtp;"):
        return said
    whole = clue(lines, address, whole=True)
    best = whole if whole.startswith("smtp;") or not telling(said) else said
    return best or next((line.strip() for line in lines if _verdict(line)), "")


def _verdict(line: str) -> bool:
    """It says what became of the mail, if not why."""
    return bool(re.search(r"deliver|sen[dt]|reach", line, re.IGNORECASE) and (delayed(line) or failure(line)))


def _found(mail: Mail, notice: Notice) -> Found:
    failed = report_notice.addresses_of(mail.find("x-failed-recipients"))
    if failed:
        return _lines_of(notice.lines, failed)
    for form in (_in_transcript, _behind_label, _at_head, _in_reply, _generated, _in_sentence):
        if found := list(form(notice)):
            return found
    return []


def _lines_of(lines: tuple[str, ...], addresses: list[str]) -> Found:
    """Where the notice speaks of addresses that a header field gave; by the local part alone, if one is only so there."""
    texts = [line.lower() for line in lines]
    heads = [text.lstrip(" \t>*-\u2022.\"'<([") for text in texts]
    return [(_line_of(texts, heads, address.lower()), address) for address in addresses]


def _line_of(texts: list[str], heads: list[str], address: str) -> int:
    for wanted in (address, address.rpartition("@")[0]):
        for at, head in enumerate(heads):
            if head.startswith(wanted) and not head[len(wanted) : len(wanted) + 1].isalnum():
                return at
    return next((at for at, text in enumerate(texts) if address in text), -1)


def _in_transcript(notice: Notice) -> Iterator[tuple[int, str]]:
    """`>>> RCPT TO:<a@b>`, when a server's answer follows: who was accepted is not named again."""
    for at, line in enumerate(notice.lines):
        if line.lstrip().startswith(">>>") and _rcpt(line) and (match := address_in(line, line.lower().index("rcpt"))):
            answer = next((text.lstrip() for text in notice.lines[at + 1 : at + 3] if text.strip()), "")
            if re.match(r"<<<\s*[45]\d\d", answer):
                yield at, match.group(0)


def _behind_label(notice: Notice) -> Iterator[tuple[int, str]]:
    for at, line in enumerate(notice.lines):
        if not label(line) or somebody_else(line[:40]) or _sums_up(notice.lines, at):
            continue
        address = bare_address(line.replace("\uff1a", ":").partition(":")[2] or line)
        if address and address.lower() not in notice.ours:
            yield at, address


def _sums_up(lines: tuple[str, ...], at: int) -> bool:
    """`To: list@x` above `Subject:` and `Sent:` is about the message that was sent, not about whom it did not reach."""
    return bool(_summary(lines[at])) and any(_summing(line) for line in lines[at + 1 : at + 4])


def _at_head(notice: Notice) -> Iterator[tuple[int, str]]:
    """A line that begins with an address: the head of a block, or an item of a list."""
    return iter([(at, address) for at, address, closed in _heads(notice) if closed or address.lower() not in notice.ours])


def _heads(notice: Notice) -> Iterator[tuple[int, str, bool]]:
    for at, line in enumerate(notice.lines):
        start = _head(line)
        match = address_in(line, start.end()) if start else None
        if start and match and match.start() == start.end() and not somebody_else(line[match.end() : match.end() + 30]):
            closed = bool(re.match(r"[\"'>)\]]{0,3}\s*:\s*$", line[match.end() :]))
            if _continues_sentence(notice.lines, at) and not closed:
                continue
            yield at, plain_address(match.group(0)), closed


def _continues_sentence(lines: tuple[str, ...], at: int) -> bool:
    """The line before breaks off where an address that is not the recipient's would follow."""
    before = lines[at - 1] if at else ""
    leading = next((line for line in reversed(lines[max(0, at - 3) : at]) if line.strip()), "")
    if _invites(leading) and not _verdict(leading):
        return True
    return bool(_from_before(before.rstrip())) or bool(before.strip() and somebody_else(before[-40:]))


def _in_reply(notice: Notice) -> Iterator[tuple[int, str]]:
    """`550 <a@b>... User unknown`, as sendmail prints it."""
    for at, line in enumerate(notice.lines):
        if _reply(line) and (match := address_in(line)) and match.group(0).lower() not in notice.ours:
            answered = at > 0 and notice.lines[at - 1].startswith("<<<")  # it sums up what the server had said
            yield at - answered, match.group(0)


def _generated(notice: Notice) -> Iterator[tuple[int, str]]:
    """Exim hides where an alias leads to: `an undisclosed address (generated from a@b)`."""
    for at, line in enumerate(notice.lines):
        if (match := _alias(line)) and (address := address_in(line, match.end())):
            yield max(0, at - 1), address.group(0)


def _in_sentence(notice: Notice) -> Iterator[tuple[int, str]]:
    """Addresses that nothing speaks against, in sentences that say it failed; if there is no such sentence, in any."""
    mentioned = list(_mentioned(notice))
    failed = [one for one in mentioned if failure(notice.lines[one[0]]) or delayed(notice.lines[one[0]])]
    return iter(failed or mentioned)


def _mentioned(notice: Notice) -> Iterator[tuple[int, str]]:
    for at, line in enumerate(notice.lines):
        if (
            "@" not in line
            or _sums_up(notice.lines, at)
            or (somebody_else(line) and not re.search(r"rcpt|deliver|recipient", line, re.IGNORECASE))
        ):
            continue
        for found in addresses_in(line):
            address = plain_address(found)
            before = line[: line.index(address)]
            if address.lower() not in notice.ours and not _from_before(before) and "://" not in before[-30:]:
                yield at, address


def _last_resort(returned: Returned) -> Found:
    """Nobody is named: then it was the only recipient of the message that came back, if it had but one."""
    addresses = report_notice.addresses_of(returned.find("to"))
    return [(NOWHERE, addresses[0])] if len(addresses) == 1 and not returned.find("cc") else []
