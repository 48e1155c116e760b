"""Stories of what becomes of recipients: each has its own fate and its own accounting record."""

from __future__ import annotations

import pytest

from postwright.model.address import parse_mailbox
from postwright.model.envelope import Notify, Recipient
from postwright.model.outcome import Fault
from postwright.testing.sink_records import Extensions
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

HOUR = 3600.0
ME, YOU = "me@sender.example", "you@example.com"
QUICK = domain("*", retry_after=(600.0,))


def test_three_recipients_of_one_transaction_three_fates() -> None:
    with World(relay(QUICK)) as world:
        mx = world.domain("example.com", rules=["rcpt:no@* 550 5.1.1 unknown", "rcpt:later@* first=1 450 4.2.0 later"])
        home = world.domain("sender.example")
        world.submit(ME, ["yes@example.com", "no@example.com", "later@example.com"])
        world.run_until_empty()
        assert mx.recipients == ["yes@example.com", "later@example.com"]
        assert world.fates() == {("d", "yes@example.com"): 1, ("b", "no@example.com"): 1, ("d", "later@example.com"): 1, ("d", ME): 1}
        (bounce,) = world.of("b")
        assert (bounce.dsn_status, bounce.dsn_diag, bounce.bounce_cat) == ("5.1.1", "smtp;550 5.1.1 unknown", "bad-mailbox")
        assert [r.rcpt for r in world.of("t")] == ["later@example.com"]
        report = home.messages[0].content.decode()
        assert "no@example.com" in report
        assert "yes@example.com" not in report.partition("message/delivery-status")[2].partition("message/")[0]


def test_end_of_data_decides_for_the_accepted_only() -> None:
    with World(relay(QUICK)) as world:
        world.domain("example.com", rules=["rcpt:no@* 550 5.1.1 unknown", "eod 554 5.7.1 spam"])
        world.domain("sender.example")
        world.submit(ME, ["yes@example.com", "no@example.com"])
        world.run_until_empty()
        assert {r.rcpt: r.dsn_status for r in world.of("b")} == {"yes@example.com": "5.7.1", "no@example.com": "5.1.1"}


def test_a_name_server_in_trouble_is_no_reason_to_bounce() -> None:
    with World(relay(QUICK)) as world:
        mx = world.domain("example.com")
        world.failing.add("example.com")
        world.submit(ME, [YOU])
        world.advance(HOUR)
        assert not mx.attempts
        assert not world.of("b")
        world.failing.clear()
        world.run_until_empty(within=HOUR)
        assert mx.recipients == [YOU]


@pytest.mark.directive("bounce-upon-no-mx")
def test_a_domain_that_is_not_there_waits_unless_told_otherwise() -> None:
    with World(relay(QUICK, domain("gone.example", bounce_upon_no_mx=True))) as world:
        home = world.domain("sender.example")
        world.submit(ME, ["you@nowhere.example"])
        world.submit(ME, ["you@gone.example"])
        world.advance(2 * HOUR)
        assert world.fates() == {("b", "you@gone.example"): 1, ("d", ME): 1}
        assert world.of("b")[0].dsn_status == "5.1.2"
        assert len(home.messages) == 1
        mx = world.domain("nowhere.example")
        world.run_until_empty(within=2 * HOUR)
        assert mx.recipients == ["you@nowhere.example"]


def test_a_null_mx_bounces_at_once() -> None:
    with World(relay(QUICK)) as world:
        world.zone["null.example"] = {"MX": ["0 ."]}
        world.domain("sender.example")
        world.submit(ME, ["you@null.example"])
        assert world.run_until_empty() < 5
        assert world.of("b")[0].dsn_status == "5.1.10"


def test_the_second_host_takes_what_the_first_refuses() -> None:
    with World(relay(QUICK)) as world:
        first, second = world.host("mx1.example.com"), world.host("mx2.example.com")
        world.mx("example.com", "mx1.example.com", "mx2.example.com")
        first.down = Fault.REFUSED
        world.submit(ME, [YOU])
        assert world.run_until_empty() < 5
        assert (len(first.attempts), second.recipients) == (1, [YOU])
        assert world.of("d")[0].dsn_mta == f"mx2.example.com ({second.host})"


