"""Transcripts: the notation, the two roles, and the errors that must tell the story."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from postwright.testing.sink import SinkServer
from postwright.testing.sink_records import Extensions
from postwright.testing.transcript import Step, Transcript, TranscriptError

pytestmark = pytest.mark.both_loops

DELIVERY = r"""
    # A delivery, commands in two groups.
    S: 220 ... ESMTP ...
    C: EHLO tests.example
    S+ 250 PIPELINING
    C: MAIL FROM:<a@a.example>
    C: RCPT TO:<b@b.example>
    ----
    C: DATA
    S: 250 2.1.0 ...
    S: 250 2.1.5 ...
    S: 354 ...
    C> Subject: \{3*x}\r\n\r\n..\r\n\x2e\r\n
    S: 250 2.0.0 taken as 1
    C: QUIT
    S: 221 ...
    S: <eof>
"""


async def test_plays_the_client() -> None:
    async with SinkServer() as sink:
        said = await Transcript.parse(DELIVERY).play("127.0.0.1", sink.port)
        assert sink.messages[0].content == b"Subject: xxx\r\n\r\n.\r\n"
        assert said[0].startswith("S: 220 ")
        assert said[-1] == "S: <eof>"


async def test_plays_both_sides_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("S: 220 hi\nC: NOOP\nC> \\x00\\xff\\t\\\\\nS: 250-a\nS: 250 b\nC: <eof>\nS: <eof>")
    script = Transcript.load(path)
    async with script.serve() as port:
        assert len(await script.play("127.0.0.1", port)) == 7


async def test_tls_on_both_sides() -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    script = Transcript.parse("S: 220 hi\nC: STARTTLS\nS: 220 go\nC: <starttls>\nC: NOOP\nS: 250 ok\nC: QUIT\nS: 221 bye\nS: <eof>")
    async with SinkServer(tls=server) as sink:
        ours = Transcript.parse("S+ 220\nC: STARTTLS\nS+ 220\nC: <starttls>\nC: EHLO x\nS+ 250\nC: QUIT\nS+ 221\nS: <eof>")
        await ours.play("127.0.0.1", sink.port, tls=client)
        with pytest.raises(TranscriptError, match="no context was given"):
            await ours.play("127.0.0.1", sink.port)
        with pytest.raises(TranscriptError, match="the handshake failed"):
            await ours.play("127.0.0.1", sink.port, tls=client, server_hostname="other.example")
    async with script.serve(tls=server) as port:
        await script.play("127.0.0.1", port, tls=client)


WRONG = {
    "S: 221 ...": r"line 1: expected '221 \.\.\.', got '220 sink.example ESMTP a sink'",
    "S+ 220\nC: EHLO x\nS+ 250 NONSENSE": r"line 3: expected '250 NONSENSE', got .*PIPELINING",
    "S+ 220\nC: NOOP\nS+ 251": r"line 3: expected '251', got '250 2.0.0 ok'",
    "S+ 220\nC: QUIT\nS+ 221\nS: 250 more": r"line 4: expected '250 more', got '<eof>'",
    "S+ 220\nC: NOOP\nS> 250 2.0.0 OK": r"line 3: expected '250 2.0.0 OK', got '250 2.0.0 ok'",
    "S+ 220\nC: QUIT\nS+ 221\nS> x": r"line 4: expected 'x', got ''",
    "S+ 220\nC: NOOP\nS: <eof>": r"line 3: the peer did not close",
    "S+ 220\nC: NOOP\nC: QUIT\nS: <eof>": r"line 4: expected '<eof>', got '250 2.0.0 ok\\r\\n221",
    "S+ 220\nS: 250 unasked": r"line 2: expected '250 unasked', got '<nothing>'",
    "S+ 220\nC: VRFY reset\nS: 252": r"line 3: expected '252', got '<reset>'",
}


@pytest.mark.parametrize("text", WRONG)
async def test_another_way(text: str) -> None:
    async with SinkServer(["vrfy:reset reset"], extensions=Extensions()) as sink:
        with pytest.raises(TranscriptError, match=WRONG[text]):
            await Transcript.parse(text).play("127.0.0.1", sink.port, timeout=0.2)


async def test_the_whole_story_is_told() -> None:
    async with SinkServer() as sink:
        with pytest.raises(TranscriptError, match=r"so far:\n  S: 220 sink.example ESMTP a sink\n  C: NOOP\n  S: 250 2.0.0 ok"):
            await Transcript.parse(f"S+ 220\nC: NOOP\nS: 250 no\nC: {'x' * 500}").play("127.0.0.1", sink.port)


async def test_a_server_to_whom_nobody_comes() -> None:
    with pytest.raises(TranscriptError, match="nobody came"):
        async with Transcript.parse("S: 220 hi").serve(timeout=0.02):
            pass


async def test_a_server_who_hears_the_wrong_thing_and_a_second_connection() -> None:
    with pytest.raises(TranscriptError, match="expected 'NOOP', got 'RSET'"):
        async with Transcript.parse("S: 220 hi\nC: NOOP\nS: 250 ok").serve() as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"RSET\r\n")
            reader, second = await asyncio.open_connection("127.0.0.1", port)
            await reader.read()
            writer.close()
            second.close()


async def test_a_reset_is_sent() -> None:
    with pytest.raises(TranscriptError, match="got '<reset>'"):
        async with Transcript.parse("S: 220 hi\nC: <reset>").serve() as port:
            await Transcript.parse("S: 220 hi\nC: <reset>").play("127.0.0.1", port)
            async with Transcript.parse("S: 220 hi\nS: <reset>").serve() as other:
                await Transcript.parse("S: 220 hi\nS: 250 x").play("127.0.0.1", other)


MALFORMED = {
    "X: hello": "line 1: expected 'C: '",
    "\n\nC hello": "line 3: expected",
    "C: a\\q": "line 1: unknown escape at",
    "C: a\\x1": "line 1: unknown escape at",
    "C: a\\": "line 1: unknown escape at",
}


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed(text: str) -> None:
    with pytest.raises(ValueError, match=MALFORMED[text]):
        Transcript.parse(text)


def test_steps() -> None:
    assert Transcript.parse("C: a \n---\nS: <eof>\nC:\nC> b ").steps == [
        Step("C", ":", b"a", 1),
        Step("S", "act", b"<eof>", 3, True),
        Step("C", ":", b"", 4),
        Step("C", ">", b"b ", 5),
    ]
