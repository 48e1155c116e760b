"""Mail that comes to bounce and feedback loop processors: who is claimed, what is recorded before the 250, and who still gets the mail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postwright.engine.processing import SMALL
from postwright.engine.workers import Inline
from postwright.model.errors import LoginUnavailable, SpoolBroken, SpoolError, SpoolFull
from postwright.model.reply import Reply
from postwright.policy.list_settings import AddressList
from postwright.policy.service_settings import EmailPatterns, ProcessorSettings
from postwright.policy.settings import AcctFileSettings, Rate, Settings
from postwright.store.memory_spool import MemorySpool
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

BACK, LOOP = "back@bounce.example", "fbl@loop.example"
AT_BOUNCE = AddressList(domains=("[*.]bounce.example",))
AT_LOOP = AddressList(addresses=(LOOP,))
RECORDS = ("d", "b", "r", "f", "rb", "rs")

BOUNCE = b"""From: MAILER-DAEMON@far.example
To: back@bounce.example
Subject: failed
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=B

--B

It failed.
--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.far.example
Original-Envelope-Id: e-17

Original-Recipient: rfc822;You@example.com
Final-Recipient: rfc822;inner@far.example
Action: failed
Status: 5.1.1
Remote-MTA: dns; deep.far.example
Diagnostic-Code: smtp; 550 5.1.1 no such user here

Final-Recipient: rfc822;slow@far.example
Action: delayed
Status: 4.4.1
--B
Content-Type: text/rfc822-headers

From: me@sender.example
Subject: our letter
X-Job: j1
--B--
""".replace(b"\n", b"\r\n")

COMPLAINT = b"""From: fbl@far.example
To: fbl@loop.example
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary=B

--B

Somebody complained.
--B
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Loop/1
Version: 1
Original-Mail-From: <news@sender.example>
Original-Rcpt-To: you@example.com
Source-IP: 192.0.2.10
Reported-Domain: sender.example
Incident-Tag: t7
--B
Content-Type: message/rfc822

From: me@sender.example
Subject: our letter

