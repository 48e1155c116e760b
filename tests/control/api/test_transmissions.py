"""PowerMTA's transmissions API in front of a real node, and on a port with a certificate of its own."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace
from tests.control.api.town import Town
from tests.control.http.asgi import Page
from uvicorn.server import ServerState

from postwright.control.api.transmissions import PATH, Transmissions
from postwright.control.config import loads
from postwright.control.http.doors import Doors
from postwright.policy.settings import AddressList
from postwright.testing.certificate import self_signed_pem
from postwright.testing.world import World
from postwright.testing.world_settings import relay, source

KEY = "k" * 40
CONFIG = f"""
<transmissions-api>
    api-key {KEY}
    log-requests yes
    log-data yes
</transmissions-api>
"""
MAIL = {
    "return_path": "bounces@sender.example",
    "campaign_id": "17",
    "recipients": [{"address": "a@example.com"}, {"address": {"email": "b@example.com"}, "substitution_data": {"*custommessageid": "1"}}],
    "content": {"email_rfc822": "Subject: [News]\r\n\r\nbody [name]\r\n"},
}


class Answer(Struct):
    status: int
    headers: dict[str, str]
    told: Any


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    lists = {"gone": AddressList(name="gone", addresses=("gone@example.com",))}
    with World(relay(source("{transmissions-api}", suppression_lists=("gone",)), address_lists=lists)) as world:
        yield Town(world, tmp_path, CONFIG)


def post(town: Town, body: Any, path: str = PATH, method: str = "POST", scheme: str = "https", **headers: str) -> Answer:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {
        "authorization": KEY,
        "content-length": str(len(octets)),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    head = [(name.encode(), value.encode()) for name, value in fields.items() if value]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "scheme": scheme,
        "headers": head,
        "client": ("192.0.2.9", 1),
        "query_string": b"",
    }
    answer = Answer(0, {}, None)
    parts = [{"type": "http.request", "body": octets[:10], "more_body": True}, {"type": "http.request", "body": octets[10:]}]

    async def receive() -> Any:
        return parts.pop(0)

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.told = json.loads(message["body"])

    town.world.run(Transmissions(town.page.site)(scope, receive, send))  # type: ignore[arg-type]
    return answer


@pytest.mark.directive("transmissions-api", "api-key", "log-requests", "log-data")
def test_a_transmission(town: Town) -> None:
    mx = town.world.domain("example.com")
    answer = post(town, MAIL)
    assert (answer.status, answer.told["results"]["total_accepted_recipients"], answer.told["results"]["total_rejected_recipients"]) == (
        200,
        2,
        0,
    )
    town.world.run_until_empty()
    assert sorted(mx.recipients) == ["a@example.com", "b@example.com"]
    assert mx.messages[0].content.endswith(b"Subject: [News]\r\n\r\nbody [name]\r\n")
    record = town.world.of("r")[0]
    assert (record.orig, record.job_id, record.src_type, record.rcv_smtp_user) == (
        "bounces@sender.example", "17", "api", "key transmissions-api 1",
    )  # fmt: skip
    logged = {line["event"]: line for line in town.page.log.lines}
    assert logged["transmissions request"]["status"] == 200
    assert "News" in logged["transmissions data"]["body"]
    assert KEY not in str(town.page.log.lines)


def test_return_paths_of_their_own(town: Town) -> None:
    mx = town.world.domain("example.com")
    recipients = [{"address": "a@example.com", "return_path": "a-bounces@sender.example"}, {"address": "b@example.com"}]
    assert post(town, {**MAIL, "recipients": recipients}).status == 200
    town.world.run_until_empty()
    by = {message.recipients[0]: (message.sender, message.content.rpartition(b"Subject: ")[2]) for message in mx.messages}
    assert by == {
        "a@example.com": ("a-bounces@sender.example", b"[News]\r\n\r\nbody [name]\r\n"),
        "b@example.com": ("bounces@sender.example", b"[News]\r\n\r\nbody [name]\r\n"),
    }


def test_some_are_rejected(town: Town) -> None:
    told = post(town, {**MAIL, "recipients": [{"address": "a@example.com"}, {"address": "gone@example.com"}]}).told["results"]
    assert (told["total_accepted_recipients"], told["total_rejected_recipients"]) == (1, 1)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"body": b"{"}, 400),
        ({"body": b'{"x":' + b"[" * 100_000}, 400),
        ({"body": b'{"return_path":"\xff"}'}, 400),
        ({"body": {**MAIL, "recipients": []}}, 400),
        ({"body": {**MAIL, "recipients": [{"address": "gone@example.com"}]}}, 400),
        ({"body": {**MAIL, "recipients": [{"address": "ä@example.com"}]}}, 400),
        ({"body": {**MAIL, "recipients": [{"address": "a@example.com", "substitution_data": {"name": "x"}}]}}, 400),
        ({"body": {**MAIL, "campaign_id": "a\r\nb"}}, 400),
        ({"authorization": "wrong"}, 403),
        ({"authorization": ""}, 403),
        ({"path": "/"}, 404),
        ({"method": "GET"}, 405),
        ({"content_length": ""}, 400),
        ({"transfer_encoding": "chunked"}, 400),
        ({"scheme": "http"}, 400),
    ],
)
def test_errors_have_its_form(town: Town, change: dict[str, Any], status: int) -> None:
    answer = post(town, **{"body": MAIL, **change})
    assert (answer.status, sorted(answer.told["errors"][0])) == (status, ["description", "message"]), answer.told
    assert not list(town.world.node.spool.live())


@pytest.mark.directive("transmissions-api-listener", "tls-certificate", "tls-allow-tlsv1.2", "log-tls")
async def test_a_listener_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    page = Page(tmp_path)
    certificate = tmp_path / "api.pem"
    certificate.write_bytes(b"".join(self_signed_pem(["api.example"])))
    certificate.chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        port = sock.getsockname()[1]
        rules = f"tls-certificate {certificate}\ntls-allow-tlsv1.2 no\n"
        config = f"{CONFIG}<transmissions-api-listener 127.0.0.1:{port}>\n{rules}</transmissions-api-listener>\n"
        settings = loads(config, "test.conf", state_dir=tmp_path).settings
        assert settings is not None
        page.site.apply(settings)
        doors = Doors(page.site, ServerState())
        task = asyncio.get_running_loop().create_task(doors.front(sock).serve(sock))
        context = ssl.create_default_context(cafile=str(certificate))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="api.example")
        writer.write(b"GET /status HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 404 ")  # the monitor is not on this port
        writer.close()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):  # its alert, or that it hangs up before that was read
            await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="api.example")
        listener = replace(settings.transmissions_api_listeners[0], tls_allow_tlsv1_2=True)
        doors.apply(replace(settings, transmissions_api_listeners=(listener,)))  # a reload
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="api.example")
        writer.close()
        task.cancel()
