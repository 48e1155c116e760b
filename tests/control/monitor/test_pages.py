"""Every page of the monitor, against a relay that tells what strangers wrote, one that is away, and people who may less."""

from __future__ import annotations

import os
import re
import time
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from tests.control.http.asgi import KEY, PLAIN, Answer, Page, Relay
from tests.control.monitor.test_sampler import status_view

from postwright.control.config.folder import ConfigFolder
from postwright.control.monitor.frame import ENTRIES
from postwright.control.monitor.sampler import Sampler
from postwright.engine.bounce_book import Category, Example
from postwright.engine.export_frames import ConsumerStatus
from postwright.engine.flow_book import FlowRow, FlowsView
from postwright.engine.frames import Told
from postwright.engine.orders.book import Book
from postwright.engine.orders.listing import Page as Waiting
from postwright.engine.orders.listing import Waiting as Row
from postwright.engine.queue_events import Event, Outcome, QueueEvents
from postwright.engine.status import DisabledAddress, RelayStatus
from postwright.engine.views.flows import BouncesView, WarmUpView
from postwright.engine.views.queues import QueueRow, QueuesView
from postwright.engine.views.status import Backlog
from postwright.engine.views.sums import Sum, SumsView
from postwright.engine.whereabouts import Warming
from postwright.engine.why import Disabled, Limit, Why
from postwright.model.message import IdMaker, format_id
from postwright.model.record import Record
from postwright.policy.locks import Lock
from postwright.store.event_files import log_folder
from postwright.store.event_log import EventLog, EventOptions

EVIL = "\"><script>alert(1)</script>'&{{7*7}}\u202e"
QUEUE = f"example.org/{EVIL}"
WHERE = "http-access 192.0.2.9/32 {role}\n"
ID = IdMaker(0).next(1_760_000_000.0)
PATHS = [
    "/ui", "/ui/queues", "/ui/queue?name=" + "x", "/ui/messages", f"/ui/message?id={format_id(ID)}", "/ui/jobs", "/ui/vmtas", "/ui/bounces",
    "/ui/flow?kind=domain&name=" + "x",
    "/ui/listeners", "/ui/events", "/ui/logs", "/ui/doctor", "/ui/configuration", "/ui/audit", "/ui/inbox", "/ui/letter?number=1",
    "/ui/act/pause?queue=x", "/ui/act/delete?job=x",
]  # fmt: skip


def queue_row(name: str = QUEUE) -> QueueRow:
    return QueueRow(name, 5, 4096, 1, True, "backoff", time.time() + 300, EVIL, "RETRY", EVIL, 1, 4, 0, "smtp")


def answers() -> dict[str, Any]:
    now = time.time()
    disabled = RelayStatus("1", now, now, [1, 2], [], locks=2, consumers=[ConsumerStatus(EVIL, 5, 3.0, 9, EVIL)])
    limits = [Limit(EVIL, 3, 4, None, EVIL, EVIL, EVIL)]
    why = Why(QUEUE, "RETRY", EVIL, EVIL, 5, 1, 4, 0, 1, now + 5, limits, 60.0, EVIL, "backoff", EVIL, last_error=EVIL)
    why.disabled = [Disabled(EVIL, -1, EVIL)]
    return {
        "status": disabled,
        "view-queues": QueuesView(1, 1, 5, [queue_row()], next="5:x"),
        "view-domains": SumsView(1, 5, [Sum(f"example.org/{EVIL}", 5, 10, 1)]),
        "view-jobs": SumsView(1, 5, [Sum(EVIL, 5, 10)], next=EVIL),
        "view-warm-up": WarmUpView([Warming(EVIL, EVIL, (EVIL,), 2, 50, 40), Warming("a.example", "v", ("w",), 9, None, 7)]),
        "view-vmtas": SumsView(1, 5, [Sum(EVIL, 5, 10, 1, 1, EVIL)]),
        "view-flows": FlowsView([FlowRow(EVIL, delivered=60, bounced=20), FlowRow("quiet.example", delivered=5)], []),
        "view-bounces": BouncesView([Category(EVIL, [0] * 23 + [2], [Example(now, QUEUE, EVIL, EVIL, EVIL)])]),
        "why": [why],
        "events": QueueEvents([Event(now, EVIL, EVIL)], [Outcome(now, EVIL, EVIL, EVIL, EVIL, EVIL, EVIL)]),
        "locks": [Lock("user", EVIL, now, now + 5, 3, EVIL)],
        "order-list": Waiting([Row(format_id(ID), QUEUE, EVIL, EVIL, EVIL, EVIL, now, 0.0, 1, 50, "normal", 100, True)]),
        "order-standing": Book(),
    }


