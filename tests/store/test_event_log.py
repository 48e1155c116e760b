"""The event log alone: what was written is read, once, whatever a crash, a full disk or a damaged sector has done to it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postwright.model.record import Record
from postwright.store import event_files, event_log
from postwright.store import event_frames as frames
from postwright.store.event_files import Place, cursor_path, log_folder, read_cursor, segment_numbers, segment_path, write_cursor
from postwright.store.event_log import EventLog, EventOptions
from postwright.store.event_reader import Event, EventReader

BEGIN = Place(0, 0)
ALL = EventOptions(frozenset(("d", "b", "t")))


def record(number: int, kind: str = "d") -> Record:
    return Record(kind, 1.7e9 + number, number, number % 3, rcpt=f"r{number}@example.com", dsn_diag="smtp;250 EV" * (number % 5))


class Told:
    """What was reported."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def __call__(self, event: str, detail: str) -> None:
        self.events.append((event, detail))

    @property
    def names(self) -> list[str]:
        return [event for event, _ in self.events]


def make(folder: Path, options: EventOptions = ALL, told: Told | None = None) -> EventLog:
    return EventLog(folder, 0, options, told or Told())


def read(folder: Path, place: Place = BEGIN, told: Told | None = None) -> list[Event]:
    return list(_all(EventReader(folder, place, told or Told())))


def _all(reader: EventReader) -> Iterator[Event]:
    while events := reader.read(300):
        yield from events
    reader.close()


def numbers(events: Sequence[Event]) -> list[int]:
    return [event.record.message_id for event in events]


def test_what_is_written_is_read_in_order(tmp_path: Path) -> None:
    log = make(tmp_path / "log")
    log.write([record(n) for n in range(500)])
    log.write([record(500, "r")])  # nobody wants it
    log.flush()
    events = read(tmp_path / "log")
    assert [event.record for event in events] == [record(n) for n in range(500)]
    assert len({event.id for event in events}) == 500
    assert events[7].id == f"{7:016x}-1-d-" + events[7].id[-16:]
    assert events[7].id != frames.event_id(events[7].record, events[7].payload, events[7].key + 1)


def test_nothing_is_made_while_nobody_wants_it(tmp_path: Path) -> None:
    log = make(tmp_path / "log", EventOptions())
    log.write([record(1)])
    log.tick()
    log.close()
    assert not (tmp_path / "log").exists()


def test_a_reader_goes_on_from_any_place_and_over_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "SEGMENT", 2000)
    log = make(tmp_path)
    for n in range(300):
        log.write([record(n)])
        log.flush()
    assert len(segment_numbers(tmp_path)) > 5
    events = read(tmp_path)
    assert numbers(events) == list(range(300))
    for n in (0, 17, 299):
        assert numbers(read(tmp_path, events[n].after)) == list(range(n + 1, 300))


def test_a_reader_waits_for_an_event_that_is_being_written(tmp_path: Path) -> None:
    log = make(tmp_path)
    log.write([record(1)])
    log.flush()
    reader = EventReader(tmp_path, Place(0, 0))
    assert numbers(reader.read()) == [1]
    whole = frames.frame(frames.pack(record(2)), int((tmp_path / "key").read_text(), 16))
    with segment_path(tmp_path, 1).open("ab") as file:
        file.write(whole[:30])
        file.flush()
        assert reader.read() == []
        file.write(whole[30:])
    assert numbers(reader.read()) == [2]
    assert reader.behind() == 0


def test_after_a_crash_the_log_has_each_event_once(tmp_path: Path) -> None:
    log = make(tmp_path)
    log.write([record(n) for n in range(10)])
    found = log.position()
    assert found is not None
    position, sync = found
    sync()
    log.write([record(n) for n in range(10, 20)])
    log.flush()  # and here it dies, with 20 to 29 in the journal only
    again = make(tmp_path)
    again.resume(position, tmp_path)
    again.write([record(n) for n in range(10, 30)])
    again.resumed()
    again.write([record(29)])  # the same again, new: it is another matter
    again.flush()
    assert numbers(read(tmp_path)) == [*range(30), 29]


