"""Stories of mail that is judged before it is stored: by the sender rules of the large mailbox providers."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from tests.content.dkim_vectors import KEYS, RFC8463
from tests.engine.login_talk import Client
from tests.engine.merge_talk import merge, talk
from tests.engine.test_accounting_stories import rows
from tests.engine.test_address_stories import ME, YOU, free
from tests.engine.test_pickup_stories import HEAD, MESSAGE
from tests.engine.test_processing_stories import COMPLAINT
from tests.engine.test_signing_stories import PRIVATE

from postwright.content.date_field import seconds
from postwright.content.sender_rules import RULES, Finding
from postwright.content.trace import date
from postwright.control.config.directives.source import SENDER_RULES
from postwright.engine.dialogue import Dialogue, Played
from postwright.engine.injector import PICKUP, Injector, Origin
from postwright.engine.pickup import Taking
from postwright.engine.pickup_file import script_of
from postwright.engine.rule_counts import RuleCounts, rule_lines
from postwright.engine.sender_rules import LOOKED_AT, MERGED, Given
from postwright.model.address import parse_mailbox
from postwright.model.envelope import Envelope, Recipient
from postwright.model.message import Arrival, Message
from postwright.model.work import QueueKey
from postwright.policy.list_settings import AddressList, RewriteRule
from postwright.policy.service_settings import ProcessorSettings
from postwright.policy.settings import AcctFileSettings, DomainKey, Settings
from postwright.store.event_files import Place
from postwright.store.event_forms import EventForm
from postwright.store.event_frames import pack
from postwright.store.event_reader import Event
from postwright.testing.world import START, World
from postwright.testing.world_settings import ANYBODY, domain, relay, source, vmta
from postwright.testing.world_submit import Submission
from postwright.wire.body import scan

EDDSA: dict[str, Any] = {"dkim_sign": "yes", "dkim_algorithm": "ed25519-sha256"}
ONE_CLICK = {"List-Unsubscribe": "<https://sender.example/u>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
BARE = b"Subject: a test\r\n\r\nhello\r\n"


def key(folder: Path, name: str = "sender.example", selector: str = "s") -> DomainKey:
    file = folder / f"{selector}.pem"
    file.write_bytes(ed25519.Ed25519PrivateKey.generate().private_bytes(*PRIVATE))
    return DomainKey(selector, name, str(file))


def signed(folder: Path, **directives: Any) -> Settings:
    """A relay that signs for sender.example, and judges."""
    return relay(domain("*", **EDDSA), free(**directives), domain_keys=(key(folder),))


def good(world: World, **changed: str) -> dict[str, str]:
    """The header fields of a message that breaks no rule, beside its Subject."""
    fields = {"From": f"Me <{ME}>", "To": YOU, "Date": date(world.clock.now()), "Message-ID": "<1@sender.example>"}
    return {name: value for name, value in (fields | changed).items() if value}


def judged(settings: Settings, content: bytes | str = b"hello", *, to: str = YOU, **options: Any) -> tuple[Submission, str]:
    """What was answered to a good message with these changes (`headers`), and what is said in its receipt."""
    headers = options.pop("headers", {})
    with World(settings) as world:
        world.domain("example.com")
        taken = world.submit(options.pop("sender", ME), [to], content, headers=good(world) | headers, **options)
        world.run_until_empty()
        return taken, " ".join(record.sender_rules for record in world.records if record.type == "r" and record.src_type == "smtp")


def test_the_directive_knows_the_rules() -> None:
    assert list(RULES) == list(SENDER_RULES)


# -- the four settings ------------------------------------------------------------------------------------------------


@pytest.mark.directive("sender-rules")
def test_off_is_the_default_and_says_nothing() -> None:
    with World(relay(free())) as world:
        mx = world.domain("example.com")
        assert world.submit(ME, [YOU], BARE).accepted
        world.run_until_empty()
        assert {record.sender_rules for record in world.records} == {""}
        assert world.node.counters.sender_rules == RuleCounts()
        assert mx.messages[0].content.endswith(BARE)


@pytest.mark.directive("sender-rules", "record-fields")
def test_warn_tells_it_in_all_records_and_changes_nothing() -> None:
    wish = ("rcpt", "senderRules")
    files = (AcctFileSettings("a", ("d", "b", "t", "r"), record_fields=dict.fromkeys(("d", "b", "t", "r"), wish)),)
    settings = relay(domain("*", retry_after=(60.0,)), free(sender_rules="warn"), acct_files=files)
    with World(settings) as world:
        mx = world.domain("example.com", rules=["rcpt:no@* 550 5.1.1 no", "rcpt:late@* first=1 450 4.2.0 later"])
        for name in ("yes", "no", "late"):
            assert world.submit(ME, [f"{name}@example.com"], BARE).accepted
        world.run_until_empty()
        found = rows(settings, world.records)
        assert {(row["type"], row["rcpt"][:3]) for row in found} >= {("r", "yes"), ("d", "yes"), ("b", "no@"), ("t", "lat"), ("d", "lat")}
        assert {row["senderRules"] for row in found} == {"from date message-id"}
        assert world.messages()[0].content.endswith(b"\r\n" + BARE)
        assert b"Date:" not in mx.messages[0].content.partition(b"Subject:")[0].replace(b"Received:", b"")
        counts = RuleCounts(3, 3, 0, 0, {"from": 3, "date": 3, "message-id": 3})
        assert world.node.counters.sender_rules == counts
        assert rule_lines([counts, None, RuleCounts()]) == [
            "  sender rules: 3 messages judged, 3 noted, 0 of them mended, 0 refused; from: 3; date: 3; message-id: 3"
        ]


@pytest.mark.directive("sender-rules", "add-date-header")
def test_fix_adds_and_replaces_what_a_submission_server_may(tmp_path: Path) -> None:
    settings = signed(tmp_path, sender_rules="fix")
    with World(settings) as world:
        mx = world.domain("example.com")
        for changes in ({"Date": "", "Message-ID": ""}, {"Date": "today", "Message-ID": "1"}, {}, {"From": "nobody"}):
            assert world.submit(ME, [YOU], b"hello", headers=good(world, **changes)).accepted
        world.run_until_empty()
        for message in mx.messages[:2]:
            assert seconds(str(message.parsed["Date"]).encode()) == START
            assert str(message.parsed["Message-ID"]).endswith("@relay.example>")
            assert [len(message.parsed.get_all(name, [])) for name in ("Date", "Message-ID", "Subject", "From")] == [1, 1, 1, 1]
        assert mx.messages[2].parsed["Message-ID"] == "<1@sender.example>"
        found = [record.sender_rules for record in world.records if record.type == "r"]
        assert found == ["fixed:date fixed:message-id"] * 2 + ["", "from"]
        assert world.node.counters.sender_rules == RuleCounts(4, 3, 2, 0, {"date": 2, "message-id": 2, "from": 1})
    adds = signed(tmp_path, sender_rules="fix", add_date_header="yes", add_message_id_header=True)
    assert judged(adds, "Subject: x\r\n\r\n", headers={"Date": "today"})[1] == "fixed:date"
    with World(adds) as world:
        world.domain("example.com")
        assert world.submit(ME, [YOU], headers={"From": ME}).accepted
        assert [record.sender_rules for record in world.records] == [""], "what is added anyway was not mended"
        world.run_until_empty()


@pytest.mark.directive("sender-rules", "date-header-time")
def test_fix_keeps_off_what_others_signed_and_to_the_time_of_delivery(tmp_path: Path) -> None:
    signature = "v=1; a=rsa-sha256; d=other.example; s=s; h=from:date; bh=AAAA; b=AAAA"
    with World(signed(tmp_path, sender_rules="fix", date_header_time="delivery")) as world:
        mx = world.domain("example.com")
        headers = good(world, Date="", **{"Message-ID": ""})
        assert world.submit(ME, [YOU], headers=headers | {"DKIM-Signature": signature}).accepted
        assert world.submit(ME, [YOU], headers=headers).accepted
        world.run_until_empty()
        assert [record.sender_rules for record in world.records if record.type == "r"] == [
            "fixed:message-id date",
            "fixed:date fixed:message-id",
        ]
        assert [message.parsed["Date"] is None for message in mx.messages] == [True, False]


@pytest.mark.directive("sender-rules")
def test_refuse_says_which_rules_and_what_to_do() -> None:
    with World(relay(free(sender_rules="refuse"))) as world:
        world.domain("example.com")
        client = Client(world)
        for line in (f"MAIL FROM:<{ME}>", f"RCPT TO:<{YOU}>", "DATA"):
            client.say(line)
        client.say("Subject: a\r\nSubject: b\r\n\r\nhello\r\n.")
        assert client.lines == [
            "550-5.6.0 from: there is no From field; send one From field with one address (RFC 5322 section 3.6.2)",
            "550-5.6.0 date: there is no Date field; send one Date field with the time at which it was written (RFC 5322 section 3.6.1)",
            "550-5.6.0 message-id: there is no Message-ID field; send one Message-ID field, <unique@your.domain> (RFC 5322 section 3.6.4)",
            "550 5.6.0 doubled: there is Subject 2 times; send each of these fields once (RFC 5322 section 3.6, RFC 2369)",
        ]
        assert list(world.node.spool.live()) == []
        assert world.records == []
        assert world.node.counters.traffic.rejected == 1
        assert world.node.counters.sender_rules.refused == 1


@pytest.mark.directive("sender-rules")
def test_refuse_takes_a_good_message_and_what_is_only_unwise(tmp_path: Path) -> None:
    settings = signed(tmp_path, sender_rules="refuse")
    taken, told = judged(settings)
    assert taken.accepted
    assert told == ""
    taken, told = judged(settings, headers={"Date": "Wed, 25 Nov 2015 12:00:00 +0000"})
    assert taken.accepted
    assert told == "date"


# -- who signs --------------------------------------------------------------------------------------------------------


@pytest.mark.directive("sender-rules", "domain-key", "dkim-sign")
def test_whose_signature_it_will_be_decides(tmp_path: Path) -> None:
    """The key is chosen as it will be at delivery: by virtual MTA, queue and identity; nothing is signed for that."""
    strict = free(sender_rules="refuse")
    mine, other = key(tmp_path), key(tmp_path, "*", "any")
    elsewhere = DomainKey("any", "other.example", other.file)
    m1 = vmta("m1", "192.0.2.7", domain("*", **EDDSA), domain_keys=(mine,))
    by_identity = domain("*", **EDDSA, dkim_identity="@other.example")
    broken = DomainKey("gone", "sender.example", str(tmp_path / "gone.pem"))
    cases: dict[str, tuple[Settings, dict[str, str], str]] = {
        "nobody signs": (relay(strict, domain_keys=(mine,)), {}, "5.7.20"),
        "we sign": (relay(strict, domain("*", **EDDSA), domain_keys=(mine,)), {}, ""),
        "no key fits": (relay(strict, domain("*", **EDDSA), domain_keys=(elsewhere,)), {}, "5.7.20"),
        "for another": (relay(strict, by_identity, domain_keys=(elsewhere,)), {}, "5.7.22"),
        "for a name above": (relay(strict, domain("*", **EDDSA), domain_keys=(mine,)), {"From": "me@a.b.sender.example"}, ""),
        "for a sister": (
            relay(strict, domain("*", **EDDSA, dkim_identity="@mail.sender.example"), domain_keys=(DomainKey("any", "*", other.file),)),
            {"From": "me@news.sender.example"},
            "",
        ),
        "a public suffix is no organization": (
            relay(strict, domain("*", **EDDSA, dkim_identity="@b.co.uk"), domain_keys=(DomainKey("any", "*", other.file),)),
            {"From": "me@a.co.uk"},
            "5.7.22",
        ),
        "by the default virtual MTA": (relay(strict, m1), {}, "5.7.20"),
        "by the one that signs": (relay(strict, m1), {"X-Virtual-MTA": "m1"}, ""),
        "only there": (relay(strict, domain("far.example", **EDDSA), domain_keys=(mine,)), {}, "5.7.20"),
        "what stays here": (relay(strict, domain("*", type="discard")), {}, ""),
        "a key that cannot be read": (relay(strict, domain("*", **EDDSA), domain_keys=(broken,)), {}, ""),
        "and is done without": (relay(strict, domain("*", **EDDSA, signing_failure="send"), domain_keys=(broken,)), {}, "5.7.20"),
    }
    found = {}
    for name, (settings, headers, _) in cases.items():
        taken, _ = judged(settings, headers=headers)
        assert taken.final is not None
        found[name] = taken.final.status if taken.final.code == 550 else ""
    assert found == {name: expected for name, (_, _, expected) in cases.items()}


@pytest.mark.directive("sender-rules", "dkim-sign")
def test_each_queue_of_a_message_is_looked_at(tmp_path: Path) -> None:
    settings = relay(free(sender_rules="refuse"), domain("example.com", **EDDSA), domain_keys=(key(tmp_path),))
    with World(settings) as world:
        for to in (["a@example.com", "b@example.com"], ["a@example.com", "b@far.example"]):
            taken = world.submit(ME, to, headers=good(world))
            assert taken.accepted == (to[1] == "b@example.com")
        world.domain("example.com")
        world.run_until_empty()
    settings = relay(free(sender_rules="warn", sender_rules_bulk="always"), domain("example.com", **EDDSA), domain_keys=(key(tmp_path),))
    with World(settings) as world:
        for name in ("example.com", "far.example"):
            world.domain(name)
        assert world.submit(ME, ["a@example.com", "b@far.example"], headers=good(world)).accepted
        world.run_until_empty()
        assert {record.sender_rules for record in world.records} == {"signature unsubscribe"}, (
            "in the order of the rules, not of the queues"
        )


@pytest.mark.directive("sender-rules", "rewrite-list")
def test_the_header_is_judged_as_it_will_leave(tmp_path: Path) -> None:
    """What the queue's virtual MTA rewrites, takes out and puts in counts, as it is signed with that."""
    (tmp_path / "fields").write_text("".join([f"{name}: {value}\n" for name, value in ONE_CLICK.items()]))
    rewriting = {"rewrite_lists": {"outward": (RewriteRule("from-domain", "inside.example", "sender.example"),)}}
    m1 = vmta(
        "m1",
        "192.0.2.7",
        domain("*", **EDDSA, remove_header=("Reply-To",)),
        rewrite_list="outward",
        include_headers_from=str(tmp_path / "fields"),
    )
    strict = free(sender_rules="refuse", sender_rules_bulk="always")
    settings = relay(strict, m1, domain("*", **EDDSA), domain_keys=(key(tmp_path),), **rewriting)
    inside = {"From": "me@inside.example", "Reply-To": "a@sender.example"}
    for headers, expected in (
        (inside, ["signature", "unsubscribe"]),
        (inside | {"reply-to": "b@sender.example"}, ["signature", "doubled"]),
        (inside | {"X-Virtual-MTA": "m1"}, []),
        (inside | {"X-Virtual-MTA": "m1", "reply-to": "b@sender.example"}, []),
        (ONE_CLICK | {"X-Virtual-MTA": "m1"}, ["doubled"]),
    ):
        taken, _ = judged(settings, headers=headers)
        assert taken.final is not None
        said = [line.partition(":")[0] for line in taken.final.lines] if taken.final.code == 550 else []
        assert set(said) >= set(expected), (headers, said)
        assert taken.accepted == (not expected)


