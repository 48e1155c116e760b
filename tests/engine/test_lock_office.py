"""The office of locks: what it keeps in its file, what it says when it cannot, and how people may write whom they mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import CapturingLogger

from postwright.engine.lock_frames import LocksChanged
from postwright.engine.lock_office import LockOffice, login_name
from postwright.policy.locks import Failure
from postwright.policy.settings import GeneralSettings, Settings

HERE, THERE = "192.0.2.7", "203.0.113.9"


class Office:
    """An office, and what it has told and logged."""

    def __init__(self, file: Path | None = None) -> None:
        self.time = 1_700_000_000.0
        self.told: list[LocksChanged] = []
        self.logger = CapturingLogger()
        self.office = LockOffice(lambda: self.time, self.told.append, structlog.wrap_logger(self.logger, processors=[]), file)
        self.office.apply(Settings(general=GeneralSettings(auth_failures_per_user=2, auth_lock_time=600.0)))
        self.office.load()

    def lock(self, user: str = "anna", peer: str = THERE) -> None:
        for _ in range(2):
            self.office.failed(Failure(user, peer, per_network=2))

    @property
    def events(self) -> list[str]:
        return [call.kwargs["event"] for call in self.logger.calls]


def who(office: Office) -> list[tuple[str, tuple[str, ...]]]:
    return [(lock.who, lock.spared) for lock in office.office.locks()]


def test_locks_and_who_is_known_outlive_a_restart(tmp_path: Path) -> None:
    before = Office(tmp_path / "state")
    before.office.worked("anna", HERE)
    before.lock()
    before.office.save()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600
    after = Office(tmp_path / "state")
    assert who(after) == [("anna", (HERE,)), (THERE, ())]
    assert after.office.all().begun == before.office.all().begun
    after.office.release("")
    after.lock()
    assert who(after)[0] == ("anna", (HERE,))


def test_a_lock_that_has_ended_meanwhile_is_not_begun_again(tmp_path: Path) -> None:
    before = Office(tmp_path / "state")
    before.lock()
    before.office.save()
    after = Office()
    after.time += 601
    after.office._file = tmp_path / "state"
    after.office.load()
    assert who(after) == []


def test_it_is_written_ten_seconds_after_a_change_and_not_without_one(tmp_path: Path) -> None:
    office, file = Office(tmp_path / "state"), tmp_path / "state"
    office.time += 60
    office.office.tick()
    assert not file.exists()
    office.lock()
    office.office.tick()
    assert file.exists()
    file.unlink()
    office.office.worked("anna", HERE)
    for _ in range(9):
        office.time += 1
        office.office.tick()
    assert not file.exists()
    office.time += 1
    office.office.tick()
    assert file.exists()


@pytest.mark.parametrize("octets", [b"", b"\x00", b"nonsense", b"\x83\xa7version\x01\xa5locks\x01"])
def test_a_damaged_file_is_told_and_nothing_else_comes_of_it(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "state").write_bytes(octets)
    office = Office(tmp_path / "state")
    assert office.events == ["the locks of before cannot be read"]
    office.lock()
    assert len(who(office)) == 2


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    office = Office(tmp_path / "nowhere" / "state")
    office.lock()
    office.office.save()
    assert office.events == ["a lock begins", "a lock begins", "the locks cannot be kept"]


def test_a_link_in_the_way_is_not_written_through(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    os.symlink(other, tmp_path / "state")
    os.symlink(other, tmp_path / "state.new")
    office = Office()
    office.office._file = tmp_path / "state"
    office.lock()
    office.office.save()
    assert other.read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("user", "peer", "typed"),
    [
        ("anna", THERE, "ANNA"), ("", THERE, THERE), ("", THERE, f"{THERE}/32"), ("", "2001:db8::9", "2001:db8::1"),
        ("", "2001:db8::9", "2001:db8::/64"), ("a:b", THERE, "A:B"),
    ],
)  # fmt: skip
def test_how_one_may_write_whom_one_means(user: str, peer: str, typed: str) -> None:
    office = Office()
    for at in range(2):
        office.office.failed(Failure(user, f"198.51.{at}.1" if user else peer, per_network=2))
    assert len(office.office.release(typed)) == 1
    assert (who(office), office.office.release(typed)) == ([], [])
    assert [len(changed.ended) for changed in office.told] == [0, 1]


def test_a_flood_is_told_in_thirty_lines_a_minute() -> None:
    office = Office()
    for at in range(100):
        office.lock(f"user{at}", f"198.51.{at}.1")
    assert len(office.events) == 30
    office.time += 60
    office.lock("late", THERE)
    assert len(office.events) == 32


@pytest.mark.parametrize(("name", "counted"), [("Anna", "anna"), ("x" * 1000, "x" * 256), ("a\udcff", "a?"), ("", "")])
def test_names(name: str, counted: Any) -> None:
    assert login_name(name) == counted
