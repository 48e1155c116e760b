"""`/api/v1/config`: the configuration's files: read, tried, compared, changed and taken back, within the bounds of `control.config.folder`.

`apply` writes nothing that has an error, has the relay read it, and puts back what was there when the relay will not have it; when it does
not answer, the change stays written, and the 503 says so. `version` of an answer may be sent as `expected`: a change that somebody else has
made meanwhile is then a conflict, and not overwritten.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Annotated, TypeVar

from litestar import get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta, Struct

from postwright.control.api.common import PROBLEMS, AnyRequest, Free
from postwright.control.config.folder import LARGEST, ConfigFolder, ConfigRefused, Version
from postwright.control.http.asking import RelayAway
from postwright.control.http.guard import identity_of, mark_of, site_of
from postwright.control.http.problems import PROBLEM, Problem, Refused

T = TypeVar("T")

LARGEST_BODY = 16 << 20  # octets
_CONFLICT = ResponseSpec(data_container=Problem, description="It has changed meanwhile", media_type=PROBLEM, generate_examples=False)
_FileName = Annotated[str, Meta(min_length=1, max_length=1000, description="Relative to the folder of the configuration")]
_FileText = Annotated[str, Meta(max_length=LARGEST)]
_FileQuery = Annotated[str, QueryParameter(min_length=1, max_length=1000, description="Relative to the folder of the configuration")]


class ConfigFiles(Struct):
    """The configuration itself first. `version` changes with any of them."""

    files: list[str]
    version: str


class ConfigText(Struct):
    """A file. `version` is that of all files, as in the list."""

    name: str
    text: str
    version: str


class Texts(Struct, forbid_unknown_fields=True):
    """Texts of files as they would be, by their names. Files that are not named stay as they are."""

    files: Annotated[dict[_FileName, _FileText], Meta(min_length=1, max_length=100)]


class Change(Texts, forbid_unknown_fields=True):
    """`expected`: the `version` that this is a change of, empty for any."""

    reason: Free = ""
    expected: Free = ""


class Judgement(Struct):
    """Would it be taken? `problems` as `postwright check` prints them, warnings and notes among them."""

    good: bool
    problems: list[str]


class Difference(Struct):
    """As `diff -u` says it, empty for none."""

    diff: str


class Versions(Struct):
    """Changes that were made this way, the newest first."""

    items: list[Version]


class Applied(Struct):
    """The change, by its number; the relay has read it."""

    number: int


class RollBack(Struct, forbid_unknown_fields=True):
    """`number`: the change before which all files were as they are wanted now."""

    number: Annotated[int, Meta(ge=1, le=99_999_999)]
    reason: Free = ""


def folder_of(request: AnyRequest) -> ConfigFolder:
    """Raises Refused in the sandbox, whose configuration is no file."""
    site = site_of(request)
    if site.config_file is None:
        raise Refused(404, "this relay's configuration is no file (the sandbox)")
    return ConfigFolder(site.config_file, site.state_dir, site.tolerant)


async def in_thread(work: Callable[[], T]) -> T:
    """Raises Refused for what the folder will not have."""
    try:
        return await asyncio.to_thread(work)
    except ConfigRefused as error:
        raise Refused(404 if error.missing else 403 if error.forbidden else 422, error.why, error.problems) from error
    except OSError as error:
        raise Refused(422, f"the relay's user may not, or the disk will not: {error.strerror}") from error


def version_of(folder: ConfigFolder) -> str:
    """A digest of all files."""
    found = hashlib.sha256()
    for name in folder.names():
        found.update(f"{name}\0{folder.read(name)}\0".encode("utf-8", "replace"))
    return found.hexdigest()[:32]


@get("/api/v1/config/files", opt={"scope": "config"}, tags=["config"], responses=PROBLEMS)
async def files(request: AnyRequest) -> ConfigFiles:
    """Files of the configuration's folder."""
    folder = folder_of(request)
    return await in_thread(lambda: ConfigFiles(folder.names(), version_of(folder)))


