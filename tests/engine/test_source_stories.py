"""Stories of `<source>`: what each directive does to a message or a session, beside what it is without."""

from __future__ import annotations

from typing import Any

import pytest
from tests.engine.login_talk import Client

from postwright.model.envelope import MailExtras
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source, vmta

ME, YOU = "me@sender.example", "you@example.com"
BROUGHT = {"Received": "from a by b; Tue, 24 Nov 2026 10:17:56 +0000", "x-job": "spring", "x-virtual-mta": "a", "X-Campaign": "autumn"}
READS = {"process_x_virtual_mta": True, "process_x_job": True}


def arrived(headers: dict[str, str], **directives: Any) -> Any:
    """A message with these fields as it comes out, parsed; and what was recorded of it."""
    with World(relay(source(ANYBODY, always_allow_relaying=True, **directives), vmta("a"))) as world:
        mx = world.domain("example.com")
        taken = world.submit(ME, [YOU], headers=headers)
        assert taken.accepted, taken
        world.run_until_empty()
        return mx.messages[0].parsed, world.of("r")[0]


@pytest.mark.parametrize(
    ("said", "received"),
    [
        ({}, ["ours", "theirs"]),
        ({"add_received_header": False}, ["theirs"]),
        ({"remove_received_headers": True}, ["ours"]),
        ({"hide_message_source": True}, ["ours", "theirs"]),
        ({"hide_message_source": True, "remove_received_headers": True, "add_received_header": False}, []),
    ],
)
def test_received_fields(said: dict[str, bool], received: list[str]) -> None:
    parsed, _ = arrived(BROUGHT, **said)
    fields = parsed.get_all("Received", [])
    assert ["ours" if "by relay.example" in field else "theirs" for field in fields] == received
    assert ("192.0.2.77" in parsed.as_string()) is ("ours" in received and "hide_message_source" not in said)


def test_a_message_id_where_there_is_none() -> None:
    assert arrived({})[0]["Message-ID"] is None
    parsed, record = arrived({}, add_message_id_header=True)
    assert parsed["Message-ID"].endswith("@relay.example>")
    assert arrived({"Message-ID": "<own@client.example>"}, add_message_id_header=True)[0].get_all("Message-ID") == ["<own@client.example>"]
    assert record.rcpt == YOU


@pytest.mark.parametrize(
    ("said", "job", "stream", "stays"),
    [
        ({}, "", "{default}", {"x-job", "x-virtual-mta", "X-Campaign"}),
        (READS, "spring", "a", {"X-Campaign"}),
        ({**READS, "retain_x_job": True, "retain_x_virtual_mta": True}, "spring", "a", {"x-job", "x-virtual-mta", "X-Campaign"}),
        ({**READS, "jobid_header": "x-campaign"}, "spring", "a", {"X-Campaign"}),  # x-job goes before it
        ({"jobid_header": "x-campaign"}, "autumn", "{default}", {"x-job", "x-virtual-mta", "X-Campaign"}),
    ],
)
def test_jobs_and_streams_by_fields(said: dict[str, Any], job: str, stream: str, stays: set[str]) -> None:
    parsed, record = arrived(BROUGHT, **said)
    assert (record.job_id, record.vmta) == (job, stream)
    assert {name for name in ("x-job", "x-virtual-mta", "X-Campaign") if parsed[name] is not None} == stays


@pytest.mark.parametrize(("said", "envid"), [(False, ""), (True, "e-17")])
def test_an_envelope_id_by_a_field(said: bool, envid: str) -> None:
    parsed, record = arrived({"x-envid": "e-17"}, process_x_envid=said)
    assert (record.env_id, parsed["x-envid"]) == (envid, None if said else "e-17")


@pytest.mark.parametrize("allowed", [True, False])
def test_an_empty_x_virtual_mta(allowed: bool) -> None:
    free = source(ANYBODY, always_allow_relaying=True, process_x_virtual_mta=True, allow_empty_x_virtual_mta=allowed)
    with World(relay(free, vmta("a"))) as world:
        world.domain("example.com")
        assert world.submit(ME, [YOU], headers={"x-virtual-mta": ""}).accepted is allowed


@pytest.mark.parametrize(("said", "whole"), [("headers", False), ("full", True)])
def test_what_a_report_returns_unless_the_sender_says(said: str, whole: bool) -> None:
    with World(relay(source(ANYBODY, always_allow_relaying=True, dsn_return_default=said))) as world:
        world.domain("example.com", rules=["rcpt 550 5.1.1 no such user"])
        home = world.domain("sender.example")
        world.submit(ME, [YOU], "Subject: s\r\n\r\nthe body\r\n")
        world.run_until_empty()
        assert (b"the body" in home.messages[0].content) is whole


def test_mail_is_held_as_long_as_the_source_allows() -> None:
    with World(relay(source(ANYBODY, always_allow_relaying=True, max_future_release=60.0))) as world:
        mx = world.domain("example.com")
        refused = world.submit(ME, [YOU], extras=MailExtras(hold_for=61)).mail
        assert refused is not None
        assert refused.text == "501 5.5.4 HOLDFOR may be 60 seconds at most"
        assert world.submit(ME, [YOU], extras=MailExtras(hold_for=60)).accepted
        assert 60 <= world.run_until(lambda: bool(mx.messages)) < 61


@pytest.mark.parametrize(("said", "keyword"), [("allow_smtputf8", "SMTPUTF8"), ("allow_chunking", "CHUNKING")])
def test_what_is_not_allowed_is_not_offered_and_not_taken(said: str, keyword: str) -> None:
    for allowed in (True, False):
        with World(relay(source(ANYBODY, always_allow_relaying=True, **{said: allowed}))) as world:
            client = Client(world)
            client.say("EHLO c.example")
            assert (f"250-{keyword}" in client.lines) is allowed
            if keyword == "SMTPUTF8":
                assert client.say(f"MAIL FROM:<{ME}> SMTPUTF8")[:3] == ("250" if allowed else "555")
            else:
                for line in (f"MAIL FROM:<{ME}>", f"RCPT TO:<{YOU}>"):
                    assert client.say(line)[:3] == "250"
                assert client.say("BDAT 0 LAST")[:3] == ("250" if allowed else "502")
