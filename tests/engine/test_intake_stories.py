"""Stories of taking mail: who may, what is made of it, and what a 250 is worth."""

from __future__ import annotations

import asyncio

from postwright.model.errors import SpoolBroken, SpoolFull
from postwright.model.message import format_id
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, pool, relay, source, vmta

ME, YOU = "me@sender.example", "you@example.com"


def test_the_id_in_the_250_is_in_the_received_field_and_in_every_record() -> None:
    with World() as world:
        mx = world.domain("example.com")
        taken = world.submit(ME, [YOU])
        world.run_until_empty()
        assert taken.final is not None
        assert taken.final.text == f"250 2.6.0 message received id={format_id(taken.id)}"
        assert format_id(taken.id) in str(mx.messages[0].parsed["Received"])
        assert {record.message_id for record in world.records} == {taken.id}


def test_mail_beyond_ascii_has_a_protocol_of_its_own() -> None:
    """RFC 6531 section 4.3, and of one session only the mail that asked for SMTPUTF8."""
    with World(relay()) as world:
        mx = world.domain("example.com")
        world.submit("me@sender.example", ["grüße@example.com"], smtputf8=True)
        world.submit("me@sender.example", ["you@example.com"])
        world.run_until(lambda: len(mx.messages) == 2)
        by = {message.recipients[0]: message.parsed["Received"].split(" with ")[1].split()[0] for message in mx.messages}
        assert by == {"grüße@example.com": "UTF8SMTP", "you@example.com": "ESMTP"}


def test_who_may_not_relay_is_told_so() -> None:
    settings = relay(source(ANYBODY), source("192.0.2.0/25", always_allow_relaying=True), relay_domains=("ours.example",))
    with World(settings) as world:
        stranger = world.submit(ME, [YOU, "you@ours.example"], peer="203.0.113.1")
        assert [reply.text[:9] for reply in stranger.rcpt if reply] == ["550 5.7.1", "250 2.1.5"]
        assert world.submit(ME, [YOU], peer="192.0.2.5").accepted


def test_a_full_spool_says_452_and_keeps_nothing() -> None:
    with World() as world:
        world.node.spool.fail_next = [SpoolFull("too little"), SpoolBroken("EIO")]  # type: ignore[attr-defined]
        full, broken = world.submit(ME, [YOU]), world.submit(ME, [YOU])
        assert full.final is not None
        assert broken.final is not None
        assert (full.final.code, full.final.status) == (452, "4.3.1")
        assert (broken.final.code, broken.final.status) == (451, "4.3.0")
        assert not list(world.node.spool.live())
        assert world.node.intake.submissions.held == 0
        assert not world.records


def test_nothing_is_said_before_it_is_durable() -> None:
    with World(sync=5.0) as world:
        world.domain("example.com")
        world.submit(ME, [YOU])
        assert world.now >= 5.0


def test_a_client_that_leaves_before_the_250_has_handed_over_all_the_same() -> None:
    with World(sync=1.0) as world:
        mx = world.domain("example.com")

        async def impatient() -> None:
            task = asyncio.ensure_future(world.submitting(ME, [YOU]))
            await asyncio.sleep(0.5)
            for end in world._sessions[0]:
                end.abort()
            assert not (await task).accepted

        world.run(impatient())
        world.run_until(lambda: bool(mx.messages), within=10.0)
        assert mx.recipients == [YOU]


def test_job_and_envid_are_in_the_records_and_not_in_the_message() -> None:
    with World() as world:
        mx = world.domain("example.com")
        world.submit(ME, [YOU], headers={"x-job": "spring", "x-envid": "e-17"})
        world.run_until_empty()
        assert {(r.job_id, r.env_id) for r in world.records} == {("spring", "e-17")}
        assert mx.messages[0].parsed["x-job"] is None
        assert "ENVID=e-17" in mx.messages[0].sender_params


