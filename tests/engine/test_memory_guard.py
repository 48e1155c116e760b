"""How much memory is used, out of files as Linux writes them: of the machine, of control groups of both versions, of both together."""

from __future__ import annotations

from pathlib import Path

import pytest

from postwright.engine.memory_guard import MemoryGuard

MIB = 1 << 20


class Machine:
    """A folder that looks like /proc and /sys/fs/cgroup."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.groups = folder / "cgroup"
        self.own = ""
        self.write("meminfo", "")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def memory(self, total: int, available: int) -> None:
        self.write("meminfo", f"MemTotal:  {total} kB\nMemFree:   1 kB\nMemAvailable:  {available} kB\n")

    def group(self, path: str, limit: int | str, used: int, idle: int = 0) -> None:
        self.write(f"cgroup{path}/memory.max", f"{limit}\n")
        self.write(f"cgroup{path}/memory.current", f"{used}\n")
        self.write(f"cgroup{path}/memory.stat", f"anon 5\ninactive_file {idle}\n")

    def guard(self) -> MemoryGuard:
        self.write("own", self.own)
        return MemoryGuard(self.folder / "meminfo", self.folder / "own", self.groups)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_of_the_machine(machine: Machine) -> None:
    machine.memory(1000, 250)
    guard = machine.guard()
    assert guard.used() == 0.75
    guard.look(74)
    assert guard.exhausted
    guard.look(75)
    assert not guard.exhausted
    machine.memory(1000, 0)  # no number at all is no reason to refuse mail, but one of zero is what it says
    machine.memory(1000, 1)
    guard.look(99)
    assert guard.exhausted
    guard.look(100)
    assert not guard.exhausted


def test_the_group_that_bounds_us_most_counts(machine: Machine) -> None:
    machine.memory(1000, 990)
    machine.own = "0::/system.slice/postwright.service\n"
    machine.group("/system.slice/postwright.service", "max", 95 * MIB)
    machine.group("/system.slice", 100 * MIB, 80 * MIB)
    guard = machine.guard()
    assert guard.used() == pytest.approx(0.8)
    machine.group("/system.slice/postwright.service", 100 * MIB, 95 * MIB, idle=5 * MIB)
    assert guard.used() == pytest.approx(0.9)
    machine.memory(1000, 20)
    assert guard.used() == pytest.approx(0.98)


def test_in_a_container_the_path_may_lead_nowhere(machine: Machine) -> None:
    machine.own = "0::/../../docker/abc\n"
    machine.group("", 200 * MIB, 100 * MIB)
    assert machine.guard().used() == pytest.approx(0.5)


def test_version_1(machine: Machine) -> None:
    machine.own = "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n"
    for path, limit in (("memory", 9223372036854771712), ("memory/docker/abc", 100 * MIB)):
        machine.write(f"cgroup/{path}/memory.limit_in_bytes", f"{limit}\n")
        machine.write(f"cgroup/{path}/memory.usage_in_bytes", f"{70 * MIB}\n")
        machine.write(f"cgroup/{path}/memory.stat", f"inactive_file 1\ntotal_inactive_file {10 * MIB}\n")
    assert machine.guard().used() == pytest.approx(0.6)


def test_where_nothing_can_be_read_there_is_no_guard(machine: Machine, tmp_path: Path) -> None:
    guard = MemoryGuard(tmp_path / "none", tmp_path / "none", tmp_path / "none")
    guard.look(1)
    assert (guard.used(), guard.exhausted) == (0.0, False)
    machine.write("meminfo", "MemTotal: lots\nMemAvailable:\n\xff")
    machine.own = "nonsense\n0::\n"
    assert machine.guard().used() == 0.0


def test_the_one_that_we_run_on() -> None:
    assert 0.0 < MemoryGuard().used() < 1.0
