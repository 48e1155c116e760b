"""Stories of mail to providers as they are: greylisting, deferrals, blocks, tarpits, TLS that does not work. Times are simulated.

Judged is what the receivers saw (`Providers.ledger`) and what the relay recorded.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from postwright.model.work import QueueKey, WaitReason
from postwright.policy.settings import Rate, ReplyAction, ReplyRule, SourceHostRule
from postwright.testing.provider_host import most_at_once, most_within
from postwright.testing.provider_map import COMPANIES, GOOGLE, MICROSOFT, MIMECAST_COM, ORANGE_FR, PPHOSTED, XFINITY, YAHOO_INC
from postwright.testing.providers import Providers
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay, vmta

MINUTE, HOUR = 60.0, 3600.0
ME = "me@sender.example"
KIND = {"unknown": 0.0, "full": 0.0, "complaints": 0.0}  # no mailbox is missing or full, nobody complains


def world(*blocks: Any, seed: int = 1, **more: Any) -> tuple[World, Providers]:
    """A relay with these blocks, a home for its senders, and room for providers."""
    made = World(relay(*blocks, **more), seed=seed)
    made.domain("sender.example")
    return made, Providers(made, seed)


def mail(world: World, domain: str, count: int, begin: int = 0, **options: Any) -> None:
    """That many messages, one after the other."""
    for number in range(begin, begin + count):
        world.submit(ME, [f"user{number}@{domain}"], **options)


def burst(world: World, domain: str, count: int, **options: Any) -> None:
    """That many messages, all of them at once."""

    async def all_at_once() -> None:
        await asyncio.gather(*[world.submitting(ME, [f"user{number}@{domain}"], **options) for number in range(count)])

    world.run(all_at_once())


def why(world: World, domain: str) -> WaitReason:
    scheduler = world.node.scheduler
    queue = scheduler.queues.get(QueueKey(domain, "{default}"))
    return WaitReason.NONE if queue is None else scheduler.why(queue, world.clock.now())


@pytest.mark.directive("retry-after", "retry-recipients-after")
def test_greylisting_lets_the_second_try_pass_and_mail_is_as_late_as_the_retry_says() -> None:
    w, town = world(domain("*", retry_after=(HOUR,), retry_recipients_after=15 * MINUTE))
    with w:
        town.settle(MIMECAST_COM, "firm.example", **KIND, greylist=MINUTE)
        w.submit(ME, ["one@firm.example", "two@firm.example"])
        assert 15 * MINUTE <= w.run_until_empty() < 16 * MINUTE
        assert town.refusals() == Counter({("mimecast", "rcpt 451"): 2})
        assert Counter(town.ledger.recipients()) == Counter(["one@firm.example", "two@firm.example"])
        assert not w.of("b")
        assert "Internal resource temporarily unavailable" in w.of("t")[0].dsn_diag


def test_greylisting_goes_by_the_source_address_and_a_pool_that_changes_it_is_told_so_again() -> None:
    """Who sends from two addresses in turn is new twice; the relay's retries get through all the same."""
    w, town = world(domain("*", retry_after=(10 * MINUTE,)), vmta("a", "192.0.2.10"), vmta("b", "192.0.2.11"))
    with w:
        town.settle(MIMECAST_COM, "firm.example", **KIND)
        for name in "ab":
            w.submit(ME, ["one@firm.example"], headers={"x-virtual-mta": name})
        w.run_until_empty()
        assert town.refusals() == Counter({("mimecast", "rcpt 451"): 2})
        assert [taken.source for taken in town.ledger.taken] == ["192.0.2.10", "192.0.2.11"]


def deferred_by_yahoo(seed: int = 1, **directives: Any) -> tuple[World, Providers]:
    """A sender too fast for Yahoo: 900 messages, where 600 an hour pass."""
    rule = ReplyRule("/TSS04/", ReplyAction(mode="backoff", defer_queue=True))
    slower = {"backoff_max_smtp_out": 1, "backoff_max_msg_rate": Rate(1, MINUTE), "backoff_to_normal_after": 2 * HOUR}
    usual = {"smtp_pattern_list": "yahoo", "retry_after": (MINUTE,), "max_smtp_out": 4, "max_msg_per_connection": 20}
    settings = {**usual, **slower, "backoff_retry_after": (20 * MINUTE,), **directives}
    w, town = world(domain("*", **settings), seed=seed, smtp_pattern_lists={"yahoo": (rule,)})
    town.settle(YAHOO_INC, "yahoo.com", **KIND)
    mail(w, "yahoo.com", 900)
    return w, town


