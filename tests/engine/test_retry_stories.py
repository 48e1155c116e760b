"""Stories of trying again: when, how often, until when. Times are simulated, and exact to the second."""

from __future__ import annotations

import pytest

from postwright.model.outcome import Fault
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay, vmta

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
ME, YOU = "me@sender.example", "you@example.com"
LATER = "rcpt 450 4.2.0 later"


def guide() -> World:
    """The two streams of the guide's configuration: mta1 tries again after 10 m, mta2 after 45 m."""
    return World(
        relay(
            domain("*", max_smtp_out=20, bounce_after=4.5 * DAY),
            vmta("mta1", "127.0.0.11", domain("*", retry_after=(10 * MINUTE,))),
            vmta("mta2", "127.0.0.12", domain("*", retry_after=(45 * MINUTE,))),
        )
    )


def test_each_virtual_mta_retries_in_its_own_time_from_its_own_address() -> None:
    with guide() as world:
        one, two = world.domain("one.example", rules=[LATER]), world.domain("two.example", rules=[LATER])
        world.submit(ME, ["you@one.example"], headers={"x-virtual-mta": "mta1"})
        world.submit(ME, ["you@two.example"], headers={"x-virtual-mta": "mta2"})
        world.advance(2.4 * HOUR)
        assert one.times == [n * 10 * MINUTE for n in range(15)]
        assert two.times == [n * 45 * MINUTE for n in range(4)]
        assert {(a.source, a.name) for a in one.attempts} == {("127.0.0.11", "mta1.relay.example")}
        assert {(a.source, a.name) for a in two.attempts} == {("127.0.0.12", "mta2.relay.example")}


def test_the_same_steps_hold_when_the_hosts_are_down() -> None:
    with guide() as world:
        one = world.domain("one.example")
        one.down = Fault.REFUSED
        world.submit(ME, ["you@one.example"], headers={"x-virtual-mta": "mta1"})
        world.advance(HOUR + 1)
        assert one.times == [n * 10 * MINUTE for n in range(7)]
        one.down = None
        assert world.run_until_empty() - 70 * MINUTE < 1
        assert one.recipients == ["you@one.example"]


@pytest.mark.directive("retry-after")
def test_a_list_of_steps_whose_last_repeats() -> None:
    with World(relay(domain("*", retry_after=(MINUTE, 5 * MINUTE, HOUR)))) as world:
        mx = world.domain("example.com", rules=[LATER])
        world.submit(ME, [YOU])
        world.advance(3 * HOUR)
        assert mx.times == [0, 60, 360, 3960, 7560]


def test_steps_of_a_recipient_survive_a_crash() -> None:
    with World(relay(domain("*", retry_after=(MINUTE, HOUR)))) as world:
        mx = world.domain("example.com", rules=[LATER])
        world.submit(ME, [YOU])
        world.advance(2 * MINUTE)
        world.crash()
        world.begin()
        world.advance(2 * HOUR)
        assert mx.times == [0, 60, 60 + HOUR, 60 + 2 * HOUR]


@pytest.mark.directive("bounce-after")
def test_what_is_too_old_is_given_up_with_a_report() -> None:
    with World(relay(domain("*", retry_after=(HOUR,), bounce_after=3.5 * HOUR))) as world:
        mx, home = world.domain("example.com", rules=[LATER]), world.domain("sender.example")
        world.submit(ME, [YOU])
        ended = world.run_until(lambda: bool(home.messages))
        assert 3.5 * HOUR <= ended < 3.5 * HOUR + 2
        assert mx.times[:4] == [0, HOUR, 2 * HOUR, 3 * HOUR]
        assert [r.dsn_status for r in world.of("t")] == ["4.2.0"] * 4
        (bounce,) = world.of("b")
        assert (bounce.dsn_action, bounce.dsn_status, bounce.bounce_cat) == ("failed", "4.4.7", "message-expired")
        report = home.messages[0].parsed
        assert report.get_content_type() == "multipart/report"
        assert "Status: 4.4.7" in report.as_string()
        assert home.messages[0].sender == ""


@pytest.mark.directive("bounce-after")
def test_hosts_that_stay_down_end_in_a_report_too() -> None:
    with World(relay(domain("*", retry_after=(HOUR,), bounce_after=3.5 * HOUR))) as world:
        mx, home = world.domain("example.com"), world.domain("sender.example")
        mx.down = Fault.TIMEOUT
        world.submit(ME, [YOU])
        world.run_until(lambda: bool(home.messages), within=5 * HOUR)
        assert world.of("b")[0].dsn_status == "4.4.7"
        assert world.run_until_empty() < 5 * HOUR


def test_a_deferral_does_not_hold_up_new_mail_of_the_queue() -> None:
    with World(relay(domain("*", retry_after=(HOUR,)))) as world:
        mx = world.domain("example.com", rules=["rcpt:slow@* 450 4.2.0 later"])
        world.submit(ME, ["slow@example.com"])
        world.advance(MINUTE)
        world.submit(ME, ["quick@example.com"])
        assert world.run_until(lambda: "quick@example.com" in mx.recipients) < 2 * MINUTE


@pytest.mark.directive("connection-idle-timeout")
def test_an_idle_connection_is_used_when_a_retry_is_due() -> None:
    with World(relay(domain("*", retry_after=(MINUTE,), connection_idle_timeout=HOUR))) as world:
        mx = world.domain("example.com", rules=["rcpt first=1 450 4.2.0 later"])
        world.submit(ME, [YOU])
        assert 60 <= world.run_until(lambda: bool(mx.messages)) < 62
        assert len(mx.attempts) == 1


@pytest.mark.directive("retry-recipients-after", "retry-after")
def test_a_recipient_waits_as_retry_recipients_after_says_and_its_queue_as_retry_after() -> None:
    with World(relay(domain("*", retry_after=(HOUR,), retry_recipients_after=10 * MINUTE))) as world:
        mx = world.domain("example.com", rules=[LATER])
        world.submit(ME, [YOU])
        world.advance(35 * MINUTE)
        assert mx.times == [0, 600, 1200, 1800]
        mx.down = Fault.REFUSED
        world.advance(3 * HOUR)
        assert mx.times[4:] == [2400, 2400 + HOUR, 2400 + 2 * HOUR]
