"""Finds and reads the files of a configuration: the main one, `config-defaults` beside it, and what `include` names.

Paths are relative to the file that includes; globs are read in sorted order; a file that includes itself, also by way of others, is an
error, and so is a URL, since nothing is fetched here. A file is read once however often it is included. Nothing is raised: what cannot be
read is reported at the line that wants it.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

from postwright.control.config.lines import Line, Text, decode, read
from postwright.control.config.report import Report

MAX_OCTETS = 256 << 20  # of one file
MAX_FILES = 10_000  # includes within includes multiply
MAX_DEPTH = 50


class Included:
    """A file that is being read; entering it is what makes a circle visible."""

    def __init__(self, files: Files, path: str, text: Text) -> None:
        self._files = files
        self._path = path
        self.text = text

    def __enter__(self) -> Included:
        self._files.open.append(self._path)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._files.open.pop()


class Files:
    """The files of one load. `folder` is where relative includes of a text without a file are looked for; `instead` has octets by real
    paths, in the place of what is on disk."""

    def __init__(
        self, report: Report, is_directive: Callable[[str], bool], folder: Path, instead: Mapping[str, bytes] | None = None
    ) -> None:
        self._instead = instead or {}
        self._report = report
        self._is_directive = is_directive
        self._folder = folder
        self._texts: dict[str, Text] = {}
        self._count = 0
        self.open: list[str] = []

    def main(self, path: Path) -> Included:
        """A file to start from. Raises OSError."""
        real = os.path.realpath(path)
        return Included(self, real, self._text(str(path), real))

    def has(self, path: Path) -> bool:
        """Is it there, or would be?"""
        return os.path.realpath(path) in self._instead or path.is_file()

    def string(self, name: str, text: str) -> Included:
        """A text that is in no file."""
        return Included(self, "", read(name, text, self._is_directive))

    def included(self, text: Text, line: Line, pattern: str) -> Iterator[Included]:
        """The files that an `include` names, one after the other."""
        if pattern.lower().startswith(("http://", "https://")):
            self._report.at(text, line, "include: a URL is not fetched", offset=0, hint="fetch it into a file and include that")
            return
        if len(self.open) >= MAX_DEPTH:
            self._report.at(text, line, f"include: more than {MAX_DEPTH} files within one another", offset=0)
            return
        paths = self._paths(pattern)
        if not paths:
            self._report.at(text, line, f"include: no file matches {pattern}", offset=0, level="warning", kind="environment")
        for path in paths:
            found = self._include(text, line, path)
            if found is not None:
                yield found

    def _paths(self, pattern: str) -> list[str]:
        base = os.path.dirname(self.open[-1]) if self.open and self.open[-1] else str(self._folder)
        full = os.path.join(base, pattern)
        if not glob.has_magic(pattern):
            return [full]
        found = {path for path in glob.glob(full) if os.path.isfile(path)}
        folder = os.path.realpath(os.path.dirname(full)) if not glob.has_magic(os.path.dirname(full)) else os.path.dirname(full)
        pattern = os.path.join(folder, os.path.basename(full))
        known = {os.path.realpath(path) for path in found}
        return sorted(found | {path for path in self._instead if path not in known and fnmatch.fnmatch(path, pattern)})

    def _include(self, text: Text, line: Line, path: str) -> Included | None:
        real = os.path.realpath(path)
        if real in self.open:
            circle = " → ".join(os.path.basename(name) for name in (*self.open[self.open.index(real) :], real))
            self._report.at(text, line, f"include: the file includes itself: {circle}", offset=0)
            return None
        self._count += 1
        if self._count > MAX_FILES:
            self._report.at(text, line, f"include: more than {MAX_FILES} files", offset=0)
            return None
        try:
            return Included(self, real, self._text(path, real))
        except OSError as error:
            level = "warning" if self._report.tolerant else "error"
            reason = error.strerror or "cannot be read"
            self._report.at(text, line, f"include: {path}: {reason}", offset=0, level=level, kind="environment")  # type: ignore[arg-type]
            return None

    def _text(self, shown: str, real: str) -> Text:
        found = self._texts.get(real)
        if found is None:
            # a file name need not be UTF-8, but it will be printed
            shown = shown.encode("utf-8", "replace").decode()
            octets = self._instead[real] if real in self._instead else read_octets(real)
            found = self._texts[real] = read(shown, decode(octets), self._is_directive)
        return found


def read_octets(path: str) -> bytes:
    """A file's octets. Raises OSError, also for what is no regular file or too large."""
    # a FIFO would keep us waiting for somebody who writes
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "not a regular file")
        if status.st_size > MAX_OCTETS:
            raise OSError(0, f"larger than {MAX_OCTETS >> 20} MB")
        return file.read(MAX_OCTETS)
