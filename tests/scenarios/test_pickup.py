"""A real relay that takes files out of a pickup folder: whole ones, each once, whatever dies; and what is none goes to the bad folder."""

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


@pytest.mark.directive("pickup", "pickup-remove-dot")
async def test_files_become_mail(tmp_path: Path) -> None:
    folder, bad = tmp_path / "state/in", tmp_path / "state/bad"
    folder.mkdir(parents=True)
    _drop(folder, "first", _mail("first"))  # it was there before the relay
    async with RelayProcess(tmp_path, _config("pickup-remove-dot yes\n")) as relay:
        _drop(folder, "second", "EHLO x\nMAIL FROM:<me@sender.example>\nRCPT TO:<second@test.example>\nDATA\nSubject: s\n\nbody\n.\n")
        _drop(folder, "broken", "nothing of the kind\n")
        with (folder / "slow").open("w") as file:  # not moved into place: it is whole when it is closed
            file.write(_mail("third"))
            file.flush()
            rows = await relay.wait_for_records("d", 2)
            assert (folder / "slow").exists()
            file.write("the end\n")
        rows = await relay.wait_for_records("d", 3)
        assert sorted(row["rcpt"] for row in rows) == [f"{name}@test.example" for name in ("first", "second", "third")]
        assert {row["rcpt"]: row.get("jobId", "") for row in rows}["first@test.example"] == "17"
        assert {row["srcType"] for row in relay.records("r")} == {"pickup"}
        await relay.until((bad / "broken").exists, "the broken file in the bad folder")
        assert (bad / "broken").read_text() == "nothing of the kind\n"
        assert [path.name for path in folder.iterdir()] == [TAKEN]
        assert not list((folder / TAKEN).iterdir())
        refused = [event for event in relay.log() if event["event"] == "a pickup file is refused"]
        assert [(event["file"], "x-sender" in event["reason"]) for event in refused] == [("broken", True)]


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
            await relay.until(lambda some=some: len(relay.records("r")) > some, "some of the files taken")
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


async def test_a_relay_that_is_killed_takes_each_file_once(tmp_path: Path) -> None:
    await _killed_again_and_again(tmp_path, 2, 40)


@pytest.mark.soak
async def test_a_relay_that_is_killed_fifty_times_takes_each_file_once(tmp_path: Path) -> None:
    await _killed_again_and_again(tmp_path, 50, 200)
