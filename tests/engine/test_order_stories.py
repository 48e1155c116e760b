"""Stories of operators: pause and resume, delete, try now, another priority, and what holds whatever else happens. Times are simulated."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from tests.engine.merge_talk import merge, talk

from postwright.engine.dkim_keys import Broken
from postwright.engine.exchange import Exchange
from postwright.engine.frames import Told
from postwright.engine.orders import deleting
from postwright.engine.orders.asking import Outcome
from postwright.engine.orders.book import MailOrder, Why, with_mail
from postwright.engine.orders.commands import GRACE, STANDS
from postwright.engine.orders.listing import Page
from postwright.engine.orders.selection import Selection
from postwright.engine.orders.standing import StandingOrders
from postwright.engine.orders.tally import Tally
from postwright.engine.queue_verbs import QUEUE_VERBS
from postwright.engine.views.figures import Figures
from postwright.model.envelope import MailExtras
from postwright.model.outcome import Fault
from postwright.model.work import QueueKey, WaitReason
from postwright.policy.settings import Settings, SourceHostRule, VmtaSettings
from postwright.testing.world import World
from postwright.testing.world_orders import WorldOrders
from postwright.testing.world_settings import ANYBODY, domain, relay, source, vmta

MINUTE, HOUR = 60.0, 3600.0
ME = "me@sender.example"
SHARDS = pytest.mark.parametrize("shards", [1, 3])


def settings(**directives: object) -> Settings:
    wide = domain("*", **{"retry_after": (10 * MINUTE,), "bounce_after": 30 * 86400.0, **directives})
    return relay(wide, vmta("a", "192.0.2.10"), vmta("b", "192.0.2.11"))


def outcome(told: Told) -> Outcome:
    assert told.ok, told.lines
    return msgspec.json.decode(told.body, type=Outcome)


def rows(told: Told) -> Page:
    assert told.ok, told.lines
    return msgspec.json.decode(told.body, type=Page)


def send(w: World, *recipients: str, job: str = "", vmta: str = "a", sender: str = ME, shard: int = 0, **options: object) -> None:
    headers = {"x-virtual-mta": vmta, **({"x-job": job} if job else {})}
    assert w.submit(sender, list(recipients), headers=headers, shard=shard, **options).accepted


# -- pauses ---------------------------------------------------------------------------------------


@SHARDS
def test_nothing_goes_while_a_queue_is_paused_and_all_of_it_afterwards(shards: int) -> None:
    with World(settings(), shards=shards) as w:
        mx, other = w.domain("example.com"), w.domain("other.example")
        orders = WorldOrders(w)
        told = orders.give("order-pause", queue="example.com/*")
        assert told.lines[0] == "Queue(s) paused."
        for shard in range(shards):
            send(w, f"u{shard}@example.com", f"u{shard}@other.example", shard=shard)
        w.advance(HOUR)
        assert not mx.recipients, "queues that come to be later are paused, too"
        assert len(other.recipients) == shards
        told = orders.give("order-resume", queue="example.com/*")
        assert told.lines[0] == "Queue(s) resumed."
        assert outcome(told).tally.recipients == shards  # type: ignore[union-attr]
        w.run_until_empty(HOUR)
        assert len(mx.recipients) == shards


@pytest.mark.parametrize("subject", [{"queue": "example.com/*"}, {"job": "j"}])
def test_a_pause_does_not_wait_until_all_is_counted(subject: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with World(settings()) as w:
        mx, orders = w.domain("example.com"), WorldOrders(w)

        async def counted_slowly(*arguments: object) -> Tally:
            await asyncio.sleep(HOUR)
            return Tally()

        monkeypatch.setattr(deleting, "count", counted_slowly)
        task = w.loop.create_task(orders.giving("order-pause", **subject))
        w.advance(1)
        send(w, "u@example.com", job="j")
        w.run(task)
        assert not mx.recipients


@SHARDS
@pytest.mark.parametrize("how", ["stop", "kill", "reload"])
def test_a_pause_survives(shards: int, how: str) -> None:
    with World(settings(), shards=shards) as w:
        mx = w.domain("example.com")
        orders = WorldOrders(w)
        send(w, "before@example.com")
        w.run_until_empty(HOUR)
        orders.give("order-pause", queue="*/a", reason="they blocked us")
        orders.give("order-pause", job="spring")
        send(w, "waits@example.com")
        send(w, "job@example.com", job="spring", vmta="b")
        if how == "reload":
            w.reload(settings(max_smtp_out=3))
        for shard in range(shards) if how != "reload" else ():
            if how == "kill":
                w.crash(shard)
                w.begin(shard)
            else:
                w.restart(shard)
        w.advance(HOUR)
        assert mx.recipients == ["before@example.com"]
        send(w, "late@example.com")
        w.advance(MINUTE)
        assert mx.recipients == ["before@example.com"]
        assert [rule.why.reason for rule in w.node.orders.book.queues] == ["they blocked us"]
        orders.give("order-resume", queue="*")
        orders.give("order-resume", job="spring")
        w.run_until_empty(HOUR)
        assert sorted(mx.recipients[1:]) == ["job@example.com", "late@example.com", "waits@example.com"]


def test_the_last_rule_that_fits_a_queue_decides() -> None:
    with World(settings()) as w:
        ones, twos = w.domain("one.example"), w.domain("two.example")
        orders = WorldOrders(w)
        orders.give("order-pause", queue="*")
        orders.give("order-resume", queue="two.example/*")
        send(w, "u@one.example", "u@two.example")
        w.advance(MINUTE)
        assert (ones.recipients, twos.recipients) == ([], ["u@two.example"])
        orders.give("order-pause", queue="two.example/a")
        send(w, "v@two.example")
        send(w, "w@two.example", vmta="b")
        w.advance(MINUTE)
        assert twos.recipients == ["u@two.example", "w@two.example"]
        orders.give("order-resume", queue="*/*")
        assert orders.desk.book.queues == (), "what says nothing any more leaves the book"
        w.run_until_empty(HOUR)
        assert len(ones.recipients + twos.recipients) == 4


def test_without_a_virtual_mta_the_default_one_is_meant() -> None:
    with World(settings()) as w:
        mx = w.domain("example.com")
        orders = WorldOrders(w)
        orders.give("order-pause", queue="example.com")
        send(w, "a@example.com")
        w.submit(ME, ["default@example.com"])
        w.advance(MINUTE)
        assert mx.recipients == ["a@example.com"]


def test_a_pause_for_a_time_ends_by_itself_also_after_a_restart() -> None:
    with World(settings()) as w:
        mx = w.domain("example.com")
        orders = WorldOrders(w)
        told = orders.give("order-pause", queue="example.com/*", **{"for": "1h"})
        assert outcome(told).until == w.clock.now() + HOUR
        send(w, "u@example.com")
        w.advance(HOUR / 2)
        w.crash()
        w.begin()
        w.run_until_empty(HOUR)
        assert [round(at, -1) for at in mx.times] == [HOUR]
        told = orders.give("order-pause", job="j", **{"for": "10m"})
        send(w, "v@example.com", job="j")
        w.run_until_empty(HOUR)
        assert len(mx.recipients) == 2


def test_a_pause_that_ends_while_another_is_waited_for_takes_nothing_back() -> None:
    with World(settings()) as w:
        mx, standing = w.domain("example.com"), w.node.orders
        orders = WorldOrders(w)
        orders.give("order-pause", job="j", **{"for": "10m"})
        w.run(standing.lock.acquire())  # somebody passes over the queues
        task = w.loop.create_task(orders.giving("order-pause", queue="example.com/*"))
        w.run_until(lambda: bool(orders.desk.book.queues))
        w.advance(11 * MINUTE)
        standing.lock.release()
        assert w.run(task).ok
        send(w, "u@example.com")
        w.advance(HOUR)
        assert not mx.recipients


def test_what_is_in_flight_ends_and_what_comes_back_waits() -> None:
    with World(settings(max_smtp_out=1, max_msg_per_connection=1)) as w:
        mx = w.domain("example.com", rules=["eod first=1 delay=20 451 4.3.0 later"])
        orders = WorldOrders(w)
        send(w, "u@example.com", job="j")
        send(w, "v@example.com")
        w.advance(5)
        told = orders.give("order-pause", queue="example.com/a")
        assert any("in flight" in line for line in told.lines)
        orders.give("order-pause", job="j")
        w.advance(HOUR)
        assert len(mx.attempts) == 1
        queue = w.node.scheduler.queues[QueueKey("example.com", "a")]
        assert w.node.scheduler.why(queue, w.clock.now()) is WaitReason.SUSPENDED
        orders.give("order-resume", queue="example.com/a")
        w.advance(HOUR)
        assert mx.recipients == ["v@example.com"]
        assert w.node.scheduler.why(queue, w.clock.now()) is WaitReason.JOB_SUSPENDED
        orders.give("order-resume", job="j")
        w.run_until_empty(HOUR)
        assert mx.recipients == ["v@example.com", "u@example.com"]


@SHARDS
def test_a_job_is_paused_in_all_queues_and_the_others_go_on(shards: int) -> None:
    with World(settings(max_smtp_out=2), shards=shards) as w:
        receivers = [w.domain(name, rules=["eod delay=1"]) for name in ("one.example", "two.example")]
        orders = WorldOrders(w)
        for number in range(30):
            send(w, f"u{number}@one.example", f"u{number}@two.example", job=f"job{number % 3}", shard=number % shards)
        orders.give("order-pause", job="job1")
        before = {rcpt for mx in receivers for rcpt in mx.recipients}
        w.advance(HOUR)
        gone = {rcpt for mx in receivers for rcpt in mx.recipients}
        ones = {rcpt for rcpt in gone if int(rcpt[1:].partition("@")[0]) % 3 == 1}
        assert len(gone - ones) == 40
        assert len(ones - before) <= 4, "but for what was in flight nothing of it went"
        send(w, "late@one.example", job="job1")
        w.advance(HOUR)
        assert not any(rcpt.startswith("late@") for mx in receivers for rcpt in mx.recipients)
        orders.give("order-resume", job="job1")
        w.run_until_empty(HOUR)
        assert sum(len(mx.recipients) for mx in receivers) == 61
        assert not any(queue.aside for node in w.nodes for queue in node.scheduler.queues.values())


def test_mail_stays_in_a_paused_queue_that_is_in_backoff_mode_with_a_refuge() -> None:
    with World(settings(backoff_reroute_to_virtual_mta="b")) as w:
        mx = w.domain("example.com")
        orders = WorldOrders(w)
        orders.give("order-pause", queue="example.com/a")
        send(w, "u@example.com")
        node = w.node
        node.scheduler.back_off(node.scheduler.queues[QueueKey("example.com", "a")], w.clock.now(), "a test")
        send(w, "v@example.com")
        w.advance(HOUR)
        assert not mx.recipients
        orders.give("order-resume", queue="example.com/a")
        w.run_until_empty(HOUR)
        assert len(mx.recipients) == 2


@pytest.mark.parametrize("order", ["order-pause", "order-delete"])
def test_of_a_mail_merge_each_recipient_has_a_job_of_its_own(order: str) -> None:
    free = source(ANYBODY, always_allow_relaying=True, allow_mailmerge=True)
    with World(relay(free, domain("*", retry_after=(10 * MINUTE,)))) as w:
        mx = w.domain("example.com")
        mx.down = Fault.REFUSED
        orders = WorldOrders(w)
        talk(w, merge({"a@example.com": {"*jobid": "one"}, "b@example.com": {"*jobid": "two"}}, "Subject: n\n\nhello\n"))
        w.advance(MINUTE)
        assert outcome(orders.give(order, job="one")).tally.recipients == 1  # type: ignore[union-attr]
        mx.down = None
        w.advance(HOUR)
        assert mx.recipients == ["b@example.com"]
        orders.give("order-resume", job="one")
        w.run_until_empty(HOUR)
        assert len(mx.recipients) == (2 if order == "order-pause" else 1)


# -- deleting -------------------------------------------------------------------------------------


@SHARDS
def test_deleted_mail_is_accounted_for_and_nobody_is_sent_a_report(shards: int) -> None:
    with World(settings(), shards=shards) as w:
        mx = w.domain("example.com")
        home = w.domain("sender.example")
        mx.down = Fault.REFUSED
        orders = WorldOrders(w)
        for number in range(6):
            send(w, f"u{number}@example.com", f"v{number}@example.com", job=f"job{number % 2}", shard=number % shards)
        w.advance(MINUTE)
        dry = outcome(orders.give("order-delete", job="job0", dry_run="yes"))
        assert dry.tally is not None
        assert (dry.tally.recipients, dry.tally.messages) == (6, 3)
        assert not w.of("b"), "a dry run does nothing"
        done = outcome(orders.give("order-delete", job="job0", reason="a mistake"))
        assert done.tally is not None
        assert (done.tally.recipients, done.tally.messages, done.tally.octets) == (6, 3, dry.tally.octets)
        records = w.of("b")
        assert {(one.dsn_diag, one.dsn_status, one.job_id) for one in records} == {("x-pmta;deleted by administrator", "5.0.0", "job0")}
        assert len(records) == 6
        assert sum(spool.status().live for spool in w.spools) == 3
        mx.down = None
        w.run_until_empty(HOUR)
        assert len(mx.recipients) == 6
        assert {rcpt[1] for rcpt in mx.recipients} == set("135")
        assert not home.recipients


def test_with_dsn_senders_hear_of_it_and_without_accounting_no_row_is_written() -> None:
    with World(settings()) as w:
        w.domain("example.com").down = Fault.REFUSED
        home = w.domain("sender.example")
        orders = WorldOrders(w)
        send(w, "u@example.com", job="told")
        send(w, "v@example.com", job="quiet")
        w.advance(MINUTE)
        orders.give("order-delete", job="told", dsn="yes")
        orders.give("order-delete", job="quiet", no_accounting="yes")
        w.run_until_empty(HOUR)
        assert [record.rcpt for record in w.of("b")] == ["u@example.com"]
        [report] = home.messages
        assert b"Final-Recipient: rfc822;u@example.com" in report.content
        assert b"deleted by administrator" in report.content


def test_by_recipient_sender_envelope_id_and_age() -> None:
    with World(settings()) as w:
        w.domain("example.com").down = Fault.REFUSED
        orders = WorldOrders(w)
        send(w, "old@example.com")
        w.advance(2 * HOUR)
        send(w, "one@example.com", "two@example.com", "Three@example.com", envid="E1")
        send(w, "x@example.com", sender="boss@sender.example")
        for arguments, gone in (
            ({"rcpt": "T*@example.com"}, {"two@example.com", "Three@example.com"}),
            ({"orig": "boss@sender.example"}, {"x@example.com"}),
            ({"envid": "e1"}, set()),
            ({"older_than": "1h"}, {"old@example.com"}),
            ({"envid": "E1"}, {"one@example.com"}),
        ):
            before = {record.rcpt for record in w.of("b")}
            told = orders.give("order-delete", queue="*/*", **arguments)
            assert {record.rcpt for record in w.of("b")} - before == gone, arguments
            assert outcome(told).tally.recipients == len(gone)  # type: ignore[union-attr]
        assert not w.node.spool.status().live


@SHARDS
def test_one_message_is_cancelled_and_however_many_are_the_last_is_not_forgotten(shards: int) -> None:
    with World(settings(), shards=shards) as w:
        mx = w.domain("example.com", rules=["eod:u3@* first=1 delay=30 451 4.3.0 later"])
        mx.down = Fault.REFUSED
        orders = WorldOrders(w)
        for number in range(6):
            send(w, f"u{number}@example.com", shard=number % shards)
        w.advance(MINUTE)
        ids = {row.rcpt[1]: row.message for row in rows(orders.give("order-list")).rows}
        assert outcome(orders.give("order-delete", message=ids["2"])).tally.recipients == 1  # type: ignore[union-attr]
        if shards == 1:
            assert orders.desk.book.mail[0].why.until == w.clock.now() + MINUTE, "nothing of it is in flight"
        mx.down = None
        orders.give("order-schedule", queue="*", retry_recipients="yes")
        w.advance(10)
        for name in ("0", "3", "4"):
            assert orders.give("order-delete", message=ids[name]).ok
        w.run_until_empty(HOUR)
        assert {rcpt for kind, rcpt in w.fates() if kind == "b"} == {"u2@example.com", "u3@example.com"}
        assert sorted(mx.recipients) == [f"u{number}@example.com" for number in (0, 1, 4, 5)]


def test_whose_mail_must_be_said() -> None:
    with World(settings()) as w:
        told = WorldOrders(w).give("order-delete", rcpt="u@example.com")
        assert not told.ok
        assert "--queue or --jobId" in told.lines[0]


@SHARDS
@pytest.mark.parametrize("reply", ["451 4.3.0 later", "250 2.0.0 thanks"])
def test_what_is_in_flight_ends_its_attempt_and_is_not_tried_again(shards: int, reply: str) -> None:
    with World(settings(), shards=shards) as w:
        mx = w.domain("example.com", rules=[f"eod first=1 delay=30 {reply}"])
        orders = WorldOrders(w)
        for shard in range(shards):
            send(w, f"u{shard}@example.com", shard=shard)
        w.advance(5)
        told = orders.give("order-delete", queue="example.com/a")
        assert any("in flight" in line for line in told.lines)
        w.run_until_empty(2 * HOUR)
        fates = w.fates()
        assert sum(fates.values()) == shards, "each has one row"
        assert len(mx.attempts) == shards
        delivered = sum(kind == "d" for kind, _ in fates)
        assert delivered == len(mx.recipients)
        if reply.startswith("451"):
            assert {record.dsn_diag for record in w.of("b")} >= {"x-pmta;deleted by administrator"}


def test_nor_after_a_crash() -> None:
    with World(settings()) as w:
        mx = w.domain("example.com", rules=["eod delay=30"])
        orders = WorldOrders(w)
        send(w, "u@example.com")
        w.advance(5)
        orders.give("order-delete", queue="example.com/a")
        w.crash()
        w.begin()
        w.run_until_empty(HOUR)
        assert w.fates() == {("b", "u@example.com"): 1}
        assert len(mx.attempts) == 1


def test_an_order_that_ends_while_the_spool_is_read_is_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = StandingOrders.begin

    async def late(standing: StandingOrders) -> None:
        await asyncio.sleep(MINUTE)  # that long it takes to read
        await begin(standing)

    monkeypatch.setattr(StandingOrders, "begin", late)
    with World(settings()) as w:
        w.domain("example.com").down = Fault.REFUSED
        send(w, "u@example.com")
        w.advance(5)
        meant = Selection("example.com/a", newest=w.node.ids.horizon)
        w.crash()
        order = MailOrder(0, meant, Why(until=w.clock.now() + MINUTE / 2))
        WorldOrders(w).desk.change(lambda book: with_mail(book, order))
        w.begin()
        w.run_until_empty(MINUTE)
        assert w.fates() == {("b", "u@example.com"): 1}


def test_mail_of_a_shard_that_was_down_is_deleted_when_it_comes_back() -> None:
    with World(settings(), shards=2) as w:
        mx = w.domain("example.com")
        mx.down = Fault.REFUSED
        orders = WorldOrders(w)
        send(w, "one@example.com", shard=0)
        send(w, "two@example.com", shard=1)
        w.advance(MINUTE)
        w.crash(1)
        orders.down = {1}
        told = orders.give("order-delete", queue="*")
        assert not told.ok
        assert "1 of 2 shards do not answer" in told.lines[-1]
        orders.down = set()
        w.begin(1)
        mx.down = None
        w.run_until_empty(HOUR)
        assert not mx.recipients
        assert w.fates() == {("b", "one@example.com"): 1, ("b", "two@example.com"): 1}
        send(w, "three@example.com")
        w.run_until_empty(HOUR)
        assert mx.recipients == ["three@example.com"], "new mail is not meant"


@pytest.mark.parametrize("stores", [True, False])
def test_the_order_stands_on_when_it_is_not_known_that_the_keeper_of_the_mail_has_stored_it(
    stores: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not stores:
        monkeypatch.setattr(Exchange, "_say_stored", lambda *arguments: None)
    with World(settings(), shards=2) as w:
        w.domain("example.com").down = Fault.REFUSED
        orders = WorldOrders(w)
        for shard in (0, 1):
            send(w, "u@example.com", shard=shard)
        w.advance(MINUTE)
        given = w.clock.now()
        assert outcome(orders.give("order-delete", queue="example.com/a")).tally.recipients == 2  # type: ignore[union-attr]
        stands = orders.desk.book.mail[0].why.until - given  # type: ignore[operator]
        assert stands < 2 * GRACE if stores else stands == STANDS


def test_what_is_damaged_can_be_deleted() -> None:
    with World(settings()) as w:
        w.domain("example.com").down = Fault.REFUSED
        orders = WorldOrders(w)
        send(w, "u@example.com")
        w.advance(MINUTE)
        [(message_id, _)] = w.node.spool.live()
        w.spools[0].damaged.add(message_id)
        orders.give("order-delete", queue="*")
        assert not w.node.spool.status().live


# -- looking, trying now, priorities -----------------------------------------------------------------


@SHARDS
def test_a_list_of_what_waits(shards: int) -> None:
    with World(settings(), shards=shards) as w:
        w.domain("example.com").down = Fault.REFUSED
        orders = WorldOrders(w)
        for number in range(7):
            send(w, f"u{number}@example.com", job="j" if number % 2 else "", shard=number % shards, envid=f"E{number}")
        w.advance(MINUTE)
        page = rows(orders.give("order-list"))
        assert [row.rcpt for row in page.rows] == sorted(f"u{number}@example.com" for number in range(7))
        assert (page.rows[0].orig, page.rows[0].envid, page.rows[0].job, page.more) == (ME, "E0", "", False)
        page = rows(orders.give("order-list", maxitems="2", job="j"))
        assert (len(page.rows), page.more) == (2, True)
        orders.give("order-pause", job="j")
        page = rows(orders.give("order-list", paused="yes"))
        assert {row.rcpt[1] for row in page.rows} == set("135")
        told = orders.give("order-list", rcpt="u1@*", schedule="yes", priority="yes")
        assert told.lines[0].split()[-3:] == ["prio", "next", "try"]
        assert told.lines[2].split()[-2:] == ["50", "paused"]


def test_queues_are_tried_now_and_their_recipients_if_that_is_asked() -> None:
    with World(settings(retry_after=(2 * HOUR,))) as w:
        slow = w.domain("slow.example", rules=["rcpt first=1 450 4.2.0 later"])
        down = w.domain("down.example")
        down.down = Fault.REFUSED
        orders = WorldOrders(w)
        send(w, "u@slow.example")
        send(w, "u@down.example")
        w.advance(MINUTE)
        down.down = None
        assert orders.give("order-schedule", queue="*", dry_run="yes").lines[0] == "1 of 2 matching queues would be scheduled."
        assert orders.give("order-schedule", queue="*").lines[0] == "1 of 2 matching queues scheduled."
        w.advance(MINUTE)
        assert (down.recipients, slow.recipients) == (["u@down.example"], [])
        told = orders.give("order-schedule", queue="slow.example/*", retry_recipients="yes")
        assert told.lines[0] == "1 of 1 matching queues scheduled."
        w.advance(MINUTE)
        assert slow.recipients == ["u@slow.example"]


def test_what_a_sender_has_put_off_is_not_tried_before_its_time() -> None:
    free = source(ANYBODY, always_allow_relaying=True, process_x_schedule=True)
    with World(relay(free, domain("*"))) as w:
        mx = w.domain("example.com")
        orders = WorldOrders(w)
        assert w.submit(ME, ["u@example.com"], extras=MailExtras(hold_for=3600)).accepted
        w.advance(MINUTE)
        told = orders.give("order-schedule", queue="*", retry_recipients="yes")
        assert told.lines[0] == "0 of 1 matching queues scheduled."
        w.run_until_empty(2 * HOUR)
        assert [round(at, -1) for at in mx.times] == [HOUR]


def test_a_priority_is_for_what_waits_and_survives() -> None:
    with World(settings(max_smtp_out=1)) as w:
        mx = w.domain("example.com")
        mx.down = Fault.REFUSED
        orders = WorldOrders(w)
        for number in range(5):
            send(w, f"u{number}@example.com", job=f"j{number}")
        w.advance(MINUTE)
        told = orders.give("order-priority", job="j3", priority="90")
        assert told.lines[0].startswith("Priority 90 set for 1 recipient of 1 message in 1 queue")
        assert rows(orders.give("order-list", job="j3")).rows[0].priority == 90
        w.crash()
        w.begin()
        mx.down = None
        w.run_until_empty(HOUR)
        assert mx.recipients[0] == "u3@example.com"
        assert len(mx.recipients) == 5


@pytest.mark.parametrize(
    ("verb", "arguments", "said"),
    [
        ("order-priority", {"priority": "101", "job": "j"}, "no priority"),
        ("order-priority", {"priority": "0000000101", "job": "j"}, "no priority"),
        ("order-priority", {"priority": "50"}, "say whose mail"),
        ("order-priority", {"priority": "50", "job": "j", "orig": ""}, "orig is empty"),
        ("order-delete", {"queue": "*/*", "rcpt": ""}, "rcpt is empty"),
        ("order-delete", {"queue": "*/*", "job": " "}, "job is empty"),
        ("order-delete", {"queue": "*/*", "older-than": ""}, "older-than is empty"),
        ("order-delete", {"queue": "*/*", "rcpt": "x" * 499 + "*" + "@example.com"}, "500 characters"),
        ("order-pause", {"job": "spring*"}, "one job"),
        ("order-pause", {"queue": "*", "for": "soon"}, "no time"),
        ("order-pause", {"queue": "x" * 501}, "500 characters"),
        ("order-pause", {}, "say which queue"),
        ("order-resume", {"queue": " "}, "say which queue"),
        ("order-pause", {"job": ""}, "say which job"),
        ("order-schedule", {}, "say which queue"),
        ("order-list", {"maxitems": "many"}, "no number"),
        ("order-delete", {"queue": "*", "older_than": "yesterday"}, "no time"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_done(verb: str, arguments: dict[str, str], said: str) -> None:
    with World(settings()) as w:
        orders = WorldOrders(w)
        told = orders.give(verb, **arguments)
        assert not told.ok
        assert said in told.lines[0]
        assert orders.desk.book.queues == orders.desk.book.mail == ()


# -- queues and secrets --------------------------------------------------------------------------------


def asked(w: World, verb: str, **arguments: str) -> list[str]:
    """An order about queues, at the first shard; names of queues."""
    body = QUEUE_VERBS[verb](w.node, {name.replace("_", "-"): value for name, value in arguments.items()})
    return msgspec.json.decode(body) if body else []


def test_modes_and_addresses_have_a_dry_run_and_modes_an_end() -> None:
    two = VmtaSettings("m", smtp_source_host=(SourceHostRule("192.0.2.10", "one.example"), SourceHostRule("192.0.2.11", "two.example")))
    with World(relay(domain("*"), two, source(ANYBODY, always_allow_relaying=True, default_virtual_mta="m"))) as w:
        w.domain("example.com").down = Fault.REFUSED
        w.submit(ME, ["u@example.com"])
        w.advance(MINUTE)
        queue = w.node.scheduler.queues[QueueKey("example.com", "m")]
        name = ["example.com/m"]
        assert asked(w, "set-mode", queue="*", mode="backoff", dry_run="yes") == name
        assert asked(w, "set-mode", queue="", mode="backoff") == []
        assert queue.backoff is None
        assert asked(w, "set-mode", queue="example.com/*", mode="backoff", **{"for": "30m"}, reason="a test") == name
        assert queue.backoff is not None
        assert (queue.backoff.reason, queue.backoff.until) == ("by an operator: a test", w.clock.now() + 30 * MINUTE)
        assert asked(w, "disable-source", queue="*", source="192.0.2.10", dry_run="yes") == name
        assert asked(w, "disable-source", queue="*", source="192.0.2.99", dry_run="yes") == []
        assert asked(w, "enable-source", queue="*", source="192.0.2.10", dry_run="yes") == []
        assert asked(w, "disable-source", queue="*", source="192.0.2.10", after="2h") == name
        assert asked(w, "enable-source", queue="*", source="192.0.2.10", dry_run="yes") == name
        assert [one.address for one in w.node.disabled.listed()[0]] == ["192.0.2.10"]
        with pytest.raises(ValueError, match="no time"):
            asked(w, "set-mode", queue="*", mode="backoff", **{"for": "soon"})


def test_secrets_are_fetched_anew_and_counters_begin_at_nought() -> None:
    with World(settings()) as w:
        orders = WorldOrders(w)
        w.node.vault._keep("{vault}:/kv/data/dkim:pem", Broken("old"), w.clock.now() + HOUR)
        told = orders.give("order-secrets")
        assert (told.lines, msgspec.json.decode(told.body)) == (["Secrets cache cleared."], {"cleared": 1})
        w.advance(HOUR)
        orders.traffic.heard(0, Figures(in_msgs=7), (1, 2), (3, 4))
        assert orders.give("order-reset").lines == ["Traffic counters reset."]
        assert (orders.traffic.view().total, orders.traffic.view().since) == (Figures(), w.clock.now())
