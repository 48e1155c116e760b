"""Stories of mail with wishes: held until a time, wanted by a time, more urgent than other mail, within what a receiver takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from postwright.engine.wishes import offers
from postwright.model.address import parse_mailbox
from postwright.model.envelope import MailExtras, Notify, Recipient
from postwright.model.outcome import Fault
from postwright.model.work import QueueKey, WaitReason
from postwright.policy.settings import SourceSettings
from postwright.testing.sink_records import Extensions
from postwright.testing.world import START, World
from postwright.testing.world_settings import ANYBODY, domain, relay, source

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
ME, YOU = "me@sender.example", "you@example.com"
LATER = "rcpt 450 4.2.0 later"
TIMED = Extensions(more=("DELIVERBY",))


def at(seconds: float) -> str:
    """A time of the world as x-schedule has it."""
    return datetime.fromtimestamp(START + seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def window(*pairs: tuple[float, float]) -> dict[str, str]:
    return {"x-schedule": ", ".join(f"{at(start)} / {at(end)}" for start, end in pairs)}


def scheduling(**more: Any) -> World:
    free = source(ANYBODY, always_allow_relaying=True, process_x_schedule=True, **more)
    return World(relay(free, domain("*", retry_after=(10 * MINUTE,), bounce_after=2 * HOUR)))


def why(world: World, name: str = "example.com") -> WaitReason:
    queue = world.node.scheduler.queues[QueueKey(name, "{default}")]
    return world.node.scheduler.why(queue, world.clock.now())


# -- held (RFC 4865) ----------------------------------------------------------------------------


@pytest.mark.parametrize("crash", [False, True], ids=["", "with a crash"])
def test_held_mail_goes_at_its_time_and_its_queue_shows_why_it_waits(crash: bool) -> None:
    with scheduling() as world:
        mx = world.domain("example.com", extensions=Extensions(more=("FUTURERELEASE 999999 2099-01-01T00:00:00Z",)))
        assert world.submit(ME, [YOU], extras=MailExtras(hold_for=3600)).accepted
        world.advance(30 * MINUTE)
        assert (mx.times, why(world)) == ([], WaitReason.SCHEDULED)
        if crash:
            world.crash()
            world.begin()
        assert 0 <= world.run_until(lambda: bool(mx.messages)) - HOUR < 1
        assert "HOLD" not in mx.messages[0].sender_params  # held once, by whom it was submitted to


def test_the_time_for_trying_begins_when_the_message_is_let_go() -> None:
    """`bounce-after 2h`, held for a day: it would be dead on release."""
    with scheduling() as world:
        mx, home = world.domain("example.com", rules=[LATER]), world.domain("sender.example")
        world.submit(ME, [YOU], extras=MailExtras(hold_for=int(DAY)))
        told = world.run_until(lambda: bool(home.messages))
        assert 2 * HOUR <= told - DAY < 2 * HOUR + 2
        assert mx.times[:12] == [DAY + 600 * step for step in range(12)]
        assert f"Future-Release-Request: for;{int(DAY)}" in home.messages[0].parsed.as_string()


def test_nothing_is_held_for_who_may_not_relay() -> None:
    with World(relay(source(ANYBODY), relay_domains=("example.com",))) as world:
        mx = world.domain("example.com")
        world.submit(ME, [YOU], extras=MailExtras(hold_for=60))  # our client asks for what was offered only
        assert world.run_until(lambda: bool(mx.messages)) < 1


def test_nothing_is_held_for_longer_than_is_said() -> None:
    with World(relay(source(ANYBODY, always_allow_relaying=True))) as world:
        refused = world.submit(ME, [YOU], extras=MailExtras(hold_for=8 * 86400)).mail
        assert refused is not None
        assert refused.text == "501 5.5.4 HOLDFOR may be 604800 seconds at most"


# -- x-schedule -----------------------------------------------------------------------------------


def test_a_message_goes_in_its_windows_only() -> None:
    with scheduling() as world:
        mx = world.domain("example.com", rules=["rcpt first=3 450 4.2.0 later"])
        world.submit(ME, [YOU], headers=window((HOUR, HOUR + 15 * MINUTE), (2 * HOUR, 3 * HOUR)))
        world.advance(50 * MINUTE)
        assert (mx.times, why(world)) == ([], WaitReason.SCHEDULED)
        world.crash()
        world.begin()
        world.run_until(lambda: bool(mx.messages))
        # tried at 1:00 and 1:10; the next step, 1:20, is outside of the first window
        assert mx.messages[0].at == pytest.approx(2 * HOUR + 10 * MINUTE, abs=1)
        assert b"x-schedule" not in mx.messages[0].content.lower()


@pytest.mark.parametrize("said", [{}, {"process_x_schedule": True, "retain_x_schedule": True}], ids=["not processed", "retained"])
def test_a_schedule_stays_in_the_message(said: dict[str, bool]) -> None:
    with World(relay(source(ANYBODY, always_allow_relaying=True, **said))) as world:
        mx = world.domain("example.com")
        world.submit(ME, [YOU], headers=window((0, HOUR)))
        world.run_until(lambda: bool(mx.messages), within=MINUTE)
        assert b"x-schedule" in mx.messages[0].content


def test_after_its_last_window_a_message_goes_back() -> None:
    with scheduling() as world:
        world.domain("example.com", rules=[LATER])
        home = world.domain("sender.example")
        world.submit(ME, [YOU], headers=window((MINUTE, 15 * MINUTE)))
        world.run_until(lambda: bool(home.messages), within=HOUR)
        (bounce,) = world.of("b")
        assert (bounce.dsn_status, "x-schedule" in bounce.dsn_diag) == ("4.4.7", True)


@pytest.mark.parametrize(("text", "code", "status"), [("soon", 550, "5.6.0"), ("2001-01-01 10:00 / 2001-01-01 11:00", 550, "5.4.7")])
def test_a_schedule_that_is_none_or_over_is_refused(text: str, code: int, status: str) -> None:
    with scheduling() as world:
        final = world.submit(ME, [YOU], headers={"x-schedule": text}).final
        assert final is not None
        assert (final.code, final.status) == (code, status)


# -- DELIVERBY (RFC 2852) ---------------------------------------------------------------------------


@pytest.mark.parametrize("down", [True, False], ids=["unreachable", "deferring"])
def test_mail_with_r_goes_back_at_its_time(down: bool) -> None:
    with World(relay(domain("*", retry_after=(HOUR,)))) as world:
        mx, home = world.domain("example.com", rules=[LATER], extensions=TIMED), world.domain("sender.example")
        mx.down = Fault.REFUSED if down else None
        world.submit(ME, [YOU], extras=MailExtras(by=(1800, "R")))
        assert 0 <= world.run_until(lambda: bool(world.of("b")), within=2 * HOUR) - 30 * MINUTE < 1
        assert world.of("b")[0].dsn_status == "5.4.7"
        world.run_until(lambda: bool(home.messages), within=HOUR)
        report = home.messages[0].parsed.as_string()
        assert "Status: 5.4.7" in report
        assert "Deliver-By-Date: " in report
        assert world.run_until_empty(within=HOUR) < HOUR


def test_a_deadline_survives_a_crash_and_another_shard_keeps_it_too() -> None:
    with World(relay(domain("*", retry_after=(HOUR,))), shards=2) as world:
        for name in ("one.example", "two.example", "three.example"):
            world.domain(name, extensions=TIMED).down = Fault.TIMEOUT
            world.submit(ME, [f"you@{name}"], extras=MailExtras(by=(1800, "R")))
        world.advance(MINUTE)
        world.crash(0)
        world.begin(0)
        world.run_until(lambda: len(world.of("b")) == 3, within=2 * HOUR)
        assert world.now < HOUR
        assert {record.dsn_status for record in world.of("b")} == {"5.4.7"}


def test_a_late_sender_with_n_is_told_once_and_delivery_goes_on() -> None:
    with World(relay(domain("*", retry_after=(HOUR,)))) as world:
        mx, home = world.domain("example.com", rules=["rcpt first=3 450 4.2.0 later"], extensions=TIMED), world.domain("sender.example")
        world.submit(ME, [YOU], extras=MailExtras(by=(1800, "N")))
        assert 0 <= world.run_until(lambda: bool(home.messages)) - 30 * MINUTE < 2
        assert "Action: delayed" in home.messages[0].parsed.as_string()
        world.run_until(lambda: bool(mx.messages))
        assert mx.messages[0].at == pytest.approx(3 * HOUR, abs=2)
        assert "BY=-9000;N" in mx.messages[0].sender_params
        world.run_until_empty()
        assert len(home.messages) == 1


def test_the_time_left_is_passed_on() -> None:
    with World(relay(domain("*", retry_after=(10 * MINUTE,)))) as world:
        mx = world.domain("example.com", rules=["rcpt first=1 450 4.2.0 later"], extensions=TIMED)
        world.submit(ME, [YOU], extras=MailExtras(by=(3600, "R")))
        world.run_until(lambda: bool(mx.messages))
        assert "BY=3000;R" in mx.messages[0].sender_params


def test_r_goes_back_from_a_host_that_knows_no_time_and_n_is_told_of() -> None:
    """RFC 2852 section 4: the one must not be relayed there, the other may, and its sender hears that nobody will keep the time."""
    with World(relay()) as world:
        mx, home = world.domain("example.com"), world.domain("sender.example")
        world.submit(ME, [YOU], extras=MailExtras(by=(3600, "R")))
        world.run_until(lambda: bool(home.messages), within=MINUTE)
        assert (world.of("b")[0].dsn_status, mx.messages) == ("5.3.3", [])
        world.submit(ME, [YOU], extras=MailExtras(by=(3600, "N")))
        world.run_until(lambda: len(home.messages) == 2, within=MINUTE)
        assert "Action: relayed" in home.messages[1].parsed.as_string()
        assert len(mx.messages) == 1
        world.submit(ME, [Recipient(parse_mailbox(YOU), Notify.NEVER)], extras=MailExtras(by=(3600, "N")))
        world.run_until_empty(within=MINUTE)
        assert len(home.messages) == 2


def test_a_host_that_keeps_no_time_is_asked_to_tell_of_delays_himself() -> None:
    """RFC 2852 section 4.1.4.2, where the next host knows DSN."""
    with World(relay()) as world:
        mx = world.domain("example.com")
        for notify in (Notify.ABSENT, Notify.SUCCESS, Notify.NEVER):
            world.submit(ME, [Recipient(parse_mailbox(YOU), notify)], extras=MailExtras(by=(3600, "N")))
        world.submit(ME, [YOU])
        world.run_until(lambda: len(mx.messages) == 4, within=MINUTE)
        asked = sorted(message.recipient_params[0] for message in mx.messages)
        assert asked == ["", "NOTIFY=FAILURE,DELAY", "NOTIFY=NEVER", "NOTIFY=SUCCESS,DELAY"]


def test_of_a_time_that_was_over_when_the_mail_came_nobody_is_told_again() -> None:
    """BY=-60;N says that a host before us has told the sender (RFC 2852 section 4.1.4.1); what is over goes on being passed on."""
    with World(relay(domain("*", retry_after=(HOUR,)))) as world:
        mx, home = world.domain("example.com", rules=["rcpt first=1 450 4.2.0 later"], extensions=TIMED), world.domain("sender.example")
        world.submit(ME, [YOU], extras=MailExtras(by=(-60, "N")))
        world.run_until(lambda: bool(mx.messages))
        assert "BY=-3660;N" in mx.messages[0].sender_params
        world.run_until_empty()
        assert home.messages == []


# -- MT-PRIORITY (RFC 6710) ---------------------------------------------------------------------------


def test_urgent_mail_goes_first_and_the_next_host_is_told() -> None:
    with World(relay(domain("*", max_smtp_out=1, retry_after=(HOUR,)))) as world:
        mx = world.domain("example.com", extensions=Extensions(more=("MT-PRIORITY",)))
        mx.down = Fault.REFUSED
        world.submit(ME, ["first@example.com"])
        world.advance(1)
        for name, priority in (("bulk", -4), ("plain", None), ("urgent", 9), ("high", 3), ("urgent2", 9)):
            extras = None if priority is None else MailExtras(priority=priority)
            world.submit(ME, [f"{name}@example.com"], extras=extras)
        mx.down = None
        world.run_until(lambda: len(mx.messages) == 6, within=2 * HOUR)
        received = [message.parsed["Received"].replace("\r\n", "") for message in mx.messages]
        assert ["PRIORITY 9" in field for field in received] == [True, True, False, False, False, False]  # section 4.2
        assert [one.partition("@")[0] for one in mx.recipients] == ["urgent", "urgent2", "high", "first", "plain", "bulk"]
        assert ["MT-PRIORITY=9" in message.sender_params for message in mx.messages] == [True, True, False, False, False, False]


def test_a_stranger_cannot_raise_his_mail() -> None:
    offered = source(ANYBODY, smtp_extensions=("mt-priority",))
    with World(relay(offered, relay_domains=("example.com",))) as world:
        mx = world.domain("example.com", extensions=Extensions(more=("MT-PRIORITY",)))
        raised = world.submit(ME, [YOU], extras=MailExtras(priority=5)).mail
        assert raised is not None
        assert raised.text == "250 2.3.6 0 is the new priority assigned to the message"
        lowered = world.submit(ME, [YOU], extras=MailExtras(priority=-5)).mail
        assert lowered is not None
        assert lowered.status == "2.1.0"
        world.run_until(lambda: len(mx.messages) == 2)
        assert sorted("MT-PRIORITY=-5" in message.sender_params for message in mx.messages) == [False, True]


# -- LIMITS (RFC 9422) ----------------------------------------------------------------------------------


def test_we_keep_to_what_a_receiver_takes() -> None:
    with World(relay(domain("*", max_smtp_out=1))) as world:
        mx = world.domain("example.com", extensions=Extensions(more=("LIMITS RCPTMAX=2 MAILMAX=3",)))
        world.submit(ME, [f"{number}@example.com" for number in range(9)])
        world.run_until_empty()
        assert [len(message.recipients) for message in mx.messages] == [2, 2, 2, 2, 1]
        assert [connection.messages for connection in mx.connections] == [3, 2]


def test_what_limits_us_is_told() -> None:
    bounded = source(ANYBODY, always_allow_relaying=True, max_rcpt_per_message=2, max_msg_per_session=1, max_rcpt_domains_per_message=1)
    with World(relay(bounded)) as world:
        taken = world.submit(ME, ["a@one.example", "a@two.example", "b@one.example", "c@one.example"])
        assert [reply.code if reply else 0 for reply in taken.rcpt] == [250, 452, 250, 452]


def test_only_a_limit_of_the_extension_s_kind_is_offered() -> None:
    """RFC 9422 section 4: six digits, and RCPTDOMAINMAX counts a session's domains, not a message's."""
    assert offers(SourceSettings(max_rcpt_per_message=7, max_rcpt_domains_per_message=1), False, False).limits == ("RCPTMAX=7",)
    assert offers(SourceSettings(max_rcpt_per_message=1_000_000, max_msg_per_session=9), False, False).limits == ("MAILMAX=9",)


def test_the_time_of_held_mail_begins_when_it_is_let_go() -> None:
    with World(relay(domain("*", retry_after=(HOUR,)))) as world:
        world.domain("example.com", rules=[LATER], extensions=TIMED)
        world.submit(ME, [YOU], extras=MailExtras(hold_for=7200, by=(1800, "R")))
        assert 0 <= world.run_until(lambda: bool(world.of("b")), within=DAY) - 2.5 * HOUR < 1
