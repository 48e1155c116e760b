"""What large mailbox providers want of a message, as rules that a submission can be judged by before anybody has seen it (`sender-rules`).

Each rule has a name, a source (an RFC, or a provider's published guideline) and a cure. `judge` says which rules a header section breaks,
`mendable` which of that a relay may mend itself (RFC 6409 section 8). The body is never looked at: of its lines the one look at intake
knows the longest, and signatures of others are taken at their word, unless who checks them says otherwise.

A header section beyond the bounds is told as that and nothing else of it is read, so that whatever comes costs some milliseconds. What is
said of a finding is ours alone: no octet of the message is in it. Pure; any octets have an answer, nothing is raised.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from postwright.content import date_field, dkim_signature
from postwright.content.dkim_canon import HeaderField
from postwright.content.dkim_tags import TagError
from postwright.content.from_field import mailboxes
from postwright.model.address import canonical_domain
from postwright.model.errors import AddressError

GMAIL: Final = "Gmail's sender guidelines"
GMAIL_LIMITS: Final = "Gmail's message header limits"

SIZE_MOST: Final = 500_000  # octets of a header section (GMAIL_LIMITS, as the next four)
FIELDS_MOST: Final = 5000
VALUE_MOST: Final = 32_000  # of one field, but for those in _LONG
NAME_MOST: Final = 1000
SUBJECT_MOST: Final = 998
MESSAGE_ID_MOST: Final = 500
LINE_MOST: Final = 998  # octets without CRLF (RFC 5322 section 2.1.1)
SIGNATURES_MOST: Final = 10  # of those that a message brings
AUTHORS_MOST: Final = 100  # addresses in From whose domains are looked at
# A Date so far from now is a clock that is wrong or a message from the archive: receivers sort by it, and filters mind it.
AHEAD_MOST: Final = 86_400.0
BEHIND_MOST: Final = 30 * 86_400.0

_LONG: Final = frozenset((b"to", b"cc", b"references"))
_ONCE: Final = (
    "Subject", "To", "Cc", "Bcc", "Reply-To", "Sender", "In-Reply-To", "References", "MIME-Version", "Content-Type",
    "Content-Transfer-Encoding", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id",
)  # fmt: skip
_ONE_CLICK: Final = (b"list-unsubscribe", b"list-unsubscribe-post")
_field_end = re.compile(rb"\r\n(?![ \t])")
_a_field = re.compile(rb"[!-9;-~]+[ \t]*:").match
# msg-id of RFC 5322 section 3.6.4, and a quoted local part, which is obsolete (section 4.5.4) and harmless
_message_id = re.compile(
    rb"""<(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+|"(?:[^"\\\r\n]|\\.)*+")@(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+|\[[^\[\]\\\s<>]*\])>"""
).fullmatch
_uri = re.compile(rb"<\s*+([^<>]*+)>")
_https = re.compile(rb"https://[A-Za-z0-9\[][^\s<>]*", re.IGNORECASE).fullmatch


class Rule(Struct, frozen=True):
    """`source` says who wants it, `cure` what a sender is to do."""

    name: str
    source: str
    cure: str


RULES: Final = {
    rule.name: rule
    for rule in (
        Rule("fields", "RFC 5322 section 2.2", "begin each line with NAME: or, where one goes on, with a blank"),
        Rule("from", "RFC 5322 section 3.6.2", "send one From field with one address"),
        Rule("author", GMAIL, "put one address into From"),
        Rule("sender", "RFC 5322 section 3.6.2", "say in Sender which one of the authors has sent it"),
        Rule("date", "RFC 5322 section 3.6.1", "send one Date field with the time at which it was written"),
        Rule("message-id", "RFC 5322 section 3.6.4", "send one Message-ID field, <unique@your.domain>"),
        Rule("doubled", "RFC 5322 section 3.6, RFC 2369", "send each of these fields once"),
        Rule("eight-bit", "RFC 5322 section 2.2, RFC 6532", "encode words as RFC 2047 says, or use SMTPUTF8"),
        Rule("line-length", "RFC 5322 section 2.1.1", "fold header fields, and encode the body as quoted-printable or base64"),
        Rule("header-size", GMAIL_LIMITS, "send fewer and shorter header fields"),
        Rule("signature", GMAIL + ", RFC 7489 section 3.1.1", "sign for the domain in From (domain-key, dkim-sign)"),
        Rule("unsubscribe", "RFC 8058 section 3.1", "send List-Unsubscribe with one HTTPS URI, and List-Unsubscribe-Post"),
        Rule("unsubscribe-signed", "RFC 8058 section 4", "sign both List-Unsubscribe fields (DKIM)"),
    )
}