def test_the_second_host_is_asked_when_the_first_greets_badly() -> None:
    with World(relay(QUICK)) as world:
        world.host("mx1.example.com", ["connect 554 5.7.1 not you"])
        second = world.host("mx2.example.com")
        world.mx("example.com", "mx1.example.com", "mx2.example.com")
        world.submit(ME, [YOU])
        world.run_until_empty(within=60)
        assert second.recipients == [YOU]


@pytest.mark.directive("bounce-upon-5xx-greeting")
def test_all_hosts_greet_with_5xx_and_the_queue_bounces() -> None:
    with World(relay(QUICK)) as world:
        world.domain("example.com", rules=["connect 554 5.7.1 not you"])
        home = world.domain("sender.example")
        world.submit(ME, [YOU])
        world.run_until_empty(within=60)
        assert "554 5.7.1 not you" in world.of("b")[0].dsn_diag
        assert len(home.messages) == 1


@pytest.mark.directive("bounce-upon-5xx-greeting")
def test_or_waits_if_told_so() -> None:
    with World(relay(domain("*", retry_after=(600.0,), bounce_upon_5xx_greeting=False))) as world:
        mx = world.domain("example.com", rules=["connect first=2 554 5.7.1 not you"])
        world.submit(ME, [YOU])
        world.run_until_empty()
        assert mx.times == [0, 600, 1200]


def test_421_in_mid_session_is_no_verdict_on_anybody() -> None:
    with World(relay(QUICK)) as world:
        mx = world.domain("example.com", rules=["rcpt:b@* first=1 421 4.3.2 closing"])
        world.submit(ME, ["a@example.com", "b@example.com", "c@example.com"])
        world.run_until_empty()
        assert sorted(mx.recipients) == ["a@example.com", "b@example.com", "c@example.com"]
        assert not world.of("b")


def test_a_cut_after_the_final_dot_is_sent_again_and_said() -> None:
    with World(relay(QUICK)) as world:
        mx = world.domain("example.com", rules=["eod first=1 take-drop"])
        world.submit(ME, [YOU])
        world.run_until_empty()
        assert mx.recipients == [YOU, YOU]
        assert "may be sent more than once" in world.of("t")[0].dsn_diag
        assert world.fates() == {("d", YOU): 1}


def test_a_cut_before_the_content_is_sent_again_and_no_copy_is_feared() -> None:
    with World(relay(domain("*", retry_after=(600.0,), ignore_chunking=True))) as world:
        mx = world.domain("example.com", rules=["data first=1 reset"])
        world.submit(ME, [YOU])
        world.run_until_empty()
        assert mx.recipients == [YOU]
        assert "more than once" not in world.of("t")[0].dsn_diag


def test_8bit_content_for_a_receiver_of_7_bits_is_recoded() -> None:
    with World(relay(QUICK)) as world:
        mx = world.domain("example.com", extensions=Extensions(eightbitmime=False))
        content = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n"
        world.submit(ME, [YOU], content, body="8BITMIME")
        world.run_until_empty()
        (message,) = mx.messages
        assert message.content.isascii()
        assert message.parsed.get_content().strip() == "Grüße"
        assert not message.connection.violations


def test_an_international_address_for_a_receiver_that_knows_none_bounces() -> None:
    with World(relay(QUICK)) as world:
        world.domain("example.com", extensions=Extensions(smtputf8=False))
        world.domain("sender.example")
        world.submit(ME, ["grüße@example.com"], smtputf8=True)
        world.run_until_empty()
        assert world.of("b")[0].dsn_status == "5.6.7"


def test_a_message_too_big_for_the_receiver_bounces_without_being_sent() -> None:
    with World(relay(QUICK)) as world:
        mx = world.domain("example.com", extensions=Extensions(size=500))
        world.domain("sender.example")
        world.submit(ME, [YOU], "x" * 70 + "\r\n" + "y\r\n" * 500)
        world.run_until_empty()
        assert world.of("b")[0].dsn_status == "5.3.4"
        assert not mx.counts.refusals


