"""What all tests share: how a test says which programs of the system it needs, and settings of Hypothesis.

`@pytest.mark.needs("swaks", "exim4")` on a test (or `needs("swaks")` from the fixture of that name, which returns the path) skips the test
with the reason and the command that would enable it. With CI=true in the environment it fails instead: CI never skips.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"

# Timing on a loaded machine says nothing about the code, so no deadline; the same examples every run in CI.
settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True, print_blob=True)
settings.load_profile("ci" if CI else "local")


def system_cache() -> Path:
    """Where `tests/system/install` unpacks what it does not install; the same rule as in that script."""
    cache = os.environ.get("POSTWRIGHT_CACHE")
    if cache:
        return Path(cache) / "system"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "postwright" / "system"


def find_program(name: str) -> Path | None:
    """The program on PATH, in the administrators' folders (Debian keeps them off a user's PATH), or unpacked in our cache."""
    places = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/sbin", str(system_cache() / "bin")]
    found = shutil.which(name, path=os.pathsep.join(places))
    return Path(found) if found else None


def skip_or_fail(reason: str) -> None:
    """Skips with `reason`; fails with it under CI=true."""
    if CI:
        pytest.fail(f"{reason} (and CI never skips)", pytrace=False)
    pytest.skip(reason)


def _need(name: str) -> Path:
    if name == "root":
        if os.geteuid() != 0:
            skip_or_fail("needs root; to enable: sudo ./dev test")
        return Path("/")
    program = find_program(name)
    if program is None:
        skip_or_fail(f"{name} is not installed; to enable: tests/system/install {name}")
        raise AssertionError("unreachable")
    return program


@pytest.fixture(scope="session")
def needs() -> Callable[[str], Path]:
    """`needs("swaks")` is the path of that program; `needs("root")` asks for the superuser. Skips, or fails under CI=true."""
    return _need


@pytest.fixture(scope="session")
def libunbound() -> str:
    """Lets this process load libunbound, out of the cache where the machine has none; the value is a LD_LIBRARY_PATH for others."""
    with contextlib.suppress(OSError):
        ctypes.CDLL("libunbound.so.8")
        return ""
    folders = {file.parent for file in (system_cache() / "root-unbound").rglob("*.so.*")}
    found = next((folder for folder in folders if (folder / "libunbound.so.8").exists()), None)
    if found is None:
        skip_or_fail("libunbound is not here; to enable: tests/system/install unbound")
        raise AssertionError("unreachable")
    # What it needs in turn was unpacked with it, and is found by its name once it is loaded.
    for file in sorted(found.glob("*.so.*"), key=lambda file: file.name.startswith("libunbound")):
        ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL)
    return ":".join(sorted(map(str, folders)))


@pytest.fixture
def collected() -> Iterator[None]:
    """For tests that parse Python. CPython 3.11 loses count of its depth (SystemError) when the collector runs meanwhile and ends something
    that is told with a traceback, whose carets are parsed, too: a coroutine, say, that a simulated world has left."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.fixture
def shared() -> Path:
    """The folder of reading material beside the project, where there is one; it is no part of the project, so never a failure."""
    if not SHARED.is_dir():
        pytest.skip("../shared is not there")
    return SHARED


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*programs): programs of the system (or 'root') without which the test is skipped")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            _need(name)
