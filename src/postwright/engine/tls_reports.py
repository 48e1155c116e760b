"""What became of TLS with receivers, counted by day and domain (RFC 8460), for the reports that `engine.report_sender` sends.

Each shard counts its own and keeps a file for each day (UTC) in a common folder, written every five minutes and at a stop: what a crash
loses is minutes of statistics. Bounded: so many domains a day, so many kinds of failure each; what goes beyond is not counted. Raises
nothing; a folder that cannot be written is told to the log once a day.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec import Struct, field

from postwright.model.route import TlsDemand
from postwright.net.clock import Clock, Timer
from postwright.policy import tls_report
from postwright.policy.mta_sts import StsPolicy
from postwright.policy.tls_report import Row

DAY: Final = 86400
FLUSH: Final = 300.0  # seconds
MOST_DOMAINS: Final = 10_000  # of a day and shard
MOST_ROWS: Final = 100  # kinds of failure of a policy


class Counted(Struct):
    """One policy of one domain: `strings` and `hosts` as the report shows it, sessions that held to it, and those that did not."""

    strings: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    successes: int = 0
    failures: list[tuple[Row, int]] = field(default_factory=list)

    def add(self, row: Row, count: int = 1) -> None:
        """A session, or several of one kind."""
        if row.result == tls_report.SUCCESS:
            self.successes += count
            return
        for at, (known, before) in enumerate(self.failures):
            if known == row:
                self.failures[at] = (known, before + count)
                return
        if len(self.failures) < MOST_ROWS:
            self.failures.append((row, count))

    def merge(self, other: Counted) -> None:
        """What another shard counted, or an earlier run of this one."""
        self.strings, self.hosts = self.strings or other.strings, self.hosts or other.hosts
        self.successes += other.successes
        for row, count in other.failures:
            self.add(row, count)


Day = dict[str, dict[str, Counted]]  # domain -> kind of policy -> what came of it


class TlsReports:
    """Of one shard. `start` begins to write; `close` writes the rest."""

    def __init__(self, clock: Clock, number: int, folder: Path, log: structlog.stdlib.BoundLogger) -> None:
        self._clock = clock
        self._number = number
        self._folder = folder
        self._log = log
        self._today = int(clock.now() // DAY)
        self._counted = read(folder, self._today, number)
        self._changed = False
        self._timer: Timer | None = None

    def start(self) -> None:
        """Write every now and then."""
        self._timer = self._clock.call_later(FLUSH, self._again)

    def _again(self) -> None:
        self.flush()
        self.start()

    def count(self, domain: str, demand: TlsDemand | None, row: Row) -> None:
        """A session with a host, held to `demand`."""
        self.count_as(domain, tls_report.policy_type(demand), row)

    def count_as(self, domain: str, kind: str, row: Row) -> None:
        """As `count`, where it never came to a session."""
        counted = self._of(domain, kind)
        if counted is not None:
            counted.add(row)
            self._changed = True

    def learn(self, domain: str, tlsa: dict[str, tuple[str, ...]], sts: StsPolicy | None) -> None:
        """What the policies of a domain say today."""
        if sts is not None and (counted := self._of(domain, "sts")) is not None:
            mx = tuple([f"mx: {pattern}" for pattern in sts.mx])
            counted.strings = ("version: STSv1", f"mode: {sts.mode}", *mx, f"max_age: {sts.max_age}")
            counted.hosts = sts.mx
        records = tuple([text for texts in tlsa.values() for text in texts])
        if records and (counted := self._of(domain, "tlsa")) is not None:
            counted.strings, counted.hosts = records[:MOST_ROWS], tuple(tlsa)

    def _of(self, domain: str, kind: str) -> Counted | None:
        day = int(self._clock.now() // DAY)
        if day != self._today:
            self.flush()
            self._today, self._counted = day, {}
        kinds = self._counted.get(domain)
        if kinds is None:
            if len(self._counted) >= MOST_DOMAINS:
                return None
            kinds = self._counted[domain] = {}
        return kinds.setdefault(kind, Counted())

    def flush(self) -> None:
        """What was counted is on disk."""
        if not self._changed:
            return
        self._changed = False
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            fresh = self._folder / f"{self._today}.{self._number}.new"
            fresh.write_bytes(msgspec.json.encode(self._counted))
            os.replace(fresh, self._folder / f"{self._today}.{self._number}.json")
        except OSError as error:
            self._log.error("counts for TLS reports cannot be written", error=str(error))

    def close(self) -> None:
        """The end of this shard."""
        if self._timer is not None:
            self._timer.cancel()
        self.flush()


def read(folder: Path, day: int, shard: int) -> Day:
    """What a shard counted on a day; nothing where there is no file, or none that can be read."""
    try:
        return msgspec.json.decode((folder / f"{day}.{shard}.json").read_bytes(), type=Day)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def days(folder: Path) -> dict[int, list[int]]:
    """Days of which there are counts, and the shards that have them."""
    found: dict[int, list[int]] = {}
    for path in sorted(folder.glob("*.json")):
        day, _, shard = path.stem.partition(".")
        if day.isdigit() and shard.isdigit():
            found.setdefault(int(day), []).append(int(shard))
    return found


def merged(folder: Path, day: int, shards: list[int]) -> Day:
    """All of a day."""
    total: Day = {}
    for shard in shards:
        for domain, kinds in read(folder, day, shard).items():
            for kind, counted in kinds.items():
                total.setdefault(domain, {}).setdefault(kind, Counted()).merge(counted)
    return total


def forget(folder: Path, day: int) -> None:
    """A day is over and told."""
    for path in folder.glob(f"{day}.*.json"):
        path.unlink(missing_ok=True)
