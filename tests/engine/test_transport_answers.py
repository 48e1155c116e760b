"""What answers to a POST mean, as a table; and how a queue waits by them, in simulated time with a server of the story's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.engine.transports import PutOff
from postwright.engine.transports.http import HttpDelivery, read_headers
from postwright.engine.transports.http_answers import WAIT_MOST, of_answer, printable, seconds_of
from postwright.engine.transports.making import problem
from postwright.model.address import parse_mailbox
from postwright.model.envelope import Envelope, Recipient, Wishes
from postwright.model.message import Arrival, Message
from postwright.model.outcome import Disposition, Kind
from postwright.net.clock import SystemClock
from postwright.net.http_client import HttpClient
from postwright.policy.settings import DomainSettings
from postwright.wire.body import scan
from postwright.wire.client_states import Transaction

NOW = 1_764_150_000.0  # Wed, 26 Nov 2025 09:40:00 GMT


@pytest.mark.directive("http-delivery-url")
@pytest.mark.parametrize(
    ("expected", "statuses"),
    [
        (Kind.DELIVERED, (200, 201, 204, 299)),
        (Kind.TRANSIENT, (100, 400, 413, 422, 500, 999)),
        (PutOff, (301, 308, 401, 403, 404, 410, 429, 502, 503, 504)),
    ],
)
def test_statuses(expected: object, statuses: tuple[int, ...]) -> None:
    for status in statuses:
        outcome = of_answer(status, "words", "", NOW)
        if isinstance(outcome, Disposition):
            assert outcome.kind is expected
            assert outcome.diagnostic == f"http;{status} words"
        else:
            assert expected is PutOff
            assert (outcome.why.kind, outcome.wait) == (Kind.TRANSIENT, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("0", 1.0),
        ("999999999", WAIT_MOST),
        ("Wed, 26 Nov 2025 09:42:00 GMT", 120.0),
        ("Wed, 26 Nov 2025 09:42:00", 120.0),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 1.0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", WAIT_MOST),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("Wed, 99 Nov 2025 99:42:00 GMT", None),
        ("1e9", None),
        ("٣", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert seconds_of(text, NOW) == seconds


def test_only_who_says_when_is_believed() -> None:
    for status, wait in ((429, 30.0), (503, 30.0), (404, None), (502, None)):
        outcome = of_answer(status, "", "30", NOW)
        assert isinstance(outcome, PutOff)
        assert outcome.wait == wait


def test_a_server_s_words_are_a_line_that_a_log_can_hold() -> None:
    assert printable(b"\r\n bad\x1b[31m \xff\x00key\nsecond line") == "bad?[31m \ufffd?key"
    assert len(printable(b"x" * 100_000)) == 200
    assert printable(b"") == ""


@pytest.mark.directive("http-delivery-extra-headers")
def test_the_file_of_more_header_fields(tmp_path: Path) -> None:
    path = tmp_path / "fields"
    path.write_bytes(b"X-Key:  secret thing \r\nX-Empty:\n\nAuthorization: Bearer abc")
    assert read_headers(str(path)) == {"X-Key": "secret thing", "X-Empty": "", "Authorization": "Bearer abc"}
    assert read_headers("") == {}
    bad = (b"X-A: 1\nsecret", b"X-A: 1\n: secret", b"a b: secret", b"X: se\0cret", b"X: secr\xe9t", b"X : secret", b"Host: secret")
    for octets in (*bad, b"x" * 65537):
        path.write_bytes(octets)
        with pytest.raises(ValueError, match="http-delivery-extra-headers") as raised:
            read_headers(str(path))
        assert "secret" not in str(raised.value)


@pytest.mark.directive("http-delivery-url")
def test_a_password_in_the_url_is_refused() -> None:
    said = problem(DomainSettings(type="http-delivery", http_delivery_url="https://me:secret@app.example/in"))
    assert "Authorization" in said
    assert "secret" not in said


@pytest.mark.directive("http-delivery-url")
async def test_mail_that_requires_tls_does_not_go_in_the_clear() -> None:
    sender, recipient = parse_mailbox("me@sender.example"), Recipient(parse_mailbox("you@example.com"))
    envelope = Envelope(sender, [recipient], wishes=Wishes(require_tls=True))
    message = Message(77, NOW, envelope, scan(b"\r\n"), Arrival())
    transaction = Transaction(sender, [recipient], (b"\r\n",), scan(b"\r\n"))
    client = HttpClient(1.0)
    fates = await HttpDelivery("http://127.0.0.1:1/in", {}, client, SystemClock()).deliver(message, transaction)
    put_off = await HttpDelivery("https://127.0.0.1:1/in", {}, client, SystemClock()).deliver(message, transaction)
    await client.close()
    assert not isinstance(fates, PutOff)
    assert [(fate.kind, fate.status) for fate in fates] == [(Kind.PERMANENT, "5.7.10")]
    assert isinstance(put_off, PutOff), "there it was tried"
