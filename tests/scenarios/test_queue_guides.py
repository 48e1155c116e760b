"""The commands of the guides about queues, blocks, capacity and the first minute, run at relays, one with mail that waits. About 3 seconds.

Left to their own tests are those that watch (`top`, `trace`) and those that ask the world's DNS (`resolve`, the doctor).
"""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.interop.peers import Needs, run
from tests.scenarios.alone import Alone

from postwright.control.cli.main import main
from postwright.testing.sink import SinkServer

GUIDES = Path(__file__).parents[2] / "docs/guides"
RULES = """
<virtual-mta m1>
    smtp-source-host 127.0.0.1 m1.relay.example
</virtual-mta>
<source 127.0.0.1/32>
    default-virtual-mta m1
</source>
<domain example.com>
    retry-after 1h
</domain>
"""
NO_STATE = ("classify", "explain", "config", "acct", "doctor", "resolve")
ELSEWHERE = ("top", "trace", "resolve", "doctor")


def code(page: str, kind: str = "sh") -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", (GUIDES / f"{page}.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


def commands(page: str) -> Iterator[str]:
    """Lines of its blocks, and what stands in its sentences with an argument."""
    yield from (line for block in code(page) for line in block.splitlines())
    if page == "when-a-provider-blocks-you":
        *_, last = (GUIDES / f"{page}.md").read_text("utf-8").split("\n\n")
        yield from re.findall(r"`(postwright [^`]+)`", last)


def typed(line: str, relay: Alone) -> Result:
    """In this process, as a person types it there."""
    before, _, ours = line.rpartition("postwright ")
    words = shlex.split(ours.replace("/etc/postwright/config", str(relay.config_file)))
    if words[0] not in NO_STATE:
        words += ["--state-dir", str(relay.state_dir)]
    given = re.findall(r'^echo "(.*)" \| $', before)
    return CliRunner().invoke(main, words, input="".join(given) + "\n")


async def test_commands_about_a_queue_that_waits(tmp_path: Path) -> None:
    rules = ["connect 421 4.7.0 too many messages"]
    async with SinkServer(rules=rules) as receiver, Alone(tmp_path, receiver, RULES) as relay:
        await relay.load(["example.com"])
        async with asyncio.timeout(20):
            while "too many" not in (await asyncio.to_thread(typed, "postwright show events example.com/m1", relay)).output:  # noqa: ASYNC110  # a relay tells nobody
                await asyncio.sleep(0.05)
        ran, answers = 0, {}
        for page in ("reading-a-queue", "capacity", "when-a-provider-blocks-you"):
            for line in commands(page):
                line = line.replace("you@example.com", "0@example.com").replace("192.0.2.10 'ex", "127.0.0.1 'ex")
                if line.split("postwright ")[1].split()[0] in ELSEWHERE:
                    continue
                result = await asyncio.to_thread(typed, line, relay)
                assert result.exit_code == 0, (line, result.output)
                answers[line] = result.output
                ran += 1
    assert ran >= 18
    assert "too many messages" in answers["postwright show events example.com/m1"]
    assert "0@example.com" in answers["postwright list --queue='example.com/*' --schedule"]
    assert answers["postwright why example.com"].startswith("example.com/m1: ")
    assert "m1" in answers["postwright explain --from news@example.org --to 0@example.com --config /etc/postwright/config"]


@pytest.mark.soak  # its short version is test_first_run.py, which types what the sandbox prints
@pytest.mark.needs("swaks")
async def test_the_first_message_by_each_way(tmp_path: Path, needs: Needs) -> None:
    swaks, ours, begin = code("first-minute")
    [python] = code("first-minute", "python")
    async with SinkServer() as receiver, Alone(tmp_path, receiver) as relay:
        swaks, ours, python = (text.replace("2525", str(relay.port)) for text in (swaks, ours, python))
        name, *words = shlex.split(swaks)
        _, *words_of_ours = shlex.split(ours)
        await asyncio.gather(run(needs(name), *words), run(sys.executable, "-c", python))
        sent = await asyncio.to_thread(CliRunner().invoke, main, words_of_ours)
        assert sent.exit_code == 0, sent.output
        await receiver.wait_for(3)
    assert {message.recipients[0] for message in receiver.messages} == {"friend@example.com"}
    assert begin.splitlines()[-1] == "postwright run --config relay.conf --state-dir ./state"


def test_a_first_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    init, check, _ = (shlex.split(line)[1:] for line in code("first-minute")[-1].splitlines())
    for words in ([*init, "--yes"], check):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
