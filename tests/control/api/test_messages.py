"""`/api/v1/messages` in front of a real node: what arrives is what was posted, and what is wrong is said."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from tests.control.api.town import Town
from tests.control.http.asgi import KEY

from postwright.control.api import handing_in
from postwright.control.api.message_models import made
from postwright.control.http.keys import add
from postwright.engine.injection_client import Broken, Unreachable
from postwright.engine.injection_frames import Injected
from postwright.engine.state_folder import HTTP_KEYS
from postwright.policy.settings import AddressList, Rate, UserSettings
from postwright.testing.world import World
from postwright.testing.world_settings import ANYBODY, relay, source, vmta

PATH = "/api/v1/messages"
HELLO = {"from": "Anne <anne@sender.example>", "to": "you@example.com", "subject": "Hello", "text": "body"}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    settings = relay(
        source(ANYBODY, always_allow_relaying=False),
        source("{api}", suppression_lists=("gone",)),
        vmta("fast", "192.0.2.9"),
        address_lists={"gone": AddressList(name="gone", addresses=("gone@example.com",))},
    )
    with World(settings) as world:
        yield Town(world, tmp_path)


def test_a_message_out_of_its_pieces(town: Town) -> None:
    mx = town.world.domain("example.com")
    answer = town.post(
        PATH,
        {
            "from": {"email": "anne@sender.example", "name": "Änne, the first"},
            "to": ["You <you@example.com>, b@example.com"],
            "cc": "c@example.com",
            "bcc": ["d@example.com"],
            "reply_to": "reply@sender.example",
            "return_path": "bounces@sender.example",
            "subject": "Grüße",
            "text": "Hellö\n.\n",
            "html": '<img src="cid:logo">',
            "headers": {"List-Unsubscribe": "<https://sender.example/u>"},
            "attachments": [
                {"filename": "Übersicht.pdf", "type": "application/pdf", "content": b64encode(b"%PDF").decode()},
                {"type": "image/png", "content": b64encode(b"PNG").decode(), "content_id": "logo"},
            ],
            "options": {"virtual_mta": "fast", "job": "17", "envelope_id": "e1", "tags": ["new"], "metadata": {"user": "ü"}},
        },
    )
    assert answer.status == 202, answer.body
    told = answer.json()
    assert (told["recipients"], told["refused"]) == (4, [])
    town.world.run_until_empty()
    assert sorted(mx.recipients) == ["b@example.com", "c@example.com", "d@example.com", "you@example.com"]
    record = town.world.of("r")[0]
    assert (record.vmta, record.job_id, record.env_id, record.src_type, record.rcv_source_ip) == ("fast", "17", "e1", "api", "192.0.2.9")
    assert record.rcv_smtp_user == "key http-api-key 1"
    message = mx.messages[0]
    assert message.sender == "bounces@sender.example"
    mail = message_from_bytes(message.content, policy=policy.default)
    assert (mail["From"], mail["Cc"], mail["Bcc"], mail["Subject"]) == (
        '"Änne, the first" <anne@sender.example>',
        "c@example.com",
        None,
        "Grüße",
    )
    assert (mail["X-Tag"], mail["X-Metadata"], mail["x-job"]) == ("new", '{"user":"\\u00fc"}', None)
    assert mail.get_body(("plain",)).get_content() == "Hellö\r\n.\r\n"  # type: ignore[union-attr]
    files = {part.get_filename() or part["Content-ID"]: part.get_content() for part in mail.walk() if not part.is_multipart()}
    assert files["Übersicht.pdf"] == b"%PDF"
    assert files["<logo>"] == b"PNG"


def test_a_batch_is_one_message_and_each_has_a_copy_of_his_own(town: Town) -> None:
    mx = town.world.domain("example.com")
    batch = [
        {"email": "a@example.com", "name": "Ann", "variables": {"city": "München", "long": "ü" * 200}},
        {"email": "b@example.com", "variables": {"city": "<Rome>"}},
        {"email": "gone@example.com"},
    ]
    text = "Dear {{ name }}, [not a hole] {{city}}!\n{{long}}\n" + "x" * 1200
    body = {"from": "anne@sender.example", "recipients": batch, "subject": "News for {{city}}", "text": text, "html": "<b>{{city}}</b>"}
    told = town.post(PATH, body).json()
    assert (told["recipients"], [one["address"] for one in told["refused"]]) == (2, ["gone@example.com"])
    town.world.run_until_empty()
    mails = {message.recipients[0]: message_from_bytes(message.content, policy=policy.default) for message in mx.messages}
    assert {name: mail["To"] for name, mail in mails.items()} == {"a@example.com": "Ann <a@example.com>", "b@example.com": "b@example.com"}
    assert {mail["Subject"] for mail in mails.values()} == {"News for München", "News for <Rome>"}
    ann, bob = mails["a@example.com"], mails["b@example.com"]
    first, second = ann.get_body(("plain",)), bob.get_body(("html",))
    assert first is not None
    assert second is not None
    assert first.get_content() == f"Dear Ann, [not a hole] München!\r\n{'ü' * 200}\r\n{'x' * 1200}\r\n"
    assert second.get_content() == "<b>&lt;Rome&gt;</b>\r\n"
    assert max(len(line) for message in mx.messages for line in message.content.split(b"\r\n")) < 100


def test_raw_messages(town: Town) -> None:
    mx = town.world.domain("example.com")
    raw = "From: x@y.example\nSubject: raw\n\nline\n"
    assert town.post(PATH, {"from": "anne@sender.example", "to": "you@example.com", "raw": raw}).status == 202
    coded = b64encode(b"Subject: eight\r\n\r\n\xe4\r\n").decode()
    assert town.post(PATH, {"from": "anne@sender.example", "to": "you@example.com", "raw_base64": coded}).status == 202
    town.world.run_until_empty()
    ends = {message.content.rpartition(b"Subject: ")[2] for message in mx.messages}
    assert ends == {b"raw\r\n\r\nline\r\n", b"eight\r\n\r\n\xe4\r\n"}


def test_times(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", town.world.clock.now)
    mx = town.world.domain("example.com")
    now = town.world.clock.now()
    options = {"send_at": now + 3600, "expires_in": 60}
    assert town.post(PATH, {**HELLO, "options": options}).status == 202
    assert not mx.messages
    [held] = [town.world.node.spool.read_message(number, ref) for number, ref in town.world.node.spool.live()]
    assert held.not_before == pytest.approx(now + 3600, abs=1)
    assert held.envelope.wishes is not None
    assert held.envelope.wishes.deadline == pytest.approx(held.not_before + 60, abs=2)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"to": []}, "no recipient"),
        ({"to": "nobody"}, "nobody: 553 5.1.3"),
        ({"to": "gone@example.com"}, "suppression list"),
        ({"to": "x@example.com\r\nBcc: y@example.com"}, "control character"),
        ({"subject": "a\r\nBcc: y@example.com"}, "control character"),
        ({"from": "nobody"}, "no address"),
        ({"from": "a@b.example, c@d.example"}, "one address"),
        ({"from": ""}, "one address"),
        ({"to": "x@example.com, , <>"}, "no address"),
        ({"to": "(" * 10_000}, "no address"),
        ({"return_path": "a@b> SIZE=1"}, "no address"),
        ({"headers": {"To": "x@y.example"}}, "made of other"),
        ({"headers": {"X A": "1"}}, "no name of a field"),
        ({"attachments": [{"content": "%%%"}]}, "base64"),
        ({"raw": "S: 1\n\n"}, "raw message is whole"),
        ({"recipients": [{"email": "a@b.example"}]}, "exclude"),
        ({"options": {"send_at": "tomorrow"}}, "no time"),
        ({"options": {"expires_at": 1}}, "expire before"),
        ({"options": {"priority": 101}}, "0 to 100"),
        ({"options": {"notify": ["never", "delay"]}}, "never alone"),
        ({"options": {"virtual_mta": "unknown"}}, "5.5.0"),
        ({"options": {"job": "a\nb"}}, "job is a name"),
    ],
)
def test_what_is_refused_says_why(town: Town, change: dict[str, object], word: str) -> None:
    answer = town.post(PATH, {**HELLO, **change})
    problem = answer.json()
    assert (answer.status, problem["status"]) == (422, 422), problem
    assert word in problem["detail"] + " ".join(problem.get("errors", []))
    assert not list(town.world.node.spool.live())


def test_what_is_no_such_json(town: Town) -> None:
    assert town.post(PATH, b"{").status == 400
    assert town.post(PATH, {"to": "you@example.com"}).status == 400
    assert town.post(PATH, HELLO, key="wrong" * 8).status == 401
    assert town.ask("POST", PATH, key="", body=b"{}").status == 403


@pytest.mark.parametrize(
    ("told", "status", "wait"),
    [
        (Unreachable("the relay does not answer"), 503, "5"),
        (Broken("the relay broke off"), 503, "5"),
        (Injected(1, 421, "4.7.0", "too many messages in a short time"), 429, "10"),
        (Injected(1, 452, "4.3.1", "insufficient system storage"), 503, "30"),
        (Injected(1, 421, "4.3.2", "service is stopping"), 503, "30"),
    ],
)
def test_a_relay_that_cannot_take_it_now(town: Town, told: Injected | Exception, status: int, wait: str) -> None:
    town.client.answer = told
    answer = town.post(PATH, HELLO)
    assert (answer.status, answer.headers["retry-after"]) == (status, wait)


def test_a_rate_of_the_source_is_a_429(tmp_path: Path) -> None:
    with World(relay(source("{api}", max_message_rate_in=Rate(2, 60.0)))) as world:
        town = Town(world, tmp_path)
        assert [town.post(PATH, HELLO).status for _ in range(3)] == [202, 202, 429]


def test_state_and_taking_back(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "to_thread", at_once)
    town.world.domain("example.com", rules=["rcpt 450 4.2.0 later"])
    told = town.post(PATH, {**HELLO, "to": ["you@example.com", "b@example.com"]}).json()
    town.world.run_until(lambda: len(town.world.of("t")) == 2)
    state = town.ask("GET", f"{PATH}/{told['id']}").json()
    assert (state["state"], state["sender"]) == ("waiting", "anne@sender.example")
    assert [(one["address"], one["attempts"]) for one in state["waiting"]] == [("you@example.com", 1), ("b@example.com", 1)]
    gone = town.ask("DELETE", f"{PATH}/{told['id']}").json()
    assert gone == {"id": told["id"], "recipients": 2, "in_flight": 0}
    for wrong in ("0000000000000", "nonsense"):
        assert town.ask("GET", f"{PATH}/{wrong}").status == 404
        assert town.ask("DELETE", f"{PATH}/{wrong}").status == 404


BEARER = {"authorization": f"Bearer {KEY}"}


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (json.dumps(HELLO).encode(), BEARER),
        (json.dumps(HELLO).encode(), {**BEARER, "idempotency-key": "one"}),
        (json.dumps({**HELLO, "to": "gone@example.com"}).encode(), BEARER),
        (b"{", BEARER),
        (b"[]", BEARER),
        (b"{}", BEARER),
        (json.dumps(HELLO).encode(), {}),
        (json.dumps(HELLO).encode(), {**BEARER, "idempotency-key": "x" * 256}),
        (json.dumps(HELLO).encode(), {**BEARER, "content-type": "text/plain"}),
    ],
)
def test_the_quick_lane_answers_as_the_routes_do(town: Town, body: bytes, head: dict[str, str]) -> None:
    fields = {"content-type": "application/json", **head}
    quick = town.ask("POST", PATH, body=body, headers=fields, key="")
    town.page.app = town.routes
    slow = town.ask("POST", PATH, body=body, headers=fields, key="")
    assert (quick.status, quick.headers["content-type"]) == (slow.status, slow.headers["content-type"])
    if quick.status == 202:
        assert sorted(quick.json()) == sorted(slow.json())
        assert (quick.json()["id"] == slow.json()["id"]) == ("idempotency-key" in head)
    elif quick.status != 400:
        assert quick.body == slow.body


def test_a_thousand_recipients_and_what_is_too_much(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "to_thread", at_once)
    many = [{"email": f"u{number}@example.com", "variables": {"n": str(number)}} for number in range(1000)]
    answer = town.post(PATH, {"from": "anne@sender.example", "recipients": many, "subject": "{{n}}", "text": "x"})
    assert (answer.status, answer.json()["recipients"]) == (202, 1000)
    monkeypatch.setattr(handing_in, "LARGEST", 1000)
    answer = town.post(PATH, {**HELLO, "text": "line\n" * 500})
    assert (answer.status, "in parts" in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize("name", ["text", "amp", "to", "subject"])
def test_what_is_large_in_any_way_is_made_in_a_thread(town: Town, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    threads: list[Any] = []

    async def thread(work: Callable[..., Any], *arguments: object) -> Any:
        threads.append(work)
        return work(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", thread)
    town.post(PATH, HELLO)
    assert made not in threads
    town.post(PATH, {**HELLO, name: "you@example.com," * 20_000})
    assert made in threads


def test_a_key_makes_one_message(town: Town) -> None:
    first, again = (town.post(PATH, HELLO, idempotency_key="one") for _ in range(2))
    assert (first.status, again.status, first.body == again.body) == (202, 202, True)
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    other = town.post(PATH, {**HELLO, "subject": "other"}, idempotency_key="one")
    assert (other.status, "another request" in other.json()["detail"]) == (422, True)
    assert len(list(town.world.node.spool.live())) == 1


def test_another_request_with_the_key_does_not_let_the_message_go(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until its answer is kept: delivered and forgotten before that, it would be sent once more to whoever asks again."""
    answers = town.page.site.answers
    keep, settle = answers._keep, town.client.settled
    settled: list[str] = []
    said: list[tuple[int, list[str]]] = []

    def settles(key: str) -> None:
        settled.append(key)
        settle(key)

    async def keeps_late(work: Callable[..., Any], *arguments: object) -> Any:
        if work == keep:
            other = await town.page.ask("POST", PATH, body=b'{"from":"a@b.example"}', headers=_JSON | {"idempotency-key": "one"}, key=KEY)
            said.append((other.status, list(settled)))
        return work(*arguments)

    monkeypatch.setattr(answers, "_in_thread", keeps_late)
    monkeypatch.setattr(town.client, "settled", settles)
    assert town.post(PATH, HELLO, idempotency_key="one").status == 202
    assert (said, len(settled)) == ([(422, [])], 1)


