"""Stories of what is checked when a message has come: the signatures of the RFCs before a relay that has their keys in its DNS."""

from __future__ import annotations

from typing import Any

import pytest
from tests.content.dkim_vectors import KEYS, RFC6376, RFC8463
from tests.content.test_arc import hops
from tests.engine.login_talk import Client
from tests.engine.merge_talk import merge, talk
from tests.engine.test_address_stories import ME, YOU, free, headers

from postwright.engine.dmarc_check import evaluate, organization
from postwright.policy.dmarc import Claims
from postwright.policy.settings import UserSettings
from postwright.testing.world import World
from postwright.testing.world_settings import relay


def told(content: bytes, *, keys: bool = True, **directives: Any) -> list[str]:
    """The Authentication-Results of a message on its way out."""
    with World(relay(free(**directives))) as world:
        mx = world.domain("example.com")
        if keys:
            world.zone.update({name: {"TXT": [f'"{record.decode()}"']} for name, record in KEYS.items()})
        assert world.submit(ME, [YOU], content).accepted
        world.run_until_empty()
        (message,) = mx.messages
        return [" ".join(value.split()) for value in headers(message, "Authentication-Results")]


@pytest.mark.directive("check-dkim-inbound")
def test_signatures_are_verified_and_told_in_our_name_alone() -> None:
    forged = b"Authentication-Results: relay.example; dkim=pass\r\nAuthentication-Results: other.example; dkim=fail\r\n"
    assert told(forged + RFC6376, check_dkim_inbound=True) == [
        "relay.example; dkim=pass (1024-bit key) header.d=example.com header.i=joe@football.example.com header.s=brisbane "
        "header.a=rsa-sha256 header.b=AuUoFEfD",
        "other.example; dkim=fail",
    ]
    assert told(RFC6376) == [], "nobody asked for it"


@pytest.mark.directive("check-dkim-inbound", "trace-dkim-check")
def test_two_signatures_and_the_look_ups() -> None:
    (value,) = told(RFC8463, check_dkim_inbound=True, trace_dkim_check=True)
    assert value.count("dkim=pass") == 2
    assert "(TXT brisbane._domainkey.football.example.com: 1 record" in value
    assert "TXT" not in told(RFC8463, check_dkim_inbound=True)[0]


@pytest.mark.directive("check-dkim-inbound")
def test_what_does_not_verify_is_told_and_goes_on() -> None:
    changed = RFC6376.replace(b"hungry", b"thirsty")
    assert told(changed, check_dkim_inbound=True)[0].startswith("relay.example; dkim=fail (body hash did not verify) header.d=example.com")
    assert "dkim=permerror (no key for signature)" in told(RFC6376, keys=False, check_dkim_inbound=True)[0]
    assert told(b"From: a@b.example\r\n\r\n", check_dkim_inbound=True) == ["relay.example; dkim=none (no signatures)"]


@pytest.mark.directive("check-arc-inbound")
def test_the_chain_of_what_was_forwarded() -> None:
    case, message = hops(2)
    zone = {name: {"TXT": ['"' + " ".join(record.decode().split()) + '"']} for name, record in case.zone.items()}
    found = {}
    for name, content in {"whole": message, "changed": message.replace(b"Hey gang", b"Hey crowd"), "none": RFC6376}.items():
        with World(relay(free(check_arc_inbound=True, check_dkim_inbound=name == "none"))) as world:
            mx = world.domain("example.com")
            world.zone.update(zone)
            assert world.submit(ME, [YOU], content).accepted
            world.run_until_empty()
            values = [" ".join(value.split()) for value in headers(mx.messages[0], "Authentication-Results")]
            found[name] = [value for value in values if value.startswith("relay.example")]
    assert found["whole"] == ["relay.example; arc=pass"]
    assert found["changed"] == ["relay.example; arc=fail (message signature of set 2: body hash did not verify)"]
    assert found["none"][0].endswith("; arc=none")


