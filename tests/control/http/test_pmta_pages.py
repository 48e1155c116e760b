"""PowerMTA's addresses as its consumers ask them: which view is asked with what, and what comes back in each form."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import msgspec
import pytest
from tests.control.http.asgi import KEY, PLAIN, Answer, Page, Relay

from postwright.control.http.command_table import TOOLS, Unknown, arguments_of
from postwright.control.http.keys import add
from postwright.engine.frames import Told
from postwright.engine.orders.listing import Page as Listed
from postwright.engine.orders.listing import Waiting
from postwright.engine.queue_events import Event
from postwright.engine.tracing import TraceLines
from postwright.engine.views.detail_facts import DomainView, JobView, QueueView
from postwright.engine.views.queues import QueueRow, QueuesView
from postwright.engine.views.sums import Sum, SumsView
from postwright.engine.why_facts import Limit, Why

EVIL = '<b>&"\r\nX: y'
ROW = QueueRow("a.example/vm1", 3, 2048, 1, True, "backoff", 0.0, EVIL, "PAUSED", "paused", 1, 1, 1, "smtp", [Event(1e9, "error", EVIL)])
WHY = Why("a.example/vm1", "PAUSED", "paused", "", 3, 1, 1, 1, 1, None, [Limit("max-smtp-out", 1, 20, None, EVIL)], None, "nobody can tell")
WAITING = Waiting("m1", "a.example/vm1", "bob@a.example", "me@us.example", "job1", "e1", 1e9, 0.0, 2, 50, "", 1024, False)


def told(body: Any, *lines: str) -> Told:
    return Told(ok=True, lines=list(lines), body=msgspec.json.encode(body))


@pytest.fixture
def page(tmp_path: Path) -> Page:
    found = Page(tmp_path, PLAIN, Relay())
    found.relay.answers = {
        "view-queues": told(QueuesView(1, 1, 3, [ROW])),
        "view-domains": told(SumsView(1, 3, [Sum("a.example", 3, 2048, 1, 1)])),
        "view-vmtas": told(SumsView(1, 3, [Sum("vm1", 3, 2048, 1, 1)])),
        "view-jobs": told(SumsView(1, 3, [Sum("job1", 3, 2048)])),
        "view-queue": told(QueueView(ROW, WHY, [])),
        "view-domain": told(DomainView(Sum("a.example", 3, 2048, 1, 1), [ROW])),
        "view-job": told(JobView("job1", 3, 2048, False, [Sum("a.example/vm1", 3, 2048)])),
        "order-list": told(Listed([WAITING]), "a line"),
        "order-pause": Told(ok=True, lines=["Queue(s) paused."], body=b"{}"),
        "disable-source": Told(ok=False, lines=["nothing was changed"]),
        "rotate": Told(ok=True, lines=["Logging file rotated."]),
    }
    return found


@pytest.mark.parametrize(
    ("address", "path", "values"),
    [
        ("/queues", "data/queue/name", ["a.example/vm1"]),
        ("/queues", "data/queue/lastError", ['<b>&"\r\nX: y']),
        ("/domains", "data/domain/rcp", ["3"]),
        ("/vmtas", "data/vmta/name", ["vm1"]),
        ("/jobs", "data/job/id", ["job1"]),
        ("/queueDetail?queue=A.example/vm1", "data/queue/event/type", ["error"]),
        ("/queueDetail?queue=A.example/vm1", "data/queue/limit/max", ["20.0"]),
        ("/domainDetail?domain=a.example", "data/queue/rcp", ["3"]),
        ("/domainDetail?domain=a.example", "data/domain/kb", ["2.0"]),
        ("/jobDetail?jobid=job1", "data/queue/name", ["a.example/vm1"]),
        ("/listqueue?rcpt=*@a.example", "data/recipient/rcpt", ["bob@a.example"]),
    ],
)
async def test_xml(page: Page, address: str, path: str, values: list[str]) -> None:
    got = await page.get(address + ("&" if "?" in address else "?") + "format=xml", key=KEY)
    assert (got.status, got.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    assert [found.text for found in ElementTree.fromstring(got.body).findall(path)] == values


async def test_the_other_forms(page: Page) -> None:
    as_json = await page.get("/queues?format=json", key=KEY)
    assert as_json.headers["content-type"] == "application/json"
    assert as_json.json()["status"] == "success"
    assert as_json.json()["data"]["queue"][0]["paused"] is True
    dom = (await page.get("/queues?format=dom", key=KEY)).body.decode()
    assert 'queue[0].name="a.example/vm1"\n' in dom
    text = await page.get("/queues", key=KEY)
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert text.body.decode().startswith("queue ")
    browser = await page.get("/queues", key=KEY, headers={"accept": "text/html,*/*"})
    assert (browser.status, browser.headers["location"]) == (302, "/ui")
    assert (await page.get("/queues?format=csv", key=KEY)).status == 400


@pytest.mark.directive("http-default-max-items", "http-default-sort-order")
async def test_what_a_view_is_asked(tmp_path: Path, page: Page) -> None:
    async def asked(page: Page, target: str) -> dict[str, str]:
        await page.get(target, key=KEY)
        return page.relay.asked[-1][1]

    assert await asked(page, "/queues?queue=*/VM1&paused=yes&connected=no&format=xml") == {
        "maxitems": "10", "sort": "rcpt", "queue": "*/VM1", "paused": "yes",
    }  # fmt: skip
    assert await asked(page, "/queues?maxitems=3&sort=name") == {"maxitems": "3", "sort": "name"}
    other = Page(tmp_path, PLAIN + "http-default-max-items 7\nhttp-default-sort-order size\n")
    assert await asked(other, "/domains") == {"maxitems": "7", "sort": "size"}
    assert await asked(other, "/vmtas") == {"maxitems": "10000"}
    assert (await page.get("/queues?sort=age", key=KEY)).status == 400


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/queueDetail", 400),
        ("/queueDetail?queue=b.example/vm1", 404),
        ("/queueDetail?queue=" + "a" * 513, 400),
        ("/domainDetail?domain=b.example", 404),
        ("/jobDetail?jobid=job2", 404),
    ],
)
async def test_one_that_is_not_there(page: Page, address: str, status: int) -> None:
    page.relay.answers |= dict.fromkeys(("view-queue", "view-domain", "view-job"), Told(ok=False, lines=["there is none of that"]))
    got = await page.get(address + ("&" if "?" in address else "?") + "format=json", key=KEY)
    assert got.status == status


async def test_local_addresses(page: Page) -> None:
    got = await page.get("/getlocalips?format=json", key=KEY)
    assert all(set(one) == {"address"} for one in got.json()["data"]["ip"])


# commands ---------------------------------------------------------------------------------------------------------------


async def run(page: Page, line: str, form: str = "text", key: str = KEY) -> Answer:
    body = f"command={quote(line)}&format={form}".encode()
    return await page.post("/command", body, key=key, headers={"content-type": "application/x-www-form-urlencoded"})


async def test_a_command_says_what_the_command_line_says(page: Page) -> None:
    got = await run(page, "pmta show ver")
    assert got.status == 200
    assert got.body.startswith(b"Postwright v")
    assert ElementTree.fromstring((await run(page, "show queues", "xml")).body).findtext("data/queue/rcp") == "3"
    assert (await run(page, "show topq --maxitems=2", "json-text")).json()["data"]["text"].startswith("queue ")


async def test_an_order_is_marked_with_who_gave_it(page: Page, tmp_path: Path) -> None:
    got = await run(page, "pause queue '*/vm1' --reason=\"a reason\" --for=2h", "xml")
    assert ElementTree.fromstring(got.body).findtext("data/text") == "Queue(s) paused."
    mark = {"as": "key http-api-key 1 at 192.0.2.9"}
    assert page.relay.asked[-1] == ("order-pause", {"queue": "*/vm1", "reason": "a reason", "for": "2h", **mark})
    assert (await run(page, "pause job j --dry-run")).status == 200
    assert page.relay.asked[-1] == ("order-pause", {"job": "j", "dry-run": "yes", **mark})
    assert (await run(page, "list --jobId=j --pause")).body == b"a line\n"
    assert page.relay.asked[-1] == ("order-list", {"job": "j", "paused": "yes", **mark})
    refused = await run(page, "disable source 192.0.2.1 */vm1 --reenable-after=2h", "json")
    assert (refused.status, refused.json()["status"], refused.json()["message"]) == (400, "error", "nothing was changed")
    assert page.relay.asked[-1] == ("disable-source", {"source": "192.0.2.1", "queue": "*/vm1", "after": "2h", **mark})
    await run(page, "rotate log")
    assert page.relay.asked[-1] == ("rotate", {"what": "log", **mark})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "there is no command"),
        ("register", "unknown command: register"),
        ("show nothing", "unknown command: show nothing"),
        ("delete --all", "delete knows no --all"),
        ("pause queue", "pause queue wants a QUEUE"),
        ("enable source 192.0.2.1", "enable source IP QUEUE"),
        ("show 'queues", "cannot be read"),
        ("set queue --mode=fast q", "--mode is one of"),
        ("resolve", "resolve wants 1 to 1 words"),
        ("digest --key-stdin x", "digest knows no --key-stdin"),
        ("stop", "unknown command: stop"),
        ("a" * 5000, "more than 4096"),
    ],
)
async def test_what_is_no_command(page: Page, line: str, why: str) -> None:
    got = await run(page, line, "json")
    assert got.status == 400
    assert why in got.json()["message"]
    assert page.relay.asked == []


async def test_each_command_needs_its_scope(page: Page, tmp_path: Path) -> None:
    reader = add(tmp_path / "http-keys.json", "reader", ["read"], 0.0)
    assert (await run(page, "show queues", key=reader)).status == 200
    before = list(page.relay.asked)
    for line in (
        "list",
        "pause queue */*",
        "disable source 192.0.2.1 */*",
        "reload",
        "rotate log",
        "clear dnscache *",
        "resolve a.example",
    ):
        got = await run(page, line, key=reader)
        assert (line, got.status) == (line, 403)
    assert page.relay.asked == before
    operator = add(tmp_path / "http-keys.json", "operator", ["read", "logs", "queues"], 0.0)
    assert (await run(page, "pause queue */*", key=operator)).status == 200
    assert (await run(page, "rotate log", key=operator)).status == 403


def test_a_tools_words_are_never_options_of_their_own() -> None:
    resolve, spf, digest = TOOLS
    assert arguments_of(resolve, ["a.example", "--use-d", "--source=192.0.2.1"]) == ["--use-dane", "--source=192.0.2.1", "--", "a.example"]
    assert arguments_of(spf, ["192.0.2.1", "-rf", "x@a.example"]) == ["--", "192.0.2.1", "-rf", "x@a.example"]
    for tool, words in ((resolve, ["a", "--interactive"]), (resolve, ["a", "--tcp=1"]), (resolve, ["a", "--source"]), (digest, ["a", "b"])):
        with pytest.raises(Unknown):
            arguments_of(tool, words)


async def test_a_tool_is_run(page: Page) -> None:
    got = await run(page, "resolve not..a..name --tcp")
    assert got.status == 400
    assert b"not..a..name" in got.body


@pytest.mark.parametrize(
    ("line", "status", "text"),
    [
        ("digest --siphash --key=secret bob.smith", 200, b"Result: D80EC701E7E03D02\n"),
        ("digest --sip --hexkey=736563726574 bob.smith", 200, b"Result: D80EC701E7E03D02\n"),
        ("digest --siphash bob.smith", 400, b"one key is needed, and one is enough: --key or --hexkey\n"),
        ("digest --siphash --hexkey=secret bob.smith", 400, b"the key is not in hex\n"),
        ("digest --key=secret bob.smith", 400, b"say which digest: --hmac-sha256 or --siphash\n"),
        ("digest --siphash --key-stdin bob.smith", 400, b"digest knows no --key-stdin\n"),
    ],
)
async def test_a_key_is_no_argument_of_a_process(page: Page, monkeypatch: pytest.MonkeyPatch, line: str, status: int, text: bytes) -> None:
    """Everybody on the machine may read those; and no key of the relay's environment is used for somebody else."""
    monkeypatch.setenv("POSTWRIGHT_DIGEST_KEY", "of the relay")
    monkeypatch.setattr(asyncio, "create_subprocess_exec", None)
    got = await run(page, line)
    assert (got.status, got.body) == (status, text)