@pytest.mark.directive("mode", "backoff-max-msg-rate", "backoff-retry-after", "backoff-to-normal-after")
def test_yahoo_defers_and_the_queue_slows_down_and_comes_back() -> None:
    w, town = deferred_by_yahoo()
    with w:
        w.run_until(lambda: bool(town.refusals()), within=HOUR)
        first = town.ledger.events[0]
        assert (first.detail, len(town.ledger.recipients())) == ("mail 421", 600)
        w.advance(1)
        queue = w.node.scheduler.queues[QueueKey("yahoo.com", "{default}")]
        assert queue.backoff is not None
        w.advance(2 * HOUR - MINUTE)
        during = [taken.at for taken in town.ledger.taken if taken.at > first.at]
        assert len(during) >= 40, "Yahoo takes mail again after an hour"
        assert most_within(during, MINUTE) <= 1
        w.run_until_empty(within=6 * HOUR)
        assert len(town.ledger.recipients()) == 900
        assert town.refusals()["yahoo", "mail 421"] < 20, "who goes on at full speed is refused again and again"
        assert most_at_once(town.ledger.visits) <= 4
        modes = [line.fields["mode"] for line in w.log if line.event == "mode of a queue"]
        assert modes[0] == "backoff"
        assert not w.of("b")


def test_without_the_pattern_yahoo_is_asked_again_and_again_and_blocks() -> None:
    """What backoff mode is for: the same mail without it."""
    w, town = deferred_by_yahoo(smtp_pattern_list="")
    with w:
        w.advance(HOUR)
        assert town.refusals()["yahoo", "mail 421"] >= 30
        assert [event.detail for event in town.ledger.events if event.what == "blocked"] == ["rate"]


def test_a_tarpit_holds_its_own_queue_and_no_other() -> None:
    w, town = world(domain("*", max_smtp_out=2), general={"total_max_smtp_out": 10})
    with w:
        town.settle(COMPANIES, "slow.example", **KIND, greylist=0.0, tarpit=60.0, tls="")
        town.settle(GOOGLE, "gmail.com", **KIND)
        mail(w, "slow.example", 50)
        mail(w, "gmail.com", 200)
        w.run_until(lambda: len(town.ledger.recipients("google")) == 200, within=30.0)
        assert town.ledger.recipients("companies") == []
        assert why(w, "slow.example") is WaitReason.QUEUE_CONNECTIONS
        w.run_until_empty(within=HOUR)
        assert len(town.ledger.recipients("companies")) == 50
        assert most_at_once(town.ledger.chosen(provider="companies")) <= 2


@pytest.mark.parametrize("tls", ["refused", "broken"])
def test_mail_to_hosts_whose_tls_does_not_work_goes_in_the_clear_unless_it_must_not(tls: str) -> None:
    must = domain("strict.example", require_starttls=True, bounce_after=HOUR)
    w, town = world(domain("*", retry_after=(10 * MINUTE,)), must)
    with w:
        town.settle(PPHOSTED, "firm.example", "strict.example", **KIND, tls=tls)
        mail(w, "firm.example", 3)
        mail(w, "strict.example", 1)
        w.run_until_empty(within=3 * HOUR)
        assert sorted(town.ledger.recipients()) == [f"user{number}@firm.example" for number in range(3)]
        assert [record.rcpt for record in w.of("b")] == ["user0@strict.example"]


@pytest.mark.directive("bounce-upon-5xx-greeting", "retry-after")
def test_a_blocked_address_is_told_in_the_banner_and_the_mail_waits_until_it_is_over() -> None:
    """Orange takes three connections at a time and is strict: who opens twenty is soon not let in at all, for two hours."""
    rest = {"max_msg_per_connection": 2, "retry_after": (30 * MINUTE,), "bounce_upon_5xx_greeting": False}
    w, town = world(domain("*", max_smtp_out=20, **rest))
    with w:
        town.settle(ORANGE_FR, "orange.fr", **KIND, tolerance=10, tarpit=1.0)
        burst(w, "orange.fr", 100)
        w.run_until(lambda: any(event.what == "blocked" for event in town.ledger.events), within=HOUR)
        blocked_at = w.now
        w.advance(2 * HOUR - MINUTE)
        assert len(town.ledger.recipients()) <= 3 * 2, "by those connections that were open already"
        assert why(w, "orange.fr") is WaitReason.QUEUE_RETRY
        assert 3 <= town.refusals()["orange", "connect 550"] <= 7 + 6 + 3, (
            "the others of the twenty, one after each delivery, and the retries"
        )
        w.reload(relay(domain("*", max_smtp_out=3, **rest)))  # somebody has read what Orange says
        w.run_until_empty(within=HOUR)
        assert w.now >= blocked_at + 2 * HOUR
        assert sorted(town.ledger.recipients()) == sorted(f"user{number}@orange.fr" for number in range(100))
        assert not w.of("b")


def test_a_queue_that_was_refused_a_connection_gets_more_once_a_delivery_has_ended_its_wait() -> None:
    """Nothing else happens: no new mail, no timer. (It once stayed with one connection until its retry was due.)"""
    w, town = world(domain("*", max_smtp_out=4, retry_after=(HOUR,)))
    with w:
        provider = town.settle(GOOGLE, "gmail.com", **KIND, connections=1, tarpit=10.0)
        burst(w, "gmail.com", 100)
        w.advance(1)
        assert town.refusals()["google", "connect 421"] == 3 * len(provider.hosts)
        provider.manner = replace(provider.manner, connections=20)
        w.run_until_empty(within=10 * MINUTE)
        assert most_at_once(town.ledger.chosen(provider="google")) == 4


