"""`postwright trace`, `why`, and an operator's orders about queues on a real relay: what a person sees. Takes about 30 seconds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.scenarios.alone import Alone

from postwright.testing.sink import SinkServer

SLOW = "<domain *>\n retry-after 1h\n</domain>\n"


def without_times(text: str) -> list[str]:
    return [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", line) for line in text.splitlines()]


def waits(relay: Alone) -> bool:
    return any(queue.retry_at for shard in relay.status().shards for queue in shard.top_queues)


@pytest.mark.parametrize("shards", [pytest.param(1, marks=pytest.mark.soak), 2])
async def test_the_dialogue_of_the_next_connection(tmp_path: Path, shards: int) -> None:
    async with SinkServer(rules=["rcpt first=1 451 4.7.1 greylisted", "connect first=1 421 busy"]) as receiver:
        async with Alone(tmp_path, receiver, SLOW, shards=shards) as relay:
            await relay.load(["one.example"])
            await relay.until(lambda: waits(relay), "a queue that waits")
            code, printed = await relay.command("trace", "one.example", "--log-resolution")
            lines = without_times(printed)
            assert code == 0, printed
            assert lines[0] == "starting one.example/{default}"
            assert lines[1] == f"host 127.0.0.1 (127.0.0.1) port {receiver.port}"
            assert lines[2] == "connecting from relay.example to 127.0.0.1 (127.0.0.1)"
            assert lines[3].startswith(">>> 220 ")
            assert lines[4] == "<<< EHLO relay.example"
            assert "<<< RCPT TO:<0@one.example>" in [line.partition(" NOTIFY")[0] for line in lines]
            assert ">>> 451 4.7.1 greylisted" in lines
            assert re.fullmatch(r"closed 127\.0\.0\.1 \(127\.0\.0\.1\) in=\d+ out=\d+", lines[-2]), lines[-2]
            assert lines[-1] == "done one.example/{default}"
            code, printed = await relay.command("trace", "one.example/{default}", "--retry-recipients", "--log-data")
            assert code == 0, printed
            assert any(line.startswith("<<< 00") and "|" in line for line in without_times(printed))
            await receiver.wait_for(1, 10)


async def test_what_cannot_be_traced(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver) as relay:
        code, printed = await relay.command("trace", "nowhere.example/m1")
        assert code == 1
        assert "there is no queue nowhere.example/m1" in printed


@pytest.mark.parametrize("shards", [pytest.param(1, marks=pytest.mark.soak), 2])
async def test_why_it_waits(tmp_path: Path, shards: int) -> None:
    async with SinkServer(rules=["connect 421 4.3.2 busy"]) as receiver, Alone(tmp_path, receiver, SLOW, shards=shards) as relay:
        await relay.load(["one.example"])
        await relay.until(lambda: waits(relay), "a queue that waits")
        code, printed = await relay.command("why", "one.example")
        assert code == 0, printed
        lines = printed.splitlines()
        assert lines[0] == "one.example/{default}: the queue waits for its next retry"
        assert re.fullmatch(r"  said by        retry-after \(.*\.conf:\d+\)", lines[1]), lines[1]
        assert "421 4.3.2 busy" in printed
        assert re.search(r"^  drained in     about (60\.0|59\.\d) min ", printed, re.MULTILINE), printed
        code, printed = await relay.command("why", "one.example", "--json")
        assert json.loads(printed)[0]["reason"] == "QUEUE_RETRY"
        code, printed = await relay.command("why", "nowhere.example")
        assert code == 1
        assert "nothing waits of nowhere.example" in printed


@pytest.mark.parametrize("shards", [pytest.param(1, marks=pytest.mark.soak), 2])
async def test_an_operator_orders(tmp_path: Path, shards: int) -> None:
    async with SinkServer(rules=["connect first=1 421 4.3.2 busy"]) as receiver, Alone(tmp_path, receiver, SLOW, shards=shards) as relay:
        await relay.load(["one.example"])
        await relay.until(lambda: waits(relay), "a queue that waits")
        code, printed = await relay.command("set", "queue", "--mode=backoff", "one.*")
        assert (code, printed.splitlines()[0]) == (0, "Changed: one.example/{default}")
        assert printed.splitlines()[1:] == ["Undo: postwright set queue --mode=normal 'one.*'"]
        code, printed = await relay.command("why", "one.example", "--json")
        assert json.loads(printed)[0]["mode"] == "backoff", printed
        code, printed = await relay.command("set", "queue", "--mode=normal", "one.example/{default}")
        assert code == 0, printed
        code, printed = await relay.command("why", "one.example", "--json")
        assert json.loads(printed)[0]["mode"] == "normal", printed


@pytest.mark.parametrize("shards", [pytest.param(1, marks=pytest.mark.soak), 2])
async def test_an_address_out_of_use_and_back(tmp_path: Path, shards: int) -> None:
    m1 = "<virtual-mta m1>\n smtp-source-host 127.0.0.1 m1.example\n</virtual-mta>\n"
    config = f"{SLOW}{m1}<source 127.0.0.1/32>\n default-virtual-mta m1\n</source>\n"
    async with SinkServer(rules=["connect first=1 421 4.3.2 busy"]) as receiver, Alone(tmp_path, receiver, config, shards=shards) as relay:
        await relay.load(["one.example"])
        await relay.until(lambda: waits(relay), "a queue that waits")
        code, printed = await relay.command("disable", "source", "127.0.0.1", "one.example/m1", "--reenable-after", "2h")
        assert (code, printed.splitlines()[0]) == (0, "Changed: one.example/m1")
        assert printed.splitlines()[1:] == ["Undo: postwright enable source 127.0.0.1 'one.example/m1'"]
        code, printed = await relay.command("why", "one.example/m1")
        assert "127.0.0.1" in printed, printed
        code, printed = await relay.command("enable", "source", "127.0.0.1", "*/m1")
        assert (code, printed.splitlines()[0]) == (0, "Changed: one.example/m1")
        code, printed = await relay.command("enable", "source", "127.0.0.1", "one.example/m1")
        assert code == 1
        assert "nothing was changed" in printed


async def test_orders_that_cannot_be(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver) as relay:
        code, printed = await relay.command("set", "queue", "--mode=backoff", "nowhere.example")
        assert code == 1
        assert "no queue nowhere.example" in printed
        code, printed = await relay.command("disable", "source", "192.0.2.1", "nowhere.example", "--reenable-after", "soon")
        assert code == 2
        assert "is no time" in printed
