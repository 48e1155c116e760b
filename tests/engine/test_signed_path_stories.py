"""The signed return path in a relay: what goes out with it, and that only what comes back by it puts anybody into the suppression store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.engine.login_talk import Client
from tests.engine.test_address_stories import headers

from postwright.model.address import parse_mailbox
from postwright.model.errors import SuppressionError
from postwright.model.suppression import keys_of, scopes_of
from postwright.policy.list_settings import AddressList
from postwright.policy.service_settings import ProcessorSettings
from postwright.policy.settings import AcctFileSettings, Settings, UserSettings
from postwright.store.suppression import FILE, SuppressionStore
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, relay, source

ME, YOU, SHE = "me@sender.example", "you@example.com", "she@example.com"
LOOP = "fbl@loop.example"
RECORDS = ("d", "b", "f", "rb", "rs")


def settings(*, signs: str = "Back.Example", job: bool = False, login: bool = False, **general: Any) -> Settings:
    more = {"process_x_job": True} if job else {}
    more |= {"allow_unencrypted_plain_auth": True} if login else {}
    return relay(
        source(ANYBODY, always_allow_relaying=True, signed_return_path=signs, **more),
        domain("*", retry_after=(60.0,)),
        general={"suppress_bounces": ("bad-mailbox",), "suppress_complaints": True, **general},
        bounce_processor=ProcessorSettings(addresses=AddressList(domains=("back.example",))),
        feedback_loop_processor=ProcessorSettings(addresses=AddressList(addresses=(LOOP,))),
        acct_files=(AcctFileSettings("acct.csv", records=RECORDS),),
    )


def bounce(*recipients: str, status: str = "5.1.1", action: str = "failed") -> bytes:
    blocks = "".join(
        f"\nFinal-Recipient: rfc822;{one}\nAction: {action}\nStatus: {status}\nDiagnostic-Code: smtp; 550 {status} no such user\n"
        for one in recipients
    )
    text = f"""From: MAILER-DAEMON@far.example
Subject: failed
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=B

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.far.example
{blocks}
--B--
"""
    return text.replace("\n", "\r\n").encode()


def complaint(path: str, *, recipient: str = "", to: str = YOU) -> bytes:
    named = f"Original-Rcpt-To: {recipient}\n" if recipient else ""
    text = f"""From: fbl@far.example
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary=B

--B
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Loop/1
Version: 1
{named}
--B
Content-Type: message/rfc822

Return-Path: <{path}>
From: {ME}
To: {to}
Subject: letter

