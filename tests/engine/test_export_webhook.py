"""Webhooks: batches as a server gets them, signed, compressed, again until it says 2xx."""

from __future__ import annotations

import asyncio
import base64
import csv
import gzip
import hashlib
import hmac
import io
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import trustme
from aiohttp import web
from msgspec.structs import replace
from tests.engine.event_town import EventTown, delivered

from postwright.engine import export_feed
from postwright.engine.export_webhook import Webhook, shown, signature
from postwright.net.http_client import HttpClient, HttpFailed
from postwright.policy.settings import AcctFileSettings
from postwright.store.event_forms import EventForm


class Server:
    """Takes POSTs, keeps them, answers as it is told: `answers` first, then 204."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[web.Response] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.posts.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return self.answers.pop(0) if self.answers else web.Response(status=204)

    def rows(self) -> list[dict[str, Any]]:
        """All objects of all JSON posts."""
        return [row for _, body in self.posts for row in json.loads(body)]


async def serving(server: Server, context: ssl.SSLContext | None = None) -> web.AppRunner:
    app = web.Application(client_max_size=1 << 24, handler_args={"auto_decompress": False})
    app.router.add_post("/hook", server.take)
    runner = web.AppRunner(app, auto_decompress=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    server.url = f"http{'s' if context else ''}://127.0.0.1:{port}/hook?token=s3cret"
    return runner


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr(export_feed, "PAUSE", 0.01)
    server = Server()
    runner = await serving(server)
    yield server
    await runner.cleanup()


def hook(server: Server, name: str = "/spool/hook.json", **more: Any) -> AcctFileSettings:
    return AcctFileSettings(name, http_webhook_url=server.url, **{"http_webhook_max_interval": 0.02, **more})


async def fed(folder: Path, settings: AcctFileSettings, count: int) -> EventTown:
    town = EventTown(folder, settings, settings.path)
    town.write([delivered(n) for n in range(count)])
    async with town:
        await town.until_all_is_had()
    return town


@pytest.mark.directive("http-webhook-url", "http-webhook-max-interval", "records")
async def test_json_by_the_ending_of_the_name(tmp_path: Path, server: Server) -> None:
    town = EventTown(tmp_path, hook(server), "/spool/hook.json", logs=2)
    town.write([delivered(1), delivered(2, "r"), delivered(3, "b")])
    town.write([delivered(4)], log=1)
    async with town:
        await town.until_all_is_had()
    rows = sorted(server.rows(), key=lambda row: row["time"])
    assert [(row["type"], row["rcpt"]) for row in rows] == [("d", "1@example.com"), ("b", "3@example.com"), ("d", "4@example.com")]
    assert rows[0]["time"] == 1.7e9 + 1
    assert rows[0]["dsnStatus"] == "2.0.0 (success)"
    assert all(row["eventId"].startswith(f"{n:016x}-0-") for row, n in zip(rows, (1, 3, 4), strict=True))
    headers, _ = server.posts[0]
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"].startswith("batch_")
    assert "webhook-signature" not in headers


@pytest.mark.directive("http-webhook-transfer-encoding", "record-fields")
async def test_csv_compressed(tmp_path: Path, server: Server) -> None:
    more = {"http_webhook_transfer_encoding": "gzip", "record_fields": {"d": ("rcpt", "eventId")}, "records": ("d",)}
    settings = hook(server, "/spool/hook.csv", **more)
    await fed(tmp_path, settings, 3)
    [(headers, body)] = server.posts
    assert headers["content-encoding"] == "gzip"
    assert headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(body).decode(), newline="")))
    assert [row["rcpt"] for row in rows] == [f"{n}@example.com" for n in range(3)]
    assert all(row["eventId"].count("-") == 3 for row in rows)


@pytest.mark.directive("max-size")
async def test_a_batch_is_no_larger_than_max_size(tmp_path: Path, server: Server) -> None:
    await fed(tmp_path, hook(server, max_size=2000, http_webhook_max_interval=0.3), 40)
    assert len(server.posts) >= 5
    assert max(len(body) for _, body in server.posts) <= 2002
    assert [row["rcpt"] for row in server.rows()] == [f"{n}@example.com" for n in range(40)]
    assert len({headers["webhook-id"] for headers, _ in server.posts}) == len(server.posts)


async def test_what_is_not_taken_comes_again_until_it_is(tmp_path: Path, server: Server) -> None:
    server.answers = [web.Response(status=500), web.Response(status=302, headers={"Location": server.url}), web.Response(status=404)]
    town = await fed(tmp_path, hook(server), 5)
    assert len(server.posts) == 4
    assert len({headers["webhook-id"] for headers, _ in server.posts}) == 1
    assert [row["eventId"] for row in json.loads(server.posts[0][1])] == [row["eventId"] for row in json.loads(server.posts[3][1])]
    refused = [told for told in town.told if told["event"] == "webhook refused"]
    assert [told["detail"].rpartition(" ")[2] for told in refused] == ["500", "302", "404"]
    assert "s3cret" not in json.dumps(town.told)
    assert (town.feed.status().delivered, town.feed.status().trouble) == (5, "")


async def test_retry_after_is_heeded(tmp_path: Path, server: Server) -> None:
    server.answers = [web.Response(status=429, headers={"Retry-After": "3600"})]
    town = EventTown(tmp_path, hook(server), "/spool/hook.json")
    town.write([delivered(1)])
    async with town:
        await town.until(lambda: town.feed.status().trouble, "the refusal")
        assert town.feed.status().lag > 1000
        assert len(server.posts) == 1
        town.feed.wake()  # a reload
        await town.until_all_is_had()
    assert len(server.posts) == 2


async def test_a_stop_posts_what_has_gathered(tmp_path: Path, server: Server) -> None:
    settings = hook(server, http_webhook_max_interval=3600.0)
    outlet = Webhook(settings, EventForm(settings.records), structlog.get_logger())
    town = EventTown(tmp_path, settings, "/spool/hook.json", outlet=outlet)
    async with town:
        town.write([delivered(1)])
        await town.until(lambda: outlet.gathered == 1, "the event")
        assert server.posts == []
    assert [row["rcpt"] for row in server.rows()] == ["1@example.com"]
    assert town.feed.status().behind == 0


async def test_nobody_there_is_trouble_and_no_loss(tmp_path: Path, server: Server) -> None:
    settings = replace(hook(server), http_webhook_url="http://127.0.0.1:9/hook")
    town = EventTown(tmp_path, settings, settings.path)
    town.write([delivered(1)])
    async with town:
        await town.until(lambda: "webhook failed: http://127.0.0.1:9/hook" in town.feed.status().trouble, "the trouble")
    await fed(tmp_path, hook(server), 0)
    assert [row["rcpt"] for row in server.rows()] == ["1@example.com"]


@pytest.mark.directive("http-webhook-secret", "http-webhook-extra-headers", "http-webhook-log-verbose")
async def test_signed_by_each_secret(tmp_path: Path, server: Server) -> None:
    (tmp_path / "headers").write_text("Authorization: Bearer key\n")
    secrets = ("F1rst", "whsec_" + base64.b64encode(b"second key").decode())
    more = {"http_webhook_secret": secrets, "http_webhook_extra_headers": str(tmp_path / "headers"), "http_webhook_log_verbose": True}
    town = await fed(tmp_path, hook(server, **more), 2)
    [(headers, body)] = server.posts
    assert headers["authorization"] == "Bearer key"
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = [base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode() for key in (b"F1rst", b"second key")]
    assert headers["webhook-signature"] == " ".join(f"v1,{one}" for one in wanted)
    [told] = town.told
    assert (told["event"], told["events"], told["status"], told["octets"]) == ("webhook posted", 2, 204, len(body))
    assert not any(secret in json.dumps(told) for secret in (*secrets, "s3cret"))
    assert not any(secret in repr(hook(server, **more)) for secret in secrets)


async def test_the_example_in_the_reference_verifies(tmp_path: Path, server: Server) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/events.md").read_text("utf-8")
    found: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], found)
    for number, secret in enumerate(("plain", "whsec_" + base64.b64encode(b"key").decode())):
        await fed(tmp_path / str(number), hook(server, http_webhook_secret=("old", secret)), 2)
        headers, body = server.posts[-1]
        assert found["verified"](secret, headers, body)
        assert not found["verified"](secret, headers, body + b" ")
        assert not found["verified"]("other", headers, body)
        assert not found["verified"](secret, headers | {"webhook-timestamp": "1600000000"}, body)


def test_the_example_of_the_specification() -> None:
    """standardwebhooks.com, in the specification under "Signature scheme"; its libraries test the same."""
    made = signature(("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",), "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.directive("http-webhook-certificate", "http-webhook-ca-file")
async def test_both_ends_show_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_feed, "PAUSE", 0.01)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("relay.example").private_key_and_cert_chain_pem.write_to_path(tmp_path / "client.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = Server()
    runner = await serving(server, context)
    try:
        mine = hook(server, http_webhook_ca_file=str(tmp_path / "ca.pem"), http_webhook_certificate=str(tmp_path / "client.pem"))
        await fed(tmp_path / "one", mine, 1)
        assert len(server.posts) == 1
        stranger = EventTown(tmp_path / "two", hook(server), "/spool/hook.json")
        stranger.write([delivered(1)])
        async with stranger:
            await stranger.until(lambda: "certificate" in stranger.feed.status().trouble.lower(), "the refusal of an unknown authority")
        assert len(server.posts) == 1
    finally:
        await runner.cleanup()


@pytest.mark.directive("http-webhook-io-timeout", "http-webhook-connect-timeout")
async def test_a_server_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_feed, "PAUSE", 0.01)
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(0), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}/"
    more = {"http_webhook_io_timeout": 0.1, "http_webhook_connect_timeout": 0.1, "http_webhook_max_interval": 0.01}
    settings = AcctFileSettings("hook.json", http_webhook_url=url, **more)
    town = EventTown(tmp_path, settings, "hook.json")
    town.write([delivered(1)])
    async with town:
        await town.until(lambda: "no answer within" in town.feed.status().trouble, "the end of patience")
    silent.close()


@pytest.mark.parametrize("answer", [b"\0garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nBad Header\r\n\r\n", b""])
async def test_a_server_that_answers_rubbish_gets_no_token_into_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    monkeypatch.setattr(export_feed, "PAUSE", 3600.0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?token=s3cret"
    settings = AcctFileSettings("hook.json", http_webhook_url=url, http_webhook_max_interval=0.01)
    town = EventTown(tmp_path, settings, "hook.json")
    town.write([delivered(1)])
    async with town:
        await town.until(lambda: town.feed.status().trouble, "the trouble")
    assert town.feed.status().trouble.startswith("webhook failed: http://127.0.0.1")
    assert "s3cret" not in json.dumps(town.told) + town.feed.status().trouble
    server.close()


@pytest.mark.parametrize("url", ["http://hooks.example:port/?token=s3cret", "http://[::bad/?token=s3cret", "gopher://a/?token=s3cret"])
async def test_a_url_that_is_none_is_not_told(url: str) -> None:
    client = HttpClient(1.0)
    with pytest.raises(HttpFailed) as caught:
        await client.get(url)
    await client.close()
    assert "s3cret" not in str(caught.value)


async def test_the_answer_of_a_server_that_never_ends_it_is_its_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    posts: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        posts.append(await reader.readuntil(b"\r\n\r\n"))
        short = len(posts) == 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + (b"cut short" if short else bytes(9000)))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    for count in (1, 2):
        await fed(tmp_path / str(count), AcctFileSettings("hook.json", http_webhook_url=url, http_webhook_max_interval=0.01), 1)
        assert len(posts) == count
    server.close()


def test_a_url_in_the_log_has_no_secrets() -> None:
    assert shown("https://user:pass@hooks.example:8443/a/b?token=x#y") == "https://hooks.example:8443/a/b"