@pytest.mark.directive("sender-rules", "check-dkim-inbound")
@pytest.mark.parametrize(
    ("checks", "changed", "expected"), [(False, False, True), (True, False, True), (True, True, False), (False, True, True)]
)
def test_a_signature_that_is_brought_counts_unless_it_was_checked_and_is_wrong(checks: bool, changed: bool, expected: bool) -> None:
    content = RFC8463.replace(b"hungry", b"thirsty") if changed else RFC8463
    settings = relay(free(sender_rules="refuse", check_dkim_inbound=checks, sender_rules_except=("date",)))
    with World(settings) as world:
        world.domain("example.com")
        world.zone.update({name: {"TXT": [f'"{record.decode()}"']} for name, record in KEYS.items()})
        taken = world.submit(ME, [YOU], content)
        world.run_until_empty()
        assert taken.accepted == expected
        if not expected:
            assert taken.final is not None
            assert taken.final.status == "5.7.20"


# -- bulk mail --------------------------------------------------------------------------------------------------------


@pytest.mark.directive("sender-rules-bulk")
@pytest.mark.parametrize(
    ("bulk", "job", "expected"),
    [
        ("never", True, ""),
        ("job", False, ""),
        ("job", True, "unsubscribe"),
        ("always", False, "unsubscribe"),
        (None, True, "unsubscribe"),
        (None, False, ""),
    ],
)
def test_which_mail_is_bulk_mail(tmp_path: Path, bulk: str | None, job: bool, expected: str) -> None:
    settings = signed(tmp_path, sender_rules="warn", **({} if bulk is None else {"sender_rules_bulk": bulk}))
    headers = {"X-Job": "spring"} if job else {}
    assert judged(settings, headers=headers)[1] == expected
    assert judged(settings, headers=headers | ONE_CLICK)[1] == ""


