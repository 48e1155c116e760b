"""Stories of mail that comes without a session: judged as mail over SMTP is, by the rules of `<source {pickup}>`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postwright.engine.dialogue import Dialogue, Played
from postwright.engine.injector import PICKUP, Injector, Origin
from postwright.engine.local_hand_in import Handover, Taken, into_folder
from postwright.engine.pickup_file import script_of
from postwright.model.address import Address, parse_mailbox
from postwright.model.envelope import Notify, Recipient
from postwright.policy.settings import AddressList
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source, vmta

HEAD = b"x-sender: me@sender.example\nx-receiver: you@example.com\n"
MESSAGE = b"Subject: hello\n\nbody\n"


def handed_in(world: World, file: bytes, **origin: Any) -> Played:
    script = script_of(file)
    visitor = Injector(world.node.intake, Origin("pickup", PICKUP, name="pickup", bounces=script.bounces, **origin))
    played: Played = world.run(Dialogue(visitor, script.octets, strict=True).play())
    return played


@pytest.mark.directive("pickup")
def test_a_file_is_mail_of_a_source_of_its_own() -> None:
    asks = {"process_x_job": True, "process_x_virtual_mta": True, "add_message_id_header": True}
    settings = relay(source(ANYBODY, process_x_job=False), source(PICKUP, **asks), vmta("fast", "192.0.2.9"))
    with World(settings) as world:
        mx = world.domain("example.com")
        played = handed_in(world, HEAD + b"x-job: 17\nx-virtual-mta: fast\nx-envid: e1\n" + MESSAGE)
        assert played.reply.code == 250
        world.run_until_empty()
        [receipt] = world.of("r")
        assert (receipt.src_type, receipt.src_mta, receipt.job_id, receipt.vmta, receipt.env_id) == ("pickup", "pickup", "17", "fast", "e1")
        [message] = mx.messages
        assert message.recipients == ["you@example.com"]
        assert "x-job" not in message.parsed
        assert message.parsed["Received"].startswith("from pickup by relay.example (pickup) id ")
        assert "Message-ID" in message.parsed


def test_job_and_virtual_mta_count_only_where_the_source_says_so() -> None:
    with World(relay(source(ANYBODY))) as world:
        mx = world.domain("example.com")
        handed_in(world, HEAD + b"x-job: 17\n" + MESSAGE)
        world.run_until_empty()
        assert world.of("r")[0].job_id == ""
        assert mx.messages[0].parsed["x-job"] == "17"


def test_who_may_write_there_may_have_mail_relayed_unless_the_source_says_no() -> None:
    with World(relay(source(ANYBODY, always_allow_relaying=False))) as world:
        assert handed_in(world, HEAD + MESSAGE).reply.code == 250
    with World(relay(source(PICKUP, always_allow_relaying=False))) as world:
        assert handed_in(world, HEAD + MESSAGE).reply.text.startswith("550 5.7.1 relaying denied")


def test_one_recipient_that_is_refused_condemns_the_file() -> None:
    settings = relay(
        source(PICKUP, suppression_lists=("gone",)), address_lists={"gone": AddressList(name="gone", addresses=("gone@example.com",))}
    )
    with World(settings) as world:
        played = handed_in(world, HEAD + b"x-receiver: gone@example.com\n" + MESSAGE)
        assert played.reply.text == '550 5.7.1 recipient is in suppression list "gone": <gone@example.com>'
        assert not list(world.node.spool.live())


def test_with_xack_off_it_bounces_and_the_others_get_their_mail() -> None:
    settings = relay(
        source(PICKUP, suppression_lists=("gone",)), address_lists={"gone": AddressList(name="gone", addresses=("gone@example.com",))}
    )
    with World(settings) as world:
        mx = world.domain("example.com")
        world.domain("sender.example")
        file = (
            b"XACK OFF\nMAIL FROM:<me@sender.example>\nRCPT TO:<you@example.com>\nRCPT TO:<gone@example.com>\nRCPT TO:<no address>\n"
            b"DATA\nSubject: s\n\n..body\n.\nQUIT\n"
        )
        assert handed_in(world, file).reply.code == 250
        world.run_until_empty()
        assert mx.recipients == ["you@example.com"]
        assert mx.messages[0].content.endswith(b"\r\n\r\n.body\r\n")
        assert {record.rcpt for record in world.of("b")} == {"gone@example.com", "no address"}


def test_what_sendmail_left_while_the_relay_was_down(tmp_path: Path) -> None:
    """Nobody is there any more to be told: who is refused bounces, and the other has his mail and his report."""
    settings = relay(
        source(PICKUP, suppression_lists=("gone",)), address_lists={"gone": AddressList(name="gone", addresses=("gone@example.com",))}
    )
    me, *you = map(parse_mailbox, ("me@sender.example", "you@example.com", "gone@example.com"))
    to = tuple([Recipient(one, Notify.SUCCESS | Notify.FAILURE) for one in you])
    taken = into_folder(tmp_path, Handover(me, to, MESSAGE.replace(b"\n", b"\r\n")), b"Received: x\r\n")
    assert isinstance(taken, Taken)
    [file] = tmp_path.iterdir()
    with World(settings) as world:
        mx, ours = world.domain("example.com"), world.domain("sender.example")
        assert handed_in(world, file.read_bytes()).reply.code == 250
        world.run_until_empty()
        assert mx.recipients == ["you@example.com"]
        assert mx.messages[0].content.endswith(b"Received: x\r\nSubject: hello\r\n\r\nbody\r\n")
        assert {record.rcpt for record in world.of("b")} == {"gone@example.com"}
        assert mx.messages[0].recipient_params == ["NOTIFY=SUCCESS,FAILURE"]
        assert len(ours.messages) == 1


def test_a_merge_in_a_file() -> None:
    with World(relay(source(PICKUP))) as world:
        mx = world.domain("example.com")
        file = (
            b"EHLO x\r\nXMRG FROM:<me@sender.example>\r\nXDFN name=Ann\r\nRCPT TO:<a@example.com>\r\n"
            b"XDFN name=Bob\r\nRCPT TO:<b@example.com>\r\nXPRT 1 LAST\r\nSubject: s\r\n\r\nHello [name]\r\n.\r\n"
        )
        assert handed_in(world, file).reply.code == 250
        world.run_until_empty()
        bodies = {message.recipients[0]: message.content.rpartition(b"\r\n\r\n")[2] for message in mx.messages}
        assert bodies == {"a@example.com": b"Hello Ann\r\n", "b@example.com": b"Hello Bob\r\n"}


@pytest.mark.parametrize(
    ("rest", "reply"),
    [
        (b"RCPT TO:<b@example.com>\nDATA\nSubject: cut\n", "554 5.6.0 there is no whole message in it"),
        (b"RCPT TO:<b@example.com>\nDATA\nS: 1\n\n.\nMAIL FROM:<a@a.example>\n", "554 5.6.0 there is more than one message in it"),
        (b"DATA\nS: 1\n\n.\n", "503 5.5.1 need RCPT command"),
        (b"RCPT TO:<b@example.com>\nBROKEN\nDATA\nS: 1\n\n.\n", "500 5.5.2"),
        (b"RCPT TO:<b@example.com>\nAUTH PLAIN AAA=\nDATA\nS: 1\n\n.\n", "50"),
        (b"RCPT TO:<b@example.com>\nSTARTTLS\nDATA\nS: 1\n\n.\n", "50"),
        (b"RCPT TO:<b@example.com>\nQUIT\nDATA\nS: 1\n\n.\n", "554 5.6.0"),
    ],
)
def test_a_dialogue_that_comes_to_nothing(rest: bytes, reply: str) -> None:
    with World(relay(source(PICKUP))) as world:
        assert handed_in(world, b"MAIL FROM:<a@a.example>\n" + rest).reply.text.startswith(reply)
        assert not list(world.node.spool.live())


def test_the_limits_are_those_of_a_session() -> None:
    settings = relay(source(PICKUP, max_message_size=1000, max_rcpt_per_message=2, max_rcpt_domains_per_message=1))
    with World(settings) as world:
        assert handed_in(world, HEAD + MESSAGE + b"x" * 900 + b"\n").reply.code == 250
        assert handed_in(world, HEAD + MESSAGE + b"x" * 999 + b"\n").reply.code == 552
        assert handed_in(world, HEAD + b"x-receiver: b@example.com\nx-receiver: c@example.com\n" + MESSAGE).reply.code == 452
        assert handed_in(world, HEAD + b"x-receiver: b@other.example\n" + MESSAGE).reply.code == 452


def test_a_null_sender_and_a_reload() -> None:
    with World(relay(source(PICKUP))) as world:
        assert handed_in(world, b"x-sender: <>\nx-receiver: you@example.com\n" + MESSAGE).reply.code == 250
        world.reload(relay(source(PICKUP, always_allow_relaying=False)))
        assert handed_in(world, HEAD + MESSAGE).reply.code == 550
        assert [message.envelope.reverse_path for message, _ in _live(world)] == [Address("", "")]


def _live(world: World) -> list[Any]:
    spool = world.node.spool
    return [(spool.read_message(number, ref), ref) for number, ref in spool.live()]