def dsn_recipient(notify: int) -> Recipient:
    return Recipient(parse_mailbox(YOU), notify, "rfc822;original@example.org")


def test_dsn_parameters_are_passed_on() -> None:
    with World(relay(QUICK)) as world:
        mx = world.domain("example.com")
        home = world.domain("sender.example")
        world.submit(ME, [dsn_recipient(Notify.SUCCESS | Notify.FAILURE)], ret="HDRS", envid="order 66")
        world.run_until_empty()
        assert mx.messages[0].sender_params.split()[1:] == ["RET=HDRS", "ENVID=order+2066"]
        assert mx.messages[0].recipient_params == ["NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;original@example.org"]
        assert not home.messages  # the receiver will report, not we


def test_a_success_report_is_made_here_when_the_receiver_cannot() -> None:
    with World(relay(QUICK)) as world:
        mx = world.domain("example.com", extensions=Extensions(dsn=False))
        home = world.domain("sender.example")
        world.submit(ME, [dsn_recipient(Notify.SUCCESS)], envid="order66")
        world.run_until_empty()
        assert mx.messages[0].recipient_params == [""]
        report = home.messages[0].content.decode()
        for line in ("Action: relayed", "Original-Envelope-Id: order66", "Original-Recipient: rfc822;original@example.org"):
            assert line in report


def test_who_wants_no_report_gets_none() -> None:
    with World(relay(QUICK)) as world:
        world.domain("example.com", rules=["rcpt 550 5.1.1 unknown"])
        home = world.domain("sender.example")
        world.submit(ME, [dsn_recipient(Notify.NEVER)])
        world.run_until_empty()
        assert world.fates() == {("b", YOU): 1}
        assert not home.messages


def test_a_report_about_a_report_is_never_made() -> None:
    with World(relay(QUICK)) as world:
        world.domain("example.com", rules=["rcpt 550 5.1.1 unknown"])
        home = world.domain("sender.example", rules=["rcpt 550 5.1.1 unknown"])
        world.submit(ME, [YOU])
        world.run_until_empty(within=60)
        assert world.fates() == {("b", YOU): 1, ("b", ME): 1}
        world.advance(HOUR)
        assert len(home.attempts) == 1


def test_mail_from_the_null_path_is_delivered_and_never_reported_on() -> None:
    with World(relay(QUICK)) as world:
        world.domain("example.com", rules=["rcpt:no@* 550 5.1.1 unknown"])
        assert world.submit("", ["no@example.com", "yes@example.com"]).accepted
        world.run_until_empty(within=60)
        assert world.fates() == {("b", "no@example.com"): 1, ("d", "yes@example.com"): 1}


@pytest.mark.directive("require-starttls")
def test_tls_required_and_not_offered_is_never_sent_in_plain() -> None:
    with World(relay(domain("*", require_starttls=True, retry_after=(600.0,), bounce_after=HOUR))) as world:
        mx = world.domain("example.com")
        world.domain("sender.example")
        world.submit(ME, [YOU])
        world.run_until(lambda: bool(world.of("b")), within=2 * HOUR)
        assert len(mx.attempts) >= 6
        assert not mx.messages
        assert not mx.counts.refusals
        assert all(connection.commands <= 2 for connection in mx.connections)  # EHLO, QUIT


def test_a_message_that_waits_in_the_session_is_not_lost_with_it() -> None:
    """Two transactions under way on one channel when it dies: both come again, the second without an attempt counted."""
    with World(relay(domain("*", retry_after=(600.0,), max_smtp_out=1))) as world:
        mx = world.domain("example.com", rules=["eod first=1 drop"])
        for number in range(4):
            world.submit(ME, [f"{number}@example.com"])
        world.run_until_empty()
        assert sorted(mx.recipients) == [f"{number}@example.com" for number in range(4)]
        assert [r.rcpt for r in world.of("t")] == ["0@example.com"]