@pytest.mark.directive("sender-rules", "sender-rules-bulk")
def test_one_click_wants_a_signature_over_both_fields(tmp_path: Path) -> None:
    signature = "v=1; a=rsa-sha256; d=sender.example; s=s; h=from:list-unsubscribe{}; bh=AAAA; b=AAAA"
    for more, expected in (("", "unsubscribe-signed"), (":list-unsubscribe-post", "")):
        headers = ONE_CLICK | {"DKIM-Signature": signature.format(more)}
        assert judged(relay(free(sender_rules="warn")), headers=headers)[1] == expected
        assert judged(signed(tmp_path, sender_rules="warn"), headers=headers)[1] == ""


def test_a_signature_has_room_for_so_many_names(tmp_path: Path) -> None:
    """What will be signed is asked of who signs: of more fields than go into one h= the last ones (`dkim_sign.NAMES_MOST`)."""
    for count, expected in ((150, ""), (250, "unsubscribe-signed")):
        content = "".join([f"Resent-To: {number}@example.com\r\n" for number in range(count)]) + "\r\nhello\r\n"
        assert judged(signed(tmp_path, sender_rules="warn"), content, headers=ONE_CLICK)[1] == expected


@pytest.mark.directive("sender-rules-except")
def test_rules_that_do_not_count() -> None:
    settings = relay(free(sender_rules="refuse", sender_rules_except=("signature", "date", "message-id")))
    taken, told = judged(settings, headers={"Date": ""})
    assert taken.accepted
    assert told == ""
    fixing = relay(free(sender_rules="fix", sender_rules_except=("date", "signature")))
    with World(fixing) as world:
        mx = world.domain("example.com")
        assert world.submit(ME, [YOU], headers={"From": ME}).accepted
        world.run_until_empty()
        assert mx.messages[0].parsed["Date"] is None
        assert [record.sender_rules for record in world.records if record.type == "r"] == ["fixed:message-id"]


