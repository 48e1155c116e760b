"""What is told once a second, and what is not told twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
import trustme
from structlog.testing import capture_logs
from tests.engine.tls_files import server

from postwright.engine.counters import Counters
from postwright.engine.self_signed import keep_certificate
from postwright.engine.tickets import PERIOD, Tickets
from postwright.engine.tls_server import ServerTls
from postwright.engine.tls_watch import QUIET, REMIND, TlsWatch
from postwright.policy.settings import ListenerSettings, Settings

NOW = datetime.now(UTC)


class Rig:
    """A watch over one listener, its clock in our hands."""

    def __init__(self, file: str, tells: bool = True) -> None:
        self.now = NOW.timestamp()
        listener = ListenerSettings("127.0.0.1", tls_certificate=file)
        tickets = Tickets(b"s" * 32, lambda: self.now)
        self.tls = ServerTls(Settings(listeners=(listener,)), tickets)
        self.counters = Counters()
        intake: Any = SimpleNamespace(epoch=SimpleNamespace(tls=self.tls), tickets=tickets, counters=self.counters, tls_troubles=[])
        self.watch = TlsWatch(intake, structlog.get_logger(), tells, lambda: self.now)

    def tick(self, seconds: float = 0.0) -> list[str]:
        """So much later, a tick; what was logged."""
        self.now += seconds
        with capture_logs() as logs:
            self.watch.tick()
        return [f"{entry['event']}: {entry['trouble']}" if "trouble" in entry else str(entry["event"]) for entry in logs]


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


def lasting(ca: trustme.CA, path: Path, days: float) -> str:
    return server(ca, path, "relay.example", not_before=NOW - timedelta(days=1), not_after=NOW + timedelta(days=days))


def test_an_end_that_comes_near_is_told_every_day(ca: trustme.CA, tmp_path: Path) -> None:
    rig = Rig(lasting(ca, tmp_path / "x.pem", 14.9))
    assert rig.tick() == []
    assert rig.tick(REMIND / 2) == []
    [told] = rig.tick(REMIND / 2)
    assert told.startswith("certificate: the certificate in ")
    assert told.endswith("in 14 days")
    assert rig.tick(REMIND / 2) == []
    assert rig.tick(REMIND / 2)[0].endswith("in 13 days")
    assert "expired on" in rig.tick(REMIND * 14)[0]


def test_one_shard_speaks_for_all(ca: trustme.CA, tmp_path: Path) -> None:
    assert Rig(lasting(ca, tmp_path / "x.pem", 2), tells=False).tick() == []
    assert len(Rig(str(tmp_path / "x.pem")).tick()) == 1


def test_injections_are_told_once_a_minute(ca: trustme.CA, tmp_path: Path) -> None:
    rig = Rig(lasting(ca, tmp_path / "x.pem", 90))
    line = "plain text behind STARTTLS was dropped"
    rig.counters.traffic.starttls_injections = 1
    assert rig.tick() == [line]
    rig.counters.traffic.starttls_injections = 900
    assert rig.tick(1.0) == []
    assert rig.tick(QUIET) == [line]
    assert rig.tick(QUIET) == []


def test_tickets_get_new_keys_when_their_time_is_over(ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig, turned = Rig(lasting(ca, tmp_path / "x.pem", 90)), []
    monkeypatch.setattr(ServerTls, "rekey", lambda tls: turned.append(tls))
    rig.tick(1.0)
    assert turned == []
    rig.tick(PERIOD)
    assert turned == [rig.tls]


def test_a_certificate_of_ones_own_is_made_kept_and_renewed(tmp_path: Path) -> None:
    file, now = tmp_path / "own.pem", NOW.timestamp()
    keep_certificate(file, ("localhost",), now)
    first = file.read_bytes()
    keep_certificate(file, ("localhost",), now)
    assert file.read_bytes() == first
    keep_certificate(file, ("localhost", "other.example"), now)  # a name that it has not
    second = file.read_bytes()
    assert second != first
    keep_certificate(file, ("localhost",), now + 355 * 86400)
    assert file.read_bytes() != second
    file.write_text("broken")
    keep_certificate(file, ("localhost",), now)
    assert Rig(str(file)).tick() == []
