"""The source client against scripted servers: what it reads, what it refuses to call a reply."""

from __future__ import annotations

import pytest

from postwright.model.reply import Reply
from postwright.testing.source import ProtocolError, SourceClient, stuffed
from postwright.testing.transcript import Transcript

pytestmark = pytest.mark.both_loops

REPLIES = {
    "250 2.1.0 ok": Reply(250, "2.1.0", ("ok",)),
    "250": Reply(250, "", ("",)),
    "250 ": Reply(250, "", ("",)),
    "250 2.1.0": Reply(250, "2.1.0", ("",)),
    "250 4.1.0 class and code differ": Reply(250, "", ("4.1.0 class and code differ",)),
    "550-5.7.1 no\\r\\n550 5.7.1 never": Reply(550, "5.7.1", ("no", "never")),
    "550-5.7.1 no\\r\\n550 never": Reply(550, "", ("5.7.1 no", "never")),
    "250-a\\r\\n250-b\\r\\n250 c": Reply(250, "", ("a", "b", "c")),
}


@pytest.mark.parametrize("octets", REPLIES)
async def test_replies(octets: str) -> None:
    script = Transcript.parse(f"S: 220 hi\nC: NOOP\nS: {octets}")
    async with script.serve() as port, await SourceClient.connect("127.0.0.1", port) as client:
        assert await client.command("NOOP") == REPLIES[octets]


@pytest.mark.parametrize("octets", ["25 ok", "2500 ok", "650 ok", "250+ok", "", "ok", "250 ok\\n250 bare"])
async def test_what_is_no_reply(octets: str) -> None:
    script = Transcript.parse(f"S: 220 hi\nC: NOOP\nS: {octets}")
    async with script.serve() as port, await SourceClient.connect("127.0.0.1", port) as client:
        with pytest.raises(ProtocolError):
            await client.command("NOOP")


async def test_closing_in_the_middle_of_a_reply() -> None:
    script = Transcript.parse("S: 220 hi\nC: NOOP\nS: 250-half\nS> 250 \nS: <eof>")
    async with script.serve() as port, await SourceClient.connect("127.0.0.1", port) as client:
        with pytest.raises(EOFError, match=r"half.*250"):
            await client.command("NOOP")


async def test_a_banner_that_never_comes() -> None:
    script = Transcript.parse("C: <eof>")
    with pytest.raises(TimeoutError):
        async with script.serve() as port:
            await SourceClient.connect("127.0.0.1", port, timeout=0.05)


async def test_send_stops_where_it_is_refused() -> None:
    script = Transcript.parse("""
        S: 220 hi
        C: MAIL FROM:<a@a.example> SIZE=3
        S: 250 ok
        C: RCPT TO:<b@b.example> NOTIFY=NEVER
        S: 550 no
        C: RSET
        S: 250 ok
        C: MAIL FROM:<a@a.example>
        S: 250 ok
        C: RCPT TO:<b@b.example>
        S: 250 ok
        C: BDAT 2
        C> ab
        S: 452 full
        C: DATA
        S: 451 no
        C: MAIL FROM:<x>
        S: 553 no
    """)
    async with script.serve() as port, await SourceClient.connect("127.0.0.1", port) as client:
        sent = await client.send("a@a.example", ["b@b.example"], b"x\r\n", mail_params="SIZE=3", rcpt_params="NOTIFY=NEVER")
        assert (sent.data, sent.final.code) == (None, 550)
        await client.command("RSET")
        assert (await client.send("a@a.example", ["b@b.example"], b"abcd", chunk=2)).final.code == 452
        assert (await client.command("DATA")).code == 451
        assert (await client.send("x", ["b@b.example"], b"abcd")).mail.code == 553
        assert client.transcript[:2] == ["S: 220 hi", "C: MAIL FROM:<a@a.example> SIZE=3"]


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        (b"", b".\r\n"),
        (b".", b"..\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"a\r\n.b\r\n", b"a\r\n..b\r\n.\r\n"),
        (b"a\n.b\r\n", b"a\n.b\r\n.\r\n"),
    ],
)
def test_stuffed(content: bytes, wire: bytes) -> None:
    assert stuffed(content) == wire


async def test_half_close_and_reset() -> None:
    async with Transcript.parse("S: 220 hi\nC: <eof>\nS: 221 bye").serve() as port:
        client = await SourceClient.connect("127.0.0.1", port)
        client.half_close()
        assert await client.read_eof() == b"221 bye\r\n"
        await client.close()
    async with Transcript.parse("S: 220 hi\nC: <eof>").serve() as port:
        client = await SourceClient.connect("127.0.0.1", port, source="127.0.0.1")
        client.abort(reset=True)
