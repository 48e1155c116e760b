"""Looks at every octet of a spool, changes nothing; and mends what can be mended, by saying what is not to be read.

`check` verifies all records with their contents. `mend` puts copies of damaged octets aside and begins a segment whose header declares
them void: the next start does not stumble over them, and messages whose content is damaged leave the queue. Nothing is deleted.
Both raise SpoolError when a file cannot be read (or, mending, written).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from postwright.model.message import format_id
from postwright.store import framing
from postwright.store.files import Files, translated
from postwright.store.recovery import Scan, set_aside
from postwright.store.segment_view import Damage, SegmentView
from postwright.store.segments import Folders, SpoolDir, segment_path, shard_folder


class SegmentCheck(Struct):
    """What one segment holds. `records` by kind; `damaged` octets that should be records; `messages`: ids whose content is damaged."""

    path: Path
    size: int
    records: dict[str, int]
    damaged: list[Damage]
    torn: int
    void: int
    messages: dict[int, Damage]

    @property
    def sound(self) -> bool:
        return not self.damaged and not self.messages


def scanned(dirs: tuple[SpoolDir, ...], shard: int, told: Callable[[str, str], None] = lambda event, detail: None) -> Scan:
    """The shard's journal as a start would read it, without writing anything."""
    scan = Scan(tuple(shard_folder(d.path, shard) for d in dirs), shard, told, copies=False)
    scan.run()
    return scan


def check(scan: Scan) -> Iterator[SegmentCheck]:
    """Every segment of a scan, oldest first."""
    newest = max(scan.segments, default=0)
    for number in sorted(scan.segments):
        with SegmentView(scan.segments[number].path) as view:
            # the newest segment's damage is void already by the scan; here it is what we look for
            void = scan.void_in(number) if number != newest else scan.told_void(number)
            yield _check(view, void, newest=number == newest)


def _check(view: SegmentView, void: list[tuple[int, int]], *, newest: bool) -> SegmentCheck:
    records: dict[str, int] = {}
    messages: dict[int, Damage] = {}
    damaged: list[Damage] = []
    for frame in view.frames(void):
        name = framing.KIND_NAMES[frame.kind]
        records[name] = records.get(name, 0) + 1
        if not view.content_fits(frame):
            damage = Damage(frame.offset, frame.end, newest and view.torn(frame.offset, frame.end))
            if frame.kind in (framing.MESSAGE, framing.MOVED):
                messages[frame.message_id] = damage
            else:
                damaged.append(damage)
    torn = [d for d in view.damage if newest and d.torn]
    damaged += [d for d in view.damage if d not in torn]
    size = len(view.data)
    return SegmentCheck(
        view.path,
        size,
        records,
        damaged,
        sum(d.end - d.begin for d in torn),
        sum((size if end < 0 else end) - begin for begin, end in void),
        messages,
    )


def mend(dirs: tuple[SpoolDir, ...], shard: int, files: Files) -> list[str]:
    """Set aside and declare void what `check` finds; returns what was done, a line each. The shard must be locked by the caller."""
    scan = scanned(dirs, shard)
    void = list(scan.void)
    done: list[str] = []
    for found in check(scan):
        number = int(found.path.stem)
        with SegmentView(found.path) as view:
            for damage in found.damaged:
                done.append(f"{found.path}: octets {damage.begin} to {damage.end} are no record; {set_aside(view, damage)}")
                void.append((number, damage.begin, damage.end))
            for message_id, damage in found.messages.items():
                done.append(f"{found.path}: the content of message {format_id(message_id)} is damaged; {set_aside(view, damage)}")
                void.append((number, damage.begin, damage.end))
    if done:
        _declare(Folders(dirs, shard, files), shard, max(scan.segments) + 1, sorted(set(void)), files)
    return done


def _declare(folders: Folders, shard: int, number: int, void: list[framing.Void], files: Files) -> None:
    """A segment that has nothing but a header, which says what of the others is void."""
    folder = folders.choose_any()
    key = folders.key(folder)
    meta = framing.encode_header(framing.Header(framing.FORMAT, shard, number, key, void))
    try:
        fd = files.create(segment_path(folder, number))
        try:
            files.writev(fd, [framing.head(framing.HEADER, 0, meta), meta])
            files.sync(fd)
        finally:
            files.close(fd)
        files.sync_dir(folder)
    except OSError as error:
        raise translated(error, segment_path(folder, number)) from None