class Finding(Struct, frozen=True):
    """A rule that is broken. `wrong` is what was found; `must` that providers refuse such mail; `status` for a refusal (RFC 3463, 7372)."""

    rule: str
    wrong: str
    must: bool = True
    status: str = "5.6.0"

    @property
    def text(self) -> str:
        """For a person: the rule, what is wrong, what to do, who wants it. ASCII, one line."""
        rule = RULES[self.rule]
        return f"{self.rule}: {self.wrong}; {rule.cure} ({rule.source})"


class Case(Struct, frozen=True):
    """What holds for a message beside its header. `now` Unix seconds; `leaves` when it may be sent at the earliest.

    `bulk`: it is to many, who must be able to say no. `binary`: it came by BINARYMIME, and its body is encoded where that is not taken.
    `longest_line` as `ContentFacts` has it. `except_for` are rules that do not count. `proven`: domains of the signatures that verified,
    None where nobody checked them.
    """

    now: float
    leaves: float = 0.0
    bulk: bool = False
    smtputf8: bool = False
    binary: bool = False
    longest_line: int = 0
    except_for: frozenset[str] = frozenset()
    proven: frozenset[str] | None = None


class Cover(Struct, frozen=True):
    """A signature, there or yet to be made: its domain (d=, A-labels, lower case) and the names that it signs, in lower case."""

    domain: str
    names: frozenset[bytes]


def outgrown(header: bytes, size: int) -> Finding | None:
    """Is a header section so large that nothing more is said of it? `header` its beginning, at least `SIZE_MOST` octets or all of it."""
    if size > SIZE_MOST:
        return Finding("header-size", f"the header section has {size} octets, {SIZE_MOST} are taken")
    if header.count(b"\r\n") > FIELDS_MOST and sum(1 for _ in _field_end.finditer(header)) > FIELDS_MOST + 1:
        return Finding("header-size", f"there are more than {FIELDS_MOST} header fields")
    return None


def judge(
    fields: Sequence[HeaderField], case: Case, ours: Iterable[Cover] | None, organization: Callable[[str], str]
) -> tuple[Finding, ...]:
    """The rules that a message breaks, in the order of `RULES`. `fields` of a header section that is not `outgrown`.

    `ours` are the signatures that are to be put on, None where that cannot be told now; `organization` gives the organizational domain of
    a domain.
    """
    by_name: dict[bytes, list[bytes]] = {}
    for field in fields:
        by_name.setdefault(field.name, []).append(field.raw.partition(b":")[2])
    authors = _authors(by_name)
    found = [
        *_shape(fields),
        *_origin(by_name, authors),
        *_date(by_name, case),
        *_message_ids(by_name),
        *_doubled(by_name),
        *_octets(fields, case),
        *_sizes(fields),
    ]
    if ours is not None:
        covers = [*ours, *_brought(fields, case)]
        found += [*_signature(covers, authors, organization), *_unsubscribe_signed(by_name, covers)]
    if case.bulk:
        found += _unsubscribe(by_name)
    order = list(RULES)
    return tuple(sorted([one for one in found if one.rule not in case.except_for], key=lambda one: order.index(one.rule)))


