"""Stories of what accounting files ask of the relay: header fields with every record, when a message was first tried, which queues."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace
from tests.engine.merge_talk import merge, talk

from postwright.engine.outside import accounting
from postwright.model.record import Record
from postwright.policy.settings import AcctFileSettings, Settings
from postwright.store.accounting_rows import RowMaker
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, domain, relay, source

TEXT = "From: me@sender.example\r\nX-Job: j7\r\nSubject: one,\r\n two\r\nX-Thing: =?utf-8?q?=C3=BC?=\r\n\r\ntext\r\n"
HOUR = 3600.0


def acct(*records: str, **more: Any) -> AcctFileSettings:
    return AcctFileSettings("acct.csv", records or ("d", "b", "t", "tq", "r"), **more)


def with_files(*files: AcctFileSettings, blocks: Sequence[Any] = (), **more: Any) -> Settings:
    return replace(relay(domain("*", retry_after=(600.0,), bounce_after=4 * HOUR), *blocks, **more), acct_files=files)


def rows(settings: Settings, records: Sequence[Record]) -> list[dict[str, str]]:
    """What a reader of the first file has of those records, but for what became of our reports."""
    [options] = accounting(settings)[:1]
    maker = RowMaker(options.form, options.privacy)
    own = [record for record in records if record.type in maker.kinds and record.src_type == "smtp"]
    data = maker.header_line + b"".join([maker.row(record) for record in own])
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


@pytest.mark.directive("record-fields")
def test_header_columns_are_filled_in_every_record_of_the_message() -> None:
    wish = ("rcpt", "jobId", "header_x-JOB", "header_Subject", "header_X-Thing", "header_None", "header_Message-Id")
    settings = with_files(
        acct("d", "b", "t", "r", record_fields=dict.fromkeys(("d", "b", "t", "r"), wish)),
        blocks=[source(ANYBODY, always_allow_relaying=True, process_x_job=True, add_message_id_header=True)],
    )
    with World(settings) as world:
        world.domain("example.com", rules=["rcpt:no@* 550 5.1.1 no", "rcpt:late@* first=1 450 4.2.0 later"])
        world.submit("me@sender.example", ["yes@example.com", "no@example.com", "late@example.com"], TEXT)
        world.run_until_empty()
        [sent] = [message for message in world.messages() if message.recipients == ["late@example.com"]]
        found = rows(settings, world.records)
    assert "X-Job" not in sent.parsed  # it was cut out, and yet is noted
    assert {(row["type"], row["rcpt"][:3]) for row in found} >= {("d", "yes"), ("b", "no@"), ("t", "lat"), ("d", "lat"), ("r", "yes")}
    for row in found:
        assert row["header_x-JOB"] == row["jobId"] == "j7"
        assert row["header_Subject"] == "one, two"
        assert row["header_X-Thing"] == "=?utf-8?q?=C3=BC?="
        assert row["header_None"] == ""
        assert row["header_Message-Id"] == sent.parsed["Message-ID"]


def test_nothing_is_noted_where_no_file_asks() -> None:
    with World(with_files(acct())) as world:
        world.domain("example.com")
        world.submit("me@sender.example", ["a@example.com"], TEXT)
        world.run_until_empty()
        assert [record.headers for record in world.records] == [None] * len(world.records)
        assert world.node.intake.epoch.noted is None


def test_what_is_noted_survives_a_crash() -> None:
    settings = with_files(acct(record_fields={"d": ("header_x-job",)}))
    with World(settings) as world:
        world.domain("example.com", rules=["rcpt first=1 450 4.2.0 later"])
        world.submit("me@sender.example", ["a@example.com"], TEXT)
        world.run_until(lambda: bool(world.of("t")))
        world.crash()
        world.begin()
        world.run_until_empty()
        assert rows(settings, world.of("d"))[0]["header_x-job"] == "j7"


def test_a_reload_begins_to_note() -> None:
    plain = with_files(acct())
    with World(plain) as world:
        world.domain("example.com")
        world.submit("me@sender.example", ["a@example.com"], TEXT)
        world.run_until_empty()
        world.reload(with_files(acct(record_fields={"d": ("*", "header_subject")})))
        world.submit("me@sender.example", ["b@example.com"], TEXT)
        world.run_until_empty()
        assert [record.headers for record in world.of("d")] == [None, {"subject": "one, two"}]


@pytest.mark.directive("map-header-to-field")
def test_a_header_in_the_place_of_a_field() -> None:
    maps = (
        ("d", "header_x-first", "rcpt"),
        ("d", "header_X-Thing", "rcpt"),
        ("d", "header_X-Thing", "orig"),
        ("b", "header_X-Missing", "rcpt"),
        ("t", "header_x-empty", "dsnDiag"),
    )
    settings = with_files(acct("d", "b", "t", map_header_to_field=maps))
    with World(settings) as world:
        world.domain("example.com", rules=["rcpt:no@* 550 5.1.1 no", "rcpt:late@* first=1 450 4.2.0 later"])
        text = "X-Empty:\r\n" + TEXT
        world.submit("me@sender.example", ["yes@example.com", "no@example.com", "late@example.com"], text)
        world.run_until_empty()
        found = rows(settings, world.records)
    thing = "=?utf-8?q?=C3=BC?="
    assert [(row["rcpt"], row["orig"]) for row in found if row["type"] == "d"] == [(thing, thing)] * 2
    assert [row["rcpt"] for row in found if row["type"] == "b"] == ["no@example.com"]  # no such field: the record's own stays
    assert [row["dsnDiag"] for row in found if row["type"] == "t"] == [""]  # there, and empty


def test_recipients_of_a_merge_have_their_own_header_fields() -> None:
    settings = with_files(
        acct("d", "b", record_fields=dict.fromkeys("db", ("rcpt", "header_subject"))),
        blocks=[source(ANYBODY, always_allow_relaying=True, allow_mailmerge=True)],
    )
    with World(settings) as world:
        world.domain("example.com", rules=["rcpt:b@* 550 5.1.1 no"])
        talk(world, merge({"a@example.com": {"name": "Anna"}, "b@example.com": {}}, "Subject: Hello [name][[]!\n\ntext\n"))
        world.run_until_empty()
        assert {row["rcpt"]: row["header_subject"] for row in rows(settings, world.records)} == {
            "a@example.com": "Hello Anna[!",
            "b@example.com": "Hello [!",
        }


@pytest.mark.directive("track-time-first-attempt")
@pytest.mark.parametrize("tracks", [True, False])
def test_time_first_attempt_and_seconds_queued(tracks: bool) -> None:
    wish = ("timeLogged", "timeQueued", "timeFirstAttempt", "totalSecondsQueued")
    files = acct("d", "b", "t", iso_times=False, record_fields=dict.fromkeys("dbt", wish))
    settings = with_files(files, general={"track_time_first_attempt": tracks})
    with World(settings) as world:
        world.domain("example.com", rules=["rcpt:a@* first=2 450 4.2.0 later", "rcpt:b@* 550 5.1.1 no"])
        world.submit("me@sender.example", ["a@example.com", "b@example.com"], TEXT)
        world.run_until_empty()
        found = rows(settings, world.records)
    assert [row["type"] for row in found] == ["b", "t", "t", "d"] or [row["type"] for row in found] == ["t", "b", "t", "d"]
    first, last = found[0], found[-1]
    assert {row["timeFirstAttempt"] for row in found} == {first["timeLogged"] if tracks else ""}
    assert int(last["totalSecondsQueued"]) == int(last["timeLogged"]) - int(last["timeQueued"]) == 1200
    assert first["totalSecondsQueued"] == "0"


@pytest.mark.directive("user-string")
def test_the_user_string_of_each_file() -> None:
    settings = with_files(acct("d", user_string='site "1"', record_fields={"d": ("rcpt", "userString")}))
    with World(settings) as world:
        world.domain("example.com")
        world.submit("me@sender.example", ["a@example.com"], TEXT)
        world.run_until_empty()
        assert rows(settings, world.records) == [{"type": "d", "rcpt": "a@example.com", "userString": 'site "1"'}]


@pytest.mark.directive("queue-filter")
@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("example.com/*",), {"example.com"}),
        (("!*.b.example/*", "*/*"), {"example.com", "b.example"}),
        (("![*.]b.example/*", "*/*"), {"example.com"}),
        (("example.com",), {"example.com"}),
        (("example.com/other",), set()),
        (("!example.com",), set()),
        (("*/{default}", "!*/*"), {"example.com", "b.example", "x.b.example"}),
    ],
)
def test_a_filter_of_queues(names: tuple[str, ...], wanted: set[str]) -> None:
    settings = with_files(acct("d", queue_filter=names))
    [options] = accounting(settings)
    assert options.wants_queue is not None
    queues = [f"{domain}/{{default}}" for domain in ("example.com", "b.example", "x.b.example")]
    assert {queue.partition("/")[0] for queue in queues if options.wants_queue(queue)} == wanted