def test_after_a_crash_and_on_a_full_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = make(tmp_path)
    log.write([record(n) for n in range(10)])
    log.close()
    again = make(tmp_path)
    again.resume(b"", tmp_path)
    again.write([record(n) for n in range(20)])
    (tmp_path / "00000002.evl").mkdir()  # no segment can be begun
    assert again.tick() != []
    (tmp_path / "00000002.evl").rmdir()
    again.resumed()
    assert again.tick() == []
    assert numbers(read(tmp_path)) == list(range(20))


@pytest.mark.parametrize("lost", range(1, 200, 23))
def test_what_a_power_cut_took_comes_again_under_the_same_name(tmp_path: Path, lost: int) -> None:
    log = make(tmp_path)
    log.write([record(n) for n in range(6)])
    log.flush()
    names = [event.id for event in read(tmp_path)]
    path = segment_path(tmp_path, 1)
    os.truncate(path, path.stat().st_size - lost)
    again, told = make(tmp_path), Told()
    again.resume(b"", tmp_path)
    again.write([record(n) for n in range(6)])
    again.resumed()
    found = read(tmp_path, told=told)
    assert sorted(event.id for event in found) == sorted(names)
    assert set(told.names) <= {"damaged events"}


def test_a_full_disk_loses_nothing_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = make(tmp_path)
    log.write([record(1)])
    log.flush()
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[: len(data) // 2]))
    log.write([record(2)])
    assert log.tick()[0].endswith(os.strerror(errno.ENOSPC))
    assert log.position() is None  # so the journal keeps it
    monkeypatch.setattr(os, "write", write)
    assert log.tick() == []
    assert numbers(read(tmp_path)) == [1, 2]


def test_half_a_write_that_cannot_be_taken_back_ends_its_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(fd: int, size: int) -> None:
        raise OSError(errno.EIO, "no")

    log = make(tmp_path)
    log.write([record(1)])
    log.flush()
    with monkeypatch.context() as patch:
        write = os.write
        patch.setattr(os, "write", lambda fd, data: write(fd, data[:20]))
        patch.setattr(os, "ftruncate", refuse)
        log.write([record(2)])
        assert log.tick() != []
    assert log.tick() == []
    assert segment_numbers(tmp_path) == [1, 2]
    told = Told()
    assert numbers(read(tmp_path, told=told)) == [1, 2]
    assert told.names == ["damaged events"]


def test_a_long_backlog_goes_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "PIECE", 10)
    log = make(tmp_path)
    (tmp_path / "key").mkdir()  # no segment can be begun
    for n in range(95):
        log.write([record(n)])
    assert log.tick() != []
    assert segment_numbers(tmp_path) == []
    (tmp_path / "key").rmdir()
    written: list[int] = []
    write = os.write

    def some(fd: int, data: bytes) -> int:
        written.append(len(data))
        return write(fd, data if len(written) != 7 else data[:5])

    monkeypatch.setattr(os, "write", some)
    assert log.tick() != []
    assert 30 < len(read(tmp_path)) < 95
    assert log.tick() == []
    assert numbers(read(tmp_path)) == list(range(95))


def test_after_a_full_disk_events_are_gathered_as_before(tmp_path: Path) -> None:
    log = make(tmp_path)
    (tmp_path / "key").mkdir()  # no segment can be begun
    for n in range(10 * event_log.GATHER):
        log.write([record(n)])
    (tmp_path / "key").rmdir()
    assert log.tick() == []
    before = len(read(tmp_path))
    log.write([record(n) for n in range(event_log.GATHER)])
    assert len(read(tmp_path)) == before + event_log.GATHER


@pytest.mark.parametrize("failing", ["sync_file", "sync_folder"])
def test_a_sync_that_fails_is_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    """The folder's as well: who says that events are safe must know that their segment will have its name."""
    log = make(tmp_path)
    log.write([record(1)])
    found = log.position()
    assert found is not None

    def refuse(path: Path) -> None:
        raise OSError(errno.EIO, "no")

    with monkeypatch.context() as patch:
        patch.setattr(event_log, failing, refuse)
        with pytest.raises(OSError):
            found[1]()
    synced: list[Path] = []
    monkeypatch.setattr(event_log, "sync_file", synced.append)
    monkeypatch.setattr(event_log, "sync_folder", synced.append)
    found = log.position()
    assert found is not None
    found[1]()
    assert synced == [segment_path(tmp_path, 1), tmp_path]
    assert numbers(read(tmp_path)) == [1]


