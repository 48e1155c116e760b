"""`/api/v1` of queues, recipients, domains, jobs, virtual MTAs and sources, before a real node in a simulated world."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.control.api.steered import Api, keep

from postwright.control.api import rules
from postwright.engine import classify
from postwright.engine.classify import AnySorter, Sorted
from postwright.testing.world import World
from postwright.testing.world_settings import domain, relay, vmta


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with World(relay(domain("*", retry_after=(600.0,)), vmta("one", "192.0.2.10"), vmta("two"))) as world:
        keep(world, "a.example", 3)
        keep(world, "b.example", 2, via="one", job="j1")
        keep(world, "c.example", 1, via="one", job="j2")
        yield Api(world, tmp_path)


def test_status(api: Api) -> None:
    assert api.get("/status")["spool"]["recipients"] == 6
    assert api.get("/whoami")["name"] == "key http-api-key 1"


@pytest.mark.parametrize("sort", ["name", "rcpt", "size"])
def test_every_queue_is_on_one_page(api: Api, sort: str) -> None:
    seen, cursor, pages = [], "", 0
    while pages < 5:
        page = api.get(f"/queues?limit=1&sort={sort}&cursor={cursor}")
        assert page["matching"] == 3
        seen += [row["name"] for row in page["rows"]]
        pages, cursor = pages + 1, page["next"]
        if not cursor:
            break
    assert sorted(seen) == ["a.example/{default}", "b.example/one", "c.example/one"]


def test_queues_by_pattern_and_one_of_them(api: Api) -> None:
    assert [row["name"] for row in api.get("/queues?queue=*/one")["rows"]] == ["b.example/one", "c.example/one"]
    one = api.get("/queues/b.example/one")
    assert (one["name"], one["recipients"]) == ("b.example/one", 2)
    assert (one["ready"], one["scheduled"], one["in_flight"]) == (0, 1, 0)
    assert "no queue" in api.get("/queues/b.example/two", 404)["detail"]
    api.get("/queues/*/one", 404)
    assert any("come again later" in line or "retry" in line for line in api.get("/why?queue=b.example/one")["lines"])
    api.get("/why?queue=nothing.example", 404)


def test_a_pause_is_counted_done_and_ended(api: Api) -> None:
    order = {"queue": "*/one", "reason": "too fast", "lasting": "2h"}
    counted = api.post("/queues/pause", {**order, "dry_run": True})
    assert (counted["dry_run"], counted["recipients"], counted["queues"]) == (True, 3, 2)
    assert api.get("/queues?paused=true")["matching"] == 0
    done = api.post("/queues/pause", order)
    assert (done["recipients"], done["undo"], done["until"] > 0) == (3, "postwright resume queue '*/one'", True)
    assert api.get("/queues?paused=true")["matching"] == 2
    [rule] = api.get("/orders")["queues"]
    assert (rule["queue"], rule["why"]["reason"]) == ("*/one", "too fast")
    assert api.page.relay.asked[-3][1]["as"] == "key http-api-key 1 at 192.0.2.9"
    api.post("/queues/resume", {"queue": "*/*"})
    assert api.get("/queues?paused=true")["matching"] == 0


def test_modes_and_tries(api: Api) -> None:
    api.post("/queues/mode", {"queue": "b.example/one", "mode": "backoff"})
    assert [row["name"] for row in api.get("/queues?mode=backoff")["rows"]] == ["b.example/one"]
    assert "nothing was changed" in api.post("/queues/mode", {"queue": "x.example", "mode": "normal"}, 422)["detail"]
    assert api.post("/queues/schedule", {"queue": "b.example/one", "dry_run": True})["lines"][0].endswith("would be scheduled.")


def test_recipients_are_listed_and_deleted(api: Api) -> None:
    page = api.get("/recipients?queue=b.example/one&limit=1")
    assert (page["rows"][0]["orig"], page["more"]) == ("me@sender.example", True)
    assert [row["rcpt"] for row in api.get("/recipients?rcpt=u1@*&job=j1")["rows"]] == ["u1@b.example"]
    assert "say whose mail" in api.post("/recipients/delete", {"dry_run": True}, 422)["detail"]
    assert api.post("/recipients/delete", {"job": "j1", "dry_run": True})["recipients"] == 2
    assert api.post("/recipients/priority", {"job": "j1", "priority": 90})["recipients"] == 2
    assert {row["priority"] for row in api.get("/recipients?job=j1")["rows"]} == {90}
    assert api.post("/recipients/delete", {"job": "j1", "rcpt": "u1@*"})["recipients"] == 1
    assert [row["rcpt"] for row in api.get("/recipients?job=j1")["rows"]] == ["u0@b.example"]


def test_sums(api: Api) -> None:
    assert [(row["name"], row["recipients"]) for row in api.get("/domains?sort=rcpt&limit=2")["rows"]] == [
        ("a.example", 3),
        ("b.example", 2),
    ]
    assert api.get("/domains/A.example")["recipients"] == 3
    assert {row["name"]: row["recipients"] for row in api.get("/vmtas")["rows"]} == {"one": 3, "two": 0, "{default}": 3}
    assert api.get("/jobs/j1")["recipients"] == 2
    for path in ("/domains/x.example", "/jobs/j3", "/jobs/j*"):
        api.get(path, 404)


def test_jobs_are_paused(api: Api) -> None:
    assert api.post("/jobs/pause", {"job": "j1"})["recipients"] == 2
    assert [rule["job"] for rule in api.get("/orders")["jobs"]] == ["j1"]
    assert [row["rcpt"] for row in api.get("/recipients?paused=true")["rows"]] == ["u0@b.example", "u1@b.example"]
    api.post("/jobs/resume", {"job": "j1"})
    assert "jobs" not in api.get("/orders") or api.get("/orders")["jobs"] == []


def test_sources(api: Api) -> None:
    api.post("/sources/disable", {"source": "192.0.2.10", "queue": "b.example/one", "lasting": "1h"})
    [one] = api.get("/sources/disabled")["rows"]
    assert (one["queue"], one["address"]) == ("b.example/one", "192.0.2.10")
    api.post("/sources/enable", {"source": "192.0.2.10", "queue": "b.example/one"})
    assert api.get("/sources/disabled")["rows"] == []
    api.post("/sources/enable", {"source": "192.0.2.99", "queue": "b.example/one"}, 422)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/queues/pause", {}),
        ("/queues/pause", {"queue": ""}),
        ("/queues/pause", {"queue": "*", "until": "2h"}),
        ("/queues/pause", {"queue": "*", "lasting": "soon"}),
        ("/queues/mode", {"queue": "*", "mode": "fast"}),
        ("/recipients/priority", {"queue": "*", "priority": 101}),
        ("/queues/resume", b"{"),
        ("/queues/resume", b'"x"'),
        ("/queues/resume", b"\xff"),
    ],
)
def test_ill_formed_orders_are_400(api: Api, path: str, body: object) -> None:
    asked = len(api.page.relay.asked)
    api.post(path, body, 400)
    assert len(api.page.relay.asked) == asked


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "sort=age", "mode=fast", "paused=perhaps", "queue=" + "a" * 513])
def test_ill_formed_questions_are_400(api: Api, query: str) -> None:
    api.get(f"/queues?{query}", 400)


def test_a_cursor_that_is_none(api: Api) -> None:
    assert "cursor" in api.get("/queues?sort=rcpt&cursor=x", 422)["detail"]


def test_rules(api: Api) -> None:
    told = api.get("/rules/bounces")
    assert told["shipped"] is True
    assert len(told["rules"]) > 50
    [one, other] = api.post("/rules/classify", {"replies": ["550 5.1.1 no such user", "452 4.2.2 mailbox full"]})["items"]
    assert (one["category"], one["hard"]) == ("bad-mailbox", True)
    assert other["category"] == "quota-issues"
    api.post("/rules/classify", {"replies": []}, 400)


def test_many_replies_hold_up_nobody(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of patterns for each of a thousand texts is work, and mail is handed in beside it."""
    where: list[int] = []

    def sort_reply(sorter: AnySorter, text: str, host: str = "") -> Sorted:
        where.append(threading.get_ident())
        return classify.sort_reply(sorter, text, host)

    monkeypatch.setattr(rules, "sort_reply", sort_reply)
    assert len(api.post("/rules/classify", {"replies": ["550 no"] * 3})["items"]) == 3
    assert len(where) == 3
    assert threading.get_ident() not in where


def test_rules_of_the_configuration(api: Api, tmp_path: Path) -> None:
    own = Api(api.world, tmp_path, "http-redirect-to-https no\nhttp-api-key " + "k" * 32 + (
        "\n<bounce-category-patterns>\n/teapot/ tea\n</bounce-category-patterns>\n"
    ))  # fmt: skip
    told = own.get("/rules/bounces")
    assert (told["shipped"], [(rule["patterns"], rule["category"]) for rule in told["rules"]]) == (False, [(["/teapot/"], "tea")])
    assert own.post("/rules/classify", {"replies": ["550 I am a teapot"]})["items"][0]["category"] == "tea"
