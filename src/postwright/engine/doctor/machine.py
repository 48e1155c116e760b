"""The machine below the relay: its clock, how many files it may open, how fast and full the disks of the spool are, and how it signs.

The clock is held against the kernel's own word (is it disciplined by NTP?) and against what is on disk: a file that was written tomorrow
says that the clock was set back. A disk is timed by what the spool does to it, a small write and fdatasync(2), in a file that is taken away
again."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path

from postwright.engine import crypto_mb, open_files
from postwright.engine.dkim_keys import domain_keys
from postwright.engine.doctor.finding import Finding, Level
from postwright.engine.doctor.patient import Patient
from postwright.engine.outside import spool_dirs
from postwright.policy.settings import Settings

AHEAD = 5.0  # seconds that a file may be from the future: clocks of file servers differ by less
SYNCS = 15
SLOW, HALTING = 0.03, 0.25  # seconds for a sync: at 30 ms a sender that waits for each 250 gets 30 of them a second
SPARE = 200  # descriptors beside connections: segments, accounting files, sockets of ours
PER_CONNECTION = 2  # inbound and outbound each one, and as much again while a session is being replaced
FULL, FILLING = 0.05, 0.15  # of a disk, free
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


async def check(patient: Patient) -> list[Finding]:
    """Clock, files, disks."""
    folders = [folder.path for folder in spool_dirs(patient.settings, patient.state)]
    # a disk that halts must not halt the monitor, which runs these checks beside its pages
    disks = await asyncio.to_thread(lambda: [finding for folder in folders for finding in disk(folder, patient.settings)])
    return [_clock(patient, folders), _open_files(patient.settings, patient.state), *disks, *_signing(patient.settings)]


# -- the clock -------------------------------------------------------------------------------------------------------------


def _clock(patient: Patient, folders: list[Path]) -> Finding:
    now = patient.clock.now()
    future = max((newest(folder) for folder in (patient.state, *folders)), default=0.0)
    set_it = "have it kept by NTP: apt-get install chrony"
    if future > now + AHEAD:
        text = f"{patient.state} has files from {future - now:.0f} s in the future: it was set back"
        return Finding("clock", "error", "clock", text, set_it)
    kept = synchronised()
    if kept is None:
        return Finding("clock", "unknown", "clock", "this system does not say whether NTP keeps it", "compare with: date -u")
    if not kept:
        return Finding("clock", "warning", "clock", "nothing keeps it right: signatures, retries and locks go by it", set_it)
    return Finding("clock", "ok", "clock", "is kept by NTP")


def newest(folder: Path) -> float:
    """When the last of the files directly in a folder was changed, by the clock of its file system; 0.0 without any."""
    try:
        return max((entry.stat(follow_symlinks=False).st_mtime for entry in os.scandir(folder)), default=0.0)
    except OSError:
        return 0.0


def synchronised() -> bool | None:
    """The kernel's word (adjtimex(2)), None where there is none to be had."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))  # struct timex, all zero: only asks
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != _TIME_ERROR)


# -- files ------------------------------------------------------------------------------------------------------------------


def _open_files(settings: Settings, state: Path) -> Finding:
    running = open_files.of_relay(state / "control.sock")
    most, who = (running, "the relay that runs") if running is not None else (open_files.may_have(), "a relay started from here")
    general = settings.general
    sessions = (general.total_max_smtp_in or 0) + (general.total_max_smtp_out or 0)
    wanted = sessions * PER_CONNECTION + SPARE
    cure = f"LimitNOFILE={max(wanted, 65536)} in the unit of systemd, or ulimit -Hn before `postwright run`"
    text = f"{who} may have {most} open, for {sessions} connections that are configured"
    if most < wanted:
        level: Level = "warning" if most >= sessions + SPARE else "error"
        return Finding("open-files", level, "open files", f"{text}: {wanted} are wanted", cure)
    return Finding("open-files", "ok", "open files", text)


# -- signatures -------------------------------------------------------------------------------------------------------------


def _signing(settings: Settings) -> Iterator[Finding]:
    """How RSA signatures are made, where there are keys (docs/decisions/dkim-signing-where.md)."""
    if not any(True for _ in domain_keys(settings)):
        return
    try:
        crypto_mb.library()
    except crypto_mb.Unavailable as error:
        yield Finding("rsa-signing", "ok", "RSA signatures", f"are made one by one: {error}")
    else:
        yield Finding("rsa-signing", "ok", "RSA signatures", "are made eight at a time where many messages leave at once")


# -- disks ------------------------------------------------------------------------------------------------------------------


def disk(folder: Path, settings: Settings) -> Iterator[Finding]:
    """Room and speed of one spool folder, which may not be there yet."""
    there = next((one for one in (folder, *folder.parents) if one.is_dir()), Path("/"))
    yield _room(folder, there, settings)
    try:
        took = sorted(_sync(there / f".postwright-doctor-{os.getpid()}"))
    except OSError as error:
        cure = "run the doctor as the relay's user or as root"
        yield Finding("disk-latency", "unknown", str(folder), f"cannot be written to: {error.strerror}", cure)
        return
    middle, worst = took[len(took) // 2], took[-1]
    text = f"a message is safe on disk within {middle * 1000:.1f} ms, at worst {worst * 1000:.0f} ms"
    level: Level = "ok" if middle < SLOW else "note" if middle < HALTING else "warning"
    cure = "" if level == "ok" else "put the spool on a disk with a battery or on flash: <spool> on a file system of its own"
    yield Finding("disk-latency", level, str(folder), text, cure)


def _sync(file: Path) -> list[float]:
    """Seconds for each of some small writes that are on disk. Raises OSError."""
    took = []
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(SYNCS):
            begin = time.perf_counter()
            os.write(fd, b"\0" * 4096)
            os.fdatasync(fd)
            took.append(time.perf_counter() - begin)
    finally:
        os.close(fd)
        os.unlink(file)
    return took


def _room(folder: Path, there: Path, settings: Settings) -> Finding:
    room = os.statvfs(there)
    free, share = room.f_bavail * room.f_frsize, room.f_bavail / max(room.f_blocks, 1)
    nodes = room.f_favail / room.f_files if room.f_files else 1.0
    text = f"{free / (1 << 30):.1f} GB are free ({share:.0%})" + (f", {nodes:.0%} of the inodes" if nodes < FILLING else "")
    said = [spool.min_free_space for spool in settings.spools if Path(spool.path) == folder]
    least = max(said, default=settings.general.spool_min_free_space)
    cure = "make room, or give the spool a disk of its own"
    if free < least:
        return Finding("disk-space", "error", str(folder), f"{text}: below min-free-space, so no mail is taken", cure)
    level: Level = "ok" if min(share, nodes) >= FILLING else "warning" if min(share, nodes) >= FULL else "error"
    return Finding("disk-space", level, str(folder), text, "" if level == "ok" else cure)