@pytest.mark.directive("check-dmarc-inbound", "dmarc-tree-walk")
@pytest.mark.parametrize("tree_walk", [False, True])
def test_who_stands_behind_the_author(tree_walk: bool) -> None:
    policy = {"_dmarc.example.com": {"TXT": ['"v=DMARC1; p=reject; sp=quarantine"']}}
    spf = {"bounces.example.com": {"TXT": ['"v=spf1 +all"']}}
    found = {}
    for name, content, sender in (
        ("signed", RFC8463, ME),
        ("changed", RFC8463.replace(b"hungry", b"thirsty"), ME),
        ("by its path", b"From: joe@example.com\r\n\r\n", "b@bounces.example.com"),
        ("two authors", b"From: joe@example.com, eve@evil.example\r\n\r\n", ME),
        ("nobody", b"From: joe@none.example\r\n\r\n", ME),
        ("no author", b"From: undisclosed\r\n\r\n", ME),
        ("a crowd", b"From: " + b", ".join([b"a@%d.example" % n for n in range(9)]) + b"\r\n\r\n", ME),
    ):
        with World(relay(free(check_dmarc_inbound=True, dmarc_tree_walk=tree_walk))) as world:
            mx = world.domain("example.com")
            world.zone.update({key: {"TXT": [f'"{record.decode()}"']} for key, record in KEYS.items()} | policy | spf)
            assert world.submit(sender, [YOU], content).accepted
            world.run_until_empty()
            (value,) = [" ".join(value.split()) for value in headers(mx.messages[0], "Authentication-Results")]
            found[name] = value[value.index("dmarc=") :]
    assert found == {
        "signed": "dmarc=pass (p=quarantine) header.from=football.example.com",
        "changed": "dmarc=fail (p=quarantine) header.from=football.example.com",
        "by its path": "dmarc=pass (p=reject) header.from=example.com",
        "two authors": "dmarc=fail (p=reject) header.from=example.com",
        "nobody": "dmarc=none (no policy) header.from=none.example",
        "no author": "dmarc=permerror (no domain in From that could be judged)",
        "a crowd": "dmarc=permerror (no domain in From that could be judged)",
    }


@pytest.mark.directive("reject-dmarc-check-fail")
def test_who_forbids_mail_in_its_name_is_obeyed_where_that_is_wanted() -> None:
    forged = b"From: joe@example.com\r\n\r\n"
    said = {}
    for record, strict in (("p=reject", True), ("p=reject", False), ("p=quarantine", True), ("p=reject; pct=0", True), ("p=what", True)):
        with World(relay(free(check_dmarc_inbound=True, reject_dmarc_check_fail=strict))) as world:
            world.domain("example.com")
            world.zone["_dmarc.example.com"] = {"TXT": [f'"v=DMARC1; {record}"']}
            taken = world.submit(ME, [YOU], forged)
            said[record, strict] = taken.final.text.split(" id=")[0] if taken.final is not None else ""
            assert world.node.intake.submissions.held == 0
    refused = "550 5.7.1 the DMARC policy of the domain in From forbids this message"
    assert said == dict.fromkeys(said, "250 2.6.0 message received") | {("p=reject", True): refused}


@pytest.mark.directive("check-dmarc-inbound", "reject-dmarc-check-fail")
def test_who_has_logged_in_writes_in_names_that_we_sign_for_later() -> None:
    strict = free(allow_unencrypted_plain_auth=True, check_dmarc_inbound=True, reject_dmarc_check_fail=True)
    with World(relay(strict, users={"ann": UserSettings("ann", password="x")})) as world:
        mx = world.domain("example.com")
        world.zone["_dmarc.sender.example"] = {"TXT": ['"v=DMARC1; p=reject"']}
        stranger, ann = Client(world), Client(world)
        ann.plain("ann", "x")
        said = []
        for client in (stranger, ann):
            for line in (f"MAIL FROM:<{ME}>", f"RCPT TO:<{YOU}>", "DATA"):
                client.say(line)
            said.append(client.say("From: me@sender.example\r\n\r\n.")[:9])
        assert said == ["550 5.7.1", "250 2.6.0"]
        world.run_until_empty()
        assert headers(mx.messages[0], "Authentication-Results") == []


def test_organizations_by_the_public_suffix_list() -> None:
    assert [organization(name) for name in ("x.a.co.uk", "a.co.uk", "co.uk", "uk")] == ["a.co.uk", "a.co.uk", "co.uk", "uk"]
    assert organization("deep.a.somewhere.example") == "somewhere.example"


def test_a_policy_that_nobody_answers_for() -> None:
    with World() as world:
        world.failing.add("_dmarc.example.com")
        found = world.run(evaluate("example.com", Claims(), world.node.resolver, tree_walk=False))
        assert found.result == "temperror"


def test_a_merge_is_no_message_yet() -> None:
    with World(relay(free(check_dkim_inbound=True, allow_mailmerge=True))) as world:
        mx = world.domain("example.com")
        talk(world, merge({YOU: {"name": "Anna"}}, "From: me@sender.example\nSubject: Hello [name]\n\nDear [name],\n"))
        world.run_until_empty()
        assert headers(mx.messages[0], "Authentication-Results") == []
