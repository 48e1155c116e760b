"""The monitor's certificate while the relay runs: ours is made anew before it ends, an operator's is left alone, trouble is not tried for
each connection."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from postwright.engine import http_tls
from postwright.engine.http_tls import DAY, LOOK, HttpTls
from postwright.engine.self_signed import self_signed_pem
from postwright.policy.settings import Settings


class Clock:
    """Stands for the module `time`; `passed` seconds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = 0.0
        begin = time.time()
        monkeypatch.setattr(http_tls, "time", SimpleNamespace(time=lambda: begin + self.passed, monotonic=lambda: self.passed))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_ours_is_made_anew_while_we_run(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "webmon.pem"
    tls = HttpTls(Settings(), tmp_path)
    first, made = tls.context(), file.read_bytes()
    for clock.passed in (1.0, LOOK + 1, 100 * DAY):
        assert tls.context() is first
        assert file.read_bytes() == made
    clock.passed = 364 * DAY
    assert tls.context() is not first
    assert file.read_bytes() != made
    second = tls.context()
    clock.passed += 2 * LOOK
    assert tls.context() is second


def test_one_that_the_operator_takes_away_or_puts_there(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "webmon.pem"
    tls = HttpTls(Settings(), tmp_path)
    first, made = tls.context(), file.read_bytes()
    file.unlink()
    clock.passed += LOOK
    second = tls.context()
    assert second is not first
    assert file.read_bytes() != made
    file.write_bytes(b"nonsense")
    clock.passed += LOOK
    assert tls.context() is second  # what has become useless changes nothing, and is the operator's
    assert file.read_bytes() == b"nonsense"
    file.write_bytes(b"".join(self_signed_pem(["localhost"], 300)))
    clock.passed += LOOK
    assert tls.context() not in (first, second)


def test_trouble_is_not_tried_for_each_connection(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[str] = []

    def broken(*given: object) -> ssl.SSLContext:
        tries.append("")
        raise ValueError("no such cipher")

    monkeypatch.setattr(http_tls, "make_context", broken)
    tls = HttpTls(Settings(), tmp_path)
    for clock.passed, tried in ((0.0, 1), (1.0, 1), (LOOK, 2)):
        with pytest.raises(OSError, match="no such cipher"):
            tls.context()
        assert len(tries) == tried
