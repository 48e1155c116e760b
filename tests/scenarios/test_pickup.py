"""A real relay that takes files out of a pickup folder, and is killed again and again: each file becomes one message.

The short version of it is in `test_side_doors`.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from postwright.engine.pickup_folder import TAKEN
from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port

CONFIG = """
pickup in bad
<source {pickup}>
    process-x-job yes
</source>
<domain test.example>
    type discard
</domain>
"""


def _config(more: str = "") -> str:
    return plain_config(free_port()) + CONFIG + more


def _drop(folder: Path, name: str, text: str) -> None:
    """As a writer does it: under another name, then moved."""
    part = folder / f"{name}.tmp"
    part.write_text(text)
    part.rename(folder / name)


def _mail(to: str, more: str = "") -> str:
    return f"x-sender: me@sender.example\nx-receiver: {to}@test.example\nx-job: 17\nSubject: s\n\n{more}body\n"


async def _killed_again_and_again(tmp_path: Path, rounds: int, files: int) -> None:
    """After every round: the whole relay is killed while it takes files. At the end each recipient has one record r and one d."""
    chance = random.Random(0)
    folder = tmp_path / "state/in"
    folder.mkdir(parents=True)
    relay = RelayProcess(tmp_path, _config(), shards=2)
    expected: set[str] = set()
    for number in range(rounds):
        names = [f"n{number}-{index}" for index in range(files)]
        expected.update(f"{name}@test.example" for name in names)
        if relay.running:
            seen = len(relay.records("r"))
            for name in names:
                _drop(folder, name, _mail(name))
            some = seen + chance.randrange(files // 2)
            await relay.until(lambda some=some: len(relay.records("r")) > some, "some of the files taken")  # type: ignore[misc]
            relay.kill()
        else:
            for name in names:
                _drop(folder, name, _mail(name))
        await relay.start()
    await relay.until(lambda: {row["rcpt"] for row in relay.records("d")} >= expected, "every file delivered", 60)
    assert await relay.stop() == 0
    for kind in ("r", "d"):
        assert Counter(row["rcpt"] for row in relay.records(kind)) == dict.fromkeys(expected, 1)
    assert not list((folder / TAKEN).iterdir())
    relay.check()


@pytest.mark.soak
async def test_a_relay_that_is_killed_fifty_times_takes_each_file_once(tmp_path: Path) -> None:
    await _killed_again_and_again(tmp_path, 50, 200)
