"""The channel against a receiver that we did not write: Postfix's smtp-sink."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from postwright.model.address import parse_mailbox
from postwright.model.envelope import Notify, Recipient
from postwright.model.message import ContentFacts
from postwright.model.outcome import Fault, Stage, TransactionResult
from postwright.model.route import Route, SessionOptions, SourceHost, TlsLevel
from postwright.net.channel import Channel
from postwright.net.dialer import Dialer
from postwright.wire.body import scan
from postwright.wire.client_states import Transaction

EVENT_LOOPS = ("asyncio", "uvloop")
PLAIN = SessionOptions(tls=TlsLevel.NONE)


def order(content: bytes, *rcpt: str) -> Transaction:
    people = [Recipient(parse_mailbox(text), Notify.FAILURE, f"rfc822;{text}") for text in rcpt or ("b@example.net",)]
    return Transaction(parse_mailbox("a@example.com"), people, (content,), scan(content), ret="HDRS", envid="id+1")


@asynccontextmanager
async def sink(program: Path, folder: Path, *flags: str) -> AsyncIterator[Route]:
    """smtp-sink on a free port, its dumps in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.chmod(0o777)
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = await asyncio.create_subprocess_exec(
        str(program), *user, *flags, f"127.0.0.1:{port}", "50", cwd=folder, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                assert process.returncode is None
                await asyncio.sleep(0.01)
                continue
            writer.close()
            await writer.wait_closed()
            break
        yield Route("sink.example", "127.0.0.1", port, SourceHost("", "client.example"))
    finally:
        process.terminate()
        await process.wait()


async def opened(route: Route, options: SessionOptions = PLAIN) -> Channel:
    channel = await Dialer().open(route, options)
    assert isinstance(channel, Channel), channel
    return channel


async def gone(channel: Channel) -> None:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    channel.on_close = lambda _: done.set_result(None)
    channel.close()
    await done


def code(result: TransactionResult) -> int:
    assert result.final is not None, result
    return result.final.code


@pytest.mark.parametrize("flags", [(), ("-p",), ("-E",), ("-e",), ("-8",)])
async def test_content_arrives(flags: tuple[str, ...], needs: Callable[[str], Path], tmp_path: Path) -> None:
    """With and without PIPELINING (-p), ENHANCEDSTATUSCODES (-E), EHLO (-e) and 8BITMIME (-8)."""
    contents = [f"Subject: {n}\r\n\r\n.{n}\r\n..\r\nhello\r\n.\r\n".encode() for n in range(5)]
    async with sink(needs("smtp-sink"), tmp_path, "-d", "%Y-%M-%S.", *flags) as route:
        channel = await opened(route)
        assert channel.capabilities.pipelining is (flags not in {("-p",), ("-e",)})
        assert channel.capabilities.extended is (flags != ("-e",))
        futures = [channel.run(order(content, "b@example.net", "c@example.net")) for content in contents]
        for future in futures:
            assert code(await future) == 250
        await gone(channel)
        got = sorted(re.sub(rb"(?s).*?(Subject: )", rb"\1", path.read_bytes(), count=1) for path in tmp_path.iterdir())
    # The sink writes LF, takes the leading dots away, and puts an empty line at the end.
    assert [text.rstrip(b"\n") for text in got] == [content.replace(b"\r\n", b"\n").rstrip(b"\n") for content in contents]


@pytest.mark.parametrize(
    ("flags", "stage", "expected"),
    [
        (("-q", "mail"), Stage.MAIL, Fault.LOST),
        (("-q", "rcpt"), Stage.RCPT, Fault.LOST),
        (("-q", "data"), Stage.DATA, Fault.LOST),
        (("-q", "."), Stage.END_OF_DATA, Fault.LOST),
        (("-r", "mail"), Stage.MAIL, Fault.NONE),
        (("-f", "mail"), Stage.MAIL, Fault.NONE),
        (("-f", "data"), Stage.DATA, Fault.NONE),
    ],
)
async def test_faults(flags: tuple[str, ...], stage: Stage, expected: Fault, needs: Callable[[str], Path], tmp_path: Path) -> None:
    """-q hangs up, -r refuses with 4xx, -f with 5xx."""
    async with sink(needs("smtp-sink"), tmp_path, *flags) as route:
        channel = await opened(route)
        result = await channel.run(order(b"Subject: x\r\n\r\nx\r\n"))
        assert result.failure is not None, result
        assert result.failure.fault is expected
        if expected is Fault.NONE:
            assert result.failure.stage is stage
            assert result.usable
        else:
            # The sink drops the replies that it has not written yet, so the stage may be an earlier one of the group.
            assert list(Stage).index(result.failure.stage) <= list(Stage).index(stage)
            assert result.maybe_taken is (result.failure.stage is Stage.END_OF_DATA)
        await (gone(channel) if not channel.closed else asyncio.sleep(0))


@pytest.mark.parametrize("way", ["-f", "-r"])
@pytest.mark.parametrize("verb", ["rcpt", "."])
async def test_refusals(way: str, verb: str, needs: Callable[[str], Path], tmp_path: Path) -> None:
    async with sink(needs("smtp-sink"), tmp_path, way, verb) as route:
        channel = await opened(route)
        first, second = channel.run(order(b"Subject: x\r\n\r\nx\r\n")), channel.run(order(b"Subject: y\r\n\r\nx\r\n"))
        for result in (await first, await second):
            reply = result.rcpt[0] if verb == "rcpt" else result.final
            assert reply is not None
            assert reply.transient if way == "-r" else reply.permanent
            assert result.usable
        await gone(channel)


async def test_big_content_and_many_channels(needs: Callable[[str], Path], tmp_path: Path) -> None:
    big = b"Subject: big\r\n\r\n" + (b"x" * 78 + b"\r\n") * 50_000
    small = b"Subject: small\r\n\r\nx\r\n"
    async with sink(needs("smtp-sink"), tmp_path) as route:
        channels = await asyncio.gather(*[opened(route) for _ in range(10)])
        futures = [channel.run(order(content)) for channel in channels for content in (small, big, small)]
        assert [code(result) for result in await asyncio.gather(*futures)] == [250] * 30
        assert all(channel.bytes_sent > len(big) for channel in channels)
        await asyncio.gather(*[gone(channel) for channel in channels])


async def test_facts_of_a_content_without_dots_are_trusted(needs: Callable[[str], Path], tmp_path: Path) -> None:
    content = b"Subject: x\r\n\r\nno dots\r\n"
    async with sink(needs("smtp-sink"), tmp_path, "-D", "all.") as route:
        channel = await opened(route)
        transaction = order(content)
        assert transaction.facts == ContentFacts(len(content), 14, transaction.facts.longest_line)
        assert code(await channel.run(transaction)) == 250
        await gone(channel)