# -- what is judged otherwise, or not at all --------------------------------------------------------------------------


@pytest.mark.directive("sender-rules", "feedback-loop-processor")
def test_reports_are_no_senders_mail() -> None:
    """What has no reverse-path, what a processor is sent, and what the relay writes itself."""
    loop = ProcessorSettings(deliver_matched_email=True, addresses=AddressList(addresses=("fbl@loop.example",)))
    strict = free(sender_rules="refuse")
    settings = relay(domain("*", bounce_after=60.0), strict, relay_domains=("loop.example",), feedback_loop_processor=loop)
    with World(settings) as world:
        world.domain("loop.example")
        assert world.submit("", [YOU], BARE).accepted
        assert world.submit(ME, ["fbl@loop.example"], COMPLAINT).accepted
        assert world.submit(ME, ["fbl@loop.example"], BARE).accepted
        assert not world.submit(ME, [YOU], BARE).accepted
        assert world.node.counters.sender_rules.judged == 1
        world.domain("example.com")
        world.run_until_empty()


@pytest.mark.directive("sender-rules", "pickup")
def test_mail_without_a_session_is_judged_by_its_own_source() -> None:
    with World(relay(source(ANYBODY), source(PICKUP, sender_rules="refuse"))) as world:

        async def played(*, kept: bool) -> Played:
            nothing = cast(Any, None)
            keeper = Taking(world.node, nothing, nothing, nothing) if kept else None
            visitor = Injector(world.node.intake, Origin("pickup", PICKUP), None, keeper)
            return await Dialogue(visitor, script_of(HEAD + MESSAGE).octets, strict=True).play()

        for kept in (False, True):
            reply = world.run(played(kept=kept)).reply
            assert reply.text.startswith("550 5.6.0 from: there is no From field; ")
        assert not list(world.node.spool.live())


