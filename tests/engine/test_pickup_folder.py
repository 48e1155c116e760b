"""The pickup folder as a file system: what is taken, by whom, and what is not; and what the kernel tells of it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from postwright.engine.folder_watch import FolderWatch
from postwright.engine.pickup_folder import TAKEN, Folder, Unfit, forget


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "in", tmp_path / "bad", 0, 2)
    made.open()
    return made


def _put(folder: Folder, name: str, octets: bytes = b"x", written: float = 1000.0) -> Path:
    path = folder.path / name
    path.write_bytes(octets)
    os.utime(path, (written, written))
    return path


def test_the_oldest_comes_first_and_what_writers_keep_is_left(folder: Folder) -> None:
    for name, written in (("b.msg", 2000.0), ("a.msg", 2000.0), ("z.msg", 1000.0), (".hidden", 1.0), ("part.TMP", 1.0)):
        _put(folder, name, written=written)
    (folder.path / "sub").mkdir()
    assert [seen.name for seen in folder.look()] == ["z.msg", "a.msg", "b.msg"]


def test_one_shard_gets_a_file_and_the_other_nothing(folder: Folder) -> None:
    _put(folder, "a.msg", b"content")
    other = Folder(folder.path, folder.bad, 1, 2)
    claim = folder.claim("a.msg")
    assert claim is not None
    assert other.claim("a.msg") is None
    assert folder.read(claim, 100) == b"content"
    assert [left.name for left in folder.left_over()] == ["a.msg"]
    assert not other.left_over()
    folder.remove(claim)
    folder.sync()
    assert not folder.left_over()


def test_what_a_shard_left_that_there_is_no_more_is_the_first_ones(folder: Folder) -> None:
    _put(folder, "a-b.msg")
    assert Folder(folder.path, folder.bad, 7, 8).claim("a-b.msg") is not None
    assert [left.name for left in folder.left_over()] == ["a-b.msg"]
    assert not Folder(folder.path, folder.bad, 1, 2).left_over()


def test_a_link_of_any_kind_is_not_read(folder: Folder, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    (folder.path / "soft.msg").symlink_to(secret)
    os.link(secret, folder.path / "hard.msg")
    os.mkfifo(folder.path / "pipe.msg")
    assert {seen.name: seen.plain for seen in folder.look()} == {"soft.msg": False, "pipe.msg": False}  # the other has two names yet
    for name in ("soft.msg", "hard.msg", "pipe.msg"):
        claim = folder.claim(name)
        assert claim is not None
        with pytest.raises(Unfit):
            folder.read(claim, 100)
        folder.put_away(claim)
    assert os.readlink(folder.bad / "soft.msg") == str(secret)


def test_a_file_that_is_too_large_is_not_read(folder: Folder) -> None:
    _put(folder, "a.msg", b"x" * 11)
    claim = folder.claim("a.msg")
    assert claim is not None
    with pytest.raises(Unfit, match="11 octets"):
        folder.read(claim, 10)


def test_the_bad_folder_loses_nothing(folder: Folder) -> None:
    for octets in (b"1", b"2"):
        _put(folder, "a.msg", octets)
        claim = folder.claim("a.msg")
        assert claim is not None
        folder.put_away(claim)
    assert sorted(path.read_bytes() for path in folder.bad.iterdir()) == [b"1", b"2"]


def test_the_longest_name_that_there_can_be(folder: Folder) -> None:
    name = "n" * 251 + ".msg"
    _put(folder, name)
    claim = folder.claim(name)
    assert claim is not None
    assert folder.put_away(claim).name == name


def test_forgetting_touches_nothing_but_what_was_taken(folder: Folder, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    stranger.write_bytes(b"")
    taken = folder.path / TAKEN / "0-1.1-a"
    taken.write_bytes(b"")
    for path in (stranger, taken, folder.path / TAKEN / "gone"):
        forget(str(path))
    assert stranger.exists()
    assert not taken.exists()


def test_the_kernel_tells_who_is_still_writing(folder: Folder) -> None:
    async def watched() -> None:
        woken = asyncio.Event()
        watch = FolderWatch(folder.path, woken.set)
        assert watch.watching
        with (folder.path / "a.msg").open("wb") as file:
            file.write(b"half")
            file.flush()
            await asyncio.wait_for(woken.wait(), 5)
            assert watch.is_written("a.msg")
            assert not watch.is_whole("a.msg")
            woken.clear()
        await asyncio.wait_for(woken.wait(), 5)
        assert watch.is_whole("a.msg")
        woken.clear()
        (folder.path / "a.msg").rename(folder.path / "b.msg")
        await asyncio.wait_for(woken.wait(), 5)
        assert watch.is_whole("b.msg")
        assert not watch.is_whole("a.msg")
        watch.close()

    asyncio.run(watched())
