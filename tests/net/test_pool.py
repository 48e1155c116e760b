"""Idle channels: last in, first out; idle time, bounds, channels that die while they rest."""

from __future__ import annotations

from postwright.model.route import Route, SessionOptions, SourceHost, TlsLevel
from postwright.net.channel import Channel
from postwright.net.clock import NEVER, Sweep
from postwright.net.pool import ChannelPool
from postwright.testing.fake_clock import FakeClock, settle
from postwright.testing.memory_transport import MemoryTransport, join
from postwright.testing.scripted_peer import ScriptedPeer

ROUTE = Route("mx.example", "192.0.2.2", 25, SourceHost("", "client.example"))


class World:
    def __init__(self, limit: int = 10) -> None:
        self.clock = FakeClock()
        self.sweep = Sweep(self.clock)
        self.pool = ChannelPool(self.clock, limit=limit, sweep=self.sweep)
        self.ends: dict[Channel, MemoryTransport] = {}

    async def channel(self) -> Channel:
        channel = Channel(ROUTE, SessionOptions(tls=TlsLevel.NONE), self.clock, self.sweep)
        self.ends[channel] = join(channel, ScriptedPeer())[1]
        await channel.opened()
        return channel


async def test_last_in_first_out() -> None:
    world = World()
    one, two, other = await world.channel(), await world.channel(), await world.channel()
    for key, channel in (("a", one), ("a", two), ("b", other)):
        world.pool.put(key, channel, 60)
    assert (len(world.pool), world.pool.count("a"), world.pool.count("c")) == (3, 2, 0)
    assert [world.pool.take("a") for _ in range(3)] == [two, one, None]
    assert world.pool.take("c") is None
    assert (len(world.pool), world.pool.count("b")) == (1, 1)
    assert one.usable
    assert one.on_close is None


async def test_idle_timeout() -> None:
    world = World()
    one, two, three = await world.channel(), await world.channel(), await world.channel()
    world.pool.put("a", one, 60)
    world.pool.put("a", two, NEVER)
    world.pool.put("a", three, 0)
    await settle()
    assert three.closed
    await world.clock.advance(59)
    assert len(world.pool) == 2
    await world.clock.advance(3)
    assert one.closed
    assert world.pool.take("a") is two
    await world.clock.advance(10_000)
    assert two.usable


async def test_dies_while_it_rests() -> None:
    world = World()
    one, two = await world.channel(), await world.channel()
    world.pool.put("a", one, 60)
    world.pool.put("a", two, 60)
    world.ends[two].write(b"421 bye\r\n")
    await settle()
    assert len(world.pool) == 1
    world.ends[one].close()
    await settle()
    assert len(world.pool) == 0
    assert world.pool.take("a") is None


async def test_not_usable_when_taken() -> None:
    world = World()
    one, two = await world.channel(), await world.channel()
    world.pool.put("a", one, 60)
    world.pool.put("a", two, 60)
    two.close()
    assert world.pool.take("a") is one
    one.close()
    world.pool.put("a", one, 60)
    assert len(world.pool) == 0


async def test_bound() -> None:
    world = World(limit=2)
    channels = [await world.channel() for _ in range(3)]
    for at, channel in enumerate(channels):
        world.pool.put(at, channel, 60)
    await settle()
    assert [channel.closed for channel in channels] == [True, False, False]
    assert [world.pool.take(at) for at in range(3)] == [None, channels[1], channels[2]]
    none = World(limit=0)
    channel = await none.channel()
    none.pool.put("a", channel, 60)
    await settle()
    assert channel.closed


async def test_close() -> None:
    world = World()
    channels = [await world.channel() for _ in range(3)]
    for at, channel in enumerate(channels):
        world.pool.put(at % 2, channel, 60)
    assert world.pool.close(0) == 2
    assert world.pool.close() == 1
    await settle()
    assert all(channel.closed for channel in channels)
    assert ChannelPool(world.clock).close() == 0