def mendable(fields: Sequence[HeaderField], case: Case) -> dict[bytes, Finding]:
    """The fields that a submission server may add or put in the place of what is wrong (RFC 6409 sections 8.2, 8.3), by name.

    Not what a signature of the message signs: that signs also that there is no such field. All else would be made up: a Sender, an
    address for unsubscribing, which of two Subjects was meant.
    """
    by_name: dict[bytes, list[bytes]] = {}
    for field in fields:
        by_name.setdefault(field.name, []).append(field.raw.partition(b":")[2])
    found = {b"date": _date(by_name, case), b"message-id": _message_ids(by_name)}
    signed = {name for signature in _signatures(fields) for name in signature.names}
    first = {name: next((one for one in of if one.must and one.rule not in case.except_for), None) for name, of in found.items()}
    return {name: one for name, one in first.items() if one is not None and name not in signed}


# -- the shape of it --------------------------------------------------------------------------------------------------


def _shape(fields: Sequence[HeaderField]) -> Iterator[Finding]:
    odd = sum([_a_field(field.raw) is None for field in fields])
    if odd:
        yield Finding("fields", f"{odd} {'line' if odd == 1 else 'lines'} of the header section are no field")


def _octets(fields: Sequence[HeaderField], case: Case) -> Iterator[Finding]:
    if not all(field.raw.isascii() for field in fields):
        if not case.smtputf8:
            yield Finding("eight-bit", "there are octets above 127 in the header section, and SMTPUTF8 was not asked for")
        elif not all(_is_utf8(field.raw) for field in fields):
            yield Finding("eight-bit", "there are octets in the header section that are no UTF-8")
    if case.longest_line > LINE_MOST:
        if any(len(line) > LINE_MOST for field in fields for line in field.raw.split(b"\r\n")):
            yield Finding("line-length", f"a line of the header section has more than {LINE_MOST} octets")
        elif not case.binary:
            yield Finding("line-length", f"a line has {case.longest_line} octets, {LINE_MOST} are allowed")


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _sizes(fields: Sequence[HeaderField]) -> Iterator[Finding]:
    for field in fields:
        value = len(field.raw) - len(field.name) - 1
        if len(field.name) > NAME_MOST:
            yield Finding("header-size", f"a header field's name has more than {NAME_MOST} octets")
        elif field.name == b"subject" and value - 1 > SUBJECT_MOST:
            yield Finding("header-size", f"Subject has more than {SUBJECT_MOST} octets")
        elif value > VALUE_MOST and field.name not in _LONG:
            yield Finding("header-size", f"a header field has more than {VALUE_MOST} octets")
        else:
            continue
        return  # one is enough: thousands would all say the same


def _doubled(by_name: dict[bytes, list[bytes]]) -> Iterator[Finding]:
    counts = {name: len(by_name.get(name.lower().encode(), ())) for name in _ONCE}
    many = [f"{name} {count} times" for name, count in counts.items() if count > 1]
    if many:
        yield Finding("doubled", f"there is {', '.join(many)}")


# -- who, when, which -------------------------------------------------------------------------------------------------


def _authors(by_name: dict[bytes, list[bytes]]) -> list[str]:
    """The domains of the addresses in the first From, "" for one that is none."""
    return [_domain(address) for value in by_name.get(b"from", ())[:1] for address in mailboxes(value)[:AUTHORS_MOST]]


def _domain(address: str) -> str:
    """In A-labels. A name without a dot, or an address in brackets, is nobody's in the world."""
    local, _, host = address.rpartition("@")
    try:
        domain = canonical_domain(host) if local else ""
    except AddressError:
        return ""
    return domain if "." in domain and not domain.startswith("[") else ""


def _origin(by_name: dict[bytes, list[bytes]], authors: Sequence[str]) -> Iterator[Finding]:
    count, senders = len(by_name.get(b"from", ())), by_name.get(b"sender", [])
    if count != 1:
        yield Finding("from", f"there are {count} From fields" if count else "there is no From field")
    elif not authors or "" in authors:
        yield Finding("from", "what stands in From is no address that could be answered" if authors else "there is no address in From")
    elif len(authors) > 1:
        yield Finding("author", "there are several addresses in From", must=False)
        if not senders:
            yield Finding("sender", "there are several authors and no Sender field")
    for value in senders[:1]:
        found = [_domain(address) for address in mailboxes(value)]
        if len(found) != 1 or not found[0]:
            yield Finding("sender", "Sender is not one address that could be answered")


