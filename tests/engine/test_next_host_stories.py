"""Stories of domains with several hosts, of which one is in trouble."""

from __future__ import annotations

import pytest

from postwright.model.outcome import Fault
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

ME, YOU = "me@sender.example", "you@example.com"


@pytest.mark.directive("smtp-421-means-mx-unavailable")
def test_421_sends_what_is_left_to_the_next_host_if_told_so() -> None:
    with World(relay(domain("*", retry_after=(600.0,), smtp_421_means_mx_unavailable=True))) as world:
        first = world.host("mx1.example.com", ["rcpt:b@* 421 4.3.2 closing"])
        second = world.host("mx2.example.com")
        world.mx("example.com", "mx1.example.com", "mx2.example.com")
        world.submit(ME, ["a@example.com", "b@example.com"])
        assert world.run_until_empty() < 60, "without waiting for a retry"
        assert first.recipients == []
        assert sorted(second.recipients) == ["a@example.com", "b@example.com"]
        assert not world.of("t")


@pytest.mark.directive("smtp-421-means-mx-unavailable")
def test_without_that_it_is_tried_again_after_the_retry_interval() -> None:
    with World(relay(domain("*", retry_after=(600.0,)))) as world:
        world.host("mx1.example.com", ["rcpt:b@* first=1 421 4.3.2 closing"])
        world.host("mx2.example.com")
        world.mx("example.com", "mx1.example.com", "mx2.example.com")
        world.submit(ME, ["b@example.com"])
        assert 600 <= world.run_until_empty() < 700


def test_all_hosts_say_421_and_nobody_turns_in_circles() -> None:
    with World(relay(domain("*", retry_after=(600.0,), smtp_421_means_mx_unavailable=True))) as world:
        hosts = [world.host(f"mx{number}.example.com", ["mail first=1 421 4.3.2 closing"]) for number in (1, 2)]
        world.mx("example.com", "mx1.example.com", "mx2.example.com")
        world.submit(ME, [YOU])
        assert 600 <= world.run_until_empty() < 700
        assert sum(len(host.attempts) for host in hosts) == 3


def test_a_5xx_greeting_of_the_one_host_that_is_up_does_not_bounce_the_queue() -> None:
    with World(relay(domain("*", retry_after=(600.0,)))) as world:
        first = world.host("mx1.example.com")
        world.host("mx2.example.com", ["connect 554 5.7.1 not you"])
        world.mx("example.com", "mx1.example.com", "mx2.example.com")
        first.down = Fault.REFUSED
        world.submit(ME, [YOU])
        world.advance(300)
        first.down = None
        world.run_until_empty()
        assert first.recipients == [YOU]
        assert not world.of("b")


@pytest.mark.directive("retry-after-dns-error")
def test_the_dns_failing_is_tried_again_sooner_and_is_no_step() -> None:
    with World(relay(domain("*", retry_after=(600.0, 6000.0), retry_after_dns_error=30.0))) as world:
        mx = world.domain("example.com", rules=["connect first=1 450 busy"])
        world.failing.add("example.com")
        world.submit(ME, [YOU])
        world.advance(100)
        world.failing.clear()
        world.run_until_empty()
        assert mx.times == [120, 720]


@pytest.mark.directive("bounce-upon-no-mx")
def test_no_mail_hosts_bounces_who_has_waited_long_enough_and_nobody_else() -> None:
    with World(relay(domain("*", retry_after=(600.0,), bounce_upon_no_mx=1000.0))) as world:
        world.domain("sender.example")
        world.submit(ME, ["first@gone.example"])
        world.advance(900)
        world.submit(ME, ["second@gone.example"])
        world.advance(400)
        assert [(record.rcpt, record.dsn_status) for record in world.of("b")] == [("first@gone.example", "5.1.2")]
        world.advance(1200)
        assert [record.rcpt for record in world.of("b")] == ["first@gone.example", "second@gone.example"]


def test_more_recipients_than_a_receiver_takes_at_a_time_go_in_several_transactions() -> None:
    with World(relay(domain("*", retry_after=(600.0,)))) as world:
        rules = [f"rcpt:r{number}@* first={number - 1} 452 4.5.3 too many recipients" for number in (2, 3, 4)]
        mx = world.domain("example.com", rules=rules)
        wanted = [f"r{number}@example.com" for number in range(5)]
        world.submit(ME, wanted)
        assert world.run_until_empty() < 60, "without waiting for a retry"
        assert sorted(mx.recipients) == wanted
        assert [len(message.recipients) for message in mx.messages] == [2, 1, 1, 1]
        assert not world.of("t")
