"""The chaos proxy, between a source client and a sink."""

from __future__ import annotations

from random import Random

import pytest

from postwright.testing.chaos import Chaos, ChaosProxy
from postwright.testing.sink import SinkServer
from postwright.testing.source import SourceClient

pytestmark = pytest.mark.both_loops

CONTENT = b"x" * 3000 + b"\r\n"


async def deliver(port: int) -> int:
    async with await SourceClient.connect("127.0.0.1", port) as client:
        await client.ehlo()
        sent = await client.send("a@a.example", ["b@b.example"], CONTENT)
        await client.quit()
    return sent.final.code


@pytest.mark.parametrize("plan", [Chaos(), Chaos(piece=3), Chaos(delay=0.001), Chaos(delay=(0.0, 0.001), piece=500), Chaos(rate=1e6)])
async def test_what_is_not_cut_arrives_whole(plan: Chaos) -> None:
    async with SinkServer() as sink, ChaosProxy("127.0.0.1", sink.port, plan) as proxy:
        assert await deliver(proxy.port) == 250
        assert sink.messages[0].content == CONTENT
        await sink.wait_until(lambda: sink.counts.open == 0)
        assert (proxy.connections, proxy.cuts) == (1, 0)
        assert proxy.octets_up > 3000
        assert proxy.octets_down > 100


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("plan", [{"cut_up": 0}, {"cut_up": 1500}, {"cut_down": 0}, {"cut_down": 100}, {"refuse": True}])
async def test_cuts(plan: dict[str, int], reset: bool) -> None:
    async with SinkServer() as sink, ChaosProxy("127.0.0.1", sink.port, Chaos(**plan, reset=reset)) as proxy:  # type: ignore[arg-type]
        with pytest.raises((EOFError, ConnectionError)):
            await deliver(proxy.port)
        await sink.wait_until(lambda: sink.counts.open == 0)
        assert sink.counts.messages == 0
        assert proxy.cuts == 1
        assert proxy.octets_up <= plan.get("cut_up", 10_000)


async def test_a_cut_of_the_last_reply_leaves_the_message_taken() -> None:
    async with SinkServer() as sink, ChaosProxy("127.0.0.1", sink.port, Chaos(cut_down=250)) as proxy:
        with pytest.raises(EOFError, match="250 2"):
            await deliver(proxy.port)
        assert sink.counts.messages == 1


async def test_a_stall_passes_nothing_on_and_ends_nothing() -> None:
    async with SinkServer() as sink, ChaosProxy("127.0.0.1", sink.port, Chaos(stall_up=10)) as proxy:
        async with await SourceClient.connect("127.0.0.1", proxy.port) as client:
            await client.send_raw(b"NOOP\r\nNOOP\r\n")
            assert (await client.read_reply()).code == 250
            with pytest.raises(TimeoutError):
                await client.read_reply(timeout=0.05)
            assert sink.counts.open == 1


async def test_a_plan_for_each_connection_from_one_seed() -> None:
    async def cuts(seed: int) -> list[int]:
        drawn: list[int] = []

        def plan(number: int, chance: Random) -> Chaos:
            drawn.append(chance.randrange(4000))
            return Chaos(cut_up=drawn[-1]) if number % 2 else Chaos()

        async with SinkServer() as sink, ChaosProxy("127.0.0.1", sink.port, plan, seed=seed) as proxy:
            for number in range(4):
                if number % 2:
                    with pytest.raises((EOFError, ConnectionError)):
                        await deliver(proxy.port)
                else:
                    assert await deliver(proxy.port) == 250
            assert proxy.cuts == 2
        return drawn

    assert await cuts(5) == await cuts(5)


async def test_nobody_behind_it() -> None:
    async with SinkServer() as sink:
        port = sink.port
    async with ChaosProxy("127.0.0.1", port) as proxy:
        with pytest.raises((EOFError, ConnectionError)):
            await SourceClient.connect("127.0.0.1", proxy.port)