def _date(by_name: dict[bytes, list[bytes]], case: Case) -> list[Finding]:
    values = by_name.get(b"date", [])
    if len(values) != 1:
        return [Finding("date", f"there are {len(values)} Date fields" if values else "there is no Date field")]
    when = date_field.seconds(values[0])
    if when is None:
        return [Finding("date", "Date is no date and time as it has to be written")]
    if when > max(case.now, case.leaves) + AHEAD_MOST:
        return [Finding("date", "Date is more than a day ahead", must=False)]
    if when < case.now - BEHIND_MOST:
        return [Finding("date", "Date is more than thirty days ago", must=False)]
    return []


def _message_ids(by_name: dict[bytes, list[bytes]]) -> list[Finding]:
    values = by_name.get(b"message-id", [])
    if len(values) != 1:
        return [Finding("message-id", f"there are {len(values)} Message-ID fields" if values else "there is no Message-ID field")]
    value = values[0].strip(b" \t\r\n")
    if len(value) > MESSAGE_ID_MOST:
        return [Finding("message-id", f"Message-ID has more than {MESSAGE_ID_MOST} octets")]
    return [] if _message_id(value) is not None else [Finding("message-id", "Message-ID is not <left@right>")]


# -- signatures -------------------------------------------------------------------------------------------------------


def _signatures(fields: Sequence[HeaderField]) -> Iterator[dkim_signature.Signature]:
    """Those that a message brings, as far as they can be read."""
    for field in [field for field in fields if field.name == dkim_signature.FIELD][:SIGNATURES_MOST]:
        try:
            yield dkim_signature.read(field)
        except TagError:
            continue


def _brought(fields: Sequence[HeaderField], case: Case) -> Iterator[Cover]:
    for signature in _signatures(fields):
        ended = signature.expires_at is not None and signature.expires_at <= case.now
        if not ended and (case.proven is None or signature.domain in case.proven):
            yield Cover(signature.domain, frozenset(signature.names))


def _signature(covers: Sequence[Cover], authors: Sequence[str], organization: Callable[[str], str]) -> Iterator[Finding]:
    """Is there a signature of the organization of each author, and over From?"""
    if not authors or "" in authors:
        return  # whose it should be is not known, which is told as such
    signing = [cover for cover in covers if b"from" in cover.names]
    if not signing:
        yield Finding("signature", "it will have no DKIM signature", status="5.7.20")
        return
    wanted = {organization(domain) for domain in authors}
    if not wanted <= {organization(cover.domain) for cover in signing}:
        yield Finding("signature", "no DKIM signature will be of the domain in From", status="5.7.22")


def _unsubscribe_signed(by_name: dict[bytes, list[bytes]], covers: Sequence[Cover]) -> Iterator[Finding]:
    """RFC 8058 section 4: one signature over both. Without either field there is nothing to be signed."""
    if all(name in by_name for name in _ONE_CLICK) and not any(cover.names.issuperset(_ONE_CLICK) for cover in covers):
        yield Finding("unsubscribe-signed", "no DKIM signature will cover both List-Unsubscribe fields", status="5.7.20")


def _unsubscribe(by_name: dict[bytes, list[bytes]]) -> Iterator[Finding]:
    """RFC 8058 section 3.1: one HTTPS URI, and beside it none of HTTP; `List-Unsubscribe=One-Click` and nothing else."""
    where, post = [by_name.get(name, [b""])[0] for name in _ONE_CLICK]
    uris = [uri.strip() for uri in _uri.findall(where)]
    web = [uri for uri in uris if uri[:4].lower() == b"http"]
    if not where.strip():
        yield Finding("unsubscribe", "it is bulk mail and has no List-Unsubscribe field")
    elif len(web) != 1 or _https(web[0]) is None:
        yield Finding("unsubscribe", "there is not one HTTPS URI in List-Unsubscribe")
    elif post.strip().lower() != b"list-unsubscribe=one-click":
        wrong = "does not say List-Unsubscribe=One-Click" if post.strip() else "is missing"
        yield Finding("unsubscribe", f"List-Unsubscribe-Post {wrong}")