@pytest.mark.directive("sender-rules", "allow-mailmerge")
def test_a_mail_merge_is_judged_as_its_recipients_get_it(tmp_path: Path) -> None:
    template = "From: [from]\nTo: [*to]\nSubject: [subject]\nDate: [*date]\nMessage-ID: <[id]@sender.example>\n\nhello\n"
    first, second = {"from": "me@sender.example", "subject": "a", "id": "1"}, {"from": "me@other.example", "subject": "b", "id": "2 3"}
    settings = signed(tmp_path, sender_rules="refuse", allow_mailmerge=True)
    with World(settings) as world:
        world.domain("example.com")
        assert talk(world, merge({"a@example.com": first, "b@example.com": first}, template))[-1].startswith("250")
        assert (
            "550 5.6.0 signature: it will have no DKIM"
            in talk(world, merge({"a@example.com": first, "b@example.com": second}, template))[-1]
        )
        bulk = talk(world, merge({"a@example.com": first | {"*jobid": "spring"}}, template))[-1]
        assert bulk.startswith("550 5.6.0 unsubscribe: it is bulk mail")
        world.run_until_empty()
    noting = signed(tmp_path, sender_rules="fix", allow_mailmerge=True)
    with World(noting) as world:
        mx = world.domain("example.com")
        bare = "From: [from]\nSubject: [subject]\n\nhello\n"
        assert talk(world, merge({"a@example.com": first, "b@example.com": second}, bare))[-1].startswith("250")
        world.run_until_empty()
        assert {record.sender_rules for record in world.records if record.type in "rd"} == {"date message-id signature"}
        assert [message.parsed["Date"] for message in mx.messages] == [None, None], "a template says its Date itself"


