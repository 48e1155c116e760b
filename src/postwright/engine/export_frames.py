"""The words between supervisor and exporter, beside those of the bus. Plain values."""

from __future__ import annotations

from msgspec import Struct


class ConsumerStatus(Struct):
    """How far a consumer is. `behind` octets of the log; `lag` seconds since the oldest event that it has not had, 0 when it has all.

    `delivered` events since the exporter started (repeats counted); `trouble` why nothing moves, "" when all is well.
    """

    name: str
    behind: int = 0
    lag: float = 0.0
    delivered: int = 0
    trouble: str = ""


class Export(Struct, tag="export"):
    """Supervisor to exporter: what holds from now on. `settings` is a pickle, as in `Start`; `reopen`: only open the log anew."""

    settings: bytes = b""
    state_dir: str = ""
    debug: bool = False
    user: str = ""
    reopen: bool = False


class Replay(Struct, tag="replay"):
    """Supervisor to exporter: this consumer gets everything since then (Unix seconds) once more."""

    consumer: str
    since: float


class Exporting(Struct, tag="exporting"):
    """Exporter to supervisor, once a second."""

    consumers: list[ConsumerStatus]


ExportTalk = Export | Replay | Exporting
