"""Mail that an earlier run left where this one would not look: in the spool of a shard too many, in a folder no more configured."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from tests.scenarios.alone import Alone, arrived_once_each

from postwright.testing.relay_process import RelayError, RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

DOMAINS = [f"d{number}.example" for number in range(12)]
RETRY = "<domain *>\n    retry-after 1s\n</domain>\n"


async def load(relay: Alone) -> None:
    """Mail for `DOMAINS` over so many connections that each shard has some; nothing of it can be delivered yet."""
    await asyncio.gather(*[relay.load(DOMAINS) for _ in range(4)])


async def test_a_start_with_fewer_shards_delivers_what_the_others_have(tmp_path: Path) -> None:
    async with SinkServer() as receiver:
        relay = Alone(tmp_path, receiver, RETRY, shards=2)
        working = relay.config_file.read_text("utf-8")
        relay.write_config(working.replace(f"[127.0.0.1]:{receiver.port}", f"[127.0.0.1]:{free_port()}"))
        async with relay:
            await load(relay)
            assert all(shard.traffic.messages_in for shard in relay.status().shards)
            await relay.stop()
            relay.shards = 1
            relay.write_config(working)
            await relay.start()
            assert [event["started"] for event in relay.events("more shards than asked for are started, as their spools hold mail")] == [2]
            await receiver.wait_for(4 * len(DOMAINS))
            await relay.wait_for_records("d", 4 * len(DOMAINS))
            await relay.stop()
            await relay.start()
            assert len(relay.status().shards) == 1  # the second is not needed any more
        assert len(receiver.messages) == 4 * len(DOMAINS)


async def test_a_spool_that_left_the_configuration_is_delivered_from_until_it_is_empty(tmp_path: Path) -> None:
    async with SinkServer() as receiver:
        relay = Alone(tmp_path, receiver, RETRY)
        working = relay.config_file.read_text("utf-8")
        relay.write_config(working.replace(f"[127.0.0.1]:{receiver.port}", f"[127.0.0.1]:{free_port()}"))
        async with relay:
            await relay.load(DOMAINS)
            await relay.stop()
            relay.write_config(working.replace("<spool spool>", "<spool other>"))
            await relay.start()
            [warning] = relay.events("a spool that is not configured any more is delivered from until it is empty")
            assert warning["folder"] == str(relay.state_dir / "spool")
            await arrived_once_each(receiver, DOMAINS)
            await relay.until(lambda: not list((relay.state_dir / "spool").glob("*/*.seg")), "the old folder to be empty")
            await relay.stop()
            await relay.start()
            assert relay.events("a spool that is not configured any more is delivered from until it is empty") == [warning]


async def test_a_second_relay_on_the_same_state_folder_is_refused_and_harms_nobody(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver) as relay:
        (tmp_path / "second").mkdir()
        second = RelayProcess(tmp_path / "second", plain_config(free_port()))
        second.state_dir = relay.state_dir
        with pytest.raises(RelayError, match=re.escape(f"another relay runs on {relay.state_dir}")):
            await second.start()
        assert second.process.returncode == 1
        assert len(relay.status().shards) == 1  # its control socket is still its own
        await relay.load(["d.example"])
        await receiver.wait_for(1)


async def test_a_relay_whose_spool_is_anothers_says_so_and_goes_on_when_it_is_free(tmp_path: Path) -> None:
    async with SinkServer() as receiver:
        first, second = Alone(_folder(tmp_path / "first"), receiver), Alone(_folder(tmp_path / "second"), receiver)
        second.write_config(second.rules.replace("<spool spool>", f"<spool {first.state_dir}/spool>"))
        try:
            async with first:
                starting = asyncio.create_task(second.start())
                await first.until(lambda: second.events("the shard cannot work"), "the second relay to say why it does not work")
                [said, *_] = second.events("the shard cannot work")
                assert said["error"] == f"the spool {first.state_dir}/spool/shard-0 is in use by another process"
            await starting
            await second.load(["d.example"])
            await receiver.wait_for(1)
            await second.stop()
            second.check()  # no traceback
        finally:
            second.kill()


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
