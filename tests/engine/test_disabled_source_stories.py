"""Stories of source addresses that a receiver does not want: disabled by its reply, enabled after a time, and who is told.

Times are simulated.
"""

from __future__ import annotations

import pytest

from postwright.model.work import QueueKey
from postwright.policy.settings import ReplyAction, ReplyRule, SourceHostRule, VmtaSettings
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, relay, source

MINUTE, HOUR = 60.0, 3600.0
ME, YOU, BOSS = "me@sender.example", "you@example.com", "boss@home.example"
ONE, TWO = "192.0.2.10", "192.0.2.11"
BY_M = source(ANYBODY, always_allow_relaying=True, default_virtual_mta="m")
KEY = QueueKey("example.com", "m")


def world(action: ReplyAction, *rules: str, shards: int = 1, **directives: object) -> World:
    """A virtual MTA with two addresses, and a receiver that says `blocked` to the first."""
    both = VmtaSettings("m", smtp_source_host=(SourceHostRule(ONE, "one.example"), SourceHostRule(TWO, "two.example")))
    lists = {"l": (ReplyRule("/blocked/", action),)}
    settings = {"smtp_pattern_list": "l", "retry_after": (MINUTE,), "max_smtp_out": 2, **directives}
    made = World(relay(domain("*", **settings), both, BY_M, smtp_pattern_lists=lists), shards=shards)
    made.domain("example.com", rules=rules or (f"connect:{ONE} 421 4.7.0 blocked",))
    made.domain("home.example")
    return made


def deliveries(w: World) -> set[str]:
    return {record.dlv_source_ip for record in w.of("d")}


@pytest.mark.directive("reply", "reenable-source-ip-after")
def test_the_other_address_goes_on_alone() -> None:
    with world(ReplyAction(disable_source_ip=True)) as w:
        for number in range(10):
            w.submit(ME, [f"u{number}@example.com"])
        w.run_until_empty(within=HOUR)
        assert deliveries(w) == {TWO}
        refused = [record for record in w.of("t") if "blocked" in record.dsn_diag]
        assert len(refused) <= 1


@pytest.mark.directive("reply", "reenable-source-ip-after")
@pytest.mark.parametrize(("action", "directives", "back"), [
    (ReplyAction(disable_source_ip=True, reenable_after=10 * MINUTE), {"reenable_source_ip_after": HOUR}, 10 * MINUTE),
    (ReplyAction(disable_source_ip=True), {"reenable_source_ip_after": HOUR}, HOUR),
    (ReplyAction(disable_source_ip=True), {}, None),
])  # fmt: skip
def test_when_it_comes_back(action: ReplyAction, directives: dict[str, object], back: float | None) -> None:
    with world(action, f"connect:{ONE} first=1 421 4.7.0 blocked", max_msg_per_connection=1, **directives) as w:
        for minute in range(90):
            w.submit(ME, [f"u{minute}@example.com"])
            w.submit(ME, [f"v{minute}@example.com"])
            w.advance(MINUTE)
        times = sorted(record.time_logged - w.of("r")[0].time_logged for record in w.of("d") if record.dlv_source_ip == ONE)
        assert (times == []) if back is None else (back - MINUTE <= times[0] <= back + 5 * MINUTE)


@pytest.mark.directive("backoff-upon-all-sources-disabled")
@pytest.mark.parametrize("wanted", [False, True])
def test_when_none_is_left_the_queue_waits(wanted: bool) -> None:
    action = ReplyAction(disable_source_ip=True, reenable_after=30 * MINUTE)
    with world(action, "connect first=2 421 4.7.0 blocked", backoff_upon_all_sources_disabled=wanted, backoff_retry_after=(MINUTE,)) as w:
        w.submit(ME, [YOU])
        w.submit(ME, [YOU])
        w.advance(10 * MINUTE)
        queue = w.node.scheduler.queues[KEY]
        assert (queue.backoff is not None) == wanted
        assert not w.of("d")
        w.run_until_empty(within=HOUR)
        assert len(w.of("d")) == 2


@pytest.mark.directive("disabled-source-ip-notify", "log-disabled-ips")
def test_who_is_to_know_is_told_once() -> None:
    action = ReplyAction(disable_source_ip=True, reenable_after=30 * MINUTE)
    with world(action, f"connect:{ONE} first=1 421 4.7.0 blocked", disabled_source_ip_notify=(BOSS,), log_disabled_ips=True) as w:
        for number in range(5):
            w.submit(ME, [f"u{number}@example.com"])
        w.advance(HOUR)
        notices = [message for message in w.messages() if BOSS in message.recipients]
        assert [message.parsed["Subject"] for message in notices] == [
            "Source address disabled: example.com/m",
            "Source address enabled: example.com/m",
        ]
        assert ONE.encode() in notices[0].content
        assert b"blocked" in notices[0].content
        assert notices[0].sender == ""
        logged = [line.event for line in w.log if line.event.startswith("source address")]
        assert logged == ["source address disabled", "source address enabled"]


@pytest.mark.directive("backoff-notify")
def test_a_change_of_mode_is_told() -> None:
    action = ReplyAction(mode="backoff", backoff_to_normal_after=10 * MINUTE)
    with world(action, "rcpt first=1 421 4.7.0 blocked", backoff_notify=(BOSS,), backoff_retry_after=(MINUTE,)) as w:
        w.submit(ME, [YOU])
        w.advance(HOUR)
        notices = [message.parsed for message in w.messages() if BOSS in message.recipients]
        assert [notice["Subject"] for notice in notices] == ["Queue in backoff mode: example.com/m", "Queue in normal mode: example.com/m"]
    with world(action, "rcpt first=1 421 4.7.0 blocked", backoff_retry_after=(MINUTE,)) as w:
        w.submit(ME, [YOU])
        w.advance(HOUR)
        assert not [message for message in w.messages() if BOSS in message.recipients]