@pytest.mark.directive("sender-rules", "process-x-schedule")
def test_what_is_sent_later_may_have_a_later_date(tmp_path: Path) -> None:
    settings = signed(tmp_path, sender_rules="warn", process_x_schedule=True)
    with World(settings) as world:
        world.domain("example.com")
        later = {"Date": date(world.clock.now() + 3 * 86400)}
        assert world.submit(ME, [YOU], headers=good(world, **later, **{"X-Schedule": "2023-11-17 10:00 / 2023-11-17 11:00"})).accepted
        assert world.submit(ME, [YOU], headers=good(world, **later)).accepted
        assert [record.sender_rules for record in world.records if record.type == "r"] == ["", "date"]
        world.run_until_empty()


@pytest.mark.directive("sender-rules", "allow-smtputf8")
def test_international_mail_and_binary_mail(tmp_path: Path) -> None:
    settings = signed(tmp_path, sender_rules="warn")
    umlaut = {"Comments": "Grüße"}
    assert judged(settings, headers=umlaut)[1] == "eight-bit"
    assert judged(settings, headers=umlaut, smtputf8=True)[1] == ""
    long = b"Subject: x\r\n\r\n" + b"a" * 1200 + b"\r\n"
    assert judged(settings, long, body="BINARYMIME")[1] == ""
    assert judged(settings, long, body="BINARYMIME", headers={"X-A": "a" * 1200})[1] == "line-length"


@pytest.mark.directive("sender-rules")
def test_a_header_of_megabytes_holds_nobody_up() -> None:
    """It is refused before anybody has taken it apart; so is one with a hundred thousand fields, and a template that grows to that."""
    strict = relay(free(sender_rules="refuse", allow_mailmerge=True))
    with World(strict) as world:
        world.domain("example.com")
        rules = world.node.intake.submissions.rules
        assert rules is not None
        for content in (b"X: a\r\n" * 1_000_000 + b"\r\n", b"a:\r\n" * 120_000 + b"\r\n"):
            begun = time.process_time()
            taken = world.submit(ME, [YOU], content)
            assert time.process_time() - begun < 5.0
            assert taken.final is not None
            assert taken.final.lines[0].startswith("header-size: ")
            assert [one.rule for one in rules.last] == ["header-size"]
        answers = talk(world, merge({YOU: {"a": "b" * 9000}}, "X: " + "[a]\n [a]" * 60 + "\n\nhello\n"))
        assert answers[-1].startswith("550 5.6.0 header-size: the header section has")


