"""A submission as it will be sent: fields read and cut out, trace and missing fields put in front, facts kept true.

The body is never touched nor looked at again, and no field is rewritten: a field stays octet for octet, or it goes. The result is
handed on in pieces, so that a large content is copied only where something is cut out of it. Any content has an answer; nothing is raised.
"""

from __future__ import annotations

import re
from functools import lru_cache

from msgspec import Struct

from postwright.content.authres import is_from
from postwright.content.headers import Field, Finder, finder, search, without
from postwright.model.message import ContentFacts

VMTA = b"x-virtual-mta"
JOB = b"x-job"
ENVID = b"x-envid"
SCHEDULE = b"x-schedule"
DATE = b"date"
MESSAGE_ID = b"message-id"
RECEIVED = b"received"
AUTHRES = b"authentication-results"

_LONGEST_VALUE = 256  # characters kept of a job, envelope id or virtual MTA: they go into every record of the message
_LONGEST_SCHEDULE = 16384  # of the windows of x-schedule, which are read once; what is too long is refused, not cut
_TEXT_LINE = 998  # as ContentFacts has it
# What begins a header section: a field, the empty line that ends one, or the "From " line of a mailbox file, which some clients
# send and receivers step over.
_begins_header = re.compile(rb"[!-9;-~]+[ \t]*:|\r\n|>?From ").match
_odd_octet = re.compile(rb"\0|\r(?!\n)|\n(?<!\r\n)").search


class Submission(Struct, gc=False):
    """A content ready for the spool: `parts` joined are its octets, `facts` are about those.

    `vmta_header`, `job`, `envid` and `schedule` are what the fields said, None when there was no such field or it is not to be processed.
    `late_date`: there is no Date yet, and one is to be added whenever it is sent. `ahead`: so many octets at the beginning are ours.
    """

    vmta_header: str | None
    job: str | None
    envid: str | None
    parts: tuple[bytes, ...]
    facts: ContentFacts
    schedule: str | None = None
    late_date: bool = False
    ahead: int = 0


class _Plan(Struct, frozen=True):
    """What to look for, and which of it goes."""

    wanted: Finder | None
    drop: frozenset[bytes]


def prepare(
    content: bytes,
    facts: ContentFacts,
    *,
    received: bytes = b"",
    add_message_id: bytes = b"",
    add_date: bytes = b"",
    date_override: bool = False,
    process_vmta: bool = False,
    retain_vmta: bool = False,
    process_job: bool = False,
    retain_job: bool = False,
    jobid_header: str = "",
    process_envid: bool = False,
    process_schedule: bool = False,
    retain_schedule: bool = False,
    remove: frozenset[bytes] = frozenset(),
    remove_received: bool = False,
    late_date: bool = False,
    authres: bytes = b"",
    authres_id: str = "",
) -> Submission:
    """Do to a content what its source asks for (powermta.md sections 2 and 6).

    `received`, `add_message_id`, `add_date` are fields with CRLF, empty when not to be added; the last two go in only when the content
    has none (`add-message-id-header`, `add-date-header yes`), unless `date_override`, which replaces. `process_*` read x-virtual-mta,
    x-job, x-envid and x-schedule and cut them out, but for `retain_*`; `jobid_header` names another field for the job, which stays
    and counts only when there is no x-job. `remove` are names in lower case (`remove-header`), `remove_received` takes the
    trace away that was there (`remove-received-headers`). Of several fields of one name the first counts and all are cut.

    With `late_date` (`date-header-time delivery`) the Date is left for who sends the message, unless there is no header section that it
    could stand before. `authres` is an Authentication-Results field of ours, `authres_id` our name in it: fields that others wrote in
    our name go (RFC 8601 section 5).
    """
    plan = _plan(
        bool(add_message_id),
        bool(add_date),
        date_override,
        process_vmta,
        retain_vmta,
        process_job,
        retain_job,
        jobid_header,
        process_envid,
        process_schedule,
        retain_schedule,
        remove,
        remove_received,
        bool(authres),
    )
    fields = search(content, facts.header_size, plan.wanted) if plan.wanted is not None else ()
    prefix = authres + received
    if late_date:
        late_date = bool(add_date) and (bool(prefix or add_message_id) or _begins_header(content) is not None)
        add_date = b"" if late_date else add_date
    if not fields:
        prefix += add_message_id + add_date
        whole = _assemble(content, facts, prefix, bool(received), None, None, None)
        whole.late_date = late_date
        return whole
    first = {field.name: field for field in reversed(fields)}
    if MESSAGE_ID not in first or MESSAGE_ID in plan.drop:
        prefix += add_message_id
    if DATE not in first or DATE in plan.drop:
        prefix += add_date
    else:
        late_date = False
    vmta = _text(first.get(VMTA)) if process_vmta else None
    job = _text(first.get(JOB)) if process_job else None
    if job is None and jobid_header:
        job = _text(first.get(jobid_header.lower().encode("utf-8")))
    envid = _text(first.get(ENVID)) if process_envid else None
    rest = [content]
    cut = [field for field in fields if field.name in plan.drop or (authres and _forged(field, authres_id))]
    if cut:
        parts = without(content, [(field.start, field.end) for field in cut])
        rest, facts = _after_cut(parts, facts, RECEIVED in plan.drop, sum([field.end - field.start for field in cut]))
    whole = _assemble(rest[0], facts, prefix, bool(received), vmta, job, envid)
    whole.parts += tuple(rest[1:])
    whole.late_date = late_date
    if process_schedule:
        whole.schedule = _text(first.get(SCHEDULE), _LONGEST_SCHEDULE)
    return whole


