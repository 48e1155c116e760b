"""What every part is given: where it may write, how much it should do, and a voice for what it is doing meanwhile."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


class BenchError(Exception):
    """A measurement that is worth nothing: mail was lost, a program did not start."""


class Bench:
    """`folder` is empty and goes away at the end; `quick` asks for counts that only show that the bench works."""

    def __init__(self, folder: Path, *, quick: bool, rounds: int) -> None:
        self.folder = folder
        self.quick = quick
        self.rounds = rounds

    def pick(self, full: T, quick: T) -> T:
        """How much to do."""
        return quick if self.quick else full

    @contextmanager
    def place(self, name: str) -> Iterator[Path]:
        """A folder for one relay. Others may enter it: Postfix's processes are not root."""
        with tempfile.TemporaryDirectory(prefix=f"{name}-", dir=self.folder, ignore_cleanup_errors=True) as made:
            path = Path(made)
            path.chmod(0o755)
            yield path

    def say(self, what: str) -> None:
        """A line about what goes on, for whoever watches; never part of the report."""
        print(f"-- {what}", file=sys.stderr, flush=True)
