"""Before there is a session, on real sockets, under both event loops: PROXY headers, waiting for a slot, early talkers, rates, groups."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from postwright.net.door import Terms
from postwright.net.listener import Listener, bind
from postwright.net.session_book import SessionBook, SessionLimits
from postwright.net.slot_board import SlotBoard
from postwright.net.visit import PeerFacts
from postwright.wire.options import ServerOptions
from postwright.wire.proxy_line import SIGNATURE

EVENT_LOOPS = ("asyncio", "uvloop")
FULL = b"421 4.7.0 too many sessions, try again later\r\n"
BOB = b"PROXY TCP4 203.0.113.9 192.0.2.1 56324 25\r\n"
BOB_2 = SIGNATURE + b"\x21\x11\0\x0c" + socket.inet_aton("203.0.113.9") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 56324, 25)
LOCAL_2 = SIGNATURE + b"\x20\x00\x00\x00"


class Rules:
    """A door as a test wishes it."""

    def __init__(self, terms: Terms | None = None) -> None:
        self.general = terms or Terms()
        self.by_peer: dict[str, Terms] = {}
        self.behind_proxy = False
        self.fast: list[str] = []
        self.broken = False
        self.locked = False

    def proxied(self, peer: str) -> bool:
        return self.behind_proxy

    def terms(self, peer: str) -> Terms:
        if self.broken:
            raise ValueError("ours")
        return self.by_peer.get(peer, self.general)

    def barred(self, peer: str) -> bool:
        return self.locked

    def hurried(self, peer: str) -> bool:
        self.fast.append(peer)
        return len(self.fast) > 2


class House:
    """A listener with its door and its book; every visit that was made."""

    def __init__(
        self, make: Callable[..., Any], rules: Rules, limits: SessionLimits, tls: ssl.SSLContext | None, slots: SlotBoard | None
    ) -> None:
        self.rules = rules
        self.visits: list[Any] = []
        self.errors: list[dict[str, Any]] = []
        self.writers: list[asyncio.StreamWriter] = []  # one that nobody holds is closed
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self.book = SessionBook(lambda: 0.0, limits, slots=slots)
        self._make = make
        self.sock = bind("127.0.0.1", 0)
        self.listener = Listener(self.sock, self.visit, self.book, tls=tls, door=rules, loop=loop)
        self.listener.start()

    def visit(self, peer: PeerFacts) -> Any:
        self.visits.append(self._make(peer, {}, ServerOptions()))
        return self.visits[-1]

    async def knock(self, *said: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.listener.port)
        self.writers.append(writer)
        for octets in said:
            writer.write(octets)
        return reader, writer

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what happens is the kernel's doing, and it sets no event
                await asyncio.sleep(0.001)


@pytest.fixture
async def house(scripted_visit: Callable[..., Any]) -> AsyncIterator[Callable[..., House]]:
    made: list[House] = []

    def build(
        rules: Rules | None = None,
        total: int | None = None,
        tls: ssl.SSLContext | None = None,
        slots: SlotBoard | None = None,
        **more: Any,
    ) -> House:
        made.append(House(scripted_visit, rules or Rules(), SessionLimits(total, **more), tls, slots))
        return made[-1]

    yield build
    for one in made:
        one.listener.close()
        for writer in one.writers:
            writer.close()
        await one.book.drain(1.0)
        one.sock.close()


async def greeted(reader: asyncio.StreamReader) -> None:
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"220 ")


# waiting for a slot --------------------------------------------------------------------------------------------------


async def test_who_waits_is_let_in_in_order(house: Callable[..., House]) -> None:
    relay = house(Rules(Terms(waits=True)), total=1)
    first, out = await relay.knock()
    await greeted(first)
    waiting = []
    for number in range(1, 4):
        waiting.append(await relay.knock())
        await relay.until(lambda number=number: relay.book.antechamber.waiting == number)  # type: ignore[misc]
    assert len(relay.visits) == 1
    for reader, writer in waiting:
        out.close()
        await greeted(reader)
        assert len(relay.book) <= 1
        out = writer
    assert relay.book.antechamber.waiting == len(relay.book.antechamber) == 0
    assert [visit.peer.peer_port for visit in relay.visits[1:]] == [writer.get_extra_info("sockname")[1] for _, writer in waiting]


async def test_who_comes_while_others_wait_does_not_overtake(house: Callable[..., House]) -> None:
    relay = house(Rules(Terms(waits=True)), total=1)
    first, out = await relay.knock()
    await greeted(first)
    early, _ = await relay.knock()
    await relay.until(lambda: relay.book.antechamber.waiting == 1)
    relay.book.limits = SessionLimits(2)  # a reload: there is a slot, but nobody has looked yet
    late, _ = await relay.knock()
    await greeted(early)
    await relay.until(lambda: relay.book.antechamber.waiting == 1)
    out.close()
    await greeted(late)


async def test_who_goes_away_while_it_waits_is_forgotten(house: Callable[..., House]) -> None:
    relay = house(Rules(Terms(waits=True)), total=1)
    first, out = await relay.knock()
    await greeted(first)
    _, leaves = await relay.knock()
    await relay.until(lambda: relay.book.antechamber.waiting == 1)
    stays, _ = await relay.knock()
    await relay.until(lambda: relay.book.antechamber.waiting == 2)
    leaves.close()
    await relay.until(lambda: relay.book.antechamber.waiting == 1)
    out.close()
    await greeted(stays)
    assert len(relay.visits) == 2


async def test_what_is_said_while_waiting_is_heard_afterwards(house: Callable[..., House]) -> None:
    relay = house(Rules(Terms(waits=True)), total=1)
    first, out = await relay.knock()
    await greeted(first)
    impatient, _ = await relay.knock(b"HELO client.example\r\n")
    await relay.until(lambda: relay.book.antechamber.waiting == 1)
    out.close()
    await greeted(impatient)
    assert (await impatient.readline()).startswith(b"250")


async def test_waiting_has_an_end_and_a_bound(house: Callable[..., House], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.net.antechamber.MOST_GUESTS", 1)
    relay = house(Rules(Terms(waits=True)), total=0)
    relay.book.antechamber.wait_time = 0.2
    one, _ = await relay.knock()
    await relay.until(lambda: relay.book.antechamber.waiting == 1)
    too_many, _ = await relay.knock()
    assert await too_many.read() == FULL
    assert await one.read() == FULL
    assert relay.book.refusals.no_slot == 2
    assert relay.visits == []


async def test_a_stop_ends_the_waiting(house: Callable[..., House]) -> None:
    relay = house(Rules(Terms(waits=True)), total=0)
    reader, _ = await relay.knock()
    await relay.until(lambda: relay.book.antechamber.waiting == 1)
    assert await relay.book.drain(1.0) == 0
    assert await reader.read() == FULL


async def test_a_defect_while_letting_in_costs_that_one_only(house: Callable[..., House]) -> None:
    relay = house(Rules(Terms(waits=True)), total=1)
    first, out = await relay.knock()
    await greeted(first)
    lost, _ = await relay.knock()
    await relay.until(lambda: relay.book.antechamber.waiting == 1)
    lucky, _ = await relay.knock()
    await relay.until(lambda: relay.book.antechamber.waiting == 2)
    relay.listener._visit_factory = Failing(relay.visit)
    out.close()
    assert await lost.read() == b""
    await greeted(lucky)
    assert len(relay.errors) == 1


class Failing:
    """A factory that fails the first time."""

    def __init__(self, factory: Callable[[PeerFacts], Any]) -> None:
        self.factory = factory
        self.failed = False

    def __call__(self, peer: PeerFacts) -> Any:
        if not self.failed:
            self.failed = True
            raise ValueError("ours")
        return self.factory(peer)


async def test_a_slot_that_another_process_gives_back(house: Callable[..., House], tmp_path: Path) -> None:
    ours, theirs = (SlotBoard.open(tmp_path / "slot.board", slot, 2) for slot in range(2))
    relay = house(Rules(Terms(waits=True)), total=1, slots=ours)
    assert theirs.take("", None)
    reader, _ = await relay.knock()
    await relay.until(lambda: relay.book.antechamber.waiting == 1)
    theirs.give("")
    await greeted(reader)


async def test_who_waits_for_its_group_does_not_hold_up_the_others(house: Callable[..., House]) -> None:
    rules = Rules(Terms(group="gold", waits=True))
    rules.behind_proxy = True
    rules.by_peer["203.0.113.9"] = Terms(waits=True)
    relay = house(rules, rule=lambda group, sessions, sessions_of: group == "" or sessions_of("gold") < 1)
    first, _ = await relay.knock(LOCAL_2)
    await greeted(first)
    await relay.knock(LOCAL_2)
    await relay.until(lambda: relay.book.antechamber.waiting == 1)
    other, _ = await relay.knock(BOB)
    await greeted(other)
    assert relay.book.antechamber.waiting == 1


async def test_a_full_antechamber_takes_nobody_in(house: Callable[..., House], monkeypatch: pytest.MonkeyPatch) -> None:
    """No header can be awaited, no slot; and nobody is made to keep silent."""
    monkeypatch.setattr("postwright.net.antechamber.MOST_GUESTS", 0)
    relay = house(Rules(Terms(waits=True, pause=30.0)), total=1)
    silent, _ = await relay.knock()
    await greeted(silent)
    assert await (await relay.knock())[0].read() == FULL
    relay.rules.behind_proxy = True
    assert await (await relay.knock())[0].read() == b""
    assert (relay.book.refusals.no_slot, relay.book.refusals.bad_header) == (1, 1)


@pytest.mark.parametrize("before", ["header", "pause", "slot"])
async def test_a_peer_that_breaks_off(before: str, house: Callable[..., House]) -> None:
    """With a reset, not politely."""
    relay = house(Rules(Terms(waits=before == "slot", pause=30.0 if before == "pause" else 0.0)), total=0 if before == "slot" else 1)
    relay.rules.behind_proxy = before == "header"
    _, writer = await relay.knock()
    await relay.until(lambda: len(relay.book.antechamber) == 1)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await relay.until(lambda: len(relay.book.antechamber) == 0)
    assert relay.book._slots.sessions == 0
    assert relay.visits == []
    assert relay.errors == []


# groups --------------------------------------------------------------------------------------------------------------


async def test_the_group_of_a_session_is_given_back_when_it_ends(house: Callable[..., House]) -> None:
    rules = Rules(Terms(group="gold"))
    relay = house(rules, rule=lambda group, sessions, sessions_of: sessions_of("gold") < 1)
    first, out = await relay.knock()
    await greeted(first)
    assert await (await relay.knock())[0].read() == FULL
    out.close()
    await relay.until(lambda: len(relay.book) == 0)
    again, _ = await relay.knock()
    await greeted(again)


# rates ---------------------------------------------------------------------------------------------------------------


async def test_who_is_locked_out_is_told_so_and_takes_no_slot(house: Callable[..., House]) -> None:
    relay = house(Rules(Terms(rated=True)))
    relay.rules.locked = True
    reader, _ = await relay.knock()
    assert await reader.read() == b"421 4.7.0 too many failed logins from your network, try again later\r\n"
    assert (relay.book.refusals.locked_out, relay.rules.fast, len(relay.book)) == (1, [], 0)
    relay.rules.locked = False
    await greeted((await relay.knock())[0])


async def test_who_comes_too_fast_is_told_so(house: Callable[..., House]) -> None:
    relay = house(Rules(Terms(rated=True)))
    for _ in range(2):
        await greeted((await relay.knock())[0])
    reader, _ = await relay.knock()
    assert await reader.read() == b"421 4.7.0 too many connections in a short time, try again later\r\n"
    assert relay.book.refusals.too_fast == 1
    assert relay.rules.fast == ["127.0.0.1"] * 3


# silence before the greeting -----------------------------------------------------------------------------------------


async def test_an_early_talker_is_refused(house: Callable[..., House]) -> None:
    relay = house(Rules(Terms(pause=30.0)))
    reader, _ = await relay.knock(b"EHLO spam.example\r\nMAIL FROM:<>\r\n")
    assert await asyncio.wait_for(reader.read(), 10) == b"554 5.5.1 wait for the greeting before you speak\r\n"
    assert relay.book.refusals.spoke_early == 1
    assert relay.visits == []
    assert relay.book._slots.sessions == 0


async def test_who_is_silent_is_greeted_after_the_pause(house: Callable[..., House]) -> None:
    relay = house(Rules(Terms(pause=0.05)), total=1)
    reader, writer = await relay.knock()
    assert await (await relay.knock())[0].read() == FULL  # a pause takes a slot: it would be no bound otherwise
    await greeted(reader)
    writer.write(b"HELO client.example\r\n")
    assert (await reader.readline()).startswith(b"250")


async def test_who_leaves_in_the_pause_gives_its_slot_back(house: Callable[..., House]) -> None:
    relay = house(Rules(Terms(pause=30.0)), total=1)
    _, writer = await relay.knock()
    await relay.until(lambda: len(relay.book.antechamber) == 1)
    writer.close()
    await relay.until(lambda: relay.book._slots.sessions == 0)
    assert relay.book.refusals.spoke_early == 0


# PROXY headers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [BOB, BOB_2])
async def test_the_client_is_who_the_proxy_says(header: bytes, house: Callable[..., House]) -> None:
    relay = house()
    relay.rules.behind_proxy = True
    reader, writer = await relay.knock(header + b"HELO client.example\r\n")
    await greeted(reader)
    assert (await reader.readline()).startswith(b"250")
    assert relay.visits[0].peer == PeerFacts("203.0.113.9", 56324, "192.0.2.1", 25)
    writer.close()
    await relay.until(lambda: len(relay.book) == 0)


async def test_a_header_in_pieces(house: Callable[..., House]) -> None:
    relay = house()
    relay.rules.behind_proxy = True
    reader, writer = await relay.knock()
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(len(BOB)):
        writer.write(BOB[at : at + 1])
        await writer.drain()
        await asyncio.sleep(0)
    await greeted(reader)
    assert relay.visits[0].peer.peer == "203.0.113.9"


async def test_a_health_check_speaks_for_itself(house: Callable[..., House]) -> None:
    relay = house()
    relay.rules.behind_proxy = True
    reader, _ = await relay.knock(LOCAL_2)
    await greeted(reader)
    assert relay.visits[0].peer.peer == "127.0.0.1"


async def test_rules_are_those_of_the_client_behind(house: Callable[..., House]) -> None:
    relay = house(total=1)
    relay.rules.behind_proxy = True
    relay.rules.by_peer["203.0.113.9"] = Terms(waits=True)
    first, out = await relay.knock(LOCAL_2)
    await greeted(first)
    waits, _ = await relay.knock(BOB)
    await relay.until(lambda: relay.book.antechamber.waiting == 1)
    assert await (await relay.knock(LOCAL_2))[0].read() == FULL
    out.close()
    await greeted(waits)


async def test_before_tls_from_the_first_octet(house: Callable[..., House]) -> None:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    relay = house(tls=server)
    relay.rules.behind_proxy = True

    def talk(header: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", relay.listener.port), timeout=10) as connection:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client.wrap_bio(incoming, outgoing, server_hostname="localhost")
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    connection.sendall(header + outgoing.read())  # header and ClientHello in one segment
                    header = b""
                    incoming.write(connection.recv(65536))
            connection.sendall(outgoing.read())
            while True:
                try:
                    return tls.read(1000)
                except ssl.SSLWantReadError:
                    incoming.write(connection.recv(65536))

    for header in (BOB, BOB_2):
        assert (await asyncio.to_thread(talk, header)).startswith(b"220 ")
        assert relay.visits[-1].peer.peer == "203.0.113.9"
        assert relay.visits[-1].peer.tls == "TLSv1.3"


NO_HEADERS = [b"EHLO client.example\r\n", b"PROXY TCP4 nonsense\r\n", b"\x16\x03\x01\x02\x00", SIGNATURE + b"\x31\x11\0\0"]


@pytest.mark.parametrize("said", NO_HEADERS)
async def test_what_is_no_header_gets_no_answer(said: bytes, house: Callable[..., House]) -> None:
    relay = house()
    relay.rules.behind_proxy = True
    reader, _ = await relay.knock(said)
    try:
        assert await asyncio.wait_for(reader.read(), 10) == b""
    except ConnectionResetError:
        pass
    await relay.until(lambda: relay.book.refusals.bad_header == 1)
    assert relay.visits == []


async def test_a_header_must_come_in_time(house: Callable[..., House]) -> None:
    relay = house()
    relay.rules.behind_proxy = True
    relay.book.antechamber.header_time = 0.05
    reader, _ = await relay.knock(BOB[:20])
    assert await asyncio.wait_for(reader.read(), 10) == b""
    assert relay.book.refusals.bad_header == 1


async def test_others_cannot_use_it(house: Callable[..., House]) -> None:
    relay = house()
    for header in (BOB, BOB_2):
        reader, _ = await relay.knock(header)
        await greeted(reader)
        assert (await reader.readline()).startswith(b"500 5.5.2")
        assert relay.visits[-1].peer.peer == "127.0.0.1"


async def test_a_door_that_raises_costs_that_connection_only(house: Callable[..., House]) -> None:
    relay = house()
    relay.rules.broken = True
    reader, _ = await relay.knock()
    assert await reader.read() == b""
    relay.rules.broken = False
    await greeted((await relay.knock())[0])
    assert len(relay.errors) == 1
    assert relay.book._slots.sessions == 1