@pytest.mark.directive("fair-share-by")
def test_one_tenant_floods_a_slow_provider_and_the_others_mail_still_leaves() -> None:
    """Outlook takes 10 a minute from us; 2,000 of a mailing wait. Six others send one message each: theirs leave within minutes."""
    w, town = world(domain("*", max_msg_rate=Rate(10, MINUTE)))
    with w:
        town.settle(MICROSOFT, "outlook.com", **KIND)
        mail(w, "outlook.com", 2000, headers={"x-job": "mailing"})
        w.advance(5 * MINUTE)
        begun = w.now
        for number in range(6):
            w.submit(ME, [f"order{number}@outlook.com"], headers={"x-job": f"shop{number}"})
        wanted = {f"order{number}@outlook.com" for number in range(6)}
        w.run_until(lambda: wanted <= set(town.ledger.recipients()), within=HOUR)
        assert w.now - begun <= 3 * MINUTE
        assert most_within([taken.at for taken in town.ledger.taken], MINUTE) <= 10
        assert why(w, "outlook.com") is WaitReason.MESSAGE_RATE


@pytest.mark.directive("max-msg-rate")
def test_a_rate_that_is_allowed_is_used() -> None:
    """Gmail bears 1,500 an hour: at a limit of 1,400 nobody is refused, and 95 % of that is sent."""
    w, town = world(domain("*", max_msg_rate=Rate(1400, HOUR), max_smtp_out=5))
    with w:
        town.settle(GOOGLE, "gmail.com", **KIND, per_connection=None)
        for hour in range(3):
            mail(w, "gmail.com", 1500, hour * 1500)
        w.advance(3 * HOUR)
        times = [taken.at for taken in town.ledger.taken]
        assert most_within(times, HOUR) <= 1400
        assert len([at for at in times if HOUR <= at < 3 * HOUR]) >= 0.95 * 2 * 1400
        assert not town.refusals()


@pytest.mark.directive("max-msg-per-connection")
def test_a_provider_that_ends_connections_after_so_many_messages_does_not_when_we_do_it_first() -> None:
    for most, expected in ((20, 0), (None, 4)):
        w, town = world(domain("*", max_smtp_out=1, max_msg_per_connection=most, retry_after=(MINUTE,)))
        with w:
            town.settle(YAHOO_INC, "yahoo.com", **KIND)
            mail(w, "yahoo.com", 100)
            w.run_until_empty(within=HOUR)
            assert town.refusals()["yahoo", "mail 421"] == expected
            assert max(visit.messages for visit in town.ledger.visits) == 20
            assert all(a.closed is not None and a.closed <= b.opened for a, b in pairwise(town.ledger.visits))


def history(seed: int) -> tuple[object, ...]:
    """What happened in an hour of `deferred_by_yahoo`, as comparable values."""
    w, town = deferred_by_yahoo(seed)
    with w:
        w.advance(HOUR)
        return (w.records, town.ledger.taken, town.ledger.events, [(line.event, sorted(map(str, line.fields))) for line in w.log])


def test_the_same_seed_gives_the_same_record_of_events_and_another_seed_another() -> None:
    assert history(5) == history(5)
    assert history(5) != history(6)


@pytest.mark.directive("smtp-source-host")
def test_mail_goes_by_the_other_address_while_one_is_blocked_and_disabled_and_by_both_afterwards() -> None:
    """Comcast turns one of two addresses away in the banner; the state that `disable-source-ip` sets keeps the queue off it until then."""
    two = tuple(SourceHostRule(f"192.0.2.{number}", f"out{number}.relay.example") for number in (10, 11))
    w, town = world(domain("*", max_smtp_out=4, max_msg_per_connection=5, retry_after=(10 * MINUTE,)), smtp_source_host=two)
    with w:
        comcast = town.settle(XFINITY, "comcast.net", **KIND, tarpit=1.0)
        burst(w, "comcast.net", 20)
        w.advance(2)
        queue, now = w.node.scheduler.queues[QueueKey("comcast.net", "{default}")], w.clock.now()
        comcast.source("192.0.2.10").blocked_until = w.now + HOUR
        assert w.node.scheduler.disable_source(queue, "192.0.2.10", now + HOUR)
        w.run_until_empty(within=5 * MINUTE)
        since = w.now
        mail(w, "comcast.net", 60, 20)
        w.run_until_empty(within=5 * MINUTE)
        assert {taken.source for taken in town.ledger.taken if taken.at > since} == {"192.0.2.11"}
        assert not town.refusals(), "nobody knocks at a door that is known to be shut"
        w.advance(HOUR)
        since = w.now
        burst(w, "comcast.net", 80)
        w.run_until_empty(within=5 * MINUTE)
        assert {taken.source for taken in town.ledger.taken if taken.at > since} == {"192.0.2.10", "192.0.2.11"}
        assert not town.refusals()
