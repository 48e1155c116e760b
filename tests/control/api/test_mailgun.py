"""The addresses that Mailgun's clients post to, in front of a real node."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.control.api.town import Town
from tests.control.http.asgi import KEY, Answer

from postwright.policy.settings import AddressList
from postwright.testing.world import World
from postwright.testing.world_settings import relay, source

PATH = "/v3/sender.example/messages"
BASIC = {"authorization": "Basic " + b64encode(f"api:{KEY}".encode()).decode()}
FIELDS = {"from": "Anne <anne@sender.example>", "to": "you@example.com", "subject": "s", "text": "body"}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    lists = {"gone": AddressList(name="gone", addresses=("gone@example.com",))}
    with World(relay(source("{api}", suppression_lists=("gone",)), address_lists=lists)) as world:
        yield Town(world, tmp_path)


def form(town: Town, *fields: tuple[str, str], path: str = PATH) -> Answer:
    head = {"content-type": "application/x-www-form-urlencoded", **BASIC}
    return town.ask("POST", path, key="", body=urlencode(fields).encode(), headers=head)


def multipart(town: Town, fields: list[tuple[str, str]], files: list[tuple[str, str, bytes]], path: str = PATH) -> Answer:
    parts = [f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields]
    for name, file, data in files:
        head = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\nContent-Type: text/csv\r\n\r\n'
        parts.append(head.encode() + data + b"\r\n")
    body = b"".join([*parts, b"--x--\r\n"])
    return town.ask("POST", path, key="", body=body, headers={"content-type": "multipart/form-data; boundary=x", **BASIC})


def test_form_fields(town: Town) -> None:
    mx = town.world.domain("example.com")
    answer = form(
        town, *FIELDS.items(), ("to", "B <b@example.com>, c@example.com"), ("cc", "d@example.com"), ("bcc", "e@example.com"),
        ("html", "<p>ä</p>"), ("h:Reply-To", "r@sender.example"), ("h:X-My", "1"), ("v:user", "ü"), ("o:tag", "one"), ("o:tag", "two"),
        ("o:tracking", "no"),
    )  # fmt: skip
    told = answer.json()
    assert (answer.status, told["message"]) == (200, "Queued. Thank you.")
    town.world.run_until_empty()
    assert sorted(mx.recipients) == ["b@example.com", "c@example.com", "d@example.com", "e@example.com", "you@example.com"]
    mail = message_from_bytes(mx.messages[0].content, policy=policy.default)
    assert mail["Message-ID"] == told["id"]
    assert (mail["To"], mail["Reply-To"], mail["X-My"]) == ("you@example.com, B <b@example.com>, c@example.com", "r@sender.example", "1")
    assert (mail.get_all("X-Mailgun-Tag"), json.loads(mail["X-Mailgun-Variables"])) == (["one", "two"], {"user": "ü"})
    assert town.world.of("r")[0].orig == "anne@sender.example"


def test_files(town: Town) -> None:
    mx = town.world.domain("example.com")
    answer = multipart(
        town, [*FIELDS.items(), ("html", '<img src="cid:a.png">')], [("attachment", "t.csv", b"1;2"), ("inline", "a.png", b"P")]
    )
    assert answer.status == 200, answer.body
    town.world.run_until_empty()
    mail = message_from_bytes(mx.messages[0].content, policy=policy.default)
    found = {(part.get_filename(), part["Content-ID"]) for part in mail.walk() if part.get_filename()}
    assert found == {("t.csv", None), ("a.png", "<a.png>")}


def test_recipient_variables(town: Town) -> None:
    mx = town.world.domain("example.com")
    variables = {"a@example.com": {"first": "Ann", "id": 7}, "b@example.com": {"first": "Bö"}}
    answer = form(
        town, ("from", "anne@sender.example"), ("to", "a@example.com"), ("to", "Bob <b@example.com>"), ("subject", "Hi %recipient.first%"),
        ("text", "{{id}} [id] %recipient.id% %recipient_name% 100%"), ("recipient-variables", json.dumps(variables)),
    )  # fmt: skip
    assert answer.status == 200, answer.body
    town.world.run_until_empty()
    mails = {message.recipients[0]: message_from_bytes(message.content, policy=policy.default) for message in mx.messages}
    texts = {name: (mail["To"], mail["Subject"], mail.get_content().strip()) for name, mail in mails.items()}
    assert texts == {
        "a@example.com": ("a@example.com", "Hi Ann", "{{id}} [id] 7  100%"),
        "b@example.com": ("Bob <b@example.com>", "Hi Bö", "{{id}} [id]  Bob 100%"),
    }


def test_a_whole_message(town: Town) -> None:
    mx = town.world.domain("example.com")
    octets = b"From: Anne <anne@sender.example>\nMessage-ID: <1@x>\nSubject: whole\n\nbody\n"
    answer = multipart(town, [("to", "you@example.com")], [("message", "m.eml", octets)], path=f"{PATH}.mime")
    assert (answer.status, answer.json()["id"]) == (200, "<1@x>")
    town.world.run_until_empty()
    assert mx.messages[0].content.endswith(b"Subject: whole\r\n\r\nbody\r\n")
    assert mx.messages[0].sender == "anne@sender.example"


def test_testmode_sends_nothing(town: Town) -> None:
    assert form(town, *FIELDS.items(), ("o:testmode", "yes")).json()["message"] == "Queued. Thank you."
    assert not list(town.world.node.spool.live())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"to": ""}, "to parameter is missing"),
        ({"from": ""}, "from parameter is missing"),
        ({"to": "gone@example.com"}, "suppression list"),
        ({"template": "welcome"}, "templates"),
        ({"o:deliverytime": "soon"}, "RFC 2822"),
        ({"o:deliverytime": "1 Jan 99999999999999999999 00:00:00 +0000"}, "RFC 2822"),
        ({"recipient-variables": "[]"}, "JSON object"),
        ({"recipient-variables": '{"a":' + "[" * 100_000}, "JSON object"),
        ({"to": "(" * 10_000}, "not a valid address"),
        ({"subject": "a\nBcc: b@example.com"}, "control character"),
    ],
)
def test_what_is_refused_says_why_in_its_form(town: Town, change: dict[str, str], word: str) -> None:
    answer = form(town, *{**FIELDS, **change}.items())
    assert (answer.status, list(answer.json())) == (400, ["message"])
    assert word in answer.json()["message"]


def test_some_refused_recipients_are_told(town: Town) -> None:
    told = form(town, *FIELDS.items(), ("to", "gone@example.com")).json()
    assert [one["address"] for one in told["refused"]] == ["gone@example.com"]
