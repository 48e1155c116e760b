"""The users file: what is read and what is refused with its line, and how it is changed (order, comments, owner, lock, crash)."""

from __future__ import annotations

import multiprocessing
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postwright.engine import users_file
from postwright.engine.users_file import NO_FILE, UserEntry, UsersFileError, editing, parse, read, render
from postwright.model.credentials import ScramKeys

HASH = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
KEYS = {
    "SHA-1": ScramKeys(bytes(16), 4096, bytes(range(20)), bytes(range(1, 21))),
    "SHA-256": ScramKeys(bytes(16), 10_000, bytes(range(32)), bytes(range(1, 33))),
}
ALICE = UserEntry("Alice@Example.com", HASH, KEYS, "mailings")
BOB = UserEntry("bob", disabled=True)


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["postwright-users 1", *lines]) + "\n")
    path.chmod(0o600)
    return path


def test_users_are_found_by_name_whatever_its_case(tmp_path: Path) -> None:
    table = read(write(tmp_path / "users", "# the first two", render(ALICE), "", render(BOB)))
    assert table.find("alice@example.COM") == ALICE
    assert table.find("bob") == BOB
    assert table.find("mallory") is None
    assert list(table.entries()) == [ALICE, BOB]


def test_no_file_has_no_users(tmp_path: Path) -> None:
    assert read(tmp_path / "none").lines == {}
    assert read(tmp_path / "none").stamp == NO_FILE


names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Co", "Cn", "Zs"]), min_size=1, max_size=40)


@given(names, st.none() | names, st.booleans())
def test_any_name_survives_its_line(name: str, source: str | None, disabled: bool) -> None:
    user = UserEntry(name, HASH, KEYS, source or "", disabled)
    (line,) = parse(f"{users_file.HEAD}\n{render(user)}\n".encode()).values()
    assert users_file.entry(line) == user


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"alice password={HASH} pasword=x", "unknown field `pasword`; there are password=, "),
        ("alice password=secret", "no hash of argon2id or scrypt"),
        (f"alice password={HASH} password={HASH}", "a second `password`"),
        ("alice scram-sha-1=1,2,3,4", "`scram-sha-1` has not the form"),
        (f"alice scram-sha-1=4096,AAECAwQFBgCQoL=,{'A' * 27}=,{'A' * 27}=", "Incorrect padding"),
        (f"alice scram-sha-1=0000,AAECAwQFBgCQ,{'A' * 27}=,{'A' * 27}=", "has not the form"),
        ("alice source=", "`source` has not the form"),
        ("alice source=%ff", "can't decode"),
        ("alice source=a%0d", "cannot be printed"),
        ("alice disabled=yes", "unknown field `disabled`"),
        ("ALICE disabled\nalice", "a second line of user `alice`"),
        ("%00 disabled", "cannot be printed"),
        ("%ff disabled", "can't decode"),
        ("x" * 9000, "longer than 8192 octets"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(tmp_path: Path, line: str, why: str) -> None:
    path = write(tmp_path / "users", "# comment", line)
    with pytest.raises(UsersFileError) as error:
        read(path)
    number = 3 + line.count("\n")
    assert str(error.value).startswith(f"{path}:{number}: ")
    assert why in str(error.value)
    assert "$" not in str(error.value)


def test_a_file_of_another_version_or_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("postwright-users 2\n")
    with pytest.raises(UsersFileError, match=r"users:1: this is version 2 of the format"):
        read(path)
    for text in ("alice disabled\n", "", "# nothing\n"):
        path.write_text(text)
        with pytest.raises(UsersFileError, match="the first line has to be"):
            read(path)


def test_a_folder_or_forbidden_file_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UsersFileError, match="Is a directory"):
        read(tmp_path)


@given(st.binary(max_size=200))
def test_octets_without_sense_raise_nothing_else(data: bytes) -> None:
    for text in (data, users_file.HEAD.encode() + b"\n" + data):
        try:
            parse(text)
        except UsersFileError:
            continue


# -- changing -------------------------------------------------------------------------------------


def test_a_change_leaves_comments_order_and_mode(tmp_path: Path) -> None:
    path = write(tmp_path / "users", "# ours", render(ALICE), "  # theirs\u2028", f"  {render(BOB)}", "# end")
    path.chmod(0o640)
    with editing(path) as draft:
        draft.put(UserEntry("carol", HASH))
        draft.put(UserEntry("alice@example.com", HASH, disabled=True))
        assert draft.remove("BOB")
        assert not draft.remove("bob")
    assert path.read_text().split("\n") == [
        "postwright-users 1",
        "# ours",
        f"alice@example.com password={HASH} disabled",
        "  # theirs\u2028",
        "# end",
        f"carol password={HASH}",
        "",
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(found.name for found in tmp_path.iterdir()) == [".users.lock", "users"]


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    with editing(tmp_path / "users") as draft:
        draft.put(ALICE)
    assert stat.S_IMODE((tmp_path / "users").stat().st_mode) == 0o600
    assert users_file.too_open(tmp_path / "users") == ""
    assert read(tmp_path / "users").find("alice@example.com") == ALICE


def test_a_mode_that_shows_hashes_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "users")
    for mode, fine in ((0o600, True), (0o640, True), (0o644, False), (0o660, False)):
        path.chmod(mode)
        assert (users_file.too_open(path) == "") is fine
    assert "chmod 600" in users_file.too_open(path)


def test_what_goes_wrong_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "users", render(ALICE))
    before, stamp = path.read_bytes(), users_file.stamp_of(path)
    with pytest.raises(RuntimeError), editing(path) as draft:
        draft.remove("alice@example.com")
        raise RuntimeError("something else")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), editing(path) as draft:
        draft.remove("alice@example.com")
    assert path.read_bytes() == before
    assert users_file.stamp_of(path) == stamp
    assert sorted(found.name for found in tmp_path.iterdir()) == [".users.lock", "users"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    path = write(tmp_path / "real", render(ALICE))
    (tmp_path / "users").symlink_to(path)
    with editing(tmp_path / "users") as draft:
        draft.put(BOB)
    assert (tmp_path / "users").is_symlink()
    assert read(path).find("bob") == BOB


def test_the_lock_is_no_link_to_somebody_elses_file(tmp_path: Path) -> None:
    """Root changes a file in a folder that is the relay's user's."""
    (tmp_path / ".users.lock").symlink_to(tmp_path / "made by root")
    with pytest.raises(OSError, match="symbolic link"), editing(tmp_path / "users"):
        pass
    assert not (tmp_path / "made by root").exists()


def _add(path: Path, names: list[str]) -> None:
    for name in names:
        with editing(path) as draft:
            draft.put(UserEntry(name))


def test_two_who_change_it_at_once_lose_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "users")
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_add, args=(path, [f"{who}{number}" for number in range(20)])) for who in ("a", "b")]
    for one in both:
        one.start()
    for one in both:
        one.join(30)
    assert len(read(path).lines) == 40


def test_no_repr_shows_a_hash() -> None:
    assert "argon2id" not in repr(ALICE)
