"""Stories of `smtp-pattern-list`: what a receiver's reply does to its queue, and how a queue sends in backoff mode. Times are simulated."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from postwright.model.work import QueueKey
from postwright.policy.settings import Rate, ReplyAction, ReplyRule
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

MINUTE, HOUR = 60.0, 3600.0
ME, YOU = "me@sender.example", "you@example.com"
BACKOFF = ReplyAction(mode="backoff")


def world(*rules: tuple[str, ReplyAction], **directives: object) -> World:
    """A relay whose queues have these rules, and retry every 10 minutes, every hour in backoff mode."""
    lists = {"l": tuple(ReplyRule(f"/{pattern}/", action) for pattern, action in rules)}
    settings = {"smtp_pattern_list": "L", "retry_after": (10 * MINUTE,), "backoff_retry_after": (HOUR,), **directives}
    return World(relay(domain("*", **settings), smtp_pattern_lists=lists))


def mode(world: World) -> str:
    queue = world.nodes[0].scheduler.queues.get(QueueKey("example.com", "{default}"))
    return "gone" if queue is None else "backoff" if queue.backoff is not None else "normal"


def send(world: World, names: Iterable[object]) -> None:
    for name in names:
        world.submit(ME, [f"{name}@example.com"])


def most_in_any(times: list[float], interval: float) -> int:
    return max(sum(1 for other in times if at <= other < at + interval) for at in times)


@pytest.mark.directive("smtp-pattern-list", "reply", "backoff-retry-after")
def test_backoff_mode_does_not_make_the_queue_wait_but_changes_when_it_tries_again() -> None:
    with world(("RP-001", BACKOFF), max_smtp_out=1) as w:
        mx = w.domain("example.com", rules=["rcpt:you@* first=2 421 RP-001 unusual rate"])
        w.submit(ME, [YOU])
        send(w, ["other"])
        w.advance(5 * MINUTE)
        assert mode(w) == "backoff"
        assert mx.recipients == ["other@example.com"], "the rest goes on at once"
        w.run_until_empty()
        assert mx.recipients[-1] == YOU
        assert [round(record.time_logged) for record in w.of("t")][1] - round(w.of("t")[0].time_logged) == HOUR


def test_without_a_rule_that_fits_nothing_changes() -> None:
    with world(("RP-002", BACKOFF)) as w:
        w.domain("example.com", rules=["rcpt first=1 421 RP-001 unusual rate"])
        w.submit(ME, [YOU])
        w.advance(5 * MINUTE)
        assert mode(w) == "normal"
        assert 10 * MINUTE <= w.run_until_empty() < 11 * MINUTE


@pytest.mark.directive("reply")
def test_the_first_rule_that_fits_counts() -> None:
    with world(("rate", ReplyAction(mode="normal")), ("unusual rate", BACKOFF)) as w:
        w.domain("example.com", rules=["rcpt first=1 421 unusual rate"])
        w.submit(ME, [YOU])
        w.advance(5 * MINUTE)
        assert mode(w) == "normal"


@pytest.mark.directive("backoff-max-msg-rate", "backoff-max-smtp-out")
def test_rate_and_connections_in_backoff_mode() -> None:
    limits = {"max_smtp_out": 4, "backoff_max_smtp_out": 1, "backoff_max_msg_rate": Rate(6, MINUTE), "backoff_to_normal_after": HOUR}
    with world(("slow down", BACKOFF), **limits) as w:
        mx = w.domain("example.com", rules=["rcpt:first@* first=1 450 slow down", "eod delay=1"])
        send(w, ["first"])
        w.advance(1)
        send(w, range(60))
        w.advance(10 * MINUTE)
        times = [message.at for message in mx.messages]
        assert mx.counts.most_open == 1
        assert most_in_any(times, MINUTE) <= 6
        assert len(times) >= 55, "and the rate is used"


@pytest.mark.directive("backoff-max-smtp-out")
def test_connections_beyond_the_limit_of_backoff_mode_end_with_their_message() -> None:
    with world(("slow down", BACKOFF), max_smtp_out=4, backoff_max_smtp_out=1) as w:
        mx = w.domain("example.com", rules=["rcpt:6@* first=1 450 slow down", "eod delay=10"])
        send(w, range(40))
        w.advance(60)
        assert mx.counts.most_open > 1
        assert mode(w) == "backoff"
        queue = w.nodes[0].scheduler.queues[QueueKey("example.com", "{default}")]
        assert queue.connections + queue.opening == 1


@pytest.mark.directive("backoff-to-normal-after")
def test_backoff_mode_ends_after_its_time_and_the_rule_has_the_last_word_on_it() -> None:
    action = ReplyAction(mode="backoff", backoff_to_normal_after=20 * MINUTE)
    with world(("slow down", action), backoff_to_normal_after=2 * HOUR) as w:
        w.domain("example.com", rules=["rcpt first=1 450 slow down"])
        w.submit(ME, [YOU])
        w.advance(19 * MINUTE)
        assert mode(w) == "backoff"
        w.advance(2 * MINUTE)
        assert mode(w) == "normal"


@pytest.mark.directive("backoff-to-normal-after-delivery")
def test_backoff_mode_ends_with_a_delivery_if_told_so_and_not_with_one_that_was_under_way() -> None:
    with world(("slow down", BACKOFF), backoff_to_normal_after_delivery=True, max_smtp_out=2) as w:
        w.domain("example.com", rules=["rcpt:late@* first=1 450 slow down", "eod delay=60"])
        send(w, ["underway"])
        w.advance(10)
        send(w, ["late"])
        w.advance(2 * MINUTE)
        assert mode(w) == "backoff", "that one was begun before"
        send(w, ["next"])
        w.advance(2 * MINUTE)
        assert mode(w) == "normal"


@pytest.mark.directive("reply")
def test_mode_normal_by_a_positive_reply() -> None:
    with world(("slow down", BACKOFF), ("^250 .*welcome back", ReplyAction(mode="normal"))) as w:
        w.domain("example.com", rules=["rcpt:a@* first=1 450 slow down", "rcpt:b@* 250 welcome back"])
        send(w, ["a"])
        w.advance(MINUTE)
        assert mode(w) == "backoff"
        send(w, ["b"])
        w.advance(MINUTE)
        assert mode(w) == "normal"


def test_a_greeting_is_a_reply_too() -> None:
    with world(("^421 busy", BACKOFF)) as w:
        mx = w.domain("example.com", rules=["connect first=1 421 busy here"])
        w.submit(ME, [YOU])
        w.advance(MINUTE)
        assert mode(w) == "backoff"
        w.run_until_empty()
        assert mx.times == [0, HOUR], "the queue is in retry by its own failure, at backoff mode's times"


@pytest.mark.directive("reply")
def test_defer_queue_puts_the_queue_in_retry() -> None:
    with world(("go away", ReplyAction(defer_queue=True)), max_smtp_out=1) as w:
        mx = w.domain("example.com", rules=["rcpt:a@* first=1 450 go away"])
        send(w, ["a"])
        w.advance(10)
        send(w, ["b"])
        w.advance(9 * MINUTE)
        assert mx.recipients == []
        w.run_until_empty()
        assert sorted(mx.recipients) == ["a@example.com", "b@example.com"]
        assert min(message.at for message in mx.messages) >= 10 * MINUTE


def test_a_delivery_that_was_under_way_does_not_end_what_defer_queue_began() -> None:
    with world(("go away", ReplyAction(defer_queue=True)), max_smtp_out=2) as w:
        mx = w.domain("example.com", rules=["rcpt:a@* first=1 450 go away", "eod delay=60"])
        send(w, ["underway"])
        w.advance(10)
        send(w, ["a"])
        w.advance(2 * MINUTE)
        send(w, ["b"])
        w.advance(5 * MINUTE)
        assert mx.recipients == ["underway@example.com"]


@pytest.mark.directive("reply")
def test_bounce_queue_fails_all_that_is_queued_and_what_waits_for_its_time() -> None:
    with world(("blocked for good", ReplyAction(bounce_queue=True)), max_smtp_out=1, backoff_max_smtp_out=1) as w:
        mx = w.domain("example.com", rules=["rcpt:waits@* 450 later", "rcpt:b@* 451 blocked for good"])
        w.domain("sender.example")
        send(w, ["waits"])
        w.advance(MINUTE)
        send(w, ["b", "c", "d"])
        w.advance(MINUTE)
        bounced = {record.rcpt: record.dsn_diag for record in w.of("b")}
        assert set(bounced) >= {"waits@example.com", "b@example.com"}
        assert set(bounced) | set(mx.recipients) == {f"{name}@example.com" for name in ("waits", "b", "c", "d")}
        assert set(bounced.values()) == {"smtp;451 blocked for good"}
        assert {record.dsn_status[0] for record in w.of("b")} == {"5"}


@pytest.mark.directive("reply")
def test_bounce_rcpt_is_for_4xx_to_that_recipient_only() -> None:
    with world(("full", ReplyAction(bounce_rcpt=True))) as w:
        w.domain("sender.example")
        w.domain("example.com", rules=["rcpt:a@* 452 mailbox full", "mail:other@* first=1 452 disk full"])
        w.submit(ME, ["a@example.com", "b@example.com"])
        w.submit("other@sender.example", ["c@example.com"])
        w.advance(MINUTE)
        assert [(record.rcpt, record.dsn_status[0]) for record in w.of("b")] == [("a@example.com", "5")]
        assert [record.rcpt for record in w.of("t")] == ["c@example.com"]


@pytest.mark.directive("reply")
def test_skip_mx_takes_the_next_host_at_once() -> None:
    with world(("not here", ReplyAction(skip_mx=True))) as w:
        first = w.host("mx1.example.com", ["rcpt 550 not here"])
        second = w.host("mx2.example.com")
        w.mx("example.com", "mx1.example.com", "mx2.example.com")
        w.submit(ME, [YOU])
        assert w.run_until_empty() < MINUTE
        assert (first.recipients, second.recipients) == ([], [YOU])
        assert not w.of("t")
        assert not w.of("b")


def test_skip_mx_at_the_last_host_leaves_the_reply_its_meaning() -> None:
    with world(("not here", ReplyAction(skip_mx=True))) as w:
        w.domain("sender.example")
        hosts = [w.host(f"mx{number}.example.com", ["rcpt 550 not here"]) for number in (1, 2)]
        w.mx("example.com", "mx1.example.com", "mx2.example.com")
        w.submit(ME, [YOU])
        w.run_until_empty()
        assert [len(host.attempts) for host in hosts] == [1, 1]
        assert [record.rcpt for record in w.of("b")] == [YOU]


@pytest.mark.directive("replace-smtp-421-service-response")
@pytest.mark.parametrize("replaced", [False, True])
def test_a_bounce_by_a_421_says_what_the_operator_wants(replaced: bool) -> None:
    with world(("blocked", ReplyAction(bounce_queue=True)), replace_smtp_421_service_response=replaced) as w:
        w.domain("example.com", rules=["mail 421 4.7.0 [198.51.100.7] blocked for spam"])
        home = w.domain("sender.example")
        w.submit(ME, [YOU])
        w.run_until_empty()
        [report] = home.messages
        assert (b"blocked for spam" in report.content) != replaced
        assert (b"Service not available" in report.content) == replaced
        assert "blocked for spam" in w.of("b")[0].dsn_diag, "the record is for the operator"


@pytest.mark.directive("backoff-max-connect-rate")
def test_connect_rate_in_backoff_mode() -> None:
    with world(("RP-001", BACKOFF), backoff_max_connect_rate=Rate(2, MINUTE), max_msg_per_connection=1, backoff_retry_after=(1.0,)) as w:
        mx = w.domain("example.com", rules=["rcpt first=1 421 RP-001 unusual rate"])
        w.submit(ME, [YOU])
        w.advance(1)
        assert mode(w) == "backoff"
        send(w, range(10))
        w.run_until_empty()
        assert most_in_any([attempt.at for attempt in mx.attempts[1:]], MINUTE) == 2
        assert mx.attempts[-1].at >= 4 * MINUTE