@pytest.mark.parametrize("torn", [b"", b"half a frame, which is about to be taken back"])
def test_a_sync_that_fails_while_a_full_disk_takes_a_write_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: bytes) -> None:
    """The sync is in a thread: the segment may end elsewhere when what is in it is written again."""
    log = make(tmp_path)
    log.write([record(1), record(2)])
    found = log.position()
    assert found is not None
    segment, end = segment_path(tmp_path, 1), log._end.offset

    def refuse(path: Path) -> None:
        with segment.open("ab") as opened:
            opened.write(torn)
        raise OSError(errno.EIO, "broken")

    read_at, reads = os.pread, 0

    def taking_back(fd: int, size: int, at: int) -> bytes:
        nonlocal reads
        reads += 1
        assert reads < 10, "it would go on for ever"
        if not torn:
            os.truncate(segment, at)  # someone else shortened it
            return b""
        octets = read_at(fd, size, at)
        os.truncate(segment, end)
        return octets

    with monkeypatch.context() as patch:
        patch.setattr(event_log, "sync_file", refuse)
        patch.setattr(os, "pread", taking_back)
        with pytest.raises(OSError, match="broken"):
            found[1]()
    if torn:
        assert segment.stat().st_size == end, "nothing of the half is put back"
        log.write([record(3)])
        log.close()
        assert numbers(read(tmp_path)) == [1, 2, 3]


def test_a_damaged_sector_costs_what_stood_there(tmp_path: Path) -> None:
    log = make(tmp_path)
    log.write([record(n) for n in range(100)])
    log.flush()
    events = read(tmp_path)
    path = segment_path(tmp_path, 1)
    with path.open("r+b") as file:
        file.seek(events[39].after.offset + 5)
        file.write(b"\xff" * 7)
    told = Told()
    assert numbers(read(tmp_path, told=told)) == [*range(40), *range(41, 100)]
    assert told.names == ["damaged events"]
    [copy] = (tmp_path / "damaged").iterdir()
    assert copy.stat().st_size == events[40].after.offset - events[39].after.offset


def test_a_damaged_size_is_not_taken_for_an_event_that_is_being_written(tmp_path: Path) -> None:
    log = make(tmp_path)
    log.write([record(n) for n in range(3)])
    log.flush()
    first = read(tmp_path)[0].after
    with segment_path(tmp_path, 1).open("r+b") as file:
        file.seek(first.offset + 13)
        file.write(b"\xff")  # some 65,000 octets, in a segment that has fewer and is still written
    told = Told()
    assert numbers(read(tmp_path, told=told)) == [0, 2]
    assert told.names == ["damaged events"]


