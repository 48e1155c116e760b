"""Stories of failure reports in the operator's own words, and of who gets none (`suppress-local-dsn`, `dsn-return-default`)."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from flufl.bounce import scan_message

from postwright.model.address import parse_mailbox
from postwright.model.envelope import Notify, Recipient
from postwright.testing.sink_records import Extensions
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, relay, source

TEXT = "From: me@sender.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@sender.example>\r\n\r\ntext\r\n"
BODY = """Dear ${originator},

your mail "${subject}" of ${timeQueued} did not reach
${recipient}:
${response}

We tried for ${bounceAfter}"""


def reports(
    recipients: tuple[str | Recipient, ...] = ("you@example.com",),
    blocks: tuple[Any, ...] = (),
    general: dict[str, Any] | None = None,
    **options: Any,
) -> list[EmailMessage]:
    """What me@sender.example hears of a message of which you@ and you2@ were refused."""
    settings = relay(domain("*", bounce_after=86400.0), *blocks, general=general)
    with World(settings) as world:
        world.domain("example.com", rules=["rcpt:you@* 550 5.1.1 no such user", "rcpt:you2@* 550 5.1.1 no such user"])
        world.domain("sender.example")
        world.domain("fine.example", extensions=Extensions(dsn=False))
        world.submit("me@sender.example", list(recipients), TEXT, **options)
        world.run_until_empty()
        found = [email.message_from_bytes(m.content, policy=email.policy.default) for m in world.messages()]
        return [one for one in found if isinstance(one, EmailMessage) and "me@sender.example" in str(one["To"])]


def words_in(report: EmailMessage) -> str:
    return str(next(iter(report.iter_parts())).get_content())


@pytest.mark.directive("dsn-failed-from-template", "dsn-failed-subject-template", "dsn-failed-body-template-from", "custom-dsn-from-header")
def test_a_failure_in_the_operators_words(tmp_path: Path) -> None:
    (tmp_path / "body.txt").write_bytes(BODY.replace("\n", "\r\n").encode())
    [report] = reports(
        general={
            "custom_dsn_from_header": "usual@relay.example",
            "dsn_failed_from_template": "Postmaster <bounce@${hostname}>",
            "dsn_failed_subject_template": "${recipient}: ${subject}",
            "dsn_failed_body_template_from": str(tmp_path / "body.txt"),
        }
    )
    assert report["From"] == "Postmaster <bounce@relay.example>"
    assert report["Subject"] == "you@example.com: Grüße"
    lines = words_in(report).splitlines()
    assert lines[0] == "Dear me@sender.example,"
    assert lines[2].startswith('your mail "Grüße" of Tue, 14 Nov 2023')
    assert lines[3:] == ["you@example.com:", "550 5.1.1 no such user", "", "We tried for 1d"]
    # programs read it as before
    assert report["Auto-Submitted"] == "auto-replied"
    assert report.get_content_type() == "multipart/report"
    assert set(scan_message(report)) == {b"you@example.com"}


@pytest.mark.directive("custom-dsn-from-header")
def test_the_usual_words_with_another_sender() -> None:
    [report] = reports(general={"custom_dsn_from_header": "Reports <reports@relay.example>"})
    assert report["From"] == "Reports <reports@relay.example>"
    assert report["Subject"] == "Undelivered mail: your message could not be delivered"
    [usual] = reports()
    assert usual["From"] == "Mail Delivery System <MAILER-DAEMON@relay.example>"


def test_several_recipients_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "body.txt").write_text("${recipient}\n${response}\n")
    [report] = reports(("you@example.com", "you2@example.com"), general={"dsn_failed_body_template_from": str(tmp_path / "body.txt")})
    assert words_in(report).splitlines() == [
        "you@example.com, you2@example.com",
        "you@example.com: 550 5.1.1 no such user",
        "you2@example.com: 550 5.1.1 no such user",
    ]


def test_only_failures_have_the_words(tmp_path: Path) -> None:
    (tmp_path / "body.txt").write_text("own words\n")
    general = {"dsn_failed_subject_template": "own", "dsn_failed_body_template_from": str(tmp_path / "body.txt")}
    to = ("you@example.com", Recipient(parse_mailbox("fine@fine.example"), int(Notify.SUCCESS)))
    found = reports(to, general=general)
    assert sorted(str(report["Subject"]) for report in found) == ["Relayed mail: your message was passed on", "own"]


@pytest.mark.directive("dsn-failed-body-template-from", "dsn-format")
def test_plain_text_has_the_words_too(tmp_path: Path) -> None:
    (tmp_path / "body.txt").write_text("own words for ${recipient}\n")
    [report] = reports(
        blocks=(domain("sender.example", dsn_format="plain-text"),), general={"dsn_failed_body_template_from": str(tmp_path / "body.txt")}
    )
    assert report.get_content_type() == "text/plain"
    assert str(report.get_content()).startswith("own words for you@example.com")


def test_a_file_that_is_gone_costs_nobody_his_report(tmp_path: Path) -> None:
    [report] = reports(general={"dsn_failed_body_template_from": str(tmp_path / "gone.txt"), "dsn_failed_subject_template": "own"})
    assert report["Subject"] == "own"
    assert "could not be delivered to" in words_in(report)


def test_the_file_is_read_again_at_a_reload(tmp_path: Path) -> None:
    file = tmp_path / "body.txt"
    file.write_text("first\n")
    settings = relay(domain("*"), general={"dsn_failed_body_template_from": str(file)})
    with World(settings) as world:
        world.domain("example.com", rules=["rcpt 550 5.1.1 no"])
        home = world.domain("sender.example")
        for text in ("second\n", "third\n"):
            world.submit("me@sender.example", ["you@example.com"], TEXT)
            world.run_until_empty()
            file.write_text(text)
            world.reload(relay(domain("*"), general={"dsn_failed_body_template_from": str(file)}))
        found = [words_in(email.message_from_bytes(m.content, policy=email.policy.default)) for m in home.messages]  # type: ignore[arg-type]
    assert [words.split() for words in found] == [["first"], ["second"]]


@pytest.mark.directive("suppress-local-dsn")
@pytest.mark.parametrize("suppresses", [True, False])
def test_a_source_that_wants_no_reports(suppresses: bool) -> None:
    found = reports(blocks=(source(ANYBODY, always_allow_relaying=True, suppress_local_dsn=suppresses),))
    assert len(found) == (0 if suppresses else 1)


@pytest.mark.directive("dsn-return-default")
@pytest.mark.parametrize(
    ("default", "ret", "returned"),
    [
        ("system", "", "text/rfc822-headers"),
        ("headers", "", "text/rfc822-headers"),
        ("full", "", "message/rfc822"),
        ("full", "HDRS", "text/rfc822-headers"),
        ("headers", "FULL", "message/rfc822"),
    ],
)
def test_what_is_returned_unless_the_sender_says(default: str, ret: str, returned: str) -> None:
    [report] = reports(blocks=(source(ANYBODY, always_allow_relaying=True, dsn_return_default=default),), **({"ret": ret} if ret else {}))
    assert list(report.iter_parts())[2].get_content_type() == returned
