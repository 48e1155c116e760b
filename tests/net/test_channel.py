"""The channel over a memory transport: every stage against every way to go wrong, cuts at every byte, depth 2, back-pressure."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from postwright.model.address import parse_mailbox
from postwright.model.envelope import Recipient
from postwright.model.message import ContentFacts
from postwright.model.outcome import Failure, Fault, Stage, TransactionResult
from postwright.model.route import Route, SessionOptions, SourceHost, Timeouts, TlsLevel
from postwright.net.channel import Channel
from postwright.net.clock import Sweep
from postwright.net.flow import CHUNK
from postwright.testing.fake_clock import FakeClock, settle
from postwright.testing.memory_transport import MemoryTransport, join
from postwright.testing.scripted_peer import ABORT, CLOSE, SILENT, Answer, ScriptedPeer
from postwright.wire.client_states import Ready, Transaction

ROUTE = Route("mx.example", "192.0.2.2", 25, SourceHost("192.0.2.1", "client.example"))
TIMEOUTS = Timeouts(greeting=10, command=20, data_send=30, data_termination=40)
OPTIONS = SessionOptions(tls=TlsLevel.NONE, timeouts=TIMEOUTS)
TEXT = b"Subject: x\r\n\r\nhello\r\n"
PIPELINING = ("PIPELINING",)


def order(*rcpt: str, content: tuple[bytes, ...] = (TEXT,), **facts: bool) -> Transaction:
    people = [Recipient(parse_mailbox(text)) for text in rcpt or ("b@example.net",)]
    return Transaction(parse_mailbox("a@example.com"), people, content, ContentFacts(sum(map(len, content)), 14, **facts))


class Wire:
    """A channel joined to a scripted peer."""

    def __init__(self, peer: ScriptedPeer, options: SessionOptions = OPTIONS, **link: Any) -> None:
        self.clock = FakeClock()
        self.sweep = Sweep(self.clock)
        self.peer = peer
        self.channel = Channel(ROUTE, options, self.clock, self.sweep)
        self.ends: tuple[MemoryTransport, MemoryTransport] = join(self.channel, peer, **link)

    async def open(self) -> Channel:
        opening = await self.channel.opened()
        assert isinstance(opening, Ready)
        return self.channel


def code(result: TransactionResult) -> int:
    return result.final.code if result.final else 0


async def test_one_transaction() -> None:
    wire = Wire(ScriptedPeer())
    channel = await wire.open()
    assert (channel.usable, channel.outstanding, channel.depth, channel.tls, channel.local_address) == (True, 0, 1, "", "192.0.2.1")
    result = await channel.run(order())
    assert (code(result), result.failure, result.usable) == (250, None, True)
    assert wire.peer.contents == [TEXT]
    assert (channel.served, channel.usable) == (1, True)
    channel.close()
    await settle()
    assert wire.peer.verbs == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert channel.closed
    assert len(wire.sweep) == 0


@pytest.mark.parametrize("offers", [(), PIPELINING, ("PIPELINING", "CHUNKING")])
async def test_every_cut(offers: tuple[str, ...]) -> None:
    for segment in (1, 2, 3, 5, 11):
        wire = Wire(ScriptedPeer({"RCPT": [b"250 ok", b"550-5.1.1 no\r\n550 5.1.1 body"]}, offers=offers), segment=segment)
        channel = await wire.open()
        first, second = channel.run(order("b@example.net", "c@example.net")), channel.run(order("d@example.net"))
        one, two = await first, await second
        assert [reply.code if reply else 0 for reply in one.rcpt] == [250, 550]
        assert [reply.code if reply else 0 for reply in two.rcpt] == [550]
        assert (code(one), code(two), two.usable) == (250, 0, True)
        assert wire.peer.contents[0] == TEXT


GARBAGE = b"HTTP/1.1 400 Bad Request"
WAYS: list[tuple[str, Answer]] = [
    ("4xx", b"451 4.3.0 later"),
    ("5xx", b"554 5.0.0 never"),
    ("421", b"!421 4.3.2 bye"),
    ("close", CLOSE),
    ("abort", ABORT),
    ("silent", SILENT),
    ("garbage", GARBAGE),
    ("half", b"!250-never ends"),
]
FAULTS = {
    "close": Fault.LOST,
    "abort": Fault.LOST,
    "silent": Fault.TIMEOUT,
    "garbage": Fault.PROTOCOL,
    "half": Fault.LOST,
}
PATIENCE = {"BANNER": 10, "END": 40}


@pytest.mark.parametrize(("way", "answer"), WAYS)
@pytest.mark.parametrize("verb", ["BANNER", "EHLO"])
async def test_opening(verb: str, way: str, answer: Answer) -> None:
    wire = Wire(ScriptedPeer({verb: answer, "HELO": answer}))
    opening = wire.channel.opened()
    await settle()
    if way == "silent":
        assert not opening.done()
        await wire.clock.advance(PATIENCE.get(verb, 20) - 1)
        assert not opening.done()
        await wire.clock.advance(2)
    failure = await opening
    assert isinstance(failure, Failure)
    assert failure.stage is {"BANNER": Stage.BANNER, "EHLO": Stage.EHLO}[verb]
    if way in FAULTS:
        assert (failure.fault, failure.reply) == (FAULTS[way], None)
    else:
        assert failure.reply is not None
        assert failure.reply.code == {"4xx": 451, "5xx": 554, "421": 421}[way]
    await settle()
    assert wire.channel.closed
    assert len(wire.sweep) == 0
    late = await wire.channel.run(order())
    assert late.failure is not None
    assert (late.failure.fault, late.untouched, late.usable) == (Fault.LOST, True, False)


STAGES = {"MAIL": Stage.MAIL, "RCPT": Stage.RCPT, "DATA": Stage.DATA, "END": Stage.END_OF_DATA}


@pytest.mark.parametrize("offers", [(), PIPELINING])
@pytest.mark.parametrize(("way", "answer"), WAYS)
@pytest.mark.parametrize("verb", list(STAGES))
async def test_transaction(verb: str, way: str, answer: Answer, offers: tuple[str, ...]) -> None:
    wire = Wire(ScriptedPeer({verb: answer}, offers=offers))
    channel = await wire.open()
    futures = [channel.run(order()), channel.run(order())]
    await settle(40)
    if way == "silent":
        assert not futures[0].done()
        await wire.clock.advance(PATIENCE.get(verb, 20) - 2)
        assert not futures[0].done()
        await wire.clock.advance(3)
    first, second = await futures[0], await futures[1]
    if way in ("4xx", "5xx"):
        check_refused(verb, first, wire)
        check_refused(verb, second, wire)
        return
    assert not first.usable
    assert first.failure is not None
    if way != "abort":
        # A reset may overtake the replies before it.
        assert first.failure.stage is STAGES[verb]
    assert first.failure.fault is FAULTS.get(way, Fault.NONE)
    assert first.maybe_taken is (verb == "END" and way != "421")
    assert not first.untouched
    assert (second.untouched, second.maybe_taken, second.mail, second.usable) == (True, False, None, False)
    assert not channel.usable
    await settle()
    assert channel.closed
    assert len(wire.sweep) == 0


def check_refused(verb: str, result: TransactionResult, wire: Wire) -> None:
    assert result.usable
    assert (result.maybe_taken, result.untouched) == (False, False)
    failed = Stage.MAIL if verb == "MAIL" else Stage.DATA if verb == "DATA" else None
    assert (result.failure.stage if result.failure else None) is failed
    replies = {"MAIL": result.mail, "RCPT": result.rcpt[0], "DATA": result.failure.reply if result.failure else None, "END": result.final}
    refusal = replies[verb]
    assert refusal is not None
    assert refusal.code in (451, 554)
    assert wire.channel.usable
    # Where everything was refused and DATA was given a go-ahead all the same, an empty message ends it.
    assert [content for content in wire.peer.contents if content] == ([TEXT] * 2 if verb == "END" else [])


@pytest.mark.parametrize(("way", "answer"), WAYS)
async def test_quit(way: str, answer: Answer) -> None:
    wire = Wire(ScriptedPeer({"QUIT": answer}))
    channel = await wire.open()
    channel.close()
    channel.close()
    assert not channel.usable
    await settle()
    if way == "silent":
        assert not channel.closed
        await wire.clock.advance(11)
    assert channel.closed


async def test_depth_two_leaves_in_one_write() -> None:
    wire = Wire(ScriptedPeer(offers=PIPELINING))
    channel = await wire.open()
    assert channel.depth == 2
    writes: list[bytes] = []
    transport = wire.ends[0]
    original = transport.write
    transport.write = lambda data: (writes.append(bytes(data)), original(data))[1]  # type: ignore[method-assign]
    left = [order(f"r{n}@example.net") for n in range(6)]

    async def story() -> None:
        waiting = [channel.run(left.pop(0)), channel.run(left.pop(0))]
        while waiting:
            assert code(await waiting.pop(0)) == 250
            if left:
                waiting.append(channel.run(left.pop(0)))

    await story()
    assert len(wire.peer.contents) == 6
    # One for the first group, one for each content with the next group behind it.
    assert len(writes) == 7
    assert [b"DATA" in write for write in writes] == [True] * 6 + [False]


async def test_submit_from_within_done_leaves_in_one_write() -> None:
    wire = Wire(ScriptedPeer(offers=PIPELINING))
    channel = await wire.open()
    results: list[TransactionResult] = []
    before = len(wire.ends[0].written)

    def done(result: TransactionResult) -> None:
        results.append(result)
        if len(results) < 5:
            channel.submit(order(), done)

    channel.submit(order(), done)
    channel.submit(order(), done)
    assert results == []
    await settle(60)
    assert [code(result) for result in results] == [250] * 6
    assert channel.bytes_sent == len(wire.ends[0].written)
    assert channel.bytes_sent > before


async def test_what_must_not_be_sent() -> None:
    wire = Wire(ScriptedPeer(offers=PIPELINING))
    channel = await wire.open()
    sent = len(wire.ends[0].written)
    future = channel.run(order(content=(b"a\n.\nMAIL FROM:<x@example.com>\r\n",), binary=True))
    assert not future.done()
    result = await future
    assert result.failure is not None
    assert (result.failure.fault, result.usable, result.untouched) == (Fault.LOCAL, True, False)
    assert len(wire.ends[0].written) == sent
    assert channel.misfit(order(binary=True)) is not None
    assert channel.misfit(order()) is None
    assert code(await channel.run(order())) == 250


async def test_cancelled_waiter_takes_nothing_back() -> None:
    wire = Wire(ScriptedPeer(offers=PIPELINING))
    channel = await wire.open()
    first, second = channel.run(order()), channel.run(order())
    first.cancel()
    assert code(await second) == 250
    assert len(wire.peer.contents) == 2


async def held_content(content: bytes, *, behind: bool, capacity: int) -> tuple[Wire, list[asyncio.Future[TransactionResult]]]:
    """A channel that was told to go ahead, to a peer whose kernel takes no more than `capacity` octets."""
    wire = Wire(ScriptedPeer({"DATA": [SILENT, b"354 go"]}, offers=PIPELINING), capacity=capacity)
    channel = await wire.open()
    futures = [channel.run(order(content=(content,)))]
    if behind:
        futures.append(channel.run(order()))
    await settle()
    wire.ends[0].held = True
    wire.peer.speak(b"354 go")
    await settle()
    return wire, futures


BIG = (b"x" * 78 + b"\r\n") * (3 * CHUNK // 80)


async def test_big_content_waits_for_the_peer() -> None:
    wire, futures = await held_content(BIG, behind=True, capacity=CHUNK // 2)
    for _ in range(3):
        # Slow, but each chunk leaves in time.
        await wire.clock.advance(25)
        assert not futures[0].done()
        wire.ends[0].release()
        await settle(1)
        wire.ends[0].held = True
    wire.ends[0].release()
    assert [code(await future) for future in futures] == [250, 250]
    assert wire.peer.contents == [BIG, TEXT]


@pytest.mark.directive("data-send-timeout")
async def test_peer_that_does_not_read() -> None:
    wire, futures = await held_content(BIG, behind=True, capacity=CHUNK // 2)
    await wire.clock.advance(28)
    assert not futures[0].done()
    await wire.clock.advance(5)
    one, two = [await future for future in futures]
    assert one.failure is not None
    assert (one.failure.stage, one.failure.fault, one.maybe_taken) == (Stage.BODY, Fault.TIMEOUT, False)
    assert two.untouched


@pytest.mark.parametrize(
    ("capacity", "behind", "stage"),
    [
        # All with us, or all but a few octets of the commands behind, or all gone.
        (5, False, Stage.BODY),
        (5, True, Stage.BODY),
        (60, True, Stage.END_OF_DATA),
        (1000, True, Stage.END_OF_DATA),
        (1000, False, Stage.END_OF_DATA),
    ],
)
async def test_content_still_held_was_not_taken(capacity: int, behind: bool, stage: Stage) -> None:
    wire, futures = await held_content(TEXT, behind=behind, capacity=capacity)
    await wire.clock.advance(50)
    one = await futures[0]
    assert one.failure is not None
    assert (one.failure.stage, one.failure.fault, one.maybe_taken) == (stage, Fault.TIMEOUT, stage is Stage.END_OF_DATA)
    assert all([(await future).untouched for future in futures[1:]])


async def test_lost_with_content_still_held() -> None:
    wire, futures = await held_content(TEXT, behind=False, capacity=5)
    wire.ends[0].abort()
    one = await futures[0]
    assert one.failure is not None
    assert (one.failure.stage, one.failure.fault, one.maybe_taken) == (Stage.BODY, Fault.LOST, False)


async def test_idle_session_is_closed_by_the_peer() -> None:
    wire = Wire(ScriptedPeer(offers=PIPELINING))
    channel = await wire.open()
    gone: list[Channel] = []
    channel.on_close = gone.append
    await wire.clock.advance(100_000)
    assert channel.usable
    wire.ends[1].write(b"421 4.4.2 idle for too long\r\n")
    await settle()
    assert not channel.usable
    assert gone == [channel]
    assert (await channel.run(order())).untouched


async def test_abort() -> None:
    wire = Wire(ScriptedPeer({"END": SILENT}, offers=PIPELINING))
    channel = await wire.open()
    future = channel.run(order())
    await settle()
    channel.abort()
    result = await future
    assert result.failure is not None
    assert (result.failure.fault, result.maybe_taken) == (Fault.LOST, True)
    channel.abort()
    channel.close()
    await settle()
    assert channel.closed
    assert wire.peer.closed


async def test_close_waits_for_what_is_outstanding() -> None:
    wire = Wire(ScriptedPeer(offers=PIPELINING))
    channel = await wire.open()
    futures = [channel.run(order()) for _ in range(3)]
    channel.close()
    assert not channel.usable
    assert [code(await future) for future in futures] == [250] * 3
    await settle()
    assert channel.closed
    assert wire.peer.verbs[-1] == "QUIT"


async def test_close_before_it_opened() -> None:
    wire = Wire(ScriptedPeer({"BANNER": SILENT}))
    opening = wire.channel.opened()
    wire.channel.close()
    failure = await opening
    assert isinstance(failure, Failure)
    await settle()
    assert wire.channel.closed


async def test_profile() -> None:
    wire = Wire(ScriptedPeer({"BANNER": SILENT, "END": SILENT}, offers=PIPELINING))
    await wire.clock.advance(3)
    wire.peer.speak(b"220 at last")
    channel = await wire.open()
    future = channel.run(order())
    await settle()
    await wire.clock.advance(5)
    wire.peer.speak(b"250 taken")
    assert code(await future) == 250
    assert channel.profile() == {Stage.BANNER: 3.0, Stage.END_OF_DATA: 5.0}


async def test_repr_tells_the_stage() -> None:
    wire = Wire(ScriptedPeer({"BANNER": SILENT}))
    assert repr(wire.channel) == "<Channel to mx.example [192.0.2.2]:25 banner>"
    wire.channel.abort()
    await asyncio.sleep(0)


@pytest.mark.directive("smtp-multiple-line-response-timeout")
async def test_a_receiver_that_says_an_octet_at_a_time_has_no_more_time_than_a_silent_one() -> None:
    wire = Wire(ScriptedPeer({"MAIL": [SILENT]}))
    channel = await wire.open()
    running = channel.run(order())
    await settle()
    for octet in b"250 2.1":
        channel.data_received(bytes([octet]))
        await wire.clock.advance(4)
    await settle()
    assert running.done()
    result = running.result()
    assert result.failure is not None
    assert (result.failure.stage, result.failure.fault) == (Stage.MAIL, Fault.TIMEOUT)


async def test_each_whole_reply_is_worth_another_wait() -> None:
    wire = Wire(ScriptedPeer({"RCPT": [SILENT, SILENT, SILENT]}, offers=PIPELINING))
    channel = await wire.open()
    running = channel.run(order("b@example.net", "c@example.net", "d@example.net"))
    await settle()
    for _ in range(3):
        await wire.clock.advance(15)
        channel.data_received(b"550 5.1.1 no\r\n")
    await settle()
    assert not channel.closed
    running.cancel()
    channel.abort()


async def test_an_owner_that_fails_with_one_result_gets_the_next() -> None:
    wire = Wire(ScriptedPeer(offers=PIPELINING))
    channel = await wire.open()
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    results: list[TransactionResult] = []

    def broken(result: TransactionResult) -> None:
        raise ZeroDivisionError

    channel.submit(order(), broken)
    channel.submit(order(), results.append)
    await settle()
    assert [code(result) for result in results] == [250]
    assert channel.usable
    assert [type(report["exception"]) for report in reports] == [ZeroDivisionError]