_JSON = {"content-type": "application/json"}


async def at_once(work: Callable[..., Any], *arguments: object) -> Any:
    """For `asyncio.to_thread`: while simulated time waits for a thread, days may pass."""
    return work(*arguments)


def test_a_key_sees_its_own_and_has_the_limits_of_its_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asyncio, "to_thread", at_once)
    anne = UserSettings("anne", sender=("[*.]sender.example",), daily_limit=2)
    with World(relay(source("{api}"), users={"anne": anne})) as world:
        town = Town(world, tmp_path)
        own = add(tmp_path / HTTP_KEYS, "shop", ["submit"], 0.0, user="anne")
        other = add(tmp_path / HTTP_KEYS, "other", ["submit"], 0.0)
        assert town.post(PATH, {**HELLO, "from": "anne@else.example"}, key=own).status == 422
        told = town.post(PATH, HELLO, key=own).json()
        assert world.of("r")[0].rcv_smtp_user == "anne"
        theirs = town.post(PATH, HELLO, key=other).json()
        assert town.ask("GET", f"{PATH}/{told['id']}", key=own).status == 200
        assert town.ask("GET", f"{PATH}/{told['id']}", key=other).status == 404
        assert town.ask("DELETE", f"{PATH}/{theirs['id']}", key=own).status == 404
        assert town.ask("DELETE", f"{PATH}/{theirs['id']}", key=other).status == 200
        more = {**HELLO, "to": ["a@example.com", "b@example.com", "c@example.com"]}
        full = town.post(PATH, more, key=own, idempotency_key="one")
        assert (full.status, full.json()["recipients"]) == (202, 1)  # the second of the day
        late = town.post(PATH, {**HELLO, "to": ["a@example.com", "b@example.com"]}, key=own)
        assert (late.status, late.headers["retry-after"]) == (429, "10")
