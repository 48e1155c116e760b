"""From what an attempt meant to what must be done: marks, records, what is tried again, who hears of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from postwright.engine import bounces
from postwright.engine.borrowed import Borrowed, without
from postwright.engine.frames import Handed
from postwright.engine.settle import NO_SESSION, Context, Session, settle
from postwright.model.address import NULL_PATH, parse_mailbox
from postwright.model.envelope import Envelope, Notify, Recipient
from postwright.model.message import Arrival, Message, SpoolRef
from postwright.model.outcome import Disposition, Judgement, Kind
from postwright.model.work import Entry, Lease, QueueKey
from postwright.policy.settings import GeneralSettings
from postwright.schedule.queue import QueueLimits
from postwright.store.spool import DEFERRED, SETTLED
from postwright.wire.body import scan

NOW = 1_000_000.0
CONTENT = b"Subject: the original\r\n\r\nsecret body\r\n"
REF = SpoolRef(0, 1, 0, 0, 100)
SESSION = Session("mx.example.com (198.51.100.1)", "192.0.2.1", "198.51.100.1", "SIZE,DSN", "TLSv1.3", "AES", knows_dsn=True)
LIMITS = QueueLimits(retry_after=(60.0, 600.0), bounce_after=3600.0)
CONTEXT = Context("example.com/v", LIMITS, frozenset("dbtr"))

OK = Disposition(Kind.DELIVERED, "2.0.0", "smtp;250 ok")
LATER = Disposition(Kind.TRANSIENT, "4.2.0", "smtp;450 4.2.0 later")
NEVER = Disposition(Kind.PERMANENT, "5.1.1", "smtp;550 5.1.1 unknown")
OLD = Disposition(Kind.EXPIRED, "4.4.7", "x-pmta;message expired")


def message(*notify: int, sender: str = "me@sender.example", **more: Any) -> Message:
    recipients = [Recipient(parse_mailbox(f"r{at}@example.com"), bits, f"rfc822;o{at}@example.org") for at, bits in enumerate(notify)]
    path = parse_mailbox(sender) if sender else NULL_PATH
    envelope = Envelope(path, recipients, envid="e1")
    return Message(7, NOW - 100, envelope, scan(CONTENT), Arrival(peer="192.0.2.77", peer_name="client"), "v", "p", "job", **more)


def entry(*recipients: int, attempts: int = 0, first: float = 0.0) -> Entry:
    return Entry(7, REF, recipients, NOW - 100, attempts=attempts, first_attempt=first, owner="job")


def settled(found: Message, what: Entry, *dispositions: Disposition, session: Session = SESSION, context: Context = CONTEXT) -> Any:
    return settle(found, what, Judgement(dispositions), session, context, NOW, 100)


def test_each_recipient_gets_its_mark_and_its_record() -> None:
    result = settled(message(0, 0, 0, 0), entry(0, 1, 3), OK, NEVER, LATER)
    final, deferred = result.marks
    assert (final.kind, final.recipients, [r.type for r in final.records]) == (SETTLED, (0, 1), ["d", "b"])
    assert (deferred.kind, deferred.recipients, [r.type for r in deferred.records]) == (DEFERRED, (3,), ["t"])
    assert (deferred.due, deferred.attempts, deferred.first_attempt) == (NOW + 60, 1, NOW)
    assert (result.delivered, result.deferred, result.bounced) == (1, 1, 1)
    assert [(e.recipients, e.due, e.attempts, e.first_attempt) for e in result.again] == [((3,), NOW + 60, 1, NOW)]


def test_a_record_has_powermtas_fields() -> None:
    (mark,) = settled(message(0), entry(0), OK).marks
    (record,) = mark.records
    assert (record.rcpt, record.orcpt, record.orig) == ("r0@example.com", "rfc822;o0@example.org", "me@sender.example")
    assert (record.dsn_action, record.dsn_status, record.dsn_diag) == ("relayed", "2.0.0", "smtp;250 ok")
    assert (record.dsn_mta, record.dlv_source_ip, record.dlv_destination_ip) == (SESSION.mta, "192.0.2.1", "198.51.100.1")
    assert (record.src_type, record.src_mta) == ("smtp", "client (192.0.2.77)")
    assert (record.vmta, record.vmta_pool, record.job_id, record.env_id, record.queue) == ("v", "p", "job", "e1", "example.com/v")
    assert (record.dlv_size, record.bounce_cat, record.dlv_tls_protocol) == (100, "", "TLSv1.3")
    assert (record.time_logged, record.time_queued, record.time_first_attempt) == (NOW, NOW - 100, 0.0)


@pytest.mark.parametrize(
    ("disposition", "kind", "action", "category"),
    [(NEVER, "b", "failed", "bad-mailbox"), (OLD, "b", "failed", "message-expired"), (LATER, "t", "delayed", "other")],
)
def test_action_and_category_by_fate(disposition: Disposition, kind: str, action: str, category: str) -> None:
    (mark,) = settled(message(0), entry(0), disposition).marks
    assert [(r.type, r.dsn_action, r.bounce_cat, r.dlv_size) for r in mark.records] == [(kind, action, category, -1)]


def test_records_that_nobody_wants_are_not_made() -> None:
    result = settled(message(0, 0, 0), entry(0, 1, 2), OK, NEVER, LATER, context=replace(CONTEXT, wanted=frozenset()))
    assert [mark.records for mark in result.marks] == [(), ()]
    assert (result.delivered, result.deferred, result.bounced) == (1, 1, 1)


def test_steps_go_on_from_attempt_to_attempt_and_never_beyond_the_end() -> None:
    second = settled(message(0), entry(0, attempts=1, first=NOW - 60), LATER).again[0]
    assert (second.due, second.attempts, second.first_attempt) == (NOW + 600, 2, NOW - 60)
    late = replace(CONTEXT, limits=QueueLimits(retry_after=(60.0, 600.0), bounce_after=150.0))
    assert settled(message(0), entry(0, attempts=1, first=NOW - 60), LATER, context=late).again[0].due == NOW + 50


def test_dispositions_must_fit_the_recipients() -> None:
    with pytest.raises(ValueError, match="zip"):
        settled(message(0, 0), entry(0, 1), OK)


# -- reports -----------------------------------------------------------------------------


def kinds(found: Message, what: Entry, *dispositions: Disposition, session: Session = SESSION) -> list[tuple[str, int]]:
    return [(due.kind, due.recipient) for due in bounces.wanted(found, settled(found, what, *dispositions, session=session).reports)]


def test_who_hears_of_what() -> None:
    asked = message(0, Notify.NEVER, Notify.FAILURE, Notify.SUCCESS, Notify.DELAY)
    assert kinds(asked, entry(0, 1, 2, 3, 4), *[NEVER] * 5) == [("failed", 0), ("failed", 2)]
    assert kinds(asked, entry(0, 1, 2, 3, 4), *[OK] * 5) == []  # the receiver knows DSN: it will tell
    assert kinds(asked, entry(0, 1, 2, 3, 4), *[OK] * 5, session=NO_SESSION) == [("relayed", 3)]
    assert kinds(asked, entry(0, 1, 2, 3, 4), *[LATER] * 5) == []


def test_nobody_hears_of_mail_from_nobody_or_of_a_source_that_wants_no_reports() -> None:
    assert kinds(message(0, sender=""), entry(0), NEVER) == []
    assert kinds(message(0, suppress_dsn=True), entry(0), NEVER) == []


def reports(found: Message, what: Entry, *dispositions: Disposition, vmta: str = "") -> list[tuple[Message, bytes]]:
    due = bounces.wanted(found, settled(found, what, *dispositions, session=NO_SESSION).reports)
    general = GeneralSettings(host_name=("relay.example",))
    return bounces.reports(found, CONTENT, due, NO_SESSION, general, NOW, [11, 12, 13, 14], vmta)


def test_one_report_for_each_kind_of_fate_to_the_sender_from_nobody() -> None:
    both = Notify.SUCCESS | Notify.FAILURE
    (failed, body), (relayed, _) = reports(message(both, both, both), entry(0, 1, 2), NEVER, OK, NEVER)
    assert (failed.id, relayed.id) == (11, 12)
    for report in (failed, relayed):
        assert report.envelope.reverse_path == NULL_PATH
        assert [r.address.text for r in report.envelope.recipients] == ["me@sender.example"]
        assert (report.vmta, report.pool, report.job, report.arrival.kind) == ("v", "p", "job", "dsn")
    text = body.decode()
    assert text.count("Final-Recipient:") == 2
    assert "Subject: the original" in text
    assert "secret body" not in text


def test_the_whole_message_is_returned_when_asked_for() -> None:
    asked = message(0)
    asked.envelope.ret = "FULL"
    assert b"secret body" in reports(asked, entry(0), NEVER)[0][1]


def test_reports_may_go_out_by_another_virtual_mta() -> None:
    assert reports(message(0), entry(0), NEVER, vmta="{default}")[0][0].vmta == "{default}"


# -- borrowed ------------------------------------------------------------------------------


def lease(*recipients: int, shard: int = 1) -> Lease:
    return Lease(QueueKey("example.com", "v"), Entry(7, SpoolRef(shard, 1, 0, 0, 1), recipients, NOW))


def handed(*recipients: int) -> Handed:
    return Handed(7, SpoolRef(1, 1, 0, 0, 1), "example.com", "v", recipients, 0.0, 0, 0.0, NOW, "", 50)


def test_what_is_under_way_is_not_taken_a_second_time() -> None:
    borrowed, under_way = Borrowed(), lease(0, 1)
    borrowed.begin(under_way)
    assert [h.recipients for h in borrowed.adopt([handed(0, 1)])] == [(0, 1)]  # its shard has not died
    borrowed.orphan(1)
    assert [h.recipients for h in borrowed.adopt([handed(0, 2), handed(1)])] == [(2,)]
    assert borrowed.end(under_way, [under_way.entry]) == [under_way.entry]  # adopted: it is ours to try again


def test_what_ended_while_its_shard_was_away_is_left_to_it() -> None:
    borrowed, under_way = Borrowed(), lease(0, 1)
    borrowed.begin(under_way)
    borrowed.orphan(1)
    assert borrowed.end(under_way, [under_way.entry]) == []
    assert [h.recipients for h in borrowed.adopt([handed(0, 1)])] == [(0, 1)]


def test_the_death_of_another_shard_changes_nothing() -> None:
    borrowed, under_way = Borrowed(), lease(0, shard=2)
    borrowed.begin(under_way)
    borrowed.orphan(1)
    assert borrowed.end(under_way, [under_way.entry]) == [under_way.entry]


def test_an_entry_without_some_of_its_recipients() -> None:
    whole = entry(0, 1, 2)
    assert without(whole, set()) is whole
    left = without(whole, {1})
    assert left is not None
    assert left.recipients == (0, 2)
    assert without(whole, {0, 1, 2}) is None