Hello
--B--
""".replace(b"\n", b"\r\n")

LETTER = b"From: a@far.example\r\nSubject: a question\r\n\r\nIs it you?\r\n"


def settings(*, fields: dict[str, tuple[str, ...]] | None = None, loop: dict[str, Any] | None = None, **bounce: Any) -> Settings:
    return relay(
        domain("*", retry_after=(60.0,)),
        bounce_processor=ProcessorSettings(**{"addresses": AT_BOUNCE, **bounce}),
        feedback_loop_processor=ProcessorSettings(**{"addresses": AT_LOOP, **(loop or {})}),
        acct_files=(AcctFileSettings("acct.csv", records=RECORDS, record_fields=fields or {}),),
    )


@pytest.mark.directive("bounce-processor", "deliver-matched-email")
def test_a_bounce_is_recorded_before_the_250_and_goes_no_further() -> None:
    with World(settings(fields={"rb": ("*", "header_Subject", "header_X-Job")})) as world:
        home = world.domain("bounce.example")
        answer = world.submit("", [BACK], BOUNCE)
        assert answer.final is not None
        assert answer.final.code == 250
        (failed,), (delayed,) = world.of("rb"), world.of("rs")  # no time has passed since the 250
        assert (failed.orig, failed.rcpt, failed.orcpt) == (BACK, "You@example.com", "rfc822;You@example.com")
        assert (failed.dsn_action, failed.dsn_status, failed.bounce_cat) == ("failed", "5.1.1", "bad-mailbox")
        assert (failed.dsn_diag, failed.dsn_mta, failed.env_id) == ("smtp;550 5.1.1 no such user here", "deep.far.example", "e-17")
        assert failed.remote is not None
        assert (failed.remote.format, failed.remote.dsn_reporting_mta) == ("dsn", "mx.far.example")
        assert failed.headers is not None
        assert failed.headers.items() >= {"subject": "our letter", "x-job": "j1"}.items()
        assert (delayed.rcpt, delayed.dsn_action, delayed.recipient) == ("slow@far.example", "delayed", 1)
        world.run_until_empty()
        assert home.messages == []
        assert not world.of("r")


@pytest.mark.directive("feedback-loop-processor")
def test_a_complaint_is_recorded_with_the_fields_asked_for() -> None:
    with World(settings(fields={"f": ("*", "arf_Incident-Tag")})) as world:
        world.domain("loop.example")
        world.submit("fbl@far.example", [LOOP], COMPLAINT, peer="192.0.2.99")
        (record,) = world.of("f")
        assert (record.orig, record.rcpt, record.dlv_source_ip) == ("news@sender.example", "you@example.com", "192.0.2.10")
        assert record.headers is not None
        assert record.headers["subject"] == "our letter"
        remote = record.remote
        assert remote is not None
        assert (remote.format, remote.feedback_type, remote.user_agent) == ("arf", "abuse", "Loop/1")
        assert (remote.rep_source_ip, remote.reported_domain, remote.arf) == ("192.0.2.99", "sender.example", {"incident-tag": "t7"})
        assert not world.messages()


@pytest.mark.directive("max-report-rate")
def test_a_storm_of_reports_is_told_to_come_again_and_holds_up_nothing_else() -> None:
    with World(settings(max_report_rate=Rate(2, 60.0))) as world:
        world.domain("bounce.example")
        world.domain("example.com")
        replies = [world.submit("", [BACK], BOUNCE).final for _ in range(4)]
        assert [reply.code for reply in replies if reply is not None] == [250, 250, 452, 452]
        assert replies[3] == Reply(452, "4.3.2", ("too many reports in a short time, try again later",))
        assert len(world.of("rb")) == 2  # what was refused is not recorded either
        assert world.submit("fbl@far.example", [LOOP], COMPLAINT).final.code == 250  # type: ignore[union-attr]  # of the other one
        assert world.submit("me@sender.example", ["you@example.com"]).final.code == 250  # type: ignore[union-attr]
        world.advance(61)
        assert world.submit("", [BACK], BOUNCE).final.code == 250  # type: ignore[union-attr]


@pytest.mark.directive("max-report-rate")
def test_the_usual_rate_of_reports_is_bounded_and_may_be_unlimited() -> None:
    assert ProcessorSettings().max_report_rate == Rate(500, 1.0)
    with World(settings(max_report_rate=None)) as world:
        world.domain("bounce.example")
        assert {world.submit("", [BACK], BOUNCE).final.code for _ in range(600)} == {250}  # type: ignore[union-attr]


def test_each_processor_reads_its_own_kind() -> None:
    """A complaint at the bounce processor is mail like any other: it goes to whom it was for."""
    with World(settings()) as world:
        home = world.domain("bounce.example")
        world.domain("loop.example")
        world.submit("fbl@far.example", [BACK], COMPLAINT)
        world.run_until_empty()
        assert home.recipients == [BACK]
        assert not world.of("f")
        world.submit("fbl@far.example", [BACK, LOOP], COMPLAINT)
        world.run_until_empty()
        assert home.recipients == [BACK, BACK]
        assert len(world.of("f")) == 1


@pytest.mark.directive("deliver-unmatched-email", "forward-unmatched-to")
@pytest.mark.parametrize(
    ("directives", "receivers"),
    [
        ({}, [BACK]),
        ({"deliver_unmatched_email": False}, []),
        ({"forward_unmatched_to": ("post@home.example",)}, ["post@home.example"]),
        ({"forward_unmatched_to": ("post@home.example",), "deliver_unmatched_email": True}, [BACK, "post@home.example"]),
        ({"deliver_email": False}, []),
    ],
)
def test_what_is_no_report(directives: dict[str, Any], receivers: list[str]) -> None:
    with World(settings(**directives)) as world:
        world.domain("bounce.example")
        world.domain("home.example")
        answer = world.submit("a@far.example", [BACK], LETTER)
        assert answer.final is not None
        assert answer.final.code == 250
        world.run_until_empty()
        assert sorted(one for message in world.messages() for one in message.recipients) == sorted(receivers)
        assert not world.of("rb")


@pytest.mark.directive("deliver-matched-email", "deliver-email")
@pytest.mark.parametrize("directive", ["deliver_matched_email", "deliver_email"])
def test_reports_are_passed_on_where_that_is_asked_for(directive: str) -> None:
    directives: dict[str, Any] = {directive: True}
    with World(settings(**directives)) as world:
        home = world.domain("bounce.example")
        world.submit("", [BACK], BOUNCE)
        world.run_until_empty()
        assert home.recipients == [BACK]
        assert len(world.of("rb")) == 1


@pytest.mark.directive("forward-errors-to")
def test_a_report_that_nobody_can_read_goes_to_those_who_want_it() -> None:
    broken = BOUNCE.replace(b"Final-Recipient", b"X-Nobody").replace(b"Original-Recipient", b"X-None")
    cases: list[tuple[dict[str, Any], list[str]]] = [({}, [BACK]), ({"forward_errors_to": ("admin@home.example",)}, ["admin@home.example"])]
    for directives, receivers in cases:
        with World(settings(**directives)) as world:
            world.domain("bounce.example")
            world.domain("home.example")
            world.submit("a@far.example", [BACK], broken)
            world.run_until_empty()
            assert [one for message in world.messages() for one in message.recipients] == receivers


def test_a_mail_of_many_levels_is_mail_that_was_not_recognised() -> None:
    nest = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(200))
    with World(settings()) as world:
        home = world.domain("bounce.example")
        world.submit("", [BACK], b"Subject: x\r\n" + nest)
        world.run_until_empty()
        assert home.recipients == [BACK]


@pytest.mark.directive("address-list")
def test_other_recipients_of_the_same_mail_get_it(tmp_path: Path) -> None:
    file = tmp_path / "addresses"
    file.write_text("# ours\nreturns@sender.example\nlistmaster\n")
    claimed = AddressList(addresses=("/^b-[0-9]+@/",), files=(str(file),))
    with World(settings(addresses=claimed)) as world:
        home = world.domain("sender.example")
        to = ["b-17@sender.example", "returns@sender.example", "listmaster@sender.example", "me@sender.example", "b-x@sender.example"]
        world.submit("", to, BOUNCE)
        world.run_until_empty()
        assert sorted(home.recipients) == ["b-x@sender.example", "me@sender.example"]
        assert len(world.of("rb")) == 1  # one report, whoever of ours it came to


@pytest.mark.directive("email-patterns", "body-pattern-file", "log-match-info")
def test_patterns_of_ones_own_read_what_no_reader_knows(tmp_path: Path) -> None:
    file = tmp_path / "patterns"
    file.write_text(
        "# theirs\n/^Kein Zugang: (?P<rcpt>[^ ]+) \\((?P<dsnDiag>.*)\\)/\n/(?m)^nicht da: <(?P<rcpt>[^>]+)> (?P<dsnStatus>[0-9.]+)/\n"
    )
    letter = b"Subject: -\r\n\r\nwe are sorry\r\nnicht da: <you@example.com> 5.1.1\r\n"
    with World(settings(patterns=EmailPatterns((str(file),), log_match_info=True))) as world:
        home = world.domain("bounce.example")
        world.submit("bot@far.example", [BACK], letter)
        (record,) = world.of("rb")
        assert (record.rcpt, record.dsn_status, record.dsn_action) == ("you@example.com", "5.1.1", "failed")
        assert record.remote is not None
        assert record.remote.format == "pattern"
        assert [line.fields["pattern"] for line in world.log if line.event == "a report was read by a pattern"] == [f"{file}:3"]
        world.run_until_empty()
        assert home.recipients == []


def test_a_pattern_that_is_none_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "patterns"
    for text, words in (
        ("/ok (?P<rcpt>x)/\n/(/\n", ":2: not an expression"),
        ("/x/\n", ":1: the pattern has no named"),
        ("x\n", ":1: a pattern"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=words):
            World(settings(patterns=EmailPatterns((str(file),))))


def test_a_large_report_is_read_by_the_workers() -> None:
    large = BOUNCE.replace(b"It failed.", b"It failed.\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * (SMALL // 70))
    with World(settings()) as world:
        world.submit("", [BACK], large)
        assert [record.rcpt for record in world.of("rb")] == ["You@example.com"]
        assert world.node.intake.submissions.held == 0


BLOCK = b"Final-Recipient: rfc822;slow@far.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n"
NAMED = b"Original-Rcpt-To: you@example.com\r\n"
WORDY = BLOCK + b"Diagnostic-Code: smtp; 450 " + b"exceeded unknown denied\r\n " * 25 + b"\r\n"


@pytest.mark.parametrize(
    ("report", "threads"),
    [
        (BOUNCE, 0),
        (COMPLAINT, 0),
        (BOUNCE.replace(BLOCK, (BLOCK + b"\r\n") * 20), 1),
        (BOUNCE.replace(BLOCK, WORDY * 2), 1),
        (COMPLAINT.replace(NAMED, b"".join([NAMED.replace(b"you", b"y%d" % number) for number in range(20)])), 1),
    ],
    ids=["bounce", "complaint", "many recipients", "many words", "many complain"],
)
def test_a_small_report_that_says_much_is_judged_by_the_workers(monkeypatch: pytest.MonkeyPatch, report: bytes, threads: int) -> None:
    """A mail of 64 KB full of words that no reply has would keep the loop for a second."""
    works: list[object] = []

    def run(self: Inline, work: Callable[[], Any]) -> Any:
        works.append(work)
        return usual(self, work)

    usual = Inline.run
    with World(settings()) as world:
        world.domain("bounce.example")
        monkeypatch.setattr(Inline, "run", run)
        answer = world.submit("", [BACK, LOOP], report)
        assert answer.final is not None
        assert answer.final.code == 250
        assert len(report) < SMALL
        assert len(works) == threads
        assert world.of("rb") or world.of("f")


def test_where_too_many_wait_the_next_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, work: object) -> None:
        raise LoginUnavailable("full")

    with World(settings()) as world:
        monkeypatch.setattr("postwright.engine.workers.Inline.run", full)
        answer = world.submit("", [BACK], BOUNCE + b"x\r\n" * SMALL)
        assert answer.final is not None
        assert answer.final.text == "452 4.3.2 Server resources temporarily exhausted"
        assert not world.of("rb")
        assert world.node.intake.submissions.held == 0


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (SpoolFull("no room"), "452 4.3.1 insufficient system storage, try again later"),
        (SpoolBroken("no disk"), "451 4.3.0 local error, try again later"),
    ],
)
def test_while_no_mail_is_taken_a_report_comes_again(error: SpoolError, said: str) -> None:
    with World(settings(deliver_matched_email=True)) as world:
        spool = world.node.spool
        assert isinstance(spool, MemorySpool)
        spool.fail_next.append(error)
        answer = world.submit("", [BACK], BOUNCE)
        assert answer.final is not None
        assert answer.final.text == said
        assert world.of("rb") == [], "it is recorded once, when it is taken"
        spool.fail_next.clear()
        assert world.submit("", [BACK], BOUNCE).accepted
        assert len(world.of("rb")) == 1


def test_a_disk_that_takes_no_records_does_not_keep_a_session_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    with World(settings()) as world:
        monkeypatch.setattr(world.node.spool, "mark", lambda marks: world.loop.create_future())
        before = world.clock.monotonic()
        answer = world.submit("", [BACK], BOUNCE)
        assert answer.final is not None
        assert answer.final.text == "451 4.3.0 local error, try again later"
        assert world.clock.monotonic() - before < 60.0
        assert world.node.intake.submissions.held == 0


def test_a_crash_after_the_250_keeps_what_was_recorded() -> None:
    with World(settings(deliver_matched_email=True)) as world:
        home = world.domain("bounce.example", rules=["rcpt first=1 450 later"])
        world.submit("", [BACK], BOUNCE)
        world.crash()
        world.begin()
        world.run_until_empty()
        assert home.recipients == [BACK]
        assert len(world.of("rb")) == 1


def test_without_processors_nothing_is_read() -> None:
    with World(relay(domain("*", retry_after=(60.0,)), acct_files=(AcctFileSettings("acct.csv", records=RECORDS),))) as world:
        assert world.node.intake.epoch.processing is None
        home = world.domain("bounce.example")
        world.submit("", [BACK], BOUNCE)
        world.run_until_empty()
        assert home.recipients == [BACK]
        assert not world.of("rb")