def test_damage_is_stepped_over_in_strides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for one event (`postwright status`, once a second) does not go through a zeroed segment octet by octet."""
    log = make(tmp_path)
    log.write([record(1)])
    log.close()
    with segment_path(tmp_path, 1).open("ab") as file:
        file.write(bytes(1 << 20))
    log = make(tmp_path)
    log.write([record(2)])
    log.close()
    looks: list[int] = []
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, size, at: looks.append(at) or pread(fd, size, at))
    reader = EventReader(tmp_path, BEGIN, copies=False)
    assert numbers(reader.read(1)) == [1]
    assert numbers(reader.read(1)) == [2]
    reader.close()
    assert len(looks) < 20


def test_a_segment_without_its_head_is_read_by_the_folders_key(tmp_path: Path) -> None:
    log = make(tmp_path)
    log.write([record(1)])
    log.close()
    with segment_path(tmp_path, 1).open("r+b") as file:
        file.write(bytes(frames.SEGMENT_HEAD))
    assert numbers(read(tmp_path)) == [1]


def test_an_event_hidden_in_the_text_of_another_is_none(tmp_path: Path) -> None:
    forged = frames.frame(frames.pack(record(666)), 0).decode("latin-1")
    log = make(tmp_path)
    log.write([Record("d", 1.0, 1, dsn_diag=forged * 3), record(2)])
    log.flush()
    with segment_path(tmp_path, 1).open("r+b") as file:
        file.seek(frames.SEGMENT_HEAD)
        file.write(b"\0")
    assert numbers(read(tmp_path)) == [2]


def test_a_text_that_is_no_unicode_keeps_nobody_else_away(tmp_path: Path) -> None:
    log = make(tmp_path)
    log.write([Record("d", 1.0, 1, dsn_diag="\ud800"), record(2)])
    log.flush()
    assert [event.record.dsn_diag[:1] for event in read(tmp_path)] == ["?", "s"]
    assert log.tick() == []


# -- consumers and how long events are kept ------------------------------------------------


def test_a_new_consumer_begins_at_the_end_and_a_known_one_stays(tmp_path: Path) -> None:
    log = make(tmp_path)
    log.write([record(1)])
    log.reconfigure(EventOptions(frozenset("d"), ("|program --a", "hook")))
    log.write([record(2)])
    log.flush()
    place = read_cursor(tmp_path, "|program --a")
    assert place is not None
    assert numbers(read(tmp_path, place)) == [2]
    log.reconfigure(EventOptions(frozenset("d"), ("|program --a",)))
    assert read_cursor(tmp_path, "|program --a") == place
    assert cursor_path(tmp_path, "|program --a") != cursor_path(tmp_path, "|program -a")


def test_a_consumer_that_a_full_disk_did_not_let_in_is_let_in_later(tmp_path: Path) -> None:
    log = make(tmp_path)
    log.write([record(1)])
    log.flush()
    blocked = cursor_path(tmp_path, "hook").with_name(f"{cursor_path(tmp_path, 'hook').name}.{os.getpid()}.new")
    blocked.mkdir()
    log.reconfigure(EventOptions(frozenset("d"), ("hook",)))
    log.write([record(2)])
    assert log.tick() != []
    blocked.rmdir()
    assert log.tick() == []
    place = read_cursor(tmp_path, "hook")
    assert place is not None
    assert numbers(read(tmp_path, place)) == [2]


def test_where_a_consumer_began_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    log = make(tmp_path)
    monkeypatch.setattr(event_files, "sync_folder", synced.append)
    log.reconfigure(EventOptions(frozenset("d"), ("hook",)))
    assert synced == [tmp_path]
    write_cursor(tmp_path, "hook", Place(1, 50))  # this may be lost: some events come twice
    assert synced == [tmp_path]


@pytest.fixture
def old_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six segments of two events each, last written at 1000 s, 2000 s …"""
    monkeypatch.setattr(event_log, "SEGMENT", 1)
    log = make(tmp_path)
    for n in range(6):
        log.write([record(2 * n), record(2 * n + 1)])
        log.flush()
        os.utime(segment_path(tmp_path, n + 1), (1000 * (n + 1),) * 2)
    return tmp_path


def aged(folder: Path, now: float, told: Told, consumers: tuple[str, ...] = (), *, max_size: int = 1 << 30) -> list[int]:
    log = EventLog(folder, 0, EventOptions(ALL.records, consumers, keep=1500, max_size=max_size), told, lambda: now)
    log.tick()
    return segment_numbers(folder)


def test_events_that_are_old_go(old_log: Path) -> None:
    told = Told()
    assert aged(old_log, 5400, told) == [4, 5, 6]
    assert aged(old_log, 1e6, told) == [6]
    assert told.names == []


def test_who_is_late_keeps_them(old_log: Path) -> None:
    told = Told()
    write_cursor(old_log, "late", Place(3, 0))
    write_cursor(old_log, "in time", Place(6, 0))
    assert aged(old_log, 1e6, told, ("late", "in time")) == [3, 4, 5, 6]
    assert aged(old_log, 1.1e6, told, ("late", "in time", "never here")) == [3, 4, 5, 6]
    cursor_path(old_log, "late").write_text("{damaged")
    assert aged(old_log, 2e6, told, ("late", "in time")) == [3, 4, 5, 6]
    assert told.names == []


def test_but_not_for_ever_and_that_is_told(old_log: Path) -> None:
    told = Told()
    write_cursor(old_log, "late", Place(2, 0))
    size = segment_path(old_log, 6).stat().st_size
    assert aged(old_log, 7000, told, ("late",), max_size=4 * size) == [4, 5, 6]
    assert told.names == ["events deleted unseen"] * 2
    assert "late" in told.events[0][1]
    assert numbers(read(old_log, Place(2, 0), told)) == [6, 7, 8, 9, 10, 11]
    assert told.names[2:] == ["events are gone"]


