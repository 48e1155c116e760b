"""Stories of restarts: modes, retry steps, waits and disabled addresses go on where they were. Times are simulated."""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.engine.queue_memory import SLACK, QueueMemory
from postwright.model.outcome import Fault
from postwright.model.work import QueueKey
from postwright.policy.settings import ReplyAction, ReplyRule, SourceHostRule, VmtaSettings
from postwright.schedule.budget import Budget
from postwright.schedule.queue import Backoff, Queue, QueueLimits
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, relay, source

MINUTE, HOUR = 60.0, 3600.0
ME, YOU = "me@sender.example", "you@example.com"
KEY = QueueKey("example.com", "m")
ONE, TWO = "192.0.2.10", "192.0.2.11"
BOTH = VmtaSettings("m", smtp_source_host=(SourceHostRule(ONE, "one.example"), SourceHostRule(TWO, "two.example")))


def world(action: ReplyAction | None = None, shards: int = 1, **directives: object) -> World:
    lists = {"l": (ReplyRule("/blocked/", action),)} if action is not None else {}
    settings = {"retry_after": (MINUTE, 10 * MINUTE, HOUR), "smtp_pattern_list": "l" if lists else "", **directives}
    by_m = source(ANYBODY, always_allow_relaying=True, default_virtual_mta="m")
    return World(relay(domain("*", **settings), BOTH, by_m, smtp_pattern_lists=lists), shards=shards)


def again(w: World, how: str) -> None:
    """Stop politely, or be killed, and start."""
    if how == "kill":
        w.advance(2)
        w.crash()
    w.restart()


@pytest.mark.directive("retry-after")
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_retry_steps_and_waits(how: str) -> None:
    with world() as w:
        mx = w.domain("example.com")
        mx.down = Fault.REFUSED
        w.submit(ME, [YOU])
        w.advance(5 * MINUTE)
        assert mx.times[-1] == MINUTE
        again(w, how)
        w.advance(60 * MINUTE)
        assert [at for at in mx.times if at > MINUTE] == [11 * MINUTE], "not before its time, and the third step follows"


@pytest.mark.directive("backoff-to-normal-after")
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_backoff_mode(how: str) -> None:
    action = ReplyAction(mode="backoff", backoff_to_normal_after=30 * MINUTE)
    with world(action, backoff_retry_after=(5 * MINUTE,)) as w:
        w.domain("example.com", rules=["rcpt:you@* 421 4.7.0 blocked"])
        w.submit(ME, [YOU])
        w.advance(2)
        assert w.node.scheduler.queues[KEY].backoff is not None
        again(w, how)
        w.advance(2)
        restored = w.node.scheduler.queues[KEY]
        assert restored.backoff is not None
        assert restored.limits.retry_after == (5 * MINUTE,)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_disabled_addresses(how: str) -> None:
    with world(ReplyAction(disable_source_ip=True, reenable_after=HOUR), max_msg_per_connection=1) as w:
        mx = w.domain("example.com", rules=[f"connect:{ONE} first=1 421 4.7.0 blocked"])
        for number in range(4):
            w.submit(ME, [f"u{number}@example.com"])
        w.advance(10)
        w.submit(ME, ["late@example.com"])
        before = len(mx.attempts)
        again(w, how)
        for number in range(10):
            w.submit(ME, [f"v{number}@example.com"])
        w.advance(10 * MINUTE)
        assert {attempt.source for attempt in mx.attempts[before:]} == {TWO}
        w.advance(HOUR)
        for number in range(10):
            w.submit(ME, [f"w{number}@example.com"])
        w.run_until_empty()
        assert ONE in {attempt.source for attempt in mx.attempts[before:]}


def queue(name: str, step: int = 1) -> Queue:
    made = Queue(QueueKey(name, "m"), QueueLimits(), Budget(None))
    made.retry_step, made.retry_at = step, 2000.0
    return made


def memory(folder: Path, number: int = 0) -> QueueMemory:
    made = QueueMemory(folder, number, lambda error: pytest.fail(str(error)))
    made.load(1000.0, lambda key: True)
    return made


def test_another_number_of_shards_finds_what_the_old_ones_knew(tmp_path: Path) -> None:
    for number in range(3):
        old = memory(tmp_path, number)
        old.note(queue(f"{number}.example"))
        old.flush(1000.0 + number)
    one = QueueMemory(tmp_path, 0, lambda error: None)
    one.load(1010.0, lambda key: key.domain != "2.example")
    assert [one.recall(QueueKey(f"{number}.example", "m")) is not None for number in range(3)] == [True, True, False]


