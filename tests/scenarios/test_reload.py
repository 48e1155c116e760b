"""A new configuration for a running relay: a good one holds at once, a bad one changes nothing and is told with line and caret."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.scenarios.alone import Alone
from tests.scenarios.clients import ask, client

from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

REFUSE_ALL = "<source 127.0.0.1/32>\n    always-allow-relaying no\n</source>\n"


async def may_relay(port: int) -> bool:
    async with client(port) as session:
        [reply] = await ask(session, ["bob@far.example"])
        return reply.code == 250


async def test_reload_by_command(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver, shards=2) as relay:
        assert await may_relay(relay.port)
        second = free_port()
        relay.write_config(relay.rules + REFUSE_ALL + f"smtp-listener 127.0.0.1:{second}\n")
        assert await relay.command("reload") == (0, "Configuration reloaded.\n")
        assert not await may_relay(relay.port)
        assert not await may_relay(second)
        assert {shard.epoch for shard in relay.status().shards} == {2}


async def test_reload_by_signal(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver) as relay:
        relay.write_config(relay.rules + REFUSE_ALL)
        relay.process.send_signal(signal.SIGHUP)
        await relay.until(lambda: relay.events("reloaded"), "the reload")
        assert not await may_relay(relay.port)


async def test_a_session_that_is_open_hears_of_it_at_its_next_mail(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver) as relay, client(relay.port) as session:
        assert [reply.code for reply in await ask(session, ["bob@far.example"])] == [250]
        relay.write_config(relay.rules + REFUSE_ALL)
        assert (await relay.command("reload"))[0] == 0
        assert [reply.code for reply in await ask(session, ["bob@far.example"])] == [550]


async def test_a_bad_configuration_changes_nothing_and_all_of_it_is_told(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver) as relay:
        relay.write_config(REFUSE_ALL + "max-smtp-out many\nsmtp-lisener 127.0.0.1:25\n" + relay.rules)
        status, printed = await relay.command("reload")
        assert status == 1
        assert f"{relay.config_file}:4:" in printed
        assert f"{relay.config_file}:5:1" in printed
        lines = printed.splitlines()
        shown = next(number for number, line in enumerate(lines) if line.strip().endswith("smtp-lisener 127.0.0.1:25"))
        assert lines[shown + 1].strip(" |").startswith("^")
        assert "smtp-listener" in printed
        assert await may_relay(relay.port)
        assert {shard.epoch for shard in relay.status().shards} == {1}


async def test_a_bad_configuration_by_signal_is_told_in_the_log(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver) as relay:
        relay.write_config(relay.rules + "nonsense\n")
        relay.process.send_signal(signal.SIGHUP)
        [refused] = await relay.until(lambda: relay.events("reload refused"), "the refusal")
        assert "nonsense" in str(refused["problem"])
        assert await may_relay(relay.port)


async def test_a_listener_that_cannot_be_opened_changes_nothing(tmp_path: Path) -> None:
    async with SinkServer() as receiver, Alone(tmp_path, receiver) as relay:
        relay.write_config(relay.rules + REFUSE_ALL + f"smtp-listener 127.0.0.1:{receiver.port}\n")
        status, printed = await relay.command("reload")
        assert status == 1
        assert f"127.0.0.1:{receiver.port}" in printed
        assert await may_relay(relay.port)
