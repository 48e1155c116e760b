"""The configuration's files as something that is read and changed from afar: by the API, by `/configFile`, by the monitor's pages.

Only files in the folder of the configuration, by their real paths: a link or `..` that leads elsewhere is refused, and so is whatever holds
a private key. Nothing is written before the whole configuration was read as it would be then and had no error. Each change keeps what was
there before, below `config-versions` of the state folder, so that it can be taken back; a file is replaced as a whole, with its mode.
Raises ConfigRefused, with what is wrong, and OSError where the disk or the rights say no.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from postwright.control.config.loader import LoadResult, load
from postwright.model.errors import PostwrightError

LARGEST: Final = 4 << 20  # octets of a file
MOST_FILES: Final = 1000
MOST_VERSIONS: Final = 200
VERSIONS: Final = "config-versions"
_META: Final = "change.json"
_private = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----").search
_hidden = re.compile(r"(^|/)\.").search


class ConfigRefused(PostwrightError):
    """No. `problems` are lines as `postwright check` prints them; `forbidden`: it is not a file of ours; `missing`: it is not there."""

    def __init__(self, why: str, problems: Sequence[str] = (), *, forbidden: bool = False, missing: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.problems = list(problems)
        self.forbidden = forbidden
        self.missing = missing


class Version(Struct, omit_defaults=True):
    """A change: who made it, when (Unix seconds), why, and in which files; `undone` is the number of the change that it took back."""

    number: int
    at: float
    by: str
    files: list[str]
    reason: str = ""
    undone: int = 0


class _Change(Struct):
    """The file beside what there was: `before` tells of each file under which name that is kept, "" for a file that was new."""

    version: Version
    before: dict[str, str]


class ConfigFolder:
    """The folder of `config_file`. `state_dir` as for `load`."""

    def __init__(self, config_file: Path, state_dir: Path, tolerant: bool = False) -> None:
        self._file = config_file
        self._state_dir = state_dir
        self._tolerant = tolerant
        self._folder = os.path.realpath(config_file.parent)
        self._versions = state_dir / VERSIONS

    # -- reading -------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """Files of the folder and of those within, by their names relative to it; the configuration itself first."""
        found = []
        for top, folders, files in os.walk(self._folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(files):
                relative = os.path.relpath(os.path.join(top, name), self._folder)
                with contextlib.suppress(ConfigRefused, OSError):
                    self.read(relative)
                    found.append(relative)
                if len(found) >= MOST_FILES:
                    return found
        main = self._file.name
        return sorted(found, key=lambda name: (name != main, name))

    def read(self, name: str) -> str:
        """A file's text. Raises ConfigRefused or OSError."""
        return self._octets(name).decode("utf-8", "replace")

    def _octets(self, name: str) -> bytes:
        path = self.path(name)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ConfigRefused(f"there is no file {name}", missing=True) from None
        with open(fd, "rb") as file:
            octets = file.read(LARGEST + 1)
        if len(octets) > LARGEST:
            raise ConfigRefused(f"{name} is larger than {LARGEST >> 20} MB", forbidden=True)
        if _private(octets) or b"\0" in octets:
            raise ConfigRefused(f"{name} is no text of the configuration", forbidden=True)
        return octets

    def path(self, name: str) -> str:
        """The real path of a file that is, or may be, in the folder. Raises ConfigRefused for every other."""
        if not name or len(name) > 1000 or not name.isprintable() or _hidden(name.replace("\\", "/")):
            raise ConfigRefused("that is no name of a file of the configuration", forbidden=True)
        real = os.path.realpath(os.path.join(self._folder, name))
        if not real.startswith(self._folder + os.sep) or (os.path.lexists(real) and not os.path.isfile(real)):
            raise ConfigRefused(f"{name} is not in the folder of the configuration", forbidden=True)
        if not os.path.isdir(os.path.dirname(real)):
            raise ConfigRefused(f"there is no folder for {name}", forbidden=True)
        return real

    # -- what would be -------------------------------------------------------------------------

    def tried(self, changes: Mapping[str, str]) -> LoadResult:
        """The whole configuration as it would be with these texts. Raises ConfigRefused for names and sizes that are none."""
        return load(self._file, tolerant=self._tolerant, state_dir=self._state_dir, instead=self._instead(changes))

    def _instead(self, changes: Mapping[str, str]) -> dict[str, bytes]:
        found = {}
        for name, text in changes.items():
            octets = text.encode("utf-8", "surrogateescape")
            if len(octets) > LARGEST or b"\0" in octets or _private(octets):
                raise ConfigRefused(f"{name} would be no text of the configuration", forbidden=True)
            found[self.path(name)] = octets
        return found

    def diff(self, changes: Mapping[str, str]) -> str:
        """What these texts would change, as `diff -u` says it."""
        lines: list[str] = []
        for name, text in sorted(changes.items()):
            try:
                before = self.read(name)
            except ConfigRefused as error:
                if not error.missing:
                    raise
                before = ""
            compared = difflib.unified_diff(before.splitlines(), text.splitlines(), f"{name} (now)", f"{name} (then)", lineterm="")
            lines += compared
        return "".join(f"{line}\n" for line in lines)

    # -- changing ------------------------------------------------------------------------------

    def write(self, changes: Mapping[str, str], by: str, at: float, reason: str = "", undone: int = 0) -> Version:
        """Put these texts in the place of what is there, if the configuration is sound then: all of them, or none. Raises ConfigRefused or
        OSError."""
        result = self.tried(changes)
        if result.errors:
            raise ConfigRefused("the configuration would have errors; nothing was written", [one.render() for one in result.errors])
        instead = self._instead(changes)
        number = max([one.number for one in self.versions()], default=0) + 1
        version = Version(number, at, by, sorted(changes), reason, undone)
        self._keep(version, changes)
        fresh: dict[str, str] = {}
        try:
            for path, octets in instead.items():
                fresh[path] = _beside(path, octets)
        except OSError:  # a disk that is full has room for the first, perhaps
            for name in fresh.values():
                os.unlink(name)
            shutil.rmtree(self._versions / f"{number:08}", ignore_errors=True)
            raise
        for path, name in fresh.items():
            os.replace(name, path)
        return version

    def _keep(self, version: Version, changes: Mapping[str, str]) -> None:
        """What is there before this change. The oldest goes when there are too many."""
        folder = self._versions / f"{version.number:08}"
        folder.mkdir(mode=0o700, parents=True)
        before: dict[str, str] = {}
        for place, name in enumerate(sorted(changes)):
            try:
                octets = self._octets(name)
            except ConfigRefused as error:
                if not error.missing:
                    raise
                before[name] = ""
                continue
            before[name] = f"{place}.txt"
            _replace(str(folder / before[name]), octets)
        _replace(str(folder / _META), msgspec.json.encode(_Change(version, before)))
        for old in self._numbers()[:-MOST_VERSIONS]:
            shutil.rmtree(self._versions / f"{old:08}", ignore_errors=True)

    def restore(self, version: Version) -> None:
        """The files as they were before this change, whatever they are worth: for a change that could not be put in force."""
        for name, text in self._before(version.number).items():
            if text is None:
                os.unlink(self.path(name))
            else:
                _replace(self.path(name), text.encode("utf-8", "surrogateescape"))
        shutil.rmtree(self._versions / f"{version.number:08}", ignore_errors=True)

    # -- versions ------------------------------------------------------------------------------

    def versions(self) -> list[Version]:
        """All changes that are known, the newest first."""
        return [change.version for change in self._changes()]

    def _numbers(self) -> list[int]:
        try:
            return sorted(int(name) for name in os.listdir(self._versions) if re.fullmatch(r"\d{8}", name))
        except OSError:
            return []

    def _changes(self) -> Iterator[_Change]:
        for number in reversed(self._numbers()):
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                yield msgspec.json.decode((self._versions / f"{number:08}" / _META).read_bytes(), type=_Change)

    def _before(self, number: int) -> dict[str, str | None]:
        """Texts of the files of one change as they were before it, None for one that was not there."""
        folder = self._versions / f"{number:08}"
        change = msgspec.json.decode((folder / _META).read_bytes(), type=_Change)
        return {
            name: (folder / kept).read_bytes().decode("utf-8", "surrogateescape") if kept else None for name, kept in change.before.items()
        }

    def as_before(self, number: int) -> dict[str, str]:
        """Texts that make all files what they were before that change: of each file what the first change from there on has kept.

        A file that was not there then becomes an empty one: something may include it. Raises ConfigRefused for a number that is none.
        """
        changes = [change.version.number for change in self._changes() if change.version.number >= number]
        if number not in changes:
            raise ConfigRefused(f"there is no change {number}", missing=True)
        found: dict[str, str] = {}
        for one in changes:  # newest first: what is older counts
            found |= {name: text or "" for name, text in self._before(one).items()}
        return found


def _replace(path: str, octets: bytes) -> None:
    """Whole, or not at all; with the mode that was there."""
    os.replace(_beside(path, octets), path)


def _beside(path: str, octets: bytes) -> str:
    """On disk under a name beside `path`, with its mode; that name."""
    fresh = f"{path}.postwright-new"
    mode = os.stat(path).st_mode & 0o777 if os.path.exists(path) else 0o640
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with open(fd, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.unlink(fresh)
        raise
    return fresh
