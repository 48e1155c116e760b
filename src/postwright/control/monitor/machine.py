"""What lies on disk and around the relay: the log's end, the doctor's findings, the configuration as it is written.

Files are read beside the loop, a bounded piece of them; lines of strangers are shown as text and no more. Secrets of the configuration are
masked as they are in errors. Nothing here writes.
"""

from __future__ import annotations

import asyncio
import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.params import FromQuery, QueryParameter
from msgspec import Struct

from postwright.control.config.folder import ConfigFolder, ConfigRefused, Version
from postwright.control.config.problems import masked
from postwright.control.http.problems import Refused
from postwright.control.http.site import Site
from postwright.control.monitor.frame import AnyRequest, Page
from postwright.engine.doctor.examine import examine_here
from postwright.engine.doctor.finding import Finding, Section
from postwright.engine.doctor.patient import Wishes
from postwright.engine.resolving import NoValidator

TAIL: Final = 512 * 1024  # octets of the log that are looked through
LINES: Final = 200
FRESH: Final = 60.0  # seconds that the doctor's findings are shown again
CHANGES: Final = 50
_WRITING: Final = 5.0  # seconds that a change may take from its time to the file's
LARGEST: Final = 2 * 1024 * 1024  # octets of one configuration file


@get("/ui/logs", opt={"scope": "logs"}, include_in_schema=False)
async def logs(request: AnyRequest, text: Annotated[str, QueryParameter(max_length=200)] = "") -> Response[str]:
    """The log's last lines; as a fragment, only these."""
    page = Page(request, "logs")
    path = page.site.settings.general.log_file
    lines: list[str] = []
    if path:
        try:
            lines = await asyncio.to_thread(tail, Path(path), text)
        except OSError as error:
            page.frame.away = str(error)
    return page.shown("log_lines.html" if page.is_fragment else "logs.html", path=path, lines=lines, text=text)


def tail(path: Path, text: str) -> list[str]:
    """The last lines that have `text`, in any case. Raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL))
        lines = file.read(TAIL).decode("utf-8", "replace").splitlines()
    if size > TAIL:
        del lines[:1]  # it begins in the middle
    return [line for line in lines if text.lower() in line.lower()][-LINES:]


class _Examined(Struct):
    """What the doctor found, and when (of the loop)."""

    sections: list[Section]
    until: float


_examined: dict[int, _Examined] = {}
_turn = asyncio.Lock()


@get("/ui/doctor", opt={"scope": "read"}, include_in_schema=False)
async def doctor(request: AnyRequest, again: FromQuery[bool] = False) -> Response[str]:
    """Findings with their cures; what was found a moment ago is shown again, since it asks the world."""
    page = Page(request, "doctor")
    async with _turn:
        now = asyncio.get_running_loop().time()
        known = _examined.get(id(page.site.settings))
        if known is None or again or now > known.until:
            _examined.clear()
            known = _examined[id(page.site.settings)] = _Examined(await _examine(page.site), now + FRESH)
    return page.shown("doctor.html", sections=known.sections)


async def _examine(site: Site) -> list[Section]:
    try:
        return await asyncio.wait_for(examine_here(site.settings, Wishes(), site.state_dir), 60.0)
    except (OSError, ValueError, TimeoutError, NoValidator) as error:
        return [Section("doctor", (Finding("doctor", "unknown", "", str(error) or type(error).__name__),))]


class ConfigFile(Struct):
    """One file of the configuration, its secrets masked; `changed` Unix seconds; `version` the change by the API that this was, if any."""

    name: str
    changed: float
    lines: list[str]
    version: Version | None = None


@get("/ui/configuration", opt={"scope": "config"}, include_in_schema=False)
async def configuration(request: AnyRequest) -> Response[str]:
    """The configuration's files, with line numbers that can be linked to, and who has changed them."""
    page = Page(request, "configuration")
    files: list[ConfigFile] = []
    versions: list[Version] = []
    if page.site.config_file is not None:
        try:
            files = await asyncio.to_thread(read_files, page.site.config_file)
            versions = await asyncio.to_thread(_folder(page.site).versions)
        except OSError as error:
            page.frame.away = str(error)
        _told_apart(files, versions, page.site.config_file.resolve().parent)
    return page.shown("configuration.html", files=files, versions=versions[:CHANGES])


def _folder(site: Site) -> ConfigFolder:
    if site.config_file is None:
        raise Refused(404, "the sandbox's configuration is no file")
    return ConfigFolder(site.config_file, site.state_dir, site.tolerant)


def _told_apart(files: list[ConfigFile], versions: list[Version], folder: Path) -> None:
    """A file that was written after its last change by the API was changed by hand: nobody knows by whom."""
    for file in files:
        name = os.path.relpath(file.name, folder)
        last = next((one for one in versions if name in one.files), None)
        file.version = last if last is not None and file.changed <= last.at + _WRITING else None


@get("/ui/change", opt={"scope": "config"}, include_in_schema=False)
async def change(request: AnyRequest, number: Annotated[int, QueryParameter(ge=1, le=99_999_999)]) -> Response[str]:
    """What the files were before a change, against what they are now."""
    page = Page(request, "configuration")
    folder = _folder(page.site)
    version = next((one for one in await asyncio.to_thread(folder.versions) if one.number == number), None)
    if version is None:
        raise Refused(404, "there is no such change")
    try:
        lines = await asyncio.to_thread(_compared, folder, number)
    except ConfigRefused as error:
        raise Refused(403, error.why) from error
    return page.shown("change.html", change=version, lines=lines)


def _compared(folder: ConfigFolder, number: int) -> list[str]:
    """As `diff -u` says it, secrets masked."""
    found: list[str] = []
    for name, before in sorted(folder.as_before(number).items()):
        now = folder.read(name)
        old, new = ([masked(line) for line in text.splitlines()] for text in (before, now))
        found += difflib.unified_diff(old, new, f"{name} (before)", f"{name} (now)", lineterm="")
    return found


def read_files(path: Path) -> list[ConfigFile]:
    """The file, and those that it includes by lines of their own. Raises OSError for the file itself."""
    found: dict[Path, ConfigFile] = {}
    waiting = [path]
    while waiting and len(found) < 100:
        one = waiting.pop(0).resolve()
        if one in found:
            continue
        try:
            text = one.read_bytes()[:LARGEST].decode("utf-8", "replace")
        except OSError:
            if not found:
                raise
            continue
        lines = text.splitlines()
        found[one] = ConfigFile(str(one), one.stat().st_mtime, [masked(line) for line in lines])
        waiting += [one.parent / name for name in _included(lines)]
    return list(found.values())


def _included(lines: list[str]) -> list[str]:
    words = [line.split(None, 1) for line in lines]
    return [two[1].strip().strip('"') for two in words if len(two) == 2 and two[0].lower() == "include"]


ROUTES: list[Any] = [logs, doctor, configuration, change]