@pytest.fixture
async def page(tmp_path: Path) -> Page:
    relay = Relay()
    relay.answers = {verb: Told(ok=True, lines=[EVIL], body=msgspec.json.encode(body)) for verb, body in answers().items()}
    relay.answers |= {verb: Told(ok=True, lines=[f"would {EVIL}"]) for verb in ("order-pause", "order-delete", "unlock")}
    return make(tmp_path, relay, "admin")


def make(folder: Path, relay: Relay, role: str) -> Page:
    log = folder / "relay.log"
    log.write_text(f"first\n{EVIL}\n")
    page = Page(folder, PLAIN + WHERE.format(role=role) + f'log-file "{log}"\n', relay)
    page.site.sampler = Sampler(page.site.relay, folder / "monitor", page.log)  # type: ignore[arg-type]
    events = EventLog(log_folder(folder, 0), 0, EventOptions(frozenset("rdbt"), (), ""), lambda event, detail: None)
    events.write([Record("b", time.time() - 50, ID, 0, orig=EVIL, rcpt=EVIL, dsn_diag=EVIL, queue=QUEUE, job_id=EVIL)])
    events.flush()
    inbox = folder / "inbox"
    inbox.mkdir(exist_ok=True)
    header = f"Subject: {EVIL}\r\nX-{EVIL}: y\r\nFrom: =?utf-8?q?=3Cscript=3E?= <a@b.example>\r\n"
    (inbox / "1.eml").write_bytes(f"{header}\r\n{EVIL}\r\n".encode())
    (inbox / "1.json").write_bytes(msgspec.json.encode({"at": time.time(), "mail_from": EVIL, "rcpt_to": [{"address": EVIL}], "size": 3}))
    return page


