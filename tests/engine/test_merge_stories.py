"""Stories of mail merges: one stored message, and each recipient gets its own, by its own virtual MTA, sender, at its own time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.engine.merge_talk import merge, talk

from postwright.engine import merging
from postwright.model.work import QueueKey
from postwright.policy.settings import AcctFileSettings, VmtaSettings
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, relay, source

TEMPLATE = "Subject: Hello [name]\nTo: [*to]\nDate: [*date]\n\nDear [Name] of [city], [[]yes].\n"
HOUR = 3600.0


def merging_relay(*blocks: Any, general: dict[str, Any] | None = None, files: Any = None, **more: Any) -> World:
    free = source(ANYBODY, always_allow_relaying=True, **({"allow_mailmerge": True} | more))
    accounting = {} if files is None else {"acct_files": files}
    return World(relay(free, domain("*", retry_after=(600.0,), bounce_after=4 * HOUR), *blocks, general=general, **accounting))


def bodies(receiver: Any) -> dict[str, str]:
    """What each recipient got, behind the empty line; by address. Nobody shares a message."""
    found = {}
    for message in receiver.messages:
        [recipient] = message.recipients
        assert recipient not in found
        found[recipient] = message.content.decode().partition("\r\n\r\n")[2]
    return found


@pytest.mark.directive("allow-mailmerge", "always-allow-api-submission")
@pytest.mark.parametrize("allowed", ["allow_mailmerge", "always_allow_api_submission", ""])
def test_who_is_offered_it_may_merge(allowed: str) -> None:
    with merging_relay(**({"allow_mailmerge": False} | ({allowed: True} if allowed else {}))) as world:
        mx = world.domain("example.com")
        answers = talk(world, merge({"a@example.com": {"name": "Anna", "city": "Bern"}, "b@example.com": {"NAME": "Bert"}}, TEMPLATE))
        if not allowed:
            assert answers[0] == "500 5.5.2 command not recognized"
            return
        assert [line[:9] for line in answers] == ["250 2.1.0", *["250 2.0.0", "250 2.1.5"] * 2, "354 send ", "250 2.6.0"]
        world.run_until_empty()
        assert bodies(mx) == {"a@example.com": "Dear Anna of Bern, [yes].\r\n", "b@example.com": "Dear Bert of , [yes].\r\n"}
        sent = {message.recipients[0]: message.parsed for message in mx.messages}
        assert sent["a@example.com"]["Subject"] == "Hello Anna"
        assert sent["b@example.com"]["To"] == "b@example.com"
        assert len(sent["a@example.com"].get_all("Date")) == 1
        assert len(world.spools) == 1
        assert world.fates() == {("d", "a@example.com"): 1, ("d", "b@example.com"): 1}


@pytest.mark.directive("mailmerge-expands-undefined-variables")
@pytest.mark.parametrize(("expands", "got"), [(True, "Dear  of , [yes].\r\n"), (False, "Dear [Name] of [city], [yes].\r\n")])
def test_what_nobody_defined(expands: bool, got: str) -> None:
    with merging_relay(general={"mailmerge_expands_undefined_variables": expands}) as world:
        mx = world.domain("example.com")
        talk(world, merge({"a@example.com": {}}, TEMPLATE))
        world.run_until_empty()
        assert bodies(mx) == {"a@example.com": got}


def test_each_recipient_has_sender_job_envelope_id_and_virtual_mta_of_its_own_in_all_records() -> None:
    vmtas = [VmtaSettings(name=name) for name in ("one", "two")]
    with merging_relay(*vmtas) as world:
        mx = world.domain("example.com", rules=["rcpt:b@* 550 5.1.1 no", "rcpt:c@* first=1 450 4.2.0 later"])
        home, other = world.domain("sender.example"), world.domain("b.example")
        talk(
            world,
            merge(
                {
                    "a@example.com": {"*vmta": "one", "*jobid": "ja", "*envid": "ea", "*from": "a@a.example"},
                    "b@example.com": {"*vmta": "two", "*jobId": "jb", "*envid": "eb", "*from": "<b@b.example>"},
                    "c@example.com": {},
                },
                "Subject: [*jobid]\n\n[*from] [*envid] [*vmta]\n",
                sender="FROM:<news@sender.example> ENVID=all",
            ),
        )
        world.run_until_empty()
        assert bodies(mx) == {"a@example.com": "a@a.example ea one\r\n", "c@example.com": "news@sender.example all {default}\r\n"}
        own = {
            "a@example.com": ("a@a.example", "ja", "ea", "one"),
            "b@example.com": ("b@b.example", "jb", "eb", "two"),
            "c@example.com": ("news@sender.example", "", "all", "{default}"),
        }
        for kind, who in {"r": "abc", "d": "ac", "b": "b", "t": "c"}.items():
            found = {r.rcpt: (r.orig, r.job_id, r.env_id, r.vmta) for r in world.of(kind) if r.src_type != "dsn" and r.rcpt in own}
            assert found == {f"{one}@example.com": own[f"{one}@example.com"] for one in who}, kind
        [report] = other.messages
        assert report.recipients == ["b@b.example"]
        text = report.parsed.as_string()
        assert "Original-Envelope-Id: eb" in text
        assert "Subject: jb" in text  # what is returned is what was sent, not the template
        assert "[*" not in text
        assert home.messages == []


def test_parts_are_chosen_and_ordered() -> None:
    with merging_relay() as world:
        mx = world.domain("example.com")
        who = {
            "all@example.com": {},
            "some@example.com": {"*parts": "1,3"},
            "range@example.com": {"*parts": "1-2"},
            "turned@example.com": {"*parts": "1,3,2", "x": "!"},
        }
        talk(world, merge(who, "Subject: s\n\none\n", "two[x]\n", "three\n"))
        world.run_until_empty()
        assert {to.partition("@")[0]: body.replace("\r\n", " ") for to, body in bodies(mx).items()} == {
            "all": "one two three ",
            "some": "one three ",
            "range": "one two ",
            "turned": "one three two! ",
        }
        assert all(message.parsed["Received"] for message in mx.messages)


def test_each_at_its_time_and_crashes_between() -> None:
    with merging_relay() as world:
        mx = world.domain("example.com")
        start = world.clock.now()
        opens = datetime.fromtimestamp(start + HOUR, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        talk(world, merge({"now@example.com": {"n": "1"}, "later@example.com": {"n": "2", "*schedule": opens}}, "Subject: s\n\n[n]\n"))
        world.crash()
        world.begin()
        world.advance(HOUR / 2)
        assert bodies(mx) == {"now@example.com": "1\r\n"}
        world.crash()
        world.begin()
        world.run_until(lambda: len(mx.messages) == 2)
        assert HOUR <= world.clock.now() - start <= HOUR + 2
        world.run_until_empty()
        assert bodies(mx) == {"now@example.com": "1\r\n", "later@example.com": "2\r\n"}


def test_each_has_its_own_priority() -> None:
    with merging_relay() as world:
        world.domain("example.com", rules=["rcpt 450 4.2.0 later"])
        talk(world, merge({f"{n}@example.com": {"*priority": str(n)} for n in (10, 90)} | {"x@example.com": {}}, "Subject: s\n\nx\n"))
        world.advance(1)
        waiting = world.node.scheduler.queues[QueueKey("example.com", "{default}")]
        found = {}
        for entry in world.node.scheduler.entries(waiting):
            [index] = entry.recipients
            found[world.node.read_message(entry).envelope.recipients[index].address.text] = entry.priority
        assert found == {"10@example.com": 10, "90@example.com": 90, "x@example.com": 50}


def test_verp_goes_by_the_own_sender() -> None:
    with merging_relay() as world:
        mx = world.domain("example.com")
        talk(world, merge({"a@example.com": {"*from": "x@y.example"}, "b@example.com": {}}, TEMPLATE, sender="FROM:<me@z.example> VERP"))
        world.run_until_empty()
        assert {m.recipients[0]: m.sender for m in mx.messages} == {
            "a@example.com": "x-a=example.com@y.example",
            "b@example.com": "me-b=example.com@z.example",
        }


def test_values_beyond_ascii_and_long_lines_are_sent_as_what_they_are() -> None:
    """The template alone is ASCII with short lines and no dot."""
    with merging_relay() as world:
        mx = world.domain("example.com")
        long = "y" * 1200
        who = {
            "a@example.com": {"name": "Jürg"},
            "b@example.com": {"name": long},
            "c@example.com": {"name": "."},
            "d@example.com": {"name": ".x"},
        }
        talk(world, merge(who, "Subject: s\n\n[name]\n"))
        world.run_until_empty()
        found = {message.recipients[0]: message for message in mx.messages}
        assert found["a@example.com"].content.endswith("Jürg\r\n".encode())
        assert "BODY=8BITMIME" in found["a@example.com"].sender_params
        payload = found["b@example.com"].parsed.get_payload(decode=True)
        assert isinstance(payload, bytes)
        assert payload.strip() == long.encode()
        assert max(map(len, found["b@example.com"].content.split(b"\r\n"))) <= 998
        assert found["c@example.com"].content.endswith(b"\r\n\r\n.\r\n")
        assert found["d@example.com"].content.endswith(b"\r\n\r\n.x\r\n")


@pytest.mark.parametrize(
    ("values", "reply"),
    [
        ({"*nothing": "x"}, "501 5.5.4 there is no such reserved variable"),
        ({"*from": "not an address"}, "501 5.1.7 *from wants an address"),
        ({"*parts": "3-1"}, "501 5.5.4 *parts wants numbers such as 1-3 or 1,3,2"),
        ({"*parts": "1-999,1-999"}, "501 5.5.4 *parts wants numbers such as 1-3 or 1,3,2"),
        ({"*priority": "101"}, "501 5.5.4 *priority wants a number from 0 to 100"),
        ({"*schedule": "tomorrow"}, "501 5.5.4 *schedule wants times such as 2030-01-31 08:00 / 2030-01-31 12:00"),
        ({"*schedule": "1999-01-01 00:00 / 1999-01-02 00:00"}, "550 5.4.7 the last time in *schedule has passed"),
        ({f"a{n}": "" for n in range(merging.VARIABLES_MOST + 1)}, "552 5.3.4 too many variables, or too long ones, for one recipient"),
    ],
)
def test_what_is_wrong_is_told_at_once(values: dict[str, str], reply: str) -> None:
    with merging_relay() as world:
        assert talk(world, merge({"a@example.com": values}, "Subject: s\n\nx\n"))[1] == reply


def test_without_acknowledgement_it_is_told_at_the_end_and_nothing_is_sent() -> None:
    with merging_relay() as world:
        mx = world.domain("example.com")
        bad = merge({"a@example.com": {}, "b@example.com": {"*priority": "high"}}, "Subject: s\n\nx\n").partition(b"Subject")[0]
        good = merge({"a@example.com": {"x": "1"}, "b@example.com": {}}, "Subject: s\n\n[x]\n")
        *answers, last = talk(world, b"XACK OFF\r\n" + bad + good)
        assert last.startswith("250 2.6.0 message received id=")
        assert answers == [
            "250 2.0.0 ok",
            "250 2.1.0 MAIL ok",
            "501 5.5.4 submission cancelled: *priority wants a number from 0 to 100",
            "250 2.1.0 MAIL ok",
            "354 send part",
        ]
        world.run_until_empty()
        assert bodies(mx) == {"a@example.com": "1\r\n", "b@example.com": "\r\n"}


def test_a_part_that_did_not_come_and_one_that_grows_without_end() -> None:
    with merging_relay(max_message_size=100_000) as world:
        wrong = merge({"a@example.com": {"*parts": "1,2"}}, "Subject: s\n\nx\n")
        assert talk(world, wrong)[-1] == "554 5.5.4 a recipient is to get a part that did not come"
        wide = merge({"a@example.com": {"x": "y" * 1000}}, "Subject: s\n\n" + "[x]\n" * 101)
        assert talk(world, wide)[-1] == "552 5.3.4 a recipient's message exceeds the size limit once it is merged"
        assert talk(world, merge({"a@example.com": {"x": "y" * 1000}}, "Subject: s\n\n" + "[x]\n" * 90))[-1].startswith("250 2.6.0 ")


def test_too_much_in_one_submission(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "ALL_OCTETS_MOST", 1000)
    with merging_relay() as world:
        who = {f"{n}@example.com": {"x": "y" * 300} for n in range(4)}
        assert talk(world, merge(who, "x\n"))[7] == "552 5.3.4 too many variables in one submission, send fewer recipients at a time"


@pytest.mark.directive("record-fields")
def test_the_receipts_of_a_merge_have_what_each_recipient_gets() -> None:
    fields = dict.fromkeys("rd", ("rcpt", "header_subject", "header_x-kind"))
    files = (AcctFileSettings("acct.csv", records=("r", "d"), record_fields=fields),)
    with merging_relay(files=files) as world:
        world.domain("example.com")
        people = {"a@example.com": {"name": "Anna"}, "b@example.com": {"name": "Bert"}}
        talk(world, merge(people, "X-Kind: plain\n" + TEMPLATE))
        world.run_until_empty()
        wanted = {f"{one}@example.com": {"subject": f"Hello {name}", "x-kind": "plain"} for one, name in (("a", "Anna"), ("b", "Bert"))}
        for kind in "rd":
            assert {record.rcpt: record.headers for record in world.of(kind)} == wanted
