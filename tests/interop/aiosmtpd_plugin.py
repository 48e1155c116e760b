"""A plugin of pytest for a run of aiosmtpd's own protocol tests, which aims them at a listener that is not aiosmtpd's.

Loaded with `-p aiosmtpd_plugin` in a process of its own; AIMED_AT=host:port says where to, OUTCOMES=FILE where results go, a line of JSON a
test. `Controller.start` no longer starts a server, and replies are compared by their code alone: the words are ours to choose.
The tests ask for pytest-mock and setuptools in places that have nothing to do with the protocol; small stand-ins spare us both.
"""

from __future__ import annotations

import json
import os
import smtplib
import socket
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.testing.statuscodes import StatusCode

HOST, _, PORT = os.environ["AIMED_AT"].rpartition(":")


def _stand_in(name: str, **contents: object) -> None:
    module = ModuleType(name)
    module.__dict__.update(contents)
    sys.modules[name] = module


_stand_in("pytest_mock", MockFixture=object)
_stand_in("pkg_resources", resource_filename=lambda package, name: str(resources.files(package) / name))


@pytest.fixture(scope="session")
def session_mocker() -> object:
    """All that is asked of it: `patch("socket.getfqdn", return_value=...)` for the length of the run."""

    class Mocker:
        patch: Callable[..., Any] = staticmethod(lambda target, **how: mock.patch(target, **how).start())

    return Mocker()


def _start(self: Controller) -> None:
    self.hostname, self.port = HOST, int(PORT)


def _same_code(self: StatusCode, other: object) -> bool:
    return isinstance(other, tuple) and self[0] == other[0]


def _leave(self: smtplib.SMTP, *unused: object) -> None:
    """One test leaves in the midst of DATA, where a QUIT is text and gets no answer: it would be waited for."""
    self.close()


Controller.start = _start  # type: ignore[method-assign]
Controller.stop = lambda self, no_assert=False: None  # type: ignore[method-assign]
StatusCode.__eq__ = _same_code  # type: ignore[method-assign]
StatusCode.__hash__ = lambda self: hash(self[0])  # type: ignore[method-assign]
smtplib.SMTP.__exit__ = _leave  # type: ignore[method-assign]
socket.setdefaulttimeout(10.0)


def pytest_configure(config: pytest.Config) -> None:
    for name in ("controller_data", "handler_data", "client_data"):
        config.addinivalue_line("markers", f"{name}: aiosmtpd's own")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.outcome == "failed":
        why = report.longrepr.reprcrash.message if report.failed and hasattr(report.longrepr, "reprcrash") else ""
        line = json.dumps({"test": report.nodeid.rpartition("::TestSMTP")[2], "outcome": report.outcome, "why": why})
        with Path(os.environ["OUTCOMES"]).open("a", encoding="utf-8") as file:
            file.write(line + "\n")
