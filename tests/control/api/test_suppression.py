"""`/api/v1/suppression` and `/api/v1/events`: lists by pages, and what comes in and goes out as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.control.http.asgi import KEY, Answer, Page
from tests.engine.event_town import delivered

from postwright.engine.event_pages import event_page, places_of
from postwright.store.event_files import log_folder
from postwright.store.event_log import EventLog, EventOptions

BASE = "/api/v1/suppression"


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return Page(tmp_path)


async def get(page: Page, path: str, status: int = 200) -> Answer:
    answer = await page.get(path, key=KEY)
    assert answer.status == status, answer
    return answer


async def post(page: Page, path: str, body: object, status: int = 200) -> Any:
    octets = body if isinstance(body, bytes) else msgspec.json.encode(body)
    answer = await page.post(path, octets, headers={"content-type": "application/json"}, key=KEY)
    assert answer.status == status, answer
    return answer.json()


async def test_added_found_and_removed(page: Page) -> None:
    assert (await get(page, BASE)).json() == {"items": [], "next": ""}
    body = {"keys": ["Bob@A.example", "@b.example"], "scope": "job:x", "reason": "asked for it", "until": "2099-01-31"}
    assert await post(page, BASE, body) == {"changed": 2}
    [one] = (await get(page, f"{BASE}?address=bob@a.example")).json()["items"]
    assert (one["key"], one["scope"], one["reason"], one["source"]) == ("bob@a.example", "job:x", "asked for it", "key http-api-key 1")
    assert (await get(page, f"{BASE}?address=eve@b.example")).json()["items"][0]["key"] == "@b.example"
    assert (await get(page, f"{BASE}?address=eve@c.example")).json()["items"] == []
    assert await post(page, f"{BASE}/remove", {"keys": ["bob@a.example"], "scope": "job:y"}) == {"changed": 0}
    assert await post(page, f"{BASE}/remove", {"keys": ["bob@a.example"]}) == {"changed": 1}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"keys": []}, 400),
        ({"keys": ["nobody"]}, 422),
        ({"keys": ["a@b.example"], "scope": "mine"}, 422),
        ({"keys": ["a@b.example"], "until": "soon"}, 422),
        ({"keys": ["a@b.example"], "why": "x"}, 400),
    ],
)
async def test_what_is_refused(page: Page, body: dict[str, object], status: int) -> None:
    await post(page, BASE, body, status)
    assert (await get(page, BASE)).json()["items"] == []


async def test_every_entry_is_on_one_page(page: Page) -> None:
    keys = [f"u{number}@a.example" for number in range(5)]
    await post(page, BASE, {"keys": keys})
    await post(page, BASE, {"keys": keys[:2], "scope": "user:x"})
    seen, cursor = [], ""
    for _ in range(9):
        told = (await get(page, f"{BASE}?limit=2&cursor={cursor}")).json()
        seen += [(one["key"], one["scope"]) for one in told["items"]]
        cursor = told["next"]
        if not cursor:
            break
    assert seen == sorted([*((key, "global") for key in keys), *((key, "user:x") for key in keys[:2])])
    assert len((await get(page, f"{BASE}?scope=user:x")).json()["items"]) == 2
    await get(page, f"{BASE}?cursor=x", 400)
    await get(page, f"{BASE}?cursor=e30=", 400)


async def test_csv_in_and_out(page: Page) -> None:
    content = b"address,reason\nbob@a.example,hard bounce\nnobody\n@b.example,\n"
    told = await post(page, f"{BASE}/import?scope=user:x", content)
    assert (told["read"], told["changed"], told["refused"]) == (2, 2, 1)
    assert told["troubles"][0].startswith("line 3: ")
    out = await get(page, f"{BASE}/export")
    assert out.headers["content-type"] == "text/csv; charset=utf-8"
    assert [line.split(",")[:3] for line in out.body.decode().splitlines()] == [
        ["key", "scope", "reason"], ["@b.example", "user:x", ""], ["bob@a.example", "user:x", "hard bounce"],
    ]  # fmt: skip
    assert len((await get(page, f"{BASE}/export?scope=global")).body.splitlines()) == 1


# events -----------------------------------------------------------------------------------------------------------------


def logs(folder: Path, *shards: list[int]) -> None:
    """A log for each shard, with events of these numbers, by which they are in time, too."""
    for shard, numbers in enumerate(shards):
        log = EventLog(log_folder(folder, shard), shard, EventOptions(frozenset("db")), lambda event, detail: None)
        log.write([delivered(number, "b" if number % 5 == 0 else "d") for number in numbers])
        log.close()


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [int(event["rcpt"].partition("@")[0]) for event in events]


async def test_events_by_pages_of_all_shards(page: Page, tmp_path: Path) -> None:
    assert (await get(page, "/api/v1/events")).json() == {"events": [], "next": "", "more": False}
    logs(tmp_path, [1, 3, 4, 9], [2, 5, 6, 7])
    seen, cursor, more = [], "", True
    while more:
        told = (await get(page, f"/api/v1/events?since=0&limit=3&cursor={cursor}")).json()
        assert len(told["events"]) <= 3
        seen += numbers(told["events"])
        cursor, more = told["next"], told["more"]
    assert seen == [1, 2, 3, 4, 5, 6, 7, 9]
    assert (await get(page, f"/api/v1/events?cursor={cursor}")).json()["events"] == []
    logs(tmp_path, [11], [])
    assert numbers((await get(page, f"/api/v1/events?cursor={cursor}")).json()["events"]) == [11]


async def test_some_types_and_from_a_time_on(page: Page, tmp_path: Path) -> None:
    logs(tmp_path, list(range(1, 12)))
    assert numbers((await get(page, "/api/v1/events?since=0&kinds=b")).json()["events"]) == [5, 10]
    assert numbers((await get(page, "/api/v1/events?since=1700000009")).json()["events"]) == [9, 10, 11]
    first = (await get(page, "/api/v1/events?since=0&kinds=bounce&limit=1")).json()
    assert (numbers(first["events"]), first["more"]) == ([5], True)
    assert numbers((await get(page, f"/api/v1/events?kinds=b&cursor={first['next']}")).json()["events"]) == [10]


@pytest.mark.parametrize("query", ["cursor=x", "cursor=1:2", "cursor=1:2:" + "9" * 16, "since=soon", "kinds=x", "limit=0"])
async def test_questions_that_are_none(page: Page, tmp_path: Path, query: str) -> None:
    logs(tmp_path, [1])
    await get(page, f"/api/v1/events?{query}", 400)


def test_a_cursor_of_octets_between_events_and_of_a_segment_that_is_gone(tmp_path: Path) -> None:
    logs(tmp_path, [1, 2, 3])
    assert numbers(event_page(tmp_path, frozenset("d"), "0:1:17", 0.0, 10).events) in ([1, 2, 3], [2, 3])
    assert event_page(tmp_path, frozenset("d"), "0:7:0", 0.0, 10).events == []
    assert places_of("0:1:17,3:2:0") == {0: (1, 17), 3: (2, 0)}


def test_a_page_of_rare_events_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.engine.event_pages.MOST_READS", 0)
    logs(tmp_path, [1, 2])
    told = event_page(tmp_path, frozenset("b"), "", 0.0, 10)
    assert (told.events, told.more) == ([], True)
