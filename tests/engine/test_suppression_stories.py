"""The suppression store in a relay: asked at RCPT and again before sending; filled by bounces; broken, it lets nothing out."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from postwright.engine import suppressing
from postwright.model.suppression import Suppressed, digest_key
from postwright.policy.list_settings import CategoryRule
from postwright.policy.settings import Settings
from postwright.store.suppression import FILE, PATIENCE, SuppressionStore
from postwright.testing.world import START, World
from postwright.testing.world_settings import ANYBODY, domain, relay, source

ME, YOU = "me@sender.example", "you@example.com"
GONE = "rcpt:gone@* 550 5.1.1 no such user"


def store(world: World) -> SuppressionStore:
    return SuppressionStore(Path(world._folder.name) / FILE, create=True)


def hold(world: World, *keys: str, scope: str = "", expires: float | None = None, reason: str = "unsubscribed") -> None:
    store(world).add([Suppressed(key, scope, reason, "test", START, expires) for key in keys])
    world.advance(1.0)  # it is looked once a second whether there is anything


def texts(world: World, *to: str, **options: Any) -> list[str]:
    return [reply.text for reply in world.submit(ME, to, **options).rcpt if reply is not None]


def general(**directives: Any) -> Settings:
    return relay(domain("*", retry_after=(60.0,)), general=directives)


def test_at_rcpt_by_address_domain_and_digest_within_a_second() -> None:
    with World() as world:
        mx = world.domain("example.com")
        assert [text[:3] for text in texts(world, YOU)] == ["250"]
        hold(world, YOU, "@dead.example", "@*.below.example", digest_key("secret@example.com", "md5"))
        to = ["YOU@example.com", "x@dead.example", "x@a.below.example", "Secret@example.com", "ok@example.com", "x@below.example"]
        replies = texts(world, *to)
        assert replies[0] == "550 5.7.1 recipient is suppressed (unsubscribed): <YOU@example.com>"
        assert [text[:3] for text in replies] == ["550", "550", "550", "550", "250", "250"]
        world.run_until(lambda: len(mx.recipients) == 2)
        assert sorted(mx.recipients) == ["ok@example.com", YOU]


def test_again_before_sending_and_those_beside_still_get_theirs() -> None:
    with World(general()) as world:
        mx = world.domain("example.com", rules=["banner first=1 421 later"])
        home = world.domain("sender.example")
        world.submit(ME, [YOU, "ok@example.com", "fine@example.com"])
        world.advance(1.0)
        hold(world, YOU)
        world.run_until_empty()
        assert mx.recipients == ["ok@example.com", "fine@example.com"]
        (bounced,) = world.of("b")
        assert (bounced.rcpt, bounced.dsn_status, bounced.dsn_diag) == (YOU, "5.7.1", "x-pmta;recipient is suppressed (unsubscribed)")
        assert b"Final-Recipient: rfc822;you@example.com" in home.messages[0].content


def test_a_queue_that_needs_no_host_asks_too(tmp_path: Path) -> None:
    settings = relay(
        domain("*", type="file", file_format="append-mbox", file_destination=str(tmp_path / "$user")),
        source(ANYBODY, always_allow_relaying=True, process_x_job=True),
    )
    with World(settings) as world:
        hold(world, YOU, scope="job:news")
        world.submit(ME, [YOU, "ok@example.com"], headers={"x-job": "news"})
        world.run_until_empty()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["me", "ok"]  # `me` has the report
        assert [record.rcpt for record in world.of("b")] == [YOU]


def test_a_stranger_is_not_told_why() -> None:
    with World(relay(source(ANYBODY))) as world:
        hold(world, "gone@relay.example", reason="complained on Tuesday")
        assert texts(world, "gone@relay.example", peer="203.0.113.9") == ["550 5.7.1 recipient is suppressed: <gone@relay.example>"]


def test_or_it_is_taken_to_be_bounced() -> None:
    with World(relay(source(ANYBODY, always_allow_relaying=True, accept_invalid_recipients=True))) as world:
        world.domain("example.com")
        world.domain("sender.example")
        hold(world, YOU)
        assert [text[:3] for text in texts(world, YOU)] == ["250"]
        world.run_until_empty()
        (bounced,) = world.of("b")
        assert bounced.dsn_diag == f"x-pmta;recipient is suppressed (unsubscribed): <{YOU}>"


def test_the_scope_of_a_job_counts_before_sending_and_for_that_job_alone() -> None:
    with World(relay(source(ANYBODY, always_allow_relaying=True, process_x_job=True))) as world:
        mx = world.domain("example.com")
        world.domain("sender.example")
        hold(world, YOU, scope="job:news")
        world.submit(ME, [YOU], headers={"x-job": "news"})
        world.submit(ME, [YOU], headers={"x-job": "receipts"})
        world.run_until_empty()
        assert (mx.recipients, [record.job_id for record in world.of("b")]) == ([YOU], ["news"])


def test_a_time_ends() -> None:
    with World() as world:
        world.domain("example.com")
        hold(world, YOU, expires=START + 100)
        assert [text[:3] for text in texts(world, YOU)] == ["550"]
        world.advance(100)
        assert [text[:3] for text in texts(world, YOU)] == ["250"]


@pytest.mark.directive("suppress-bounces", "suppress-bounces-for", "suppression-scope", "suppression-hash")
def test_bounces_of_the_named_categories_join() -> None:
    settings = general(suppress_bounces=("bad-mailbox",), suppress_bounces_for=3600.0, suppression_hash=True)
    with World(settings) as world:
        world.domain("example.com", rules=[GONE, "rcpt:spam@* 550 5.7.1 looks like spam", "rcpt:full@* 452 full"])
        world.submit(ME, ["gone@example.com", "spam@example.com", "full@example.com", "ok@example.com"])
        world.advance(5)
        (joined,) = store(world).entries(START + 5)
        assert joined.key == digest_key("gone@example.com", "sha256")
        assert (joined.scope, joined.reason, joined.source) == ("", "bad-mailbox", "bounce")
        assert joined.expires is not None
        assert joined.expires - joined.added == 3600.0
        assert [text[:3] for text in texts(world, "gone@example.com", "spam@example.com")] == ["550", "250"]


def test_they_are_sorted_as_in_accounting_by_their_host_and_by_patterns_of_ones_own() -> None:
    with World(general(suppress_bounces=("bad-mailbox",))) as world:
        world.domain("example.com", host="mx.mail.ru", rules=["rcpt 550 5.7.0 non-local recipient verification failed"])
        world.submit(ME, [YOU])
        world.advance(5)
        assert [record.bounce_cat for record in world.of("b")] == ["bad-mailbox"]
        assert [one.key for one in store(world).entries(START)] == [YOU]
    patterns = (CategoryRule("/cheese/", "Out-of-Cheese"),)
    own = relay(domain("*"), general={"suppress_bounces": ("out-of-cheese",)}, bounce_categories=patterns)
    with World(own) as world:
        world.domain("example.com", rules=["rcpt 550 5.7.0 no cheese"])
        world.submit(ME, [YOU])
        world.advance(5)
        assert [one.reason for one in store(world).entries(START)] == ["Out-of-Cheese"]


def test_none_join_by_default_nor_by_what_no_receiver_said() -> None:
    for settings in (general(), general(suppress_bounces=("bad-domain", "bad-mailbox"))):
        with World(settings) as world:
            world.domain("sender.example")
            world.submit(ME, ["you@nowhere.example"])  # no such domain: our own finding, and it may come to be
            world.run_until_empty()
            assert len(world.of("b")) == 1
            assert not (Path(world._folder.name) / FILE).exists()


def test_a_scope_holds_for_the_user_who_had_it_sent() -> None:
    with World(general(suppress_bounces=("bad-mailbox",), suppression_scope="job")) as world:
        world.domain("example.com", rules=[GONE])
        world.submit(ME, ["gone@example.com"])  # without a job there is nobody whose mail it could hold for
        world.advance(5)
        assert not (Path(world._folder.name) / FILE).exists()


def test_what_gathered_is_written_at_a_stop() -> None:
    with World(general(suppress_bounces=("bad-mailbox",))) as world:
        world.domain("example.com", rules=["rcpt 550 5.1.1 no such user"])
        world.domain("sender.example")
        world.submit(ME, [YOU])
        world.run_until(lambda: len(world.of("b")) == 1)
        world.stop()
        assert [one.key for one in store(world).entries(START)] == [YOU]


def test_what_the_disk_does_not_take_waits_and_what_is_too_much_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppressing, "MOST", 2)
    with World(general(suppress_bounces=("bad-mailbox",))) as world:
        world.domain("example.com", rules=["rcpt 550 5.1.1 no such user"])
        world.domain("sender.example")
        world.submit(ME, [f"{name}@example.com" for name in ("a", "b", "c")])
        world.run_until(lambda: len(world.of("b")) == 3)
        path = Path(world._folder.name) / FILE
        path.write_bytes(b"this is no database, and never was\n" * 10)
        world.run_until(lambda: any("tried again" in line.event for line in world.log))
        (told,) = [line for line in world.log if "tried again" in line.event]
        assert (told.fields["waiting"], told.fields["lost"]) == (2, 1)
        path.unlink()
        world.advance(11)
        assert [one.key for one in store(world).entries(START)] == ["a@example.com", "b@example.com"]


def test_where_the_store_cannot_be_read_nothing_leaves_and_it_is_told_once() -> None:
    with World(general()) as world:
        mx = world.domain("example.com", rules=["banner first=1 421 later"])
        world.submit(ME, [YOU])
        path = Path(world._folder.name) / FILE
        path.write_bytes(b"this is no database, and never was\n" * 10)
        world.advance(300)
        assert texts(world, YOU) == ["451 4.3.0 whether this recipient may be sent to is not known now, try again later"]
        assert mx.recipients == []
        assert [line.event for line in world.log if "suppression" in line.event] == [
            "the suppression store cannot be used: mail waits until it can"
        ]
        path.unlink()
        world.run_until_empty()
        assert mx.recipients == [YOU]


def test_a_store_that_is_deleted_and_made_anew_is_the_one_that_counts() -> None:
    with World() as world:
        world.domain("example.com")
        hold(world, YOU)
        assert [text[:3] for text in texts(world, YOU)] == ["550"]
        for file in Path(world._folder.name).glob(f"{FILE}*"):
            file.unlink()
        world.advance(1.0)
        assert [text[:3] for text in texts(world, YOU)] == ["250"]
        hold(world, "other@example.com")
        assert [text[:3] for text in texts(world, YOU, "other@example.com")] == ["250", "550"]
        with contextlib.closing(SuppressionStore(Path(world._folder.name) / "backup.db", create=True)) as backup:
            backup.add([Suppressed(YOU)])
        backup.path.replace(Path(world._folder.name) / FILE)
        for file in Path(world._folder.name).glob(f"{FILE}-*"):
            file.unlink()
        world.advance(1.0)
        assert [text[:3] for text in texts(world, YOU, "other@example.com")] == ["550", "250"]


def test_a_store_that_another_process_keeps_locked_does_not_stop_the_loop() -> None:
    with World() as world:
        world.domain("example.com")
        other = sqlite3.connect(Path(world._folder.name) / FILE, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")  # as while it is made
        world.advance(1.0)
        began = time.monotonic()
        assert [text[:3] for text in texts(world, YOU, "other@example.com", "third@example.com")] == ["451"] * 3
        assert time.monotonic() - began < PATIENCE / 2
        other.close()
        world.advance(1.0)
        assert [text[:3] for text in texts(world, YOU)] == ["250"]


def test_a_lookup_costs_microseconds(tmp_path: Path) -> None:
    """Not a figure: that it is one statement over a key, and no pass over the entries, is what would make the difference of 100 here."""
    held = SuppressionStore(tmp_path / "s.db", create=True)
    held.add([Suppressed(f"u{number}@a.example", "", "", "", 0.0) for number in range(20_000)])
    steps = held._db.execute(
        "EXPLAIN QUERY PLAN SELECT 1 FROM suppressed WHERE key IN (?, ?) AND scope IN (?) AND (expires IS NULL OR expires > ?)",
        ("u1@a.example", "@a.example", "", time.time()),
    ).fetchall()
    assert [step[3] for step in steps] == ["SEARCH suppressed USING PRIMARY KEY (key=? AND scope=?)"]