def test_an_unknown_virtual_mta_is_refused() -> None:
    with World() as world:
        refused = world.submit(ME, [YOU], headers={"x-virtual-mta": "nobody"})
        assert refused.final is not None
        assert (refused.final.code, refused.final.status) == (550, "5.5.0")
        assert not list(world.node.spool.live())


def test_or_bounced_at_delivery_when_it_may_not_be_refused() -> None:
    free = source(ANYBODY, always_allow_relaying=True, process_x_virtual_mta=True, reject_invalid_virtual_mta=False)
    with World(relay(free)) as world:
        home = world.domain("sender.example")
        assert world.submit(ME, [YOU], headers={"x-virtual-mta": "nobody"}).accepted
        world.advance(60)
        assert [r.dsn_status for r in world.of("b")] == ["5.3.5", "5.3.5"][: len(world.of("b"))]
        assert world.of("b")[0].rcpt == YOU
        assert [m.recipients for m in home.messages] == [[ME]]


def test_a_virtual_mta_that_a_reload_took_away_bounces_what_waited_for_it() -> None:
    later = domain("*", retry_after=(60.0,))
    with World(relay(later, vmta("a", "192.0.2.10"))) as world:
        mx = world.domain("example.com", rules=["rcpt 450 4.2.0 later"])
        world.submit(ME, [YOU], headers={"x-virtual-mta": "a"})
        world.advance(10)
        world.reload(relay(later))
        world.advance(120)
        assert len(mx.attempts) == 1
        assert [r.dsn_status for r in world.of("b") if r.rcpt == YOU] == ["5.3.5"]


def test_mail_for_postmaster_goes_to_the_postmaster() -> None:
    settings = relay(source(ANYBODY), general={"postmaster": ("admin@home.example",)})
    with World(settings) as world:
        home = world.domain("home.example")
        assert world.submit(ME, ["postmaster@relay.example", "abuse@relay.example"], peer="203.0.113.9").accepted
        world.run_until_empty()
        assert home.recipients == ["admin@home.example", "admin@home.example"]


def test_a_pool_member_is_chosen_at_the_door_and_kept_through_a_crash() -> None:
    settings = relay(domain("*", retry_after=(60.0,)), vmta("a", "192.0.2.10"), vmta("b", "192.0.2.11"), pool("p", "a", "b"))
    with World(settings) as world:
        mx = world.domain("example.com", rules=["rcpt first=2 450 4.2.0 later"])
        world.submit(ME, ["1@example.com"], headers={"x-virtual-mta": "p"})
        world.submit(ME, ["2@example.com"], headers={"x-virtual-mta": "p"})
        world.advance(10)
        world.crash()
        world.begin()
        world.run_until_empty()
        assert {(r.rcpt, r.vmta) for r in world.of("t")} == {(r.rcpt, r.vmta) for r in world.of("d")}
        assert len({attempt.source for attempt in mx.attempts}) == 2


def test_a_stopping_relay_takes_no_mail() -> None:
    with World() as world:
        world.node.intake.stopping = True
        refused = world.submit(ME, [YOU])
        assert not refused.accepted


def test_no_report_for_sources_that_want_none() -> None:
    quiet = source(ANYBODY, always_allow_relaying=True, suppress_local_dsn=True)
    with World(relay(quiet)) as world:
        world.domain("example.com", rules=["rcpt 550 5.1.1 unknown"])
        home = world.domain("sender.example")
        world.submit(ME, [YOU])
        world.advance(60)
        assert world.fates() == {("b", YOU): 1}
        assert not home.attempts


def test_a_message_with_recipients_of_many_domains_reaches_each() -> None:
    with World() as world:
        receivers = [world.domain(f"d{number}.example") for number in range(5)]
        world.submit(ME, [f"{who}@d{number}.example" for number in range(5) for who in "ab"])
        world.run_until_empty()
        assert [sorted(r.recipients) for r in receivers] == [[f"a@d{n}.example", f"b@d{n}.example"] for n in range(5)]
        assert all(len(receiver.messages) == 1 for receiver in receivers)
