"""The port itself: both protocols on it, old clients, slow ones, too many, and those who would smuggle."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.control.http.asgi import KEY, PLAIN, Page, said, serving

from postwright.control.http import front, shield, speaker
from postwright.control.http.speaker import with_host
from postwright.engine.self_signed import self_signed_pem

OPEN = PLAIN + "http-access 127.0.0.1 admin\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
WHO = b"GET /api/v1/whoami HTTP/1.1\r\nHost: localhost\r\n"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


async def test_munins_plug_in_is_understood(tmp_path: Path) -> None:
    """Bare HTTP/1.1, lines that end in LF alone, no Host (powermta.md section 4)."""
    async with serving(Page(tmp_path, OPEN)) as port:
        answer = await said(port, b"GET /api/v1/whoami HTTP/1.1\n\n")
        assert status(answer) == 200
        assert answer.endswith(b"}")  # all of it, and the connection ends
        assert status(await said(port, b"GET /api/v1/whoami HTTP/1.0\r\n\r\n")) == 200


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"GET / HTTP/1.1\n\n", b"GET / HTTP/1.1\nHost: h\r\nConnection: close\r\n\n"),
        (b"GET / HTTP/1.1\r\nhOsT : x\r\n\r\n", b""),
        (
            b"GET / HTTP/1.1\r\nA: b\r\n\r\nHost: in the body\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\nHost: h\r\nConnection: close\r\n\r\nHost: in the body\r\n",
        ),
        (b"GET / HTTP/1.0\r\n\r\n", b""),
        (b"nonsense\r\n\r\n", b""),
        (b"GET / HTTP/1.1\r\n", b""),
    ],
)
def test_a_host_is_added_where_there_is_none(head: bytes, told: bytes) -> None:
    assert with_host(head, b"h") == (told or head)


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /command HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + WHO + b"\r\n",
        b"POST /command HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        b"POST /command HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /command HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST /command HTTP/1.1\r\nHost: localhost\r\nContent-Length: +4\r\n\r\nabcd",
        b"GET /api/v1/whoami HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n",
        b"GET /api/v1/whoami HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n",
        b"GET /api/v1/who ami HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1/whoami HTTP/1.1\r\nHost: localhost\r\n folded: x\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
        b"\x00\x01\x02\x03\r\n\r\n",
        b"HELO mail.example\r\n\r\n",
    ],
)
async def test_what_could_be_read_in_two_ways_is_refused(tmp_path: Path, request_: bytes) -> None:
    async with serving(Page(tmp_path, OPEN)) as port:
        answer = await said(port, request_)
    assert answer.count(b"HTTP/1.1 ") == 1  # never an answer to what was smuggled
    assert 400 <= status(answer) < 502
    assert b"connection: close" in answer.lower()


@pytest.mark.parametrize("field", [b"X-Forwarded-For: 192.0.2.1", b"Forwarded: for=192.0.2.1", b"X-Real-IP: 192.0.2.1"])
async def test_where_one_comes_from_is_nothing_that_one_says(tmp_path: Path, field: bytes) -> None:
    async with serving(Page(tmp_path, PLAIN + "http-access 192.0.2.1 admin\n")) as port:
        assert status(await said(port, WHO + field + b"\r\nConnection: close\r\n\r\n")) == 403


async def test_pipelined_requests_are_each_answered(tmp_path: Path) -> None:
    async with serving(Page(tmp_path, OPEN)) as port:
        answer = await said(port, (WHO + b"\r\n") * 2 + WHO + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200") == 3


async def test_a_body_beyond_the_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shield, "DRAIN", 0.1)
    head = b"POST /command HTTP/1.1\r\nHost: localhost\r\nX-API-Key: " + KEY.encode() + b"\r\nConnection: close\r\n"
    head += FORM
    async with serving(Page(tmp_path, OPEN)) as port:
        assert status(await said(port, head + b"Content-Length: 99999999999\r\n\r\ncommand=")) == 413
        chunk = b"%x\r\n%b\r\n" % (1 << 16, b"a" * (1 << 16))
        assert status(await said(port, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 20)) == 413


async def test_slow_ones_are_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, value in ((front, "SILENCE", 0.2), (speaker, "LOOK", 0.05), (speaker, "HEAD", 0.2), (speaker, "BODY", 0.2)):
        monkeypatch.setattr(module, name, value)
    page = Page(tmp_path, OPEN)
    async with serving(page) as port:
        answers = await asyncio.gather(
            said(port, b""),
            said(port, WHO),
            said(port, WHO + b"\r\n" + WHO),  # the second head never ends
            said(port, b"POST /command HTTP/1.1\r\nHost: localhost\r\n" + FORM + b"Content-Length: 100\r\n\r\nabc"),
        )
    assert [status(answer) for answer in answers] == [0, 0, 200, 0]
    assert page.log.lines == []


async def test_an_answer_that_is_not_taken_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker, "LOOK", 0.05)
    monkeypatch.setattr(speaker, "STUCK", 0.2)
    (tmp_path / "big.log").write_bytes(b"x" * (16 << 20))  # more than the buffers of two sockets
    page = Page(tmp_path, OPEN + "log-file big.log\n")
    async with serving(page) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /getFile?file=big.log HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: page.connections.total() == 1)
        await until(lambda: page.connections.total() == 0)
        writer.close()
    assert page.log.lines == []


async def until(condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + 10
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


async def test_there_is_room_for_so_many(tmp_path: Path) -> None:
    async with serving(Page(tmp_path, OPEN), most_of_one=2) as port:
        first = await asyncio.open_connection("127.0.0.1", port)
        second = await asyncio.open_connection("127.0.0.1", port)
        for _, writer in (first, second):
            writer.write(WHO + b"\r\n")
        assert [await reader.read(12) for reader, _ in (first, second)] == [b"HTTP/1.1 200", b"HTTP/1.1 200"]
        assert await said_or_reset(port) == b""
        first[1].close()
        await first[1].wait_closed()
        async with asyncio.timeout(5):
            while not await said_or_reset(port):
                pass  # until the place is free
        second[1].close()


async def said_or_reset(port: int) -> bytes:
    try:
        return await said(port, WHO + b"Connection: close\r\n\r\n")
    except ConnectionError:
        return b""


# -- TLS ------------------------------------------------------------------------


async def over_tls(port: int, context: ssl.SSLContext | None = None) -> tuple[str, str, bytes]:
    """Version, cipher and answer. Raises ssl.SSLError or ConnectionError."""
    context = context or client()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    cipher = writer.get_extra_info("cipher")
    writer.write(WHO + b"Connection: close\r\n\r\n")
    try:
        answer = await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
    return cipher[1], cipher[0], answer


def client(lowest: ssl.TLSVersion | None = None, highest: ssl.TLSVersion | None = None, ciphers: str = "") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers or "DEFAULT:@SECLEVEL=0")
    context.minimum_version = lowest or ssl.TLSVersion.MINIMUM_SUPPORTED
    if highest:
        context.maximum_version = highest
    return context


async def test_both_on_one_port_with_a_certificate_of_our_own(tmp_path: Path) -> None:
    page = Page(tmp_path, OPEN + "host-name relay.example\n")
    async with serving(page) as port:
        version, _, answer = await over_tls(port)
        assert (version, status(answer)) == ("TLSv1.3", 200)
        made = (tmp_path / "webmon.pem").read_bytes()
        assert oct((tmp_path / "webmon.pem").stat().st_mode)[-3:] == "600"
        assert status(await said(port, WHO + b"Connection: close\r\n\r\n")) == 200
        await over_tls(port)
        assert (tmp_path / "webmon.pem").read_bytes() == made


@pytest.mark.directive("http-tls-certificate")
async def test_a_certificate_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own.pem").write_bytes(b"".join(self_signed_pem(["monitor.example"])))
    async with serving(Page(tmp_path, OPEN + f"http-tls-certificate {tmp_path / 'own.pem'}\n")) as port:
        context = ssl.create_default_context(cafile=str(tmp_path / "own.pem"))
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="monitor.example")
        writer.close()
        assert reader is not None
    assert not (tmp_path / "webmon.pem").exists()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.directive("http-tls-allow-tlsv1", "http-tls-allow-tlsv1.1", "http-tls-allow-tlsv1.2", "http-tls-allow-tlsv1.3")
@pytest.mark.parametrize(
    ("lines", "spoken"),
    [
        ("", ["TLSv1.2", "TLSv1.3"]),
        ("http-tls-allow-tlsv1.3 no\n", ["TLSv1.2"]),
        ("http-tls-allow-tlsv1.2 no\n", ["TLSv1.3"]),
        ("http-tls-allow-tlsv1 yes\nhttp-tls-allow-tlsv1.1 yes\n", ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]),
    ],
)
async def test_versions(tmp_path: Path, lines: str, spoken: list[str]) -> None:
    versions = {
        "TLSv1": ssl.TLSVersion.TLSv1,
        "TLSv1.1": ssl.TLSVersion.TLSv1_1,
        "TLSv1.2": ssl.TLSVersion.TLSv1_2,
        "TLSv1.3": ssl.TLSVersion.TLSv1_3,
    }
    found = []
    async with serving(Page(tmp_path, OPEN + lines)) as port:
        for name, version in versions.items():
            try:
                _, _, answer = await over_tls(port, client(version, version))
            except (ssl.SSLError, ConnectionError):
                continue
            assert status(answer) == 200
            found.append(name)
    assert found == spoken


@pytest.mark.directive("http-tls-ciphers", "http-tls-tlsv1.3-ciphersuites")
async def test_ciphers(tmp_path: Path) -> None:
    lines = "http-tls-ciphers ECDHE-ECDSA-CHACHA20-POLY1305\nhttp-tls-tlsv1.3-ciphersuites TLS_CHACHA20_POLY1305_SHA256\n"
    async with serving(Page(tmp_path, OPEN + lines)) as port:
        _, old, _ = await over_tls(port, client(highest=ssl.TLSVersion.TLSv1_2))
        _, new, _ = await over_tls(port)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await over_tls(port, client(highest=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"))
    assert (old, new) == ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_CHACHA20_POLY1305_SHA256")


@pytest.mark.directive("http-tls-ca-file")
async def test_a_client_must_show_a_certificate(tmp_path: Path) -> None:
    for name in ("known", "stranger"):
        (tmp_path / f"{name}.pem").write_bytes(b"".join(self_signed_pem([f"{name}.example"])))
    async with serving(Page(tmp_path, OPEN + f"http-tls-ca-file {tmp_path / 'known.pem'}\n")) as port:
        known, stranger = client(), client()
        known.load_cert_chain(tmp_path / "known.pem")
        stranger.load_cert_chain(tmp_path / "stranger.pem")
        assert status((await over_tls(port, known))[2]) == 200
        for context in (client(), stranger):
            # of TLS 1.3 the client has done its part before it is refused
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                assert status((await over_tls(port, context))[2]) == 0


@pytest.mark.directive("http-log-tls")
@pytest.mark.parametrize("on", [True, False])
async def test_handshakes_are_logged(tmp_path: Path, on: bool) -> None:
    page = Page(tmp_path, OPEN + ("http-log-tls yes\n" if on else ""))
    async with serving(page) as port:
        version, cipher, _ = await over_tls(port)
        await said(port, b"\x16garbage that is no ClientHello")
    good = {"event": "TLS", "peer": "127.0.0.1", "version": version, "cipher": cipher}
    failed = [line for line in page.log.lines if line["event"] == "TLS or connection failed"]
    assert (good in page.log.lines, len(failed)) == (on, int(on))


_PIECES = [
    b"GET / HTTP/1.1",
    b"GET / HTTP/1.0",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"Host: a",
    b"hOsT:b",
    b"A: b",
    b" folded",
    b"Connection: x",
    b"\x00",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=12).map(b"".join))
def test_a_request_with_a_host_added_is_the_same_request(head: bytes) -> None:
    """The same as fuzz/fuzz_http.py: what h11 takes is not touched, and what is touched ends the connection."""
    made = with_host(head, b"host.example")
    if made == head:
        return
    assert _taken(head) is None
    event = _taken(made)
    if event is not None:
        assert [value for name, value in event.headers if name == b"host"] == [b"host.example"]
        assert (b"connection", b"close") in list(event.headers)


def _taken(octets: bytes) -> h11.Request | None:
    connection = h11.Connection(h11.SERVER)
    try:
        connection.receive_data(octets)
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Request) else None
