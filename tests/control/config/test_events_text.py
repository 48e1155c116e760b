"""The event log and its consumers, from the text of a configuration; what is refused at its line."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from postwright.control.config import loads
from postwright.engine.event_consumers import consumers, event_options
from postwright.model.privacy import Privacy
from postwright.policy.settings import EventSettings, EventStream

STREAM = "<event-stream Audit>\nurl {url}\ntopic mail.events\n{more}</event-stream>\n"


def test_a_stream(good: Any) -> None:
    more = "exchange mail\nrecords d, bounce, r\nprivacy-policy redact\nusername us\npassword sesame\n"
    [(name, stream)] = good(STREAM.format(url="AMQPS://a.example/vhost", more=more)).event_streams.items()
    assert name == "audit"
    wanted = ("Audit", "amqps://a.example/vhost", "mail.events", "mail", ("d", "b", "r"), Privacy("redact"), "us", "sesame")
    assert stream == EventStream(*wanted, origin=stream.origin)
    assert "sesame" not in repr(stream)


REFUSED = [
    ("url http://a.example\ntopic x\n", 2, "this is no URL of a broker"),
    ("url kafka://\ntopic x\n", 2, "this is no URL of a broker"),
    ("url kafka://a b\ntopic x\n", 2, "there is more on the line"),
    ("url amqp://us:sesame@a.example\ntopic x\n", 2, "name and password do not belong into a URL"),
    ("url amqp://a,b\ntopic x\n", 2, "AMQP has one host"),
    ("url nats://a/b\ntopic x\n", 2, "only AMQP has a virtual host"),
    ("topic x\n", 1, "it has no url"),
    ("url nats://a\n", 1, "it has no topic"),
    ("url nats://a\ntopic x\nexchange y\n", 1, "only AMQP has exchanges"),
    ("url nats://a\ntopic x\nusername y\n", 1, "username without password"),
]


@pytest.mark.parametrize(("lines", "line", "message"), REFUSED)
def test_refused_at_its_line(lines: str, line: int, message: str) -> None:
    result = loads(f"<event-stream x>\n{lines}</event-stream>\n")
    assert result.settings is None
    errors = [problem for problem in result.problems if problem.level == "error"]
    assert any(message in problem.message and problem.line == line for problem in errors)
    assert not any("sesame" in problem.message for problem in errors)


ACCT = "<acct-file {path}>\nrecords {records}\n{more}</acct-file>\n"


@pytest.mark.directive("event-log", "event-log-keep", "event-log-max-size")
def test_who_reads_the_log_and_what_it_keeps(good: Any) -> None:
    files = ACCT.format(path="acct.csv", records="d,b,t", more="")
    settings = good(files)
    assert settings.events == EventSettings(False, 86400.0, 4 << 30)
    assert event_options(settings, 2).records == frozenset()
    files += ACCT.format(path="|/bin/cat --all", records="d,r", more="")
    files += ACCT.format(path="hook.json", records="b", more="http-webhook-url https://hooks.example/\n")
    files += STREAM.format(url="nats://a", more="records f\n")
    settings = good(files + "event-log-keep 2d\nevent-log-max-size 10M\n")
    assert {name: kinds for name, kinds in consumers(settings).items() if not name.endswith("hook.json")} == {
        "|/bin/cat --all": ("d", "r"),
        "stream Audit": ("f",),
    }
    options = event_options(settings, 2)
    assert (options.records, options.keep, options.max_size) == (frozenset("dbrf"), 2 * 86400.0, 5 << 20)
    assert len(options.consumers) == 3
    assert event_options(good("event-log yes\n"), 1).records == {"d", "b", "t", "tq", "r", "f", "rb", "rs"}


@pytest.mark.directive("http-webhook-secret")
def test_a_secret_for_each_line(good: Any) -> None:
    more = "http-webhook-url https://hooks.example/\nhttp-webhook-secret old\nhttp-webhook-secret new\n"
    [file] = good(ACCT.format(path="hook.json", records="d", more=more)).acct_files
    assert file.http_webhook_secret == ("old", "new")


def test_the_guide_can_be_copied(good: Any) -> None:
    page = (Path(__file__).parents[3] / "docs/guides/events.md").read_text("utf-8")
    blocks = [block for block in re.findall(r"(?:^    .*\n)+", page, re.MULTILINE) if "postwright events" not in block]
    blocks = [textwrap.dedent(block) for block in blocks if not block.strip().startswith("postwright")]
    assert len(blocks) == 5
    settings = good("\n".join(blocks))
    assert settings.events.event_log
    assert len(consumers(settings)) == 4


IDLE = [
    ("|/bin/cat", "move-to /tmp\n", "warning", "move-to has no effect here: a program's rows are in no file"),
    ("|/bin/cat", "max-size 5M\n", "warning", "max-size has no effect here"),
    ("|/bin/cat", "http-webhook-url https://a.example/\n", "error", "http-webhook-url: this block is a program's"),
    ("hook.json", "sync yes\nhttp-webhook-url https://a.example/\n", "warning", "sync has no effect here: what is posted"),
    ("acct.csv", "write-timeout 5s\n", "warning", "write-timeout has no effect here: this is no |program"),
    ("acct.csv", "http-webhook-secret x\n", "warning", "http-webhook-secret has no effect here: there is no http-webhook-url"),
]


@pytest.mark.parametrize(("path", "lines", "level", "message"), IDLE)
def test_what_has_no_effect_is_told_at_its_line(path: str, lines: str, level: str, message: str) -> None:
    result = loads(ACCT.format(path=path, records="d", more=lines))
    found = [problem for problem in result.problems if problem.line == 3 and problem.level == level]
    assert [problem.message for problem in found if problem.message.startswith(message)] != [], result.problems


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("|/bin/cat", "retry-interval 1m\nwrite-timeout 1m\nuser-string x\n"),
        ("hook.json", "max-size 5M\nhttp-webhook-url https://a.example/\nhttp-webhook-log-verbose yes\n"),
        ("acct.csv", "max-size 5M\nmove-interval 1h\ndelete-after 5d\n"),
    ],
)
def test_and_what_has_one_is_not(path: str, lines: str) -> None:
    result = loads(ACCT.format(path=path, records="d", more=lines))
    assert not [problem for problem in result.problems if "effect" in problem.message]
