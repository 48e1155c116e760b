"""`tq` records, and `disable-acct-records`: what is accounted for when a whole queue is put off. Times are simulated."""

from __future__ import annotations

import pytest

from postwright.model.outcome import Fault
from postwright.policy.settings import ReplyAction, ReplyRule
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay

ME, YOU = "me@sender.example", "you@example.com"
MINUTE, HOUR = 60.0, 3600.0


def test_a_host_that_is_not_there() -> None:
    with World(relay(domain("*", retry_after=(10 * MINUTE,), max_smtp_out=5))) as world:
        mx = world.domain("example.com")
        mx.down = Fault.REFUSED
        for _ in range(20):
            world.submit(ME, [YOU])
        world.advance(15 * MINUTE)
        records = world.of("tq")
        assert len(records) == 2, "one for each wait, not for each of five connections"
        [record, _] = records
        assert (record.queue, record.vmta, record.dlv_type) == ("example.com/{default}", "{default}", "smtp")
        assert record.dsn_status == "4.4.1"
        assert record.dsn_mta == f"mx.example.com ({mx.host})"
        assert record.dlv_destination_ip == mx.host
        assert record.rcpt == ""
        mx.down = None
        world.run_until_empty()
        assert len(world.of("tq")) == 2
        assert len(world.of("d")) == 20


def test_a_name_that_cannot_be_looked_up() -> None:
    with World(relay(domain("*", retry_after_dns_error=5 * MINUTE))) as world:
        world.submit(ME, ["you@nowhere.example"])
        world.advance(MINUTE)
        tq = world.of("tq")
        assert [record.dsn_mta for record in tq] == [""] * len(tq)
        assert len(tq) + len(world.of("b")) == 1


def test_a_reply_that_puts_the_queue_off() -> None:
    rules = {"l": (ReplyRule("/RP-001/", ReplyAction(defer_queue=True)),)}
    with World(relay(domain("*", smtp_pattern_list="l", retry_after=(HOUR,)), smtp_pattern_lists=rules)) as world:
        world.domain("example.com", rules=["rcpt first=1 421 4.7.0 RP-001 slow down"])
        world.submit(ME, [YOU])
        world.advance(MINUTE)
        [record] = world.of("tq")
        assert record.dsn_status == "4.7.0"
        assert record.dsn_diag == "smtp;421 4.7.0 RP-001 slow down"


@pytest.mark.directive("disable-acct-records")
@pytest.mark.parametrize("kind", ["d", "b", "t", "tq"])
def test_records_that_a_queue_does_not_want(kind: str) -> None:
    with World(relay(domain("*", retry_after=(MINUTE,)), domain("example.com", disable_acct_records=(kind,)))) as world:
        for name in ("example.com", "example.org"):
            mx = world.domain(name, rules=["rcpt:later@* first=1 451 later", "rcpt:gone@* 550 no"])
            mx.down = Fault.REFUSED
            world.submit(ME, [f"you@{name}", f"gone@{name}", f"later@{name}"])
        world.advance(MINUTE / 2)
        for receiver in world.receivers.values():
            receiver.down = None
        world.run_until_empty()
        for type_ in ("d", "b", "t", "tq"):
            queues = {record.queue.partition("/")[0] for record in world.of(type_)} - {"sender.example"}  # DSNs that have nowhere to go
            assert queues == ({"example.org"} if type_ == kind else {"example.org", "example.com"}), type_
