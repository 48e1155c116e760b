"""Stories of addresses: what a relay makes of senders and recipients between the door and the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.engine.login_talk import Client

from postwright.model.address import Address, parse_mailbox
from postwright.model.envelope import Notify, Recipient
from postwright.model.message import Message
from postwright.model.reply import Reply
from postwright.policy.list_settings import AddressList, RewriteRule, SubmissionResult, SubmissionRule
from postwright.policy.service_settings import Alias
from postwright.policy.settings import PoolSettings, Settings
from postwright.testing.sink_records import SinkMessage
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, pool, relay, source, vmta

ME, YOU = "me@sender.example", "you@example.com"
FREE: dict[str, Any] = {"always_allow_relaying": True, "process_x_virtual_mta": True, "process_x_job": True}


def free(**directives: Any) -> Any:
    return source(ANYBODY, **FREE, **directives)


def texts(replies: list[Reply | None]) -> list[str]:
    return [reply.text for reply in replies if reply is not None]


def headers(message: SinkMessage, name: str) -> list[str]:
    return [str(value) for value in message.parsed.get_all(name, [])]


def live(world: World) -> list[Message]:
    spool = world.node.spool
    found = []
    for message_id, _ in spool.live():
        ref = spool.ref(message_id)
        assert ref is not None
        found.append(spool.read_message(message_id, ref))
    return found


# -- aliases ----------------------------------------------------------------------------------------------------------------


def test_an_alias_of_ours_points_outward_for_anybody() -> None:
    known = (Alias("sales", ("a@far.example", "Second@far.example")),)
    with World(relay(source(ANYBODY), aliases=known)) as world:
        far = world.domain("far.example")
        taken = world.submit(ME, ["Sales@relay.example", "a@far.example"], peer="203.0.113.9")
        assert [text[:9] for text in texts(taken.rcpt)] == ["250 2.1.5", "550 5.7.1"]
        world.run_until_empty()
        assert far.recipients == ["a@far.example", "Second@far.example"]
        assert {(r.type, r.rcpt, r.orcpt) for r in world.records} == {
            (kind, rcpt, "rfc822;Sales@relay.example") for kind in "rd" for rcpt in ("a@far.example", "Second@far.example")
        }


def test_who_has_said_no_is_not_mailed_through_an_alias_either() -> None:
    lists = {"gone": AddressList(("no@far.example",))}
    known = (Alias("sales", ("a@far.example", "no@far.example")),)
    with World(relay(free(suppression_lists=("gone",)), aliases=known, address_lists=lists)) as world:
        far, home = world.domain("far.example"), world.domain("sender.example")
        world.submit(ME, ["sales@relay.example"])
        world.run_until_empty()
        assert (far.recipients, home.messages) == (["a@far.example"], [])
        assert [(r.rcpt, r.dsn_status) for r in world.of("b")] == [("no@far.example", "5.7.1")]


def test_an_alias_hands_on_what_the_sender_wants_to_hear() -> None:
    known = (Alias("sales", ("gone@far.example",)),)
    with World(relay(aliases=known)) as world:
        world.domain("far.example", rules=["rcpt 550 5.1.1 no such user"])
        home = world.domain("sender.example")
        asked = Recipient(parse_mailbox("sales@relay.example"), int(Notify.FAILURE), "rfc822;orig@there.example")
        quiet = Recipient(parse_mailbox("sales@relay.example"), int(Notify.NEVER))
        world.submit(ME, [asked])
        world.submit(ME, [quiet])
        world.run_until_empty()
        assert len(home.messages) == 1
        assert "Original-Recipient: rfc822;orig@there.example" in home.messages[0].content.decode()


def test_every_postmaster_gets_what_is_for_postmaster() -> None:
    settings = relay(source(ANYBODY), general={"postmaster": ("admin@home.example", "second@home.example")})
    with World(settings) as world:
        home = world.domain("home.example")
        world.submit(ME, [Recipient(Address("postmaster", ""))], peer="203.0.113.9")
        world.run_until_empty()
        assert home.recipients == ["admin@home.example", "second@home.example"]


# -- rewriting, VERP, bcc ---------------------------------------------------------------------------------------------------


def test_a_source_rewrites_the_sender_and_the_from_field() -> None:
    mask = (RewriteRule("mail-from", "*@sender.example", "bounces@out.example"), RewriteRule("from-domain", "in.example", "out.example"))
    with World(relay(free(rewrite_list="Mask"), rewrite_lists={"mask": mask})) as world:
        mx = world.domain("example.com")
        world.submit(ME, [YOU], headers={"From": '"A @in.example" <a@in.example>'})
        world.run_until_empty()
        assert mx.messages[0].sender == "bounces@out.example"
        assert headers(mx.messages[0], "From") == ['"A @in.example" <a@out.example>']
        assert world.of("d")[0].orig == "bounces@out.example"


@pytest.mark.directive("rewrite-list")
def test_a_virtual_mta_rewrites_what_goes_out_by_it_and_else_its_pool_does() -> None:
    lists = {
        "own": (RewriteRule("mail-from", "*", "*@one.example"),),
        "pool": (RewriteRule("mail-from", "*", "*@many.example"), RewriteRule("from-domain", "*", "many.example")),
    }
    streams = (vmta("a", "192.0.2.10", rewrite_list="own"), vmta("b", "192.0.2.11", pools=("many",)))
    many = PoolSettings("many", ("b",), rewrite_list="pool")
    with World(relay(free(), *streams, many, rewrite_lists=lists)) as world:
        mx = world.domain("example.com")
        for stream in ("a", "many", "{default}"):
            world.submit(ME, [YOU], headers={"x-virtual-mta": stream, "From": "f@in.example"})
            world.run_until_empty()
        assert [message.sender for message in mx.messages] == ["me@one.example", "me@many.example", ME]
        assert [headers(message, "From") for message in mx.messages] == [["f@in.example"], ["f@many.example"], ["f@in.example"]]


def test_verp_gives_each_recipient_a_return_path_of_one_stored_message() -> None:
    with World(relay(free(verp_default=True))) as world:
        mx = world.domain("example.com")
        world.submit(ME, [YOU, "two@example.com"])
        assert len(live(world)) == 1
        world.run_until_empty()
        assert sorted((m.sender, m.recipients) for m in mx.messages) == [
            ("me-two=example.com@sender.example", ["two@example.com"]),
            ("me-you=example.com@sender.example", [YOU]),
        ]
        assert {record.orig for record in world.of("d")} == {ME}


def test_a_report_about_a_verp_recipient_goes_to_its_return_path_and_survives_a_crash() -> None:
    with World(relay(free(verp_default=True), domain("*", retry_after=(60.0,)))) as world:
        world.domain("example.com", rules=["rcpt first=2 450 4.2.0 later", "rcpt 550 5.1.1 gone"])
        home = world.domain("sender.example")
        world.submit(ME, [YOU, "two@example.com"])
        world.advance(10)
        world.crash()
        world.begin()
        world.run_until_empty()
        assert sorted(home.recipients) == ["me-two=example.com@sender.example", "me-you=example.com@sender.example"]


def test_a_report_is_from_nobody_with_verp_too() -> None:
    with World(relay(free(verp_default=True))) as world:
        mx = world.domain("example.com")
        world.submit("", [YOU])
        world.run_until_empty()
        assert [m.sender for m in mx.messages] == [""]


def test_bcc_copies_every_message_and_nobody_hears_of_it() -> None:
    with World(relay(free(bcc="archive@keep.example"))) as world:
        mx = world.domain("example.com")
        keep = world.domain("keep.example", rules=["rcpt first=1 550 5.1.1 full of copies"])
        home = world.domain("sender.example")
        world.submit(ME, [YOU])
        world.submit(ME, [YOU])
        world.run_until_empty()
        assert keep.recipients == ["archive@keep.example"]
        assert mx.recipients == [YOU, YOU]
        assert not home.messages
        assert b"archive" not in mx.messages[0].content
        assert "for <you@example.com>" in headers(mx.messages[0], "Received")[0].replace("\r\n\t", " ").replace("\n", " ")


def test_a_sender_may_ask_for_return_paths_of_their_own() -> None:
    """MAIL ... VERP, where `verp-default` is off; a bounce of ours goes to such a path, and mail without a path has none to be varied."""
    with World(relay()) as world:
        mx = world.domain("example.com", rules=["rcpt:gone@example.com 550 5.1.1 no such user"])
        home = world.domain("sender.example")
        client = Client(world)
        for reverse, asked in ((ME, " VERP"), (ME, ""), ("", " VERP")):
            said = [f"MAIL FROM:<{reverse}>{asked}", "RCPT TO:<a@example.com>", "RCPT TO:<gone@example.com>", "DATA", "Subject: s\r\n\r\n."]
            assert [client.say(line)[:3] for line in said] == ["250", "250", "250", "354", "250"]
        world.run_until_empty()
        assert sorted(message.sender for message in mx.messages) == ["", "me-a=example.com@sender.example", ME]
        assert sorted(home.recipients) == ["me-gone=example.com@sender.example", ME]


# -- suppression and recipients that are none ---------------------------------------------------------------------------------


def suppressing(tmp_path: Path, **directives: Any) -> Settings:
    file = tmp_path / "gone.txt"
    if not file.exists():
        file.write_text("Filed@example.com\n")
    lists = {"gone": AddressList((YOU, "/^no-/"), ("dead.example",), (str(file),), "Gone"), "other": AddressList(files=("/nowhere",))}
    return relay(free(suppression_lists=("GONE",), **directives), address_lists=lists)


def test_a_suppressed_recipient_is_refused_and_the_file_is_read_again_at_a_reload(tmp_path: Path) -> None:
    with World(suppressing(tmp_path)) as world:
        mx = world.domain("example.com")
        taken = world.submit(ME, ["YOU@example.com", "no-1@a.example", "x@dead.example", "filed@example.com", "ok@example.com"])
        assert texts(taken.rcpt)[0] == '550 5.7.1 recipient is in suppression list "Gone": <YOU@example.com>'
        assert [text[:3] for text in texts(taken.rcpt)] == ["550", "550", "550", "550", "250"]
        (tmp_path / "gone.txt").write_text("ok@example.com\n")
        world.reload(suppressing(tmp_path))
        again = world.submit(ME, ["filed@example.com", "ok@example.com"])
        assert [text[:3] for text in texts(again.rcpt)] == ["250", "550"]
        world.run_until_empty()
        assert mx.recipients == ["ok@example.com", "filed@example.com"]


def test_a_list_that_cannot_be_read_is_not_put_in_force(tmp_path: Path) -> None:
    with World(suppressing(tmp_path)) as world:
        (tmp_path / "gone.txt").unlink()
        lists = {"gone": AddressList(files=(str(tmp_path / "gone.txt"),))}
        with pytest.raises(OSError, match=r"gone\.txt"):
            world.reload(relay(free(suppression_lists=("gone",)), address_lists=lists))
        assert [text[:3] for text in texts(world.submit(ME, [YOU]).rcpt)] == ["550"]


def test_or_it_is_taken_and_bounced_with_a_record_and_a_report(tmp_path: Path) -> None:
    with World(suppressing(tmp_path, accept_invalid_recipients=True)) as world:
        mx = world.domain("example.com")
        home = world.domain("sender.example")
        taken = world.submit(ME, [YOU, "ok@example.com"])
        assert taken.accepted
        assert [text[:3] for text in texts(taken.rcpt)] == ["250", "250"]
        world.run_until_empty()
        assert mx.recipients == ["ok@example.com"]
        (bounced,) = world.of("b")
        assert (bounced.rcpt, bounced.dsn_status, bounced.bounce_cat) == (YOU, "5.7.1", "policy-related")
        assert bounced.dsn_diag == f'x-pmta;recipient is in suppression list "Gone": <{YOU}>'
        assert b"Final-Recipient: rfc822;you@example.com" in home.messages[0].content


def test_a_recipient_that_is_no_address_is_bounced_where_that_is_wanted() -> None:
    bad = Recipient(Address("not..an@example.com", "example.com"))
    with World(relay(free(accept_invalid_recipients=True))) as world:
        home = world.domain("sender.example")
        assert world.submit(ME, [bad]).accepted
        world.run_until_empty()
        (bounced,) = world.of("b")
        assert (bounced.rcpt, bounced.dsn_status) == ("not..an@example.com", "5.1.3")
        assert b"not..an@example.com" in home.messages[0].content
    with World(relay(free())) as world:
        assert [text[:9] for text in texts(world.submit(ME, [bad]).rcpt)] == ["553 5.1.3"]


def test_nor_is_a_stranger_s_mail_for_a_suppressed_recipient_of_ours_bounced(tmp_path: Path) -> None:
    known = suppressing(tmp_path).address_lists
    settings = relay(source(ANYBODY, suppression_lists=("gone",), accept_invalid_recipients=True), address_lists=known)
    with World(settings) as world:
        replies = texts(world.submit("victim@far.example", ["no-1@relay.example"], peer="203.0.113.9").rcpt)
        assert [text[:9] for text in replies] == ["550 5.7.1"]


def test_but_not_from_a_stranger_as_he_might_have_it_bounced_to_anybody() -> None:
    bad = Recipient(Address("not..an@relay.example", "relay.example"))
    with World(relay(source(ANYBODY, accept_invalid_recipients=True))) as world:
        assert [text[:9] for text in texts(world.submit(ME, [bad], peer="203.0.113.9").rcpt)] == ["553 5.1.3"]


# -- unqualified addresses ------------------------------------------------------------------------------------------------------


def test_addresses_without_a_whole_domain_are_completed() -> None:
    short = [Recipient(Address("user", "")), Recipient(Address("you@mail", "mail"))]
    with World(relay(free(), general={"domain_suffix": "corp.example"})) as world:
        mx = world.domain("mail.corp.example")
        top = world.domain("corp.example")
        assert world.submit(ME, short).accepted
        world.run_until_empty()
        assert (top.recipients, mx.recipients) == (["user@corp.example"], ["you@mail.corp.example"])
    with World(relay(free(auto_qualify_domain=False), general={"domain_suffix": "corp.example"})) as world:
        assert [text[:9] for text in texts(world.submit(ME, short).rcpt)] == ["553 5.1.3", "250 2.1.5"]


# -- pattern lists ---------------------------------------------------------------------------------------------------------------


def rules(*lines: tuple[str, str, SubmissionResult]) -> dict[str, tuple[SubmissionRule, ...]]:
    return {"streams": tuple(SubmissionRule(field, pattern, result) for field, pattern, result in lines)}


def test_a_pattern_list_splits_a_message_by_recipient_without_storing_it_twice() -> None:
    lists = rules(
        ("rcpt-to", "/@vip\\.example$/", SubmissionResult("a", 80)),
        ("rcpt-to", "/@bulk\\.example$/", SubmissionResult("many")),
        ("mail-from", "/@sender\\.example$/", SubmissionResult("b", 20)),
    )
    known = (vmta("a", "192.0.2.10"), vmta("b", "192.0.2.11"), vmta("c", "192.0.2.12"), pool("many", "c"))
    with World(relay(free(pattern_list="streams"), *known, pattern_lists=lists)) as world:
        for name in ("vip.example", "bulk.example", "example.com"):
            world.domain(name)
        world.submit(ME, ["1@example.com", "2@vip.example", "3@bulk.example", "4@bulk.example"])
        (message,) = live(world)
        assert (message.vmta, message.priority) == ("b", 20)
        assert [(r.vmta, r.pool, r.priority) for r in message.envelope.recipients] == [
            ("", "", -1), ("a", "", 80), ("c", "many", 50), ("c", "many", 50),
        ]  # fmt: skip
        world.run_until_empty()
        assert {(r.rcpt[0], r.vmta, r.vmta_pool, r.queue) for r in world.of("d")} == {
            ("1", "b", "", "example.com/b"), ("2", "a", "", "vip.example/a"),
            ("3", "c", "many", "bulk.example/c"), ("4", "c", "many", "bulk.example/c"),
        }  # fmt: skip
        assert {(r.rcpt[0], r.vmta) for r in world.of("r")} == {("1", "b"), ("2", "a"), ("3", "many"), ("4", "many")}


def test_x_virtual_mta_goes_before_the_list_and_the_list_before_the_default() -> None:
    lists = rules(("mail-from", "/@sender/", SubmissionResult("a")))
    streams = [vmta("a", "192.0.2.10"), vmta("b", "192.0.2.11"), vmta("c", "192.0.2.12")]
    with World(relay(free(pattern_list="streams", default_virtual_mta="c"), *streams, pattern_lists=lists)) as world:
        world.domain("example.com")
        world.submit(ME, [YOU], headers={"x-virtual-mta": "b"})
        world.submit(ME, [YOU])
        world.submit("x@other.example", [YOU])
        world.run_until_empty()
        assert [record.vmta for record in world.of("r")] == ["b", "a", "c"]


def test_headers_choose_before_they_are_removed_and_aliases_go_where_their_name_was_sent() -> None:
    by_header = SubmissionRule("header", "/^ news$/", SubmissionResult("a"), "x-stream")
    by_name = SubmissionRule("rcpt-to", "/^sales@/", SubmissionResult("b"))
    known: Any = {"pattern_lists": {"streams": (by_header, by_name)}, "aliases": (Alias("sales", (YOU,)),)}
    with World(relay(free(pattern_list="streams", remove_header=("X-Stream",)), vmta("a"), vmta("b"), **known)) as world:
        mx = world.domain("example.com")
        world.submit(ME, [YOU], headers={"X-Stream": "news"})
        world.submit(ME, ["sales@relay.example"])
        world.run_until_empty()
        assert [(record.vmta, record.rcpt) for record in world.of("r")] == [("a", YOU), ("b", YOU)]
        assert [message.parsed["X-Stream"] for message in mx.messages] == [None, None]


# -- jobs, dates, limits ------------------------------------------------------------------------------------------------------------


def test_a_job_has_its_prefix_and_what_has_none_stays_without() -> None:
    with World(relay(free(jobid_prefix="{auth}-x."))) as world:
        world.domain("example.com")
        world.submit(ME, [YOU], headers={"x-job": "spring"})
        world.submit(ME, [YOU])
        assert [record.job_id for record in world.of("r")] == ["-x.spring", ""]


def test_a_date_may_be_that_of_the_delivery() -> None:
    later = domain("*", retry_after=(3600.0,))
    with World(relay(free(add_date_header="yes", date_header_time="delivery"), later)) as world:
        mx = world.domain("example.com", rules=["rcpt first=1 450 4.2.0 later"])
        world.submit(ME, [YOU])
        world.run_until_empty()
        assert headers(mx.messages[0], "Date") == ["Tue, 14 Nov 2023 23:13:20 +0000"]
    with World(relay(free(add_date_header="yes"), later)) as world:
        mx = world.domain("example.com", rules=["rcpt first=1 450 4.2.0 later"])
        world.submit(ME, [YOU])
        world.run_until_empty()
        assert headers(mx.messages[0], "Date") == ["Tue, 14 Nov 2023 22:13:20 +0000"]


def test_too_many_recipients_may_fail_the_message() -> None:
    three = ["1@example.com", "2@example.com", "3@example.com"]
    with World(relay(free(max_rcpt_per_message=2, too_many_rcpts_fails_message=True))) as world:
        refused = world.submit(ME, three)
        assert not refused.accepted
        assert texts(refused.rcpt)[2].startswith("550 5.5.3")
        assert not live(world)
        assert world.submit(ME, three[:2]).accepted
    with World(relay(free(max_rcpt_per_message=2))) as world:
        assert world.submit(ME, three).accepted


def test_a_full_spool_of_recipients_is_said_at_mail() -> None:
    with World(relay(general={"spool_max_recipients": 2})) as world:
        world.domain("example.com", rules=["rcpt 450 4.2.0 later"])
        assert world.submit(ME, [YOU, "two@example.com"]).accepted
        full = world.submit(ME, [YOU])
        assert full.mail is not None
        assert full.mail.text.startswith("452 4.3.1")


def test_relay_debug_makes_denials_transient() -> None:
    with World(relay(source(ANYBODY), general={"relay_debug": True})) as world:
        assert texts(world.submit(ME, [YOU], peer="203.0.113.1").rcpt) == ["450 4.7.1 relaying denied"]


def test_a_session_may_end_where_a_transient_error_would_be_said() -> None:
    with World(relay(free(disconnect_on_transient_error=True), general={"spool_max_recipients": 0})) as world:
        assert world.node.intake.room.full
        gone = world.submit(ME, [YOU])
        assert gone.mail is None
        assert not gone.accepted


# -- several shards ------------------------------------------------------------------------------------------------------------------


def test_who_has_a_stream_of_his_own_is_handed_to_its_shard_and_found_again_after_a_crash() -> None:
    lists = rules(*[("rcpt-to", f"/^{name}@/", SubmissionResult(name)) for name in "abcd"])
    streams = [vmta(name, f"192.0.2.1{at}") for at, name in enumerate("abcd")]
    later = domain("*", retry_after=(60.0,))
    with World(relay(free(pattern_list="streams", verp_default=True), later, *streams, pattern_lists=lists), shards=2) as world:
        mx = world.domain("example.com", rules=["rcpt first=3 450 4.2.0 later"])
        world.submit(ME, [f"{name}@example.com" for name in "abcde"])
        world.advance(5)
        world.crash(0)
        world.begin(0)
        world.run_until_empty()
        assert sorted(mx.recipients) == [f"{name}@example.com" for name in "abcde"]
        assert {(r.rcpt[0], r.vmta) for r in world.of("d")} == {*[(name, name) for name in "abcd"], ("e", "{default}")}
        assert {(m.sender, m.recipients[0]) for m in mx.messages} == {
            (f"me-{name}=example.com@sender.example", f"{name}@example.com") for name in "abcde"
        }


def test_recipients_to_be_bounced_are_bounced_by_whichever_shard_has_their_queue(tmp_path: Path) -> None:
    with World(suppressing(tmp_path, accept_invalid_recipients=True), shards=2) as world:
        home = world.domain("sender.example")
        for shard in (0, 1):
            assert world.submit(ME, [YOU, "no-2@a.example"], shard=shard).accepted
        world.run_until_empty()
        assert world.fates() == {("b", YOU): 2, ("b", "no-2@a.example"): 2, ("d", ME): len(home.messages)}