class _Read(HTMLParser):
    """What a browser would make of it: scripts, and attributes that are code."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.handlers: list[str] = []
        self.styles = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag == "script":
            self.scripts.append(values.get("src") or "inline")
        self.handlers += [name for name in values if name.startswith("on")]
        self.styles += tag == "style" or "style" in values


@pytest.mark.parametrize("path", PATHS)
async def test_what_strangers_wrote_is_text(page: Page, path: str) -> None:
    path = path.replace("name=x", "name=" + "example.org/%22%3E%3Cscript%3Ealert(1)%3C/script%3E'%26%7B%7B7*7%7D%7D%E2%80%AE")
    got = await page.get(path)
    assert (got.status, got.headers["content-type"]) == (200, "text/html; charset=utf-8"), page.log.lines
    read = _Read()
    read.feed(got.body.decode())
    assert all(source.startswith("/ui/static/") for source in read.scripts)
    assert (read.handlers, read.styles) == ([], 0)  # what the policy of this site forbids, browsers would not show
    assert b"alert(1)</script>" not in got.body
    assert b"49" not in re.sub(rb"[0-9a-f]{8,}|\d\d:\d\d", b"", got.body) or "{{7*7}}" in unescape(got.body.decode())


@pytest.mark.parametrize("path", ["/ui/queues", "/ui/queue?name=a", "/ui/jobs", "/ui/vmtas", "/ui/bounces", "/ui/events", "/ui"])
async def test_a_relay_that_is_away_leaves_pages_that_say_so(tmp_path: Path, path: str) -> None:
    got = await make(tmp_path, Relay(), "admin").get(path)
    assert got.status == 200
    assert b"The relay does not answer: nobody is there" in got.body


async def test_a_page_names_what_there_is_to_see(page: Page) -> None:
    assert page.site.sampler is not None
    page.site.sampler.status = status_view({"smtp": Backlog(5, 2, 100, paused=0, backoff=4), "pipe": Backlog(1, 1, 1, backoff=3)})
    got = (await page.get("/ui")).body.decode()
    assert [f"/ui/{entry.path}".rstrip("/") in got for entry in ENTRIES] == [True] * len(ENTRIES)
    assert "0 of 2 shards answer" in got
    assert "Locked logins and networks: 2" in got
    assert "Queues in backoff mode: 7" in got
    assert "Paused queues" not in got


@pytest.mark.parametrize(
    ("role", "hidden"),
    [("admin", []), ("operator", ["configuration"]), ("monitor", ["configuration"]), ("monitor,deny-logs", ["logs", "configuration"])],
)
async def test_who_may_less_sees_less(tmp_path: Path, role: str, hidden: list[str]) -> None:
    page = make(tmp_path, Relay(), role)
    text = (await page.get("/ui")).body.decode()
    for name in ("logs", "configuration"):
        assert (f'"/ui/{name}"' not in text) == (name in hidden)
        assert (await page.get(f"/ui/{name}")).status == (403 if name in hidden else 200)


async def test_actions_are_for_who_may(tmp_path: Path, page: Page) -> None:
    watcher = make(tmp_path, page.relay, "monitor")
    assert (await watcher.get("/ui/act/pause?queue=a")).status == 403
    assert b"/ui/act/" not in (await watcher.get("/ui/queues")).body


def token(answer: Answer) -> tuple[str, dict[str, str]]:
    found = re.search(rb'name="CSRFToken" value="([0-9a-f]+)"', answer.body)
    assert found is not None
    cookie = answer.headers["set-cookie"].partition(";")[0]
    return found[1].decode(), {"cookie": cookie, "content-type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(("pattern", "meant"), [("", "*/*"), ("late.*", "late.*/*"), ("late.*/news", "late.*/news")])
async def test_an_action_on_a_list_means_what_the_list_shows(page: Page, pattern: str, meant: str) -> None:
    text = unescape((await page.get(f"/ui/queues?pattern={pattern}&mode=backoff")).body.decode())
    assert f"With all of {meant}, whatever their state:" in text
    assert f'href="/ui/act/delete?queue={quote(meant, safe="")}"' in text


async def test_an_action_is_counted_first_and_then_ordered_by_whom(page: Page) -> None:
    asked = await page.get("/ui/act/pause?queue=a.example/*")
    assert page.relay.asked[-1] == ("order-pause", {"queue": "a.example/*", "as": "192.0.2.9", "dry-run": "yes"})
    assert b"would " in asked.body
    csrf, headers = token(asked)
    done = await page.post("/ui/act/pause", f"CSRFToken={csrf}&queue=a.example/*&for=2h&reason=too+fast".encode(), headers=headers)
    assert done.status == 200, done.body
    assert page.relay.asked[-1] == ("order-pause", {"queue": "a.example/*", "as": "192.0.2.9", "for": "2h", "reason": "too fast"})
    assert b'href="/ui/act/resume?queue=a.example%2F%2A"' in done.body  # the way back
    assert b'href="/ui/queues" data-close' in done.body  # where there is no script, and no dialogue that would close
    assert b'href="/ui/jobs" data-close' in (await page.get("/ui/act/pause?job=spring")).body


async def test_a_forged_action_is_refused(page: Page) -> None:
    csrf, headers = token(await page.get("/ui/act/delete?queue=a"))
    before = len(page.relay.asked)
    for cookie, shown in ((headers["cookie"], "0" * 64), ("postwright_csrf=" + "0" * 32, csrf), ("", csrf)):
        got = await page.post("/ui/act/delete", f"CSRFToken={shown}&queue=a".encode(), headers=headers | {"cookie": cookie})
        assert got.status == 403
    assert len(page.relay.asked) == before


@pytest.mark.parametrize(("path", "status"), [("/ui/act/format?queue=a", 404), ("/ui/act/pause", 400), ("/ui/act/unlock?queue=a", 400)])
async def test_actions_that_are_none(page: Page, path: str, status: int) -> None:
    assert (await page.get(path)).status == status


async def test_a_fragment_is_only_its_part(page: Page) -> None:
    part = await page.get("/ui/queues", headers={"hx-request": "true"})
    assert part.body.lstrip().startswith(b'<section class="card" id="rows"')
    assert b"<html" not in part.body


@pytest.mark.parametrize(
    "path", ["/ui/static/../texts.py", "/ui/static/texts.py", "/ui/letter?number=../1", "/ui/letter?number=99", "/ui/message?id=x"]
)
async def test_there_is_no_other_file_or_message(page: Page, path: str) -> None:
    assert (await page.get(path)).status in (400, 404)


async def test_static_files_may_be_kept_for_ever_and_are_named_by_their_content(page: Page) -> None:
    urls = re.findall(r'(?:src|href)="(/ui/static/[^"]+)"', (await page.get("/ui")).body.decode())
    assert len(urls) == 5
    for url in urls:
        got = await page.get(url)
        assert (got.status, "immutable" in got.headers["cache-control"]) == (200, True)
        assert re.search(r"\?v=[0-9a-f]{12}$", url)
    assert (await page.get("/ui")).headers["cache-control"] == "no-store"


async def test_the_first_view_is_small(page: Page) -> None:
    text = (await page.get("/ui")).body
    sizes = [len((await page.get(url)).body) for url in re.findall(r'(?:src|href)="(/ui/static/[^"]+)"', text.decode())]
    assert len(text) + sum(sizes) < 300_000


async def test_the_history_as_json(page: Page) -> None:
    assert page.site.sampler is not None
    page.site.sampler.history.add(time.time(), [1.0] * 11)
    told = (await page.get("/ui/history?seconds=60")).json()
    assert (told["step"], told["columns"][0][-2:].count(1.0)) == (1, 1)
    assert (await page.get("/ui/history?seconds=1")).status == 400


async def test_a_domain_has_a_chart_of_its_own_past(page: Page) -> None:
    sampler, now = page.site.sampler, time.time()
    assert sampler is not None
    sampler.domains.take([FlowRow("a.example")], now - 10)
    sampler.domains.take([FlowRow("a.example", delivered=70, bounced=10)], now)
    shown = (await page.get("/ui/flow?kind=domain&name=a.example")).body.decode()
    assert 'data-history="/ui/flow-history?kind=domain&amp;name=a.example"' in shown
    assert ">7.0<" in shown
    told = (await page.get("/ui/flow-history?kind=domain&name=a.example&seconds=3600")).json()
    assert [[value for value in column if value is not None] for column in told["columns"]] == [[7.0], [0.0], [1.0]]
    files = len(list((page.site.state_dir / "monitor").iterdir()))
    quiet = (await page.get("/ui/flow-history?kind=vmta&name=a.example")).json()
    assert quiet["times"] == []
    assert len(list((page.site.state_dir / "monitor").iterdir())) == files  # a question makes no file
    assert (await page.get("/ui/flow-history?kind=user&name=a.example")).status == 400


async def test_bounces_lead_to_who_refuses_and_to_the_messages(page: Page) -> None:
    text = unescape((await page.get("/ui/bounces")).body.decode())
    assert 'data-label="Share">25.0 %<' in text
    assert "quiet.example" not in text
    assert "/ui/messages?text=%40example.org&kind=b&since=1d" in text


async def test_warm_up_is_shown_with_its_day_and_what_is_used(page: Page) -> None:
    text = unescape((await page.get("/ui/vmtas")).body.decode())
    for said in ('data-label="Day">2<', 'data-label="Recipients">40<', 'data-label="Of">50<', 'width="80.0"', 'data-label="Of">unlimited<'):
        assert said in text


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("a@b.example", ["rcpt", "orig"]),
        ("@b.example", []),
        ("spring-sale", ["job"]),
        (format_id(ID), ["message", "job"]),
        ("", []),
    ],
)
async def test_what_waits_is_found_by_all_that_a_person_has(page: Page, text: str, asked: list[str]) -> None:
    page.relay.answers["order-list"] = Told(ok=True, body=msgspec.json.encode(Waiting()))
    assert (await page.get(f"/ui/messages?text={text}")).status == 200
    found = [arguments for verb, arguments in page.relay.asked if verb == "order-list"]
    assert [(name, given[name]) for given, name in zip(found, asked, strict=True)] == [(name, text) for name in asked]


async def test_what_waits_of_a_message_is_withdrawn(page: Page) -> None:
    assert f"/ui/act/withdraw?message={format_id(ID)}" in (await page.get(f"/ui/message?id={format_id(ID)}")).body.decode()
    csrf, headers = token(await page.get(f"/ui/act/withdraw?message={format_id(ID)}"))
    await page.post("/ui/act/withdraw", f"CSRFToken={csrf}&message={format_id(ID)}&reason=wrong+list".encode(), headers=headers)
    assert page.relay.asked[-1] == ("order-delete", {"message": format_id(ID), "as": "192.0.2.9", "reason": "wrong list"})


async def test_the_configuration_tells_who_changed_it(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "conf" / "relay.conf"
    file.parent.mkdir()
    lines = [
        "postmaster postmaster@relay.example",
        "smtp-listener 127.0.0.1:2525",
        "<spool spool>",
        "</spool>",
        f"http-api-key old_secret_key{KEY}",
    ]
    file.write_text("\n".join(lines))
    page.site.config_file = file
    folder = ConfigFolder(file, page.site.state_dir)
    folder.write(
        {"relay.conf": f"# {EVIL}\n" + file.read_text().replace("relay", "mail").replace("old", "new")}, EVIL, time.time(), "a better name"
    )
    text = (await page.get("/ui/configuration")).body.decode()
    assert f"by {EVIL}: a better name" in unescape(text)
    assert "/ui/change?number=1" in text
    changed = (await page.get("/ui/change?number=1")).body.decode()
    assert '<span class="line removed">-postmaster postmaster@relay.example</span>' in changed
    assert f"+# {EVIL}" in unescape(changed)
    assert "secret_key" not in text + changed
    assert (await page.get("/ui/change?number=2")).status == 404
    os.utime(file, (time.time() + 60, time.time() + 60))  # somebody has edited it since: that was not him
    assert f"by {EVIL}: a better name" not in unescape((await page.get("/ui/configuration")).body.decode())


async def test_disabled_addresses_can_be_enabled(page: Page) -> None:
    page.relay.answers["status"] = Told(
        ok=True, body=msgspec.json.encode(RelayStatus("1", 0, 0, [1], [shard_with(DisabledAddress("a/b", "192.0.2.1", 0.0))]))
    )
    assert 'href="/ui/act/enable?queue=a%2Fb&source=192.0.2.1"' in unescape((await page.get("/ui/vmtas")).body.decode())


def shard_with(disabled: DisabledAddress) -> Any:
    fields = {"shard": 0, "pid": 1, "uptime": 1.0, "connections_in": 0, "connections_out": 0, "recipients": 0, "queues": 0}
    fields |= {"messages_in_last_minute": 0, "delivered_last_minute": 0, "traffic": {}, "spool_bytes": 0, "spool_segments": 0, "memory": 0}
    return fields | {"top_queues": [], "disabled": [disabled], "disabled_count": 1}
