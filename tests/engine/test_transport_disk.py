"""Mail onto a disk: what is left by who died while he wrote, links that lead elsewhere, readers who rename."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from postwright.engine.transports import disk
from postwright.engine.transports.files import fit, mbox_entry
from postwright.engine.transports.macros import Place, place


class Killed(BaseException):
    """What no `except OSError` cleans up after."""


def die_after(calls: int, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The process ends at that call of os.NAME, in the middle of its work if it writes."""
    real, count = getattr(os, name), 0

    def dying(fd: int, *rest: bytes) -> object:
        nonlocal count
        count += 1
        if count == calls:
            if name == "write":
                real(fd, bytes(rest[0])[: len(rest[0]) // 2])
            raise Killed
        return real(fd, *rest)

    monkeypatch.setattr(os, name, dying)


def entry(text: str) -> bytes:
    return mbox_entry("me@sender.example", f"Subject: {text}\r\n\r\n{text * 100}\r\n".encode(), "Thu Nov 26 09:00:00 2026")


@pytest.mark.directive("file-format")
@pytest.mark.parametrize(("name", "call"), [("write", 1), ("fsync", 1), ("write", 2), ("fsync", 2), ("unlink", 1), ("fsync", 3)])
def test_who_dies_while_he_appends_leaves_nothing_double(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, call: int
) -> None:
    box = tmp_path / "box"
    disk.append(str(tmp_path), (), "box", entry("first"))
    before = box.read_bytes()
    with monkeypatch.context() as patched:
        if name == "unlink":
            patched.setattr(os, "unlink", lambda *_, **__: (_ for _ in ()).throw(Killed()))
        else:
            die_after(call, patched, name)
        with pytest.raises(Killed):
            disk.append(str(tmp_path), (), "box", entry("second"))
    if (name, call) == ("fsync", 3):  # all is done but that the note's end was not synced: it may be there once more
        assert box.read_bytes() == before + entry("second")
        return
    disk.append(str(tmp_path), (), "box", entry("third"))  # another's turn comes first
    assert box.read_bytes() == before + entry("third")
    disk.append(str(tmp_path), (), "box", entry("second"))
    assert box.read_bytes() == before + entry("third") + entry("second")
    assert [file.name for file in tmp_path.iterdir()] == ["box"]


@pytest.mark.directive("file-format")
def test_what_others_have_appended_or_taken_away_since_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = tmp_path / "box"
    for since in (lambda text: text + b"From other\n\nhello\n\n" * 100, lambda text: b"", lambda text: b"From x\n" + text[7:]):
        box.write_bytes(entry("first"))
        with monkeypatch.context() as patched:
            die_after(2, patched, "write")
            with pytest.raises(Killed):
                disk.append(str(tmp_path), (), "box", entry("second"))
        changed = since(box.read_bytes())
        if since(b"") == b"From x\n":
            changed = box.read_bytes()[: len(entry("first"))] + b"From somebody else\n\n"
        box.write_bytes(changed)
        disk.append(str(tmp_path), (), "box", entry("third"))
        assert box.read_bytes().startswith(changed), "nothing of another's is cut off"
        assert box.read_bytes().endswith(entry("third"))


@pytest.mark.directive("file-destination")
def test_no_link_below_the_base_is_followed(tmp_path: Path) -> None:
    base, outside = tmp_path / "base", tmp_path / "outside"
    base.mkdir()
    outside.mkdir()
    (base / "user").symlink_to(outside)
    (base / "box").symlink_to(outside / "box")
    (base / "m.tmp").symlink_to(outside / "m")
    for write in (
        lambda: disk.new_file(str(base), ("user",), "m", b"x"),
        lambda: disk.append(str(base), (), "box", b"x"),
        lambda: disk.append(str(base), ("user",), "box", b"x"),
        lambda: disk.new_file(str(base), (), "m", b"x"),
    ):
        with pytest.raises(OSError, match=r"levels of symbolic links|Not a directory"):
            write()
    assert not list(outside.iterdir())
    (tmp_path / "alias").symlink_to(base)
    disk.new_file(str(tmp_path / "alias"), ("made",), "n", b"x")  # the operator's own link, and a folder of the address's
    assert (base / "made" / "n.msg").read_bytes() == b"x"


def test_a_reader_that_renames_the_mailbox_has_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = tmp_path / "box"
    disk.append(str(tmp_path), (), "box", entry("first"))
    real, done = disk._lock, False

    def renamed_meanwhile(fd: int, until: float) -> bool:
        nonlocal done
        if not done:
            done = True
            box.rename(tmp_path / "taken")
        return real(fd, until)

    monkeypatch.setattr(disk, "_lock", renamed_meanwhile)
    disk.append(str(tmp_path), (), "box", entry("second"))
    assert (tmp_path / "taken").read_bytes() == entry("first")
    assert box.read_bytes() == entry("second")


def test_a_line_without_an_end_is_no_part_of_what_follows(tmp_path: Path) -> None:
    (tmp_path / "box").write_bytes(b"From x\n\nhalf")
    disk.append(str(tmp_path), (), "box", entry("first"))
    assert (tmp_path / "box").read_bytes() == b"From x\n\nhalf\n" + entry("first")


@pytest.mark.directive("file-destination")
@pytest.mark.parametrize(
    ("text", "mailbox", "expected"),
    [
        ("/var/in", False, ("/var/in", ())),
        ("/var/in", True, ("/var", ("in",))),
        ("/var//./in/$domain/x$user", True, ("/var/in", ("$domain", "x$user"))),
        ("/var/$domain/in", False, ("/var", ("$domain", "in"))),
        ("var/in", False, "absolute"),
        ("/$domain/in", False, "no address has a part in"),
        ("/var/$domain/../in", False, "leads elsewhere"),
    ],
)
def test_where_a_place_begins(text: str, mailbox: bool, expected: tuple[str, Sequence[str]] | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            place(text, mailbox=mailbox)
    else:
        assert place(text, mailbox=mailbox) == Place(*expected, text)


@pytest.mark.directive("file-destination")
@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\0b", "a\nb", "x" * 231, "я" * 116])
def test_what_is_no_name(name: str) -> None:
    assert not fit(name)
    assert fit("x" * 230)
    assert fit('"quoted name"@example.com')
