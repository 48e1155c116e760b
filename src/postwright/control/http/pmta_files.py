"""PowerMTA's addresses for files: `/logs` and `/getFile` (logs and accounting files), `/configFile` (powermta.md section 4).

What may be fetched is listed first, and fetched by a name of that list: no name that somebody sends ever becomes a path. The configuration
is read and written within the bounds of `control.config.folder`: PowerMTA wrote what it was given, we write what is sound. As with PowerMTA
a commit does not reload; `reload` does.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from litestar import Response, get, post
from litestar.response import Stream

from postwright.control.api.config import folder_of, in_thread
from postwright.control.http.csrf import COOKIE, set_cookie
from postwright.control.http.guard import identity_of, mark_of, site_of
from postwright.control.http.pmta_pages import AnyRequest, answered, form_of
from postwright.control.http.problems import Refused
from postwright.control.pmta.forms import Answer, Form, Tree, failed
from postwright.control.pmta.words import kilobytes, when
from postwright.policy.settings import Settings

CHUNK = 1 << 16
MOST_FILES = 2000
_plain = re.compile(r"[A-Za-z0-9._ -]+").fullmatch
_written = re.compile(r"file\.(\d{1,4})\.(name|op|content)").fullmatch


def fetchable(settings: Settings, state_dir: Path) -> dict[str, Path]:
    """Logs with their rotations and accounting files, by the names that they are fetched by; the newest first."""
    found: list[Path] = []
    if settings.general.log_file:
        log = state_dir / settings.general.log_file
        found += [path for path in log.parent.glob(f"{_literal(log.name)}*") if re.fullmatch(rf"{re.escape(log.name)}(\.\d+)?", path.name)]
    for acct in settings.acct_files:
        if acct.path and not acct.path.startswith("|") and not acct.http_webhook_url:
            path = state_dir / acct.path
            dated = re.compile(rf"{re.escape(path.stem)}-\d{{4}}-\d\d-\d\d-\d{{4,}}{re.escape(path.suffix)}").fullmatch
            found += [one for one in path.parent.glob(f"{_literal(path.stem)}-*{_literal(path.suffix)}") if dated(one.name)]
    real = [(path.stat().st_mtime, path) for path in found if path.is_file() and not path.is_symlink()]
    return {path.name: path for _, path in sorted(real, reverse=True)[:MOST_FILES]}


def _literal(text: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", text)


@get("/logs", opt={"scope": "logs"}, include_in_schema=False)
async def logs(request: AnyRequest) -> Response[bytes]:
    """Which files may be fetched."""
    site = site_of(request)
    files = await asyncio.to_thread(fetchable, site.settings, site.state_dir)
    rows: list[Tree] = []
    for name, path in files.items():
        told = path.stat()
        rows.append({"name": name, "kb": kilobytes(told.st_size), "time": when(told.st_mtime)})
    lines = tuple(f"{row['name']} {row['kb']} kB {row['time']}" for row in rows)
    return answered(Answer({"file": rows}, lines), form_of(request) or "text")


@get("/getFile", opt={"scope": "logs"}, include_in_schema=False)
async def get_file(request: AnyRequest) -> Response[Any]:
    """`file=NAME`; `disposition=inline` to look at it."""
    site, name = site_of(request), request.query_params.get("file", "")
    path = (await asyncio.to_thread(fetchable, site.settings, site.state_dir)).get(name)
    if path is None:
        return answered(failed("there is no such file; /logs has those that there are"), form_of(request) or "text", 404)
    way = "inline" if request.query_params.get("disposition") == "inline" else "attachment"
    shown = name if _plain(name) else "file"
    headers = {"Content-Disposition": f'{way}; filename="{shown}"'}
    return Stream(_octets(path), media_type="text/plain", headers=headers)


async def _octets(path: Path) -> AsyncIterator[bytes]:
    """As it is now: what is appended meanwhile is not waited for."""
    with path.open("rb") as file:
        left = path.stat().st_size
        while left > 0:
            chunk = await asyncio.to_thread(file.read, min(CHUNK, left))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk


# the configuration ------------------------------------------------------------------------------------------------------


def tree_form(request: AnyRequest) -> Form:
    """PowerMTA's forms that end in -text have trees here all the same; JSON where none is asked for."""
    form = form_of(request) or "json"
    return "xml" if form == "xml-text" else "json" if form == "json-text" else form


@get("/configFile", opt={"scope": "config"}, include_in_schema=False)
async def read_config(request: AnyRequest) -> Response[bytes]:
    """`op=read&filename=PATH` or `op=listconfigfiles`."""
    form, query = tree_form(request), request.query_params
    op = query.get("op", "read")
    try:
        folder = folder_of(request)
        if op == "listconfigfiles":
            names = await in_thread(folder.names)
            return answered(Answer({"files": [{"name": name} for name in names]}, tuple(names)), form)
        if op != "read":
            raise Refused(400, "op is read or listconfigfiles")
        text = await in_thread(lambda: folder.read(query.get("filename", "")))
    except Refused as error:
        return answered(failed(error.detail, *error.errors), form, error.status)
    site = site_of(request)
    seed = site.csrf.seed(request.cookies.get(COOKIE, ""))
    answer = Answer({"content": text, "CSRFToken": site.csrf.token(seed)}, tuple(text.splitlines()))
    got = answered(answer, form)
    got.headers["Set-Cookie"] = set_cookie(seed, request.scope["scheme"] == "https")
    return got


@post("/configFile", opt={"scope": "config"}, include_in_schema=False, status_code=200, request_max_body_size=16 << 20)
async def write_config(request: AnyRequest) -> Response[bytes]:
    """`op=commit` with `file.N.name`, `file.N.op=write`, `file.N.content`; or `filename` and `file`. What is not sound is not written."""
    fields = {name: value for name, value in (await request.form()).multi_items() if isinstance(value, str)}
    form = tree_form(request)
    try:
        folder = folder_of(request)
        texts = _texts(fields)
        if not texts:
            raise Refused(400, "no file: op=commit, file.0.name, file.0.op=write, file.0.content")
        by = mark_of(identity_of(request))["as"]
        async with site_of(request).config_turn:
            version = await in_thread(lambda: folder.write(texts, by, time.time(), fields.get("reason", "")[:512]))
    except Refused as error:
        return answered(failed(error.detail, *error.errors), form, error.status)
    site_of(request).log.info("configuration written", number=version.number, by=version.by, files=version.files)
    return answered(Answer({"version": version.number}, (f"Written as change {version.number}; reload puts it in force.",)), form)


def _texts(fields: dict[str, str]) -> dict[str, str]:
    """Texts by names, out of either form. Raises Refused."""
    if "file" in fields:
        return {fields.get("filename", ""): fields["file"]}
    if fields.get("op") != "commit":
        raise Refused(400, "op is commit")
    parts: dict[str, dict[str, str]] = {}
    for name, value in fields.items():
        if (found := _written(name)) is not None:
            parts.setdefault(found[1], {})[found[2]] = value
    if any(part.get("op", "write") != "write" or "name" not in part or "content" not in part for part in parts.values()):
        raise Refused(400, "each file has a name, op=write and a content")
    return {part["name"]: part["content"] for part in parts.values()}


ROUTES = [logs, get_file, read_config, write_config]