def test_a_log_of_an_earlier_run_with_more_shards_is_kept_by_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "SEGMENT", 1)
    orphan = log_folder(tmp_path, 1)
    for shard in (0, 1):
        log = EventLog(log_folder(tmp_path, shard), shard, ALL, Told())
        for number in range(2):
            log.write([record(number)])
            log.flush()
        log.close()
        os.utime(segment_path(log_folder(tmp_path, shard), 1), (1000, 1000))
    write_cursor(orphan, "reader", Place(1, 50))
    for shard, shards in ((1, 1), (0, 2), (0, 1)):
        options = EventOptions(ALL.records, ("reader",), keep=1500, shards=shards)
        log = EventLog(log_folder(tmp_path, shard), shard, options, Told(), lambda: 1e6)
        log.tick()
        assert segment_numbers(orphan) == [1, 2]
    write_cursor(orphan, "reader", Place(1, segment_path(orphan, 1).stat().st_size))
    EventLog(log_folder(tmp_path, 0), 0, options, Told(), lambda: 1e6).tick()
    assert segment_numbers(orphan) == [2]


def test_no_number_is_used_again_even_when_somebody_has_deleted_the_segments(tmp_path: Path) -> None:
    write_cursor(tmp_path, "reader", Place(7, 123))
    log = make(tmp_path)
    log.write([record(1)])
    log.flush()
    assert segment_numbers(tmp_path) == [8]
    assert numbers(read(tmp_path, Place(7, 123))) == [1]


# -- any octets ------------------------------------------------------------------------------

_SEED = b"".join(frames.frame(frames.pack(record(n)), 7) for n in range(4))


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, len(_SEED)), new=st.binary(max_size=40), cut=st.integers(0, 60), newer=st.booleans())
def test_any_octets_give_events_that_were_written_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, at: int, new: bytes, cut: int, newer: bool
) -> None:
    folder = tmp_path_factory.mktemp("log")
    octets = _SEED[:at] + new + _SEED[at + cut :]
    segment_path(folder, 1).write_bytes(frames.segment_head(0, 1, 7) + octets)
    if newer:
        segment_path(folder, 2).write_bytes(frames.segment_head(0, 2, 7) + _SEED)
    found = [event.record for event in read(folder)]
    assert all(one in [record(n) for n in range(4)] for one in found)
    untouched = [record(n) for n in range(4)]
    assert found[-4:] == untouched or not newer


# -- oddities --------------------------------------------------------------------------------


def test_an_event_of_another_version_is_set_aside(tmp_path: Path) -> None:
    octets = frames.frame(b"\x81\xa4type\x01", 7) + frames.frame(frames.pack(record(1)), 7)
    segment_path(tmp_path, 1).write_bytes(frames.segment_head(0, 1, 7) + octets)
    told = Told()
    assert numbers(read(tmp_path, told=told)) == [1]
    assert "another version" in told.events[0][1]
    assert (tmp_path / "damaged" / f"00000001-{frames.SEGMENT_HEAD}.bin").exists()


def test_a_segment_whose_head_is_being_written_is_waited_for(tmp_path: Path) -> None:
    head = frames.segment_head(0, 1, 7)
    path = segment_path(tmp_path, 1)
    path.write_bytes(head[:20])
    reader = EventReader(tmp_path, BEGIN)
    assert reader.read() == []
    path.write_bytes(head + frames.frame(frames.pack(record(1)), 7))
    reader.close()
    assert numbers(reader.read()) == [1]


def test_an_event_larger_than_what_is_read_at_a_time(tmp_path: Path) -> None:
    log = make(tmp_path)
    large = Record("d", 1.0, 1, dsn_diag="x" * 5000)
    log.write([large, record(2)])
    log.flush()
    assert numbers(read(tmp_path)) == [1, 2]


def test_positions_of_another_version_mean_the_beginning(tmp_path: Path) -> None:
    log = make(tmp_path)
    log.write([record(1)])
    log.close()
    again = make(tmp_path)
    again.resume(b"\xc1 no msgpack", tmp_path)
    again.write([record(1)])
    again.resumed()
    assert numbers(read(tmp_path)) == [1]


def test_what_cannot_be_deleted_is_told_and_stays(old_log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise OSError(errno.EPERM, "no")

    monkeypatch.setattr(os, "unlink", refuse)
    told = Told()
    assert aged(old_log, 1e6, told) == [1, 2, 3, 4, 5, 6]
    assert set(told.names) == {"event segment not deleted"}
