"""docs/guides/steering.md: its commands at a real relay, with what they answer. And orders outlive kill -9. About 3 s of CPU."""

from __future__ import annotations

import asyncio
import re
import shlex
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from tests.scenarios.alone import Alone
from tests.scenarios.clients import client, send

from postwright.control.cli.main import main
from postwright.engine.orders.listing import Page
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sink import SinkServer
from postwright.testing.sockets import free_port

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "steering.md").read_text("utf-8")
JOBS = """
<source 127.0.0.1/32>
    always-allow-relaying yes
    process-x-job yes
</source>
<domain *>
    smtp-hosts [127.0.0.1]:{sink}
    retry-after 1h
</domain>
smtp-source-host 127.0.0.1 relay.example
"""


def commands() -> list[tuple[list[str], list[str]]]:
    """(words, lines that the guide shows below) of each command, in order."""
    found: list[tuple[list[str], list[str]]] = []
    for line in GUIDE.splitlines():
        if line.startswith("    $ postwright "):
            found.append((shlex.split(line.removeprefix("    $ postwright ")), []))
        elif found and line.startswith("    "):
            found[-1][1].append(line[4:])
    return found


def shape(line: str) -> str:
    """A line without what differs each time: figures, ids, times, widths, who we are."""
    plain = re.sub(r"\b0[0-9a-z]{12}\b", "ID", line).replace("127.0.0.1", "192.0.2.10")
    plain = re.sub(r"\d[\d,.:-]*", "N", plain)
    plain = re.sub(r"\bby \S+:", "by SOMEBODY:", re.sub(r"^N N \S+:", "N N SOMEBODY:", plain))
    return re.sub(r" {2,}|-{3,}", " ", plain).strip()


async def run(relay: RelayProcess, words: list[str]) -> Result:
    given = [str(relay.config_file) if word == "/etc/postwright/config" else word.replace("192.0.2.10", "127.0.0.1") for word in words]
    return await asyncio.to_thread(CliRunner().invoke, main, [*given, "--state-dir", str(relay.state_dir)])


async def test_the_commands_of_the_guide(tmp_path: Path) -> None:
    port = free_port()
    async with SinkServer(["rcpt 450 4.2.0 later"]) as sink:
        async with RelayProcess(tmp_path, plain_config(port) + JOBS.format(sink=sink.port)) as relay:
            async with client(port) as session:
                for number, job in enumerate(("spring-sale", "spring-sale", "other")):
                    content = f"x-job: {job}\r\nSubject: n\r\n\r\nhello\r\n"
                    await send(session, f"u{number}@example.com", sender="me@relay.example", content=content.encode())
            await relay.wait_for_records("t", 3)
            for words, shown in commands():
                result = await run(relay, words)
                assert result.exit_code == 0, (words, result.output)
                said = [shape(line) for line in result.output.splitlines()]
                assert [line for line in map(shape, shown) if line and line not in said] == [], (words, result.output)


async def test_what_is_destructive_is_asked_on_a_terminal_only_and_needs_to_say_whose_mail(tmp_path: Path) -> None:
    result = await asyncio.to_thread(CliRunner().invoke, main, ["delete", "--rcpt=u@example.com", "--state-dir", str(tmp_path)])
    assert result.exit_code == 2
    assert "--queue or --jobId is needed" in result.output
    for line in ("pause queue * --for=soon", "list --older-than=yesterday", "disable source 192.0.2.1 * --reenable-after=x"):
        words = line.split()
        result = await asyncio.to_thread(CliRunner().invoke, main, [*words, "--state-dir", str(tmp_path)])
        assert (result.exit_code, "is no time" in result.output) == (2, True), result.output


@pytest.mark.parametrize("shards", [1, pytest.param(2, marks=pytest.mark.soak)])
async def test_what_was_deleted_and_what_was_paused_outlives_kill_9(tmp_path: Path, shards: int) -> None:
    """Killed after the last answer. Of the deleted mail nothing comes, of the paused nothing before it is resumed; the rest comes."""
    domains, slow = [f"d{number}.example" for number in range(12)], "<domain *>\nretry-after 300s\n</domain>"
    async with SinkServer(["rcpt 450 4.2.0 later"]) as receiver, Alone(tmp_path, receiver, slow, shards=shards) as relay:
        await relay.load(domains)
        await relay.wait_for_records("t", len(domains))
        gone, held, all_of_it = domains[:4], domains[4:8], {"queue": "*", "retry-recipients": "yes"}
        for name in held:
            assert (await asyncio.to_thread(relay.ask, "order-pause", queue=f"{name}/*")).ok
        for name in gone:
            assert (await asyncio.to_thread(relay.ask, "order-delete", queue=f"{name}/*")).ok
        relay.kill()
        receiver.set_rules([])
        await relay.start()
        await relay.until(lambda: waiting(relay) == 8, "what is left to be in its queues, in either shard")
        await asyncio.to_thread(relay.ask, "order-schedule", **all_of_it)
        await receiver.wait_for(4)
        assert {message.recipients[0].partition("@")[2] for message in receiver.messages} == set(domains[8:])
        deleted = [row["rcpt"].partition("@")[2] for row in await relay.wait_for_records("b", len(gone))]
        assert sorted(deleted) == sorted(gone)
        assert (await asyncio.to_thread(relay.ask, "order-resume", queue="*")).ok
        await asyncio.to_thread(relay.ask, "order-schedule", **all_of_it)
        await receiver.wait_for(8)
        assert {message.recipients[0].partition("@")[2] for message in receiver.messages} == set(domains[4:])
        await relay.until(lambda: waiting(relay) == 0, "nothing to be left")


def waiting(relay: RelayProcess) -> int:
    return len(msgspec.json.decode(relay.ask("order-list").body, type=Page).rows)
