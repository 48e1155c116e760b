"""The relay takes as many descriptors as it may have, and the doctor asks the one that runs."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

from tests.engine.doctor.patients import patient, told

from postwright.engine import open_files
from postwright.engine.bus import listen_unix
from postwright.engine.doctor import machine

RAISE = """\
import resource
from postwright.engine.open_files import may_have, raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 500))
print(may_have(), raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_limit_is_raised_as_far_as_it_may_be() -> None:
    done = subprocess.run([sys.executable, "-c", RAISE], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["500", "500", "500", "500"]


def test_no_relay(tmp_path: Path) -> None:
    assert open_files.of_relay(tmp_path / "control.sock") is None


async def test_a_relay_that_runs_is_asked(tmp_path: Path) -> None:
    """Who listens is asked of the kernel: here it is this process."""
    with listen_unix(tmp_path / "control.sock"):
        found = open_files.of_relay(tmp_path / "control.sock")
        who = patient(tmp_path, "total-max-smtp-out 10\n")
        finding = (await told(machine.check, who))["open-files", "open files"]
    assert found == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert f"the relay that runs may have {found} open" in finding.text