Hello
--B--
"""
    return text.replace("\n", "\r\n").encode()


def suppressed(world: World, *addresses: str, wait: float = 2.5) -> list[str]:
    """Those of `addresses` that the store holds, with reason and source."""
    if wait:
        world.advance(wait)
    path = Path(world._folder.name) / FILE
    if not path.exists():
        return []
    store = SuppressionStore(path)
    found = [(text, store.find(keys_of(parse_mailbox(text), ()), scopes_of("", ""), world.clock.now())) for text in addresses]
    store.close()
    return [f"{text} {held.reason} {held.source}" for text, held in found if held is not None]


def sent(world: World, *recipients: str) -> dict[str, str]:
    """The return path of each recipient, as the receiver saw it."""
    mx = world.domain("example.com")
    world.submit(ME, list(recipients))
    world.run_until_empty()
    return {recipient: message.sender for message in mx.messages for recipient in message.recipients}


@pytest.mark.directive("signed-return-path")
def test_every_recipient_has_a_return_path_of_its_own() -> None:
    with World(settings()) as world:
        paths = sent(world, YOU, SHE)
        assert len(set(paths.values())) == 2
        assert all(path.startswith("rp-") and path.endswith("@back.example") for path in paths.values())


@pytest.mark.directive("signed-return-path")
def test_without_it_the_sender_stays_and_the_null_path_stays_null() -> None:
    with World(settings(signs="")) as world:
        assert sent(world, YOU) == {YOU: ME}
    with World(settings()) as world:
        mx = world.domain("example.com")
        world.submit("", [YOU])
        world.run_until_empty()
        assert [message.sender for message in mx.messages] == [""]


def test_what_bounces_here_is_told_to_the_sender() -> None:
    with World(settings()) as world:
        world.domain("example.com", rules=["rcpt 550 5.1.1 nobody"])
        home = world.domain("sender.example")
        world.submit(ME, [YOU])
        world.run_until_empty()
        assert home.recipients == [ME]


@pytest.mark.directive("suppress-bounces", "signed-return-path", "bounce-processor")
def test_a_bounce_by_the_signed_path_suppresses_its_recipient_alone() -> None:
    with World(settings()) as world:
        path = sent(world, YOU, SHE)[YOU]
        world.submit("", [path.upper()], bounce("YOU@example.com", SHE))
        assert [(record.rcpt, record.remote and record.remote.verified) for record in world.of("rb")] == [
            ("YOU@example.com", "yes"),
            (SHE, "no"),
        ]
        assert suppressed(world, YOU, SHE) == [f"{YOU} bad-mailbox remote-bounce"]


def test_a_forged_bounce_is_recorded_and_suppresses_nobody() -> None:
    with World(settings()) as world:
        path = sent(world, YOU)[YOU]
        forged = path.replace(path[17:25], "a" * 8)
        for to in ("anything@back.example", forged):
            world.submit("", [to], bounce(YOU))
        world.submit("", [path], bounce(SHE))  # a true path, for somebody else
        assert [record.remote and record.remote.verified for record in world.of("rb")] == ["no", "no", "no"]
        assert suppressed(world, YOU, SHE) == []


def test_soft_bounces_and_other_categories_suppress_nobody() -> None:
    with World(settings()) as world:
        path = sent(world, YOU)[YOU]
        world.submit("", [path], bounce(YOU, status="5.2.2").replace(b"no such user", b"mailbox is full"))
        world.submit("", [path], bounce(YOU, action="delayed", status="4.4.1"))
        assert [record.remote and record.remote.verified for record in (*world.of("rb"), *world.of("rs"))] == ["yes", "yes"]
        assert suppressed(world, YOU) == []


def test_a_token_that_is_too_old() -> None:
    with World(settings()) as world:
        path = sent(world, YOU)[YOU]
        world.advance(61 * 86400.0)
        world.submit("", [path], bounce(YOU))
        assert suppressed(world, YOU) == []


@pytest.mark.directive("suppress-complaints", "feedback-loop-processor")
@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("recipient", [YOU, ""])
def test_a_complaint_that_gives_our_return_path_back(wanted: bool, recipient: str) -> None:
    """The recipient may be left out of the report, as many providers do, if the message that it returns names him."""
    with World(settings(suppress_complaints=wanted)) as world:
        path = sent(world, YOU)[YOU]
        world.submit("fbl@far.example", [LOOP], complaint(path, recipient=recipient))
        assert [record.remote and record.remote.verified for record in world.of("f")] == ["yes"]
        assert suppressed(world, YOU) == ([f"{YOU} complaint feedback-loop"] if wanted else [])


@pytest.mark.directive("suppress-complaints", "feedback-loop-processor")
def test_who_complained_is_suppressed_before_the_250_whatever_happens_then() -> None:
    with World(settings()) as world:
        path = sent(world, YOU)[YOU]
        assert world.submit("fbl@far.example", [LOOP], complaint(path, recipient=YOU)).accepted
        assert suppressed(world, YOU, wait=0.0) == [f"{YOU} complaint feedback-loop"]


@pytest.mark.directive("suppression-scope", "suppress-complaints")
@pytest.mark.parametrize("job", ["j1", "a job with a name longer than there is room for"])
def test_who_complained_of_one_job_is_sent_the_others(job: str) -> None:
    with World(settings(suppression_scope="job", job=True)) as world:
        mx = world.domain("example.com")
        assert world.submit(ME, [YOU], f"X-Job: {job}\r\nSubject: first\r\n\r\nhello\r\n").accepted
        world.run_until_empty()
        path = mx.messages[0].sender
        assert world.submit("fbl@far.example", [LOOP], complaint(path, recipient=YOU)).accepted
        world.advance(2.5)
        for other in (job, "j2"):
            assert world.submit(ME, [YOU], f"X-Job: {other}\r\nSubject: {other}\r\n\r\nhello\r\n").accepted
        world.run_until_empty()
        assert [headers(message, "Subject") for message in mx.messages] == [["first"], ["j2"]]
        assert [record.dsn_diag for record in world.of("b") if record.rcpt == YOU] == ["x-pmta;recipient is suppressed (complaint)"]


@pytest.mark.directive("suppression-scope", "suppress-bounces")
def test_a_bounce_of_one_users_mail_holds_for_that_user() -> None:
    users = {"ann": UserSettings("ann", password="x"), "bob": UserSettings("bob", password="x")}
    with World(replace(settings(suppression_scope="user", suppress_bounces=("bad-mailbox",), login=True), users=users)) as world:
        mx = world.domain("example.com")
        clients = {name: Client(world) for name in users}
        for name, client in clients.items():
            client.plain(name, "x")
        say(clients["ann"], YOU)
        world.run_until_empty()
        path = mx.messages[0].sender
        assert "ann" not in path
        assert world.submit("", [path], bounce(YOU)).accepted
        world.advance(2.5)
        assert [say(clients[name], YOU)[:3] for name in ("ann", "bob")] == ["550", "250"]


def say(client: Client, recipient: str) -> str:
    """The first answer to a message that is none of the usual, or the last one."""
    client.say(f"MAIL FROM:<{ME}>")
    answer = client.say(f"RCPT TO:<{recipient}>")
    if not answer.startswith("2"):
        client.say("RSET")
        return answer
    client.say("DATA")
    return client.say("Subject: x\r\n\r\nhello\r\n.")


def test_a_complaint_that_cannot_be_obeyed_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with World(settings()) as world:
        path = sent(world, YOU)[YOU]
        with monkeypatch.context() as patch:
            patch.setattr(SuppressionStore, "add", _refusing)
            answer = world.submit("fbl@far.example", [LOOP], complaint(path, recipient=YOU))
            assert answer.final is not None
            assert answer.final.text == "451 4.3.0 local error, try again later"
            assert world.of("f") == [], "it will be recorded when it comes again"
        assert world.submit("fbl@far.example", [LOOP], complaint(path, recipient=YOU)).accepted
        assert len(world.of("f")) == 1
        assert suppressed(world, YOU) == [f"{YOU} complaint feedback-loop"]


def _refusing(store: SuppressionStore, entries: object) -> int:
    raise SuppressionError("the disk is full")


def test_a_forged_complaint_suppresses_nobody() -> None:
    with World(settings()) as world:
        path = sent(world, SHE)[SHE]
        world.submit("fbl@far.example", [LOOP], complaint(path, recipient=YOU))
        world.submit("fbl@far.example", [LOOP], complaint(ME, recipient=YOU))
        assert [record.remote and record.remote.verified for record in world.of("f")] == ["no", "no"]
        assert suppressed(world, YOU, SHE) == []


def test_after_a_restart_the_same_secret_counts() -> None:
    with World(settings()) as world:
        path = sent(world, YOU)[YOU]
        world.restart()
        world.submit("", [path], bounce(YOU))
        assert suppressed(world, YOU) == [f"{YOU} bad-mailbox remote-bounce"]


def test_a_secret_that_cannot_be_kept_stops_no_mail_and_proves_nothing_to_others() -> None:
    with World(settings()) as world:
        folder = Path(world._folder.name)
        (folder / "return-path.secret").write_bytes(b"short")
        path = sent(world, YOU)[YOU]
        assert path.startswith("rp-")
        assert [line.event for line in world.log if line.level == "error"] == [
            "return paths are signed in vain: their secret cannot be kept"
        ]
        world.restart()
        world.submit("", [path], bounce(YOU))
        assert [record.remote and record.remote.verified for record in world.of("rb")] == ["no"]