async def test_a_trace_to_its_end(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    page.relay.answers["trace"] = told(TraceLines(["starting a.example/vm1", "<<< 220 hello"], done=True))
    assert (await run(page, "trace a.example/vm1 --log-res")).body == b"starting a.example/vm1\n<<< 220 hello\n"
    mark = {"as": "key http-api-key 1 at 192.0.2.9"}
    assert page.relay.asked == [
        ("trace", {"op": "begin", "queue": "a.example/vm1", "log-resolution": "yes", **mark}),
        ("trace", {"op": "read", "queue": "a.example/vm1"}),
        ("trace", {"op": "end", "queue": "a.example/vm1"}),
    ]
    monkeypatch.setattr("postwright.control.http.commanding.TRACE_SECONDS", 0.05)
    page.relay.answers["trace"] = told(TraceLines([], done=False))
    assert b"not at its end" in (await run(page, "trace a.example/vm1")).body
    assert page.relay.asked[-1][1]["op"] == "end"


async def test_test_config(page: Page, tmp_path: Path) -> None:
    assert (await run(page, "test config")).status == 400  # the sandbox
    page.site.config_file = tmp_path / "config"
    page.site.config_file.write_text("host-name a.example\nlog-file log\n")
    good = await run(page, "test config")
    assert (good.status, good.body) == (200, b"")
    page.site.config_file.write_text("host-nam a.example\n")
    bad = await run(page, "test config")
    assert (bad.status, bad.body.startswith(f"Error in line 1 of {tmp_path}/config: ".encode())) == (400, True)