def test_the_later_of_two_lines_counts_and_a_torn_one_does_not(tmp_path: Path) -> None:
    first, second = memory(tmp_path, 0), memory(tmp_path, 1)
    first.note(queue("a.example", 1))
    first.flush(1000.0)
    second.note(queue("a.example", 5))
    second.flush(1001.0)
    with (tmp_path / "shard-1").open("ab") as file:
        file.write(b'[1002.0,"a.example","m",{"step":9')
    found = memory(tmp_path).recall(QueueKey("a.example", "m"))
    assert found is not None
    assert found.step == 5


def test_what_is_written_behind_a_torn_line_is_read(tmp_path: Path) -> None:
    (tmp_path / "shard-0").write_bytes(b'[1002.0,"a.example","m",{"step":9')
    kept = memory(tmp_path)
    for name in ("b.example", "c.example"):
        kept.note(queue(name))
        kept.flush(1003.0)
    again = memory(tmp_path)
    assert [again.recall(QueueKey(f"{name}.example", "m")) is not None for name in "abc"] == [False, True, True]


def test_a_queue_that_came_from_another_shard_is_not_lost_when_that_one_forgets_it(tmp_path: Path) -> None:
    old = memory(tmp_path, 1)
    old.note(queue("a.example"))
    old.flush(1000.0)
    here = QueueMemory(tmp_path, 0, lambda error: None)
    here.load(1001.0, lambda key: True)
    there = QueueMemory(tmp_path, 1, lambda error: None)
    there.load(1001.0, lambda key: False)
    there.note(queue("z.example"))
    there._behind = True
    there.flush(1002.0)
    assert b"a.example" not in (tmp_path / "shard-1").read_bytes()
    assert memory(tmp_path).recall(QueueKey("a.example", "m")) is not None


def test_a_clock_that_was_set_back_does_not_bring_back_what_was_before(tmp_path: Path) -> None:
    kept = memory(tmp_path)
    for at, step in ((5000.0, 9), (1000.0, 2)):
        one = queue("a.example", step)
        one.retry_at = at + 10
        kept.note(one)
        kept.flush(at)
    found = memory(tmp_path).recall(QueueKey("a.example", "m"))
    assert found is not None
    assert found.step == 2


def test_a_disk_that_was_full_gets_all_of_it_later_and_a_second_time_is_told_again(tmp_path: Path) -> None:
    told: list[OSError] = []
    folder = tmp_path / "queues"
    kept = QueueMemory(folder, 0, told.append)
    kept.load(1000.0, lambda key: True)
    for turn in (1, 2):
        (folder / "shard-0").unlink()
        (folder / "shard-0").mkdir()
        kept.note(queue(f"a{turn}.example"))
        kept.flush(1000.0)
        assert len(told) == turn
        (folder / "shard-0").rmdir()
        kept.note(queue(f"b{turn}.example"))
        kept.flush(1001.0)
    again = memory(folder)
    assert all(again.recall(QueueKey(f"{name}.example", "m")) is not None for name in ("a1", "b1", "a2", "b2"))


def test_what_is_over_is_forgotten_and_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    kept = memory(tmp_path)
    one = queue("a.example")
    for number in range(SLACK + 100):
        one.retry_at = 2000.0 + number
        kept.note(one)
        kept.flush(1000.0)
    assert (tmp_path / "shard-0").read_bytes().count(b"\n") < SLACK
    one.retry_step, one.retry_at = 0, 0.0
    kept.note(one)
    kept.flush(1001.0)
    assert memory(tmp_path).recall(one.key) is None


def test_times_of_a_clock_that_was_years_ahead_hold_nobody_for_years(tmp_path: Path) -> None:
    with world() as w:
        mx = w.domain("example.com")
        mx.down = Fault.REFUSED
        w.submit(ME, [YOU])
        w.advance(10)
        found = w.node.scheduler.queues[KEY]
        found.retry_at += 10 * 365 * 86400.0
        found.backoff = Backoff(0.0, found.retry_at, "a clock")
        w.node.scheduler.noted(found)
        w.advance(2)
        w.restart()
        mx.down = None
        w.run_until_empty(within=2 * HOUR)
        assert mx.recipients == [YOU]


def test_a_folder_that_takes_nothing_is_told_once_and_mail_goes_on(tmp_path: Path) -> None:
    told: list[OSError] = []
    (tmp_path / "file").write_text("")
    broken = QueueMemory(tmp_path / "file" / "queues", 0, told.append)
    broken.load(1000.0, lambda key: True)
    for number in range(3):
        broken.note(queue(f"{number}.example"))
        broken.flush(1000.0)
    assert len(told) == 1
