"""Mail that comes to `<bounce-processor>` and `<feedback-loop-processor>`: read, recorded, and passed on or not.

It stands before the store: recipients that no processor claims, and a relay without processors, never see it. A report's records are
durable before its sender is told 250, and so is who must not be sent to any more; a crash between costs a record that is there twice,
never one that is not there. While the disk takes nothing, a report is told to come again as all mail is. Small mails are
read where they are, larger ones in a thread, and how much of them waits is counted among the contents held in memory; what is small and
says much is judged in a thread as well. A mail is never lost by what is read in it: what cannot be read is unmatched mail. Mail merges are
no reports and are let through.
How many are read in a time is bounded (`max-report-rate`): a storm of reports must not take the time that mail needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from secrets import token_bytes

import structlog
from msgspec import Struct

from postwright.content.headers import find
from postwright.content.readings import Complaint, Excess, Nothing, Reading, StatusReport
from postwright.content.reports import read
from postwright.engine import login_secret, report_records, sorting
from postwright.engine.not_kept import BROKEN, not_kept
from postwright.engine.report_proofs import proven, suppressed
from postwright.engine.report_records import Came, Wanted
from postwright.engine.suppressing import Suppressing
from postwright.engine.workers import Workers
from postwright.model.address import canonical_domain, parse_mailbox
from postwright.model.envelope import Envelope, Notify, Recipient, Returns
from postwright.model.errors import LoginUnavailable
from postwright.model.message import Arrival, format_id
from postwright.model.record import Record
from postwright.model.reply import Reply
from postwright.net.visit import Answer
from postwright.policy.processors import ERROR, MATCHED, UNMATCHED, Processor, files_of
from postwright.policy.resolve import Resolved
from postwright.policy.settings import Rate, Settings
from postwright.policy.signed_path import Proof, message_key
from postwright.store.spool import DEFERRED, Mark, Spool

RETURN_PATH_SECRET = "return-path.secret"  # a file in the state folder, made as that of `login_secret`
SMALL = 1 << 16  # octets of a mail that is read on the loop: some milliseconds, tens of them where it is made to take long
FEW = 10  # recipients of a report that is judged on the loop: each is tried against signatures
WORDS = 500  # octets of their diagnostics together: words that nobody has said before cost tens of microseconds an octet to be sorted
PATIENCE = 30.0  # seconds until a client whose report cannot be recorded is told to come again
BUSY = Reply(452, "4.3.2", ("Server resources temporarily exhausted",))
TOO_MANY = Reply(452, "4.3.2", ("too many reports in a short time, try again later",))


class Result(Struct):
    """What a mail came to: whom it still goes to, what is to be recorded, and what it was read as (patterns of the operator included)."""

    recipients: list[Recipient]
    records: list[Record]
    reading: Reading
    pattern: str = ""


class Judged(Struct):
    """A result, which of the recipients are proven to be ours, and whom it puts into the suppression store (who, reason, source)."""

    result: Result
    proofs: dict[int, Proof]
    suppressed: list[tuple[Proof, str, str]]


class Claim(Struct):
    """The recipients of one mail, each with the processors that claim it (none, one, or both)."""

    processing: Processing
    recipients: list[tuple[Recipient, tuple[Processor, ...]]]

    @property
    def addresses(self) -> list[str]:
        """Those that processors claim."""
        return [recipient.address.text for recipient, claims in self.recipients if claims]

    def judge(self, content: bytes, header_size: int, reading: Reading, came: Came) -> Result:
        """What the mail is to its processors. `came.to` is its first claimed recipient."""
        claiming = {id(one) for _, claims in self.recipients for one in claims}
        reading, pattern = self.processing.recognised(claiming, content, reading)
        broken = isinstance(reading, Excess) or (isinstance(reading, Nothing) and _calls_itself_report(content, header_size))
        other = ERROR if broken else UNMATCHED
        kept: list[Recipient] = []
        for recipient, claims in self.recipients:
            matching = self.processing.matching(reading)
            owner = matching if matching is not None and matching in claims else claims[0] if claims else None
            if owner is None:
                kept.append(recipient)
                continue
            verdict = MATCHED if owner is matching else other
            if owner.delivers(verdict):
                kept.append(recipient)
            kept += [_forwarded(target) for target in owner.forwards(verdict)]
        once: dict[str, Recipient] = {}
        for recipient in kept:
            once.setdefault(recipient.address.text, recipient)
        matched = self.processing.matching(reading)
        records = self.processing.records(reading, came) if id(matched) in claiming else []
        return Result(list(once.values()), records, reading, pattern)


class Processing:
    """Both processors of a generation, compiled."""

    def __init__(self, resolved: Resolved) -> None:
        settings = resolved.settings
        both = (settings.bounce_processor, settings.feedback_loop_processor)
        files = {name: Path(name).read_bytes() for name in files_of(both)}
        self.bounces, self.complaints = [None if one is None else Processor(one, files) for one in both]
        self._wanted: Wanted = report_records.wanted(settings)
        self._sorter = sorting.sorter_of(resolved)

    def claim(self, recipients: Sequence[Recipient]) -> Claim | None:
        """The claim on these recipients; None when no processor wants any of them."""
        present = [one for one in (self.bounces, self.complaints) if one is not None]
        found = [(recipient, tuple([one for one in present if one.claims(recipient.address)])) for recipient in recipients]
        return Claim(self, found) if any([claims for _, claims in found]) else None  # noqa: C419  # per message

    def matching(self, reading: Reading) -> Processor | None:
        """Whose kind of report this is."""
        if isinstance(reading, StatusReport):
            return self.bounces
        return self.complaints if isinstance(reading, Complaint) else None

    def recognised(self, claiming: set[int], content: bytes, reading: Reading) -> tuple[Reading, str]:
        """The reading, or what the operator's own patterns make of a mail that no reader knows; and the pattern that did, if it is to be
        logged."""
        if self.matching(reading) is not None:
            return reading, ""
        makers: tuple[tuple[Processor | None, Callable[[dict[str, str]], Reading]], ...] = (
            (self.bounces, report_records.bounce_of),
            (self.complaints, report_records.complaint_of),
        )
        for processor, made in makers:
            if processor is not None and processor.patterns and id(processor) in claiming:
                found = processor.find(content[:SMALL].decode("utf-8", "replace").replace("\r\n", "\n"))
                if found is not None:
                    return made(found[1]), found[0].where if processor.logs else ""
        return reading, ""

    def rates(self, claim: Claim) -> list[tuple[str, Rate]]:
        """The name and the limit of each processor that claims some of this mail."""
        claiming = {id(one) for _, claims in claim.recipients for one in claims}
        both = (("bounces", self.bounces), ("complaints", self.complaints))
        return [(name, one.rate) for name, one in both if one is not None and one.rate is not None and id(one) in claiming]

    def records(self, reading: Reading, came: Came) -> list[Record]:
        """The records of a report; none of what is no report."""
        if isinstance(reading, StatusReport):
            return report_records.of_bounce(reading, came, self._wanted, self.category)
        return report_records.of_complaint(reading, came, self._wanted) if isinstance(reading, Complaint) else []

    def category(self, status: str, diagnostic: str, host: str) -> str:
        """The bounce category, as of bounces of our own."""
        return self._sorter.sort(status, diagnostic, host).category


def processing_of(resolved: Resolved) -> Processing | None:
    """None without processors. Raises ValueError or OSError for lists and files that cannot be used."""
    settings: Settings = resolved.settings
    if settings.bounce_processor is None and settings.feedback_loop_processor is None:
        return None
    return Processing(resolved)


class Reports:
    """What a shard reads reports with. `folder` has the secret that signs return paths, the same for all shards."""

    def __init__(
        self,
        spool: Spool,
        workers: Workers,
        log: structlog.stdlib.BoundLogger,
        folder: Path,
        suppressing: Suppressing,
        room: Callable[[str, Rate], bool],
    ) -> None:
        self._spool = spool
        self._folder = folder
        self._known = b""
        self._suppressing = suppressing
        self._workers = workers
        self._log = log
        self._room = room
        self.bounces = self.complaints = 0  # reports of either kind that came, since the start

    @property
    def _secret(self) -> bytes:
        """Read when it is first wanted. A folder that cannot be used stops no mail: what is signed by a secret that nobody keeps proves
        nothing later, so nobody is suppressed by it."""
        if not self._known:
            try:
                self._known = login_secret.load(self._folder, RETURN_PATH_SECRET)
            except OSError as error:
                self._log.error("return paths are signed in vain: their secret cannot be kept", error=str(error))
                self._known = token_bytes(login_secret.LENGTH)
        return self._known

    def sign(self, envelope: Envelope, message_id: int, domain: str) -> None:
        """`signed-return-path`: the message's recipients get return paths of their own. The null reverse-path stays null."""
        if envelope.reverse_path.text:
            envelope.verp = True
            scope = self._suppressing.rules.scope
            key = message_key(self._secret, message_id)
            envelope.returns = Returns(canonical_domain(domain), key, "" if scope == "global" else scope)

    def take(
        self, claim: Claim, envelope: Envelope, came: Came, content: bytes, header_size: int, store: Callable[[], Answer]
    ) -> asyncio.Future[Reply]:
        """Read the mail, record it, and `store` it for those whom it still goes to. 452 when too many reports wait to be read."""
        return asyncio.ensure_future(self._taken(claim, envelope, came, content, header_size, store))

    async def _taken(
        self, claim: Claim, envelope: Envelope, came: Came, content: bytes, header_size: int, store: Callable[[], Answer]
    ) -> Reply:
        refusal = self._spool.refusal()
        if refusal is not None:  # before anything is recorded: it will be when it comes again
            return not_kept(refusal)
        if not all([self._room(name, rate) for name, rate in claim.processing.rates(claim)]):  # noqa: C419  # each counts it
            return TOO_MANY
        try:
            judged = await self._judged(claim, came, content, header_size, null_sender=not envelope.reverse_path.text)
        except LoginUnavailable:
            return BUSY
        result = judged.result
        if result.pattern:
            self._log.info("a report was read by a pattern", id=format_id(came.message_id), pattern=result.pattern)
        if not (await self._obeyed(judged.suppressed) and await self._recorded(result.records, judged.proofs)):
            return BROKEN
        self.bounces += isinstance(result.reading, StatusReport)
        self.complaints += isinstance(result.reading, Complaint)
        envelope.recipients = result.recipients
        if not result.recipients:
            return Reply(250, "2.6.0", (f"message received id={format_id(came.message_id)}",))
        answer = store()
        return answer if isinstance(answer, Reply) else await answer

    async def _judged(self, claim: Claim, came: Came, content: bytes, header_size: int, *, null_sender: bool) -> Judged:
        """What takes some milliseconds on the loop, the rest in a thread. Raises LoginUnavailable when too much waits for that."""
        secret, rules = self._secret, self._suppressing.rules

        def judged(reading: Reading) -> Judged:
            result = claim.judge(content, header_size, reading, came)
            proofs = proven(result.reading, claim.addresses, secret, came.at)
            return Judged(result, proofs, suppressed(result.reading, proofs, rules, claim.processing.category))

        if len(content) > SMALL:
            return await self._workers.run(lambda: judged(read(content, null_sender=null_sender)))
        reading = read(content, null_sender=null_sender)
        return judged(reading) if _brief(reading) else await self._workers.run(lambda: judged(reading))

    async def _obeyed(self, found: Sequence[tuple[Proof, str, str]]) -> bool:
        """Who must not be sent to any more is in the store, on disk. First of all, as it may be done twice."""
        join = self._suppressing.join
        if not all([join(proof.address, proof.user, proof.job, reason, source) for proof, reason, source in found]):  # noqa: C419  # each
            return False
        if not found:
            return True
        written = self._suppressing.written()
        await asyncio.wait({written}, timeout=PATIENCE)
        return written.done() and written.result()

    async def _recorded(self, records: Sequence[Record], proofs: dict[int, Proof]) -> bool:
        """Its records are on disk. They will be, too, when the client has lost its patience before that, and then they are there twice."""
        for record in records:
            if record.remote is not None:
                record.remote.verified = "yes" if record.recipient in proofs else "no"
        if not records:
            return True
        marked = self._spool.mark([Mark(0, (), DEFERRED, records=tuple(records))])
        await asyncio.wait({marked}, timeout=PATIENCE)
        return marked.done()


def came_of(claim: Claim, message_id: int, now: float, arrival: Arrival) -> Came:
    """How this mail reached us."""
    return Came(message_id, now, claim.addresses[0], arrival)


def _brief(reading: Reading) -> bool:
    """Is there little to judge in it, whoever made it?"""
    if isinstance(reading, StatusReport):
        return len(reading.recipients) <= FEW and sum([len(one.diagnostic) for one in reading.recipients]) <= WORDS
    return not isinstance(reading, Complaint) or len(reading.recipients) <= FEW


def _forwarded(target: str) -> Recipient:
    return Recipient(parse_mailbox(target, smtputf8=True), int(Notify.NEVER))


def _calls_itself_report(content: bytes, header_size: int) -> bool:
    """It says that it is made for programs, and none could read it."""
    return any(b"multipart/report" in field.value.lower() for field in find(content, header_size, frozenset((b"content-type",))))