def _forged(field: Field, ours: str) -> bool:
    """Somebody else's Authentication-Results in our name."""
    return field.name == AUTHRES and is_from(field.value, ours)


def _assemble(
    content: bytes, facts: ContentFacts, prefix: bytes, traced: bool, vmta: str | None, job: str | None, envid: str | None
) -> Submission:
    """Put `prefix` before the content. `content` may be but the first piece of what `facts` are about."""
    if not prefix:
        return Submission(vmta, job, envid, (content,), facts)
    header_size = facts.header_size
    utf8_headers = facts.utf8_headers
    hops = facts.hops
    if _begins_header(content) is None:
        # There is no header section: without an empty line our fields would make one of the text.
        prefix += b"\r\n"
        header_size = 0
        utf8_headers = False
        hops = 0
    added = len(prefix)
    size = facts.size + added
    longest = facts.longest_line
    return Submission(
        vmta,
        job,
        envid,
        (prefix, content),
        ContentFacts(
            size,
            header_size + added,
            longest if longest > _TEXT_LINE else min(size, _TEXT_LINE),
            facts.dots,
            facts.eight_bit,
            utf8_headers,
            facts.binary,
            hops + traced,
        ),
        ahead=added,
    )


def _after_cut(parts: list[bytes], facts: ContentFacts, untraced: bool, removed: int) -> tuple[list[bytes], ContentFacts]:
    """The facts of what remains. Cutting can only take an oddity away, so what was not there need not be looked for."""
    size = facts.size - removed
    header_size = facts.header_size - removed
    eight_bit, utf8_headers = facts.eight_bit, facts.utf8_headers
    longest, binary = min(size, _TEXT_LINE), facts.binary
    if not parts:
        parts = [b""]
    if utf8_headers or binary:
        content = b"".join(parts)
        parts = [content]
        utf8_headers = utf8_headers and not content[:header_size].isascii()
        eight_bit = not content.isascii()
        if facts.longest_line > _TEXT_LINE:
            longest = max([len(line) for line in content.split(b"\r\n")])
            longest = longest if longest > _TEXT_LINE else min(size, _TEXT_LINE)
        binary = binary and (longest > _TEXT_LINE or _odd_octet(content) is not None)
    hops = 0 if untraced else facts.hops
    return parts, ContentFacts(size, header_size, longest, facts.dots, eight_bit, utf8_headers, binary, hops)


def _text(field: Field | None, longest: int = _LONGEST_VALUE) -> str | None:
    if field is None:
        return None
    text = field.value[: 4 * longest].decode("utf-8", "replace")[:longest]
    return text if text.isprintable() else "".join([c if c.isprintable() else "?" for c in text])


@lru_cache(256)
def _plan(
    add_message_id: bool,
    add_date: bool,
    date_override: bool,
    process_vmta: bool,
    retain_vmta: bool,
    process_job: bool,
    retain_job: bool,
    jobid_header: str,
    process_envid: bool,
    process_schedule: bool,
    retain_schedule: bool,
    remove: frozenset[bytes],
    remove_received: bool,
    add_authres: bool,
) -> _Plan:
    drop = {name.lower() for name in remove if name}
    look = set(drop)
    for name, read, cut in (
        (VMTA, process_vmta, process_vmta and not retain_vmta),
        (JOB, process_job, process_job and not retain_job),
        (ENVID, process_envid, process_envid),
        (SCHEDULE, process_schedule, process_schedule and not retain_schedule),
        (jobid_header.lower().encode("utf-8"), bool(jobid_header), False),
        (MESSAGE_ID, add_message_id, False),
        (DATE, add_date, add_date and date_override),
        (RECEIVED, remove_received, remove_received),
        (AUTHRES, add_authres, False),
    ):
        if read:
            look.add(name)
        if cut:
            drop.add(name)
    return _Plan(finder(frozenset(look)) if look else None, frozenset(drop))