@get("/api/v1/config/file", opt={"scope": "config"}, tags=["config"], responses=PROBLEMS)
async def file(request: AnyRequest, name: _FileQuery) -> ConfigText:
    """A file's text. Files with private keys are not told."""
    folder = folder_of(request)
    return await in_thread(lambda: ConfigText(name, folder.read(name), version_of(folder)))


@post(
    "/api/v1/config/validate",
    opt={"scope": "config"},
    tags=["config"],
    status_code=200,
    request_max_body_size=LARGEST_BODY,
    responses=PROBLEMS,
)
async def validate(request: AnyRequest, data: JSONBody[Texts]) -> Judgement:
    """Would the configuration be sound with these texts? Nothing is written."""
    folder = folder_of(request)
    result = await in_thread(lambda: folder.tried(data.files))
    return Judgement(not result.errors, [problem.render() for problem in result.problems])


@post(
    "/api/v1/config/diff",
    opt={"scope": "config"},
    tags=["config"],
    status_code=200,
    request_max_body_size=LARGEST_BODY,
    responses=PROBLEMS,
)
async def diff(request: AnyRequest, data: JSONBody[Texts]) -> Difference:
    """What these texts would change. Nothing is written."""
    folder = folder_of(request)
    return Difference(await in_thread(lambda: folder.diff(data.files)))


@post(
    "/api/v1/config/apply",
    opt={"scope": "config"},
    tags=["config"],
    status_code=200,
    request_max_body_size=LARGEST_BODY,
    responses={**PROBLEMS, 409: _CONFLICT},
)
async def apply(request: AnyRequest, data: JSONBody[Change]) -> Applied:
    """Write these texts and have the relay read them; if it will not, what was there is put back."""
    folder = folder_of(request)
    async with site_of(request).config_turn:
        if data.expected and data.expected != await in_thread(lambda: version_of(folder)):
            raise Refused(409, "the configuration has changed since: read it again")
        return await put_in_force(request, folder, data.files, data.reason)


async def put_in_force(request: AnyRequest, folder: ConfigFolder, texts: dict[str, str], reason: str, undone: int = 0) -> Applied:
    """Written, read by the relay, or as it was. Raises Refused."""
    site, who = site_of(request), identity_of(request)
    version = await in_thread(lambda: folder.write(texts, mark_of(who)["as"], time.time(), reason, undone))
    try:
        told = await site.relay.ask_with("reload", {"reason": reason or f"change {version.number} of the configuration", **mark_of(who)})
    except RelayAway as error:  # it may have read it all the same: what it has in force and what is written shall not part
        raise Refused(503, f"written as change {version.number}, but whether it is in force is not known: {error}") from error
    if told.ok:
        site.log.info("configuration changed", number=version.number, by=version.by, files=version.files)
        return Applied(version.number)
    await in_thread(lambda: folder.restore(version))
    await site.relay.ask_with("reload", {"reason": "a change could not be put in force, and was taken back", **mark_of(who)})
    raise Refused(422, "the relay does not take it; what was there is in force", told.lines)


@get("/api/v1/config/versions", opt={"scope": "config"}, tags=["config"], responses=PROBLEMS)
async def versions(request: AnyRequest) -> Versions:
    """Changes that were made by this API, by `/configFile` and by the monitor."""
    folder = folder_of(request)
    return Versions(await in_thread(folder.versions))


@post("/api/v1/config/rollback", opt={"scope": "config"}, tags=["config"], status_code=200, responses=PROBLEMS)
async def rollback(request: AnyRequest, data: JSONBody[RollBack]) -> Applied:
    """Make all files what they were before a change; this is a change, too, and can be taken back."""
    folder = folder_of(request)
    async with site_of(request).config_turn:
        texts = await in_thread(lambda: folder.as_before(data.number))
        return await put_in_force(request, folder, texts, data.reason or f"as before change {data.number}", data.number)


ROUTES = [files, file, validate, diff, apply, versions, rollback]