def test_of_many_recipients_some_are_looked_at(tmp_path: Path) -> None:
    """A hundred recipients say which queues there are, ten of a merge what its template comes to."""
    settings = signed(tmp_path, sender_rules="refuse", allow_mailmerge=True)
    with World(settings) as world:
        asked, where = [], world.node.where
        key_of = where.key_of

        def counted(message: Message, recipient: Recipient) -> QueueKey:
            asked.append(recipient)
            return key_of(message, recipient)

        rules, message = world.node.intake.submissions.rules, live_message(world, 3000)
        assert rules is not None
        where.key_of = counted
        assert rules.judge(world.node.resolved.source("192.0.2.77"), message, Given((), {}, (BARE,))) is not None
        assert len(asked) == LOOKED_AT
        where.key_of = key_of
        good_one, bad_one = {"a": "me@sender.example"}, {"a": "nobody"}
        template = "From: [a]\nDate: [*date]\nMessage-ID: <1@sender.example>\nSubject: x\n\nhello\n"
        world.domain("example.com")
        for bad_at, code in ((MERGED - 1, "550"), (MERGED, "250")):
            to = {f"{number}@example.com": bad_one if number == bad_at else good_one for number in range(20)}
            assert talk(world, merge(to, template))[-1].startswith(code)
        world.run_until_empty()


def live_message(world: World, recipients: int) -> Message:
    to = [Recipient(parse_mailbox(f"{number}@d{number}.example")) for number in range(recipients)]
    return Message(1, world.clock.now(), Envelope(parse_mailbox(ME), to), scan(BARE), Arrival())


@pytest.mark.directive("sender-rules")
def test_what_was_found_outlives_a_crash_and_stands_in_events(tmp_path: Path) -> None:
    with World(signed(tmp_path, sender_rules="warn")) as world:
        assert world.submit(ME, [YOU], headers=good(world, Date="")).accepted
        world.crash()
        world.begin()
        world.domain("example.com")
        world.run_until_empty()
        [delivered] = [record for record in world.records if record.type == "d"]
    assert delivered.sender_rules == "date"
    event = Event(delivered, pack(delivered), Place(1, 0), 7)
    assert EventForm(("d",)).values(event)["senderRules"] == "date"


@pytest.mark.directive("sender-rules")
def test_a_refusal_names_five_rules_at_most() -> None:
    broken = {"From": "nobody", "Date": "x", "Message-ID": "x", "Comments": "\u00fc", "Sender": "x", "To": "x", "to": "y", "Bad Name": "x"}
    taken, _ = judged(relay(free(sender_rules="refuse")), headers=broken)
    assert taken.final is not None
    assert [line.partition(":")[0] for line in taken.final.lines] == ["fields", "from", "sender", "date", "message-id"]


def test_the_row_of_a_file_has_the_rules_as_they_are(tmp_path: Path) -> None:
    settings = relay(free(sender_rules="warn"), acct_files=(AcctFileSettings("a", ("r",), record_fields={"r": ("*", "senderRules")}),))
    with World(settings) as world:
        world.domain("example.com")
        world.submit(ME, [YOU], BARE)
        world.run_until_empty()
        found = rows(settings, world.records)
    assert list(found[0])[-1] == "senderRules"
    assert found[0]["senderRules"] == "from date message-id"


def test_findings_are_counted_by_rule() -> None:
    counts = RuleCounts()
    counts.count([Finding("from", "x")], {b"date": Finding("date", "x")}, refused=False)
    counts.count([Finding("from", "x"), Finding("author", "x", must=False)], {}, refused=True)
    counts.count([], {}, refused=False)
    assert counts == RuleCounts(3, 1, 1, 1, {"from": 2, "date": 1, "author": 1})
