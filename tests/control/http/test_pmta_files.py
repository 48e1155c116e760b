"""Files by PowerMTA's addresses: what may be fetched, and that nothing else is, by whatever name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.control.http.asgi import KEY, PLAIN, Answer, Page

CONFIG = PLAIN + "log-file relay.log\n<acct-file acct.csv>\n</acct-file>\n"
ESCAPES = [
    "../secret",
    "..%2fsecret",
    "/etc/passwd",
    "link",
    "sub/../../secret",
    ".hidden",
    "a\0b",
    "",
    "a\nb",
    "linked/secret",
    "x" * 2000,
]


@pytest.fixture
def page(tmp_path: Path) -> Page:
    state, folder = tmp_path / "state", tmp_path / "etc"
    for path in (state, folder, folder / "sub", tmp_path / "elsewhere"):
        path.mkdir()
    (tmp_path / "secret").write_text("the secret\n")
    (tmp_path / "elsewhere" / "secret").write_text("the secret\n")
    (folder / "config").write_text(CONFIG + "include sub/*.conf\n")
    (folder / "sub" / "one.conf").write_text("host-name one.example\n")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / ".hidden").write_text("hidden\n")
    (folder / "key.pem").write_text("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n")
    for name in ("relay.log", "relay.log.1", "relay.log.swp", "acct-2026-11-25-0000.csv", "acct.txt", "acct-2026-11-25-0000.csv.bak"):
        (state / name).write_text(f"what is in {name}\n")
    (state / "acct-2026-11-24-0000.csv").symlink_to(tmp_path / "secret")
    found = Page(state, CONFIG)
    found.site.config_file = folder / "config"
    return found


async def test_logs_and_accounting_files(page: Page) -> None:
    got = await page.get("/logs?format=json", key=KEY)
    names = {one["name"] for one in got.json()["data"]["file"]}
    assert names == {"relay.log", "relay.log.1", "acct-2026-11-25-0000.csv"}
    file = await page.get("/getFile?file=relay.log.1", key=KEY)
    assert (file.status, file.body) == (200, b"what is in relay.log.1\n")
    assert file.headers["content-disposition"] == 'attachment; filename="relay.log.1"'
    shown = await page.get("/getFile?file=acct-2026-11-25-0000.csv&disposition=inline", key=KEY)
    assert shown.headers["content-disposition"].startswith("inline")


@pytest.mark.parametrize("name", [*ESCAPES, "relay.log.swp", "acct-2026-11-24-0000.csv", "../state/relay.log", "http-keys.json"])
async def test_nothing_else_is_fetched(page: Page, name: str) -> None:
    got = await page.get(f"/getFile?file={quote(name)}", key=KEY)
    assert got.status == 404
    assert b"secret\n" not in got.body


async def test_the_configuration_is_read(page: Page) -> None:
    got = await page.get("/configFile?op=listconfigfiles&format=json-text", key=KEY)
    assert [one["name"] for one in got.json()["data"]["files"]] == ["config", "sub/one.conf"]
    for name in ("sub/one.conf", str(page.site.config_file.parent / "sub" / "one.conf")):  # type: ignore[union-attr]
        one = await page.get(f"/configFile?op=read&filename={quote(name)}&format=json-text", key=KEY)
        assert one.json()["data"]["content"] == "host-name one.example\n"
        seed = one.headers["set-cookie"].partition("=")[2].partition(";")[0]
        assert page.site.csrf.proves(seed, one.json()["data"]["CSRFToken"])
    assert (await page.get("/configFile?op=read&filename=none.conf", key=KEY)).status == 404
    assert (await page.get("/configFile?op=erase", key=KEY)).status == 400


@pytest.mark.parametrize("name", [*ESCAPES, "key.pem", "sub", ".", "..", "config/x"])
async def test_nothing_else_is_read_or_written(page: Page, name: str) -> None:
    before = snapshot(page)
    got = await page.get(f"/configFile?op=read&filename={quote(name)}", key=KEY)
    assert got.status in (403, 404)
    assert b"secret\n" not in got.body
    written = await commit(page, name, "host-name x.example\n")
    if name != "key.pem":  # in its folder, and a text after that: it is the operator's to write
        assert written.status == 403
        assert snapshot(page) == before


def snapshot(page: Page) -> dict[str, str]:
    top = page.site.state_dir.parent
    return {str(path): path.read_text() for path in top.rglob("*") if path.is_file()}


async def commit(page: Page, name: str, text: str) -> Answer:
    parts = {"op": "commit", "file.0.name": name, "file.0.op": "write", "file.0.content": text}
    body = (
        "".join(f'--b\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n' for field, value in parts.items()) + "--b--\r\n"
    )
    return await page.post("/configFile", body.encode(), key=KEY, headers={"content-type": "multipart/form-data; boundary=b"})


async def test_what_is_sound_is_written_and_what_is_not_is_not(page: Page) -> None:
    folder = page.site.config_file.parent  # type: ignore[union-attr]
    good = await commit(page, "sub/one.conf", "host-name two.example\n")
    assert (good.status, good.json()["data"]["version"]) == (200, 1)
    assert (folder / "sub" / "one.conf").read_text() == "host-name two.example\n"
    new = await commit(page, "sub/new.conf", "postmaster a@b.example\n")  # which the include's pattern takes in
    assert new.status == 200
    bad = await commit(page, "sub/other.conf", "host-nam x.example\n")
    assert bad.status == 422
    assert "sub/other.conf:1:1: error" in bad.json()["message"]
    assert not (folder / "sub" / "other.conf").exists()
    assert page.relay.asked == []  # it is `reload` that reloads, as with PowerMTA


async def test_one_change_at_a_time(page: Page) -> None:
    """One that the API has written and the relay is yet to read is put back as a whole, or not at all."""
    before = snapshot(page)
    async with page.site.config_turn:
        written = asyncio.ensure_future(commit(page, "sub/one.conf", "host-name two.example\n"))
        done, _ = await asyncio.wait([written], timeout=0.2)
        assert not done
        assert snapshot(page) == before
    assert (await written).status == 200
    assert snapshot(page) != before


async def test_the_old_form(page: Page) -> None:
    folder = page.site.config_file.parent  # type: ignore[union-attr]
    body = f"filename=sub/one.conf&file={quote('host-name three.example')}".encode()
    got = await page.post("/configFile", body, key=KEY, headers={"content-type": "application/x-www-form-urlencoded"})
    assert got.status == 200
    assert (folder / "sub" / "one.conf").read_text() == "host-name three.example"


async def test_the_sandbox_has_no_files(page: Page) -> None:
    page.site.config_file = None
    assert (await page.get("/configFile?op=listconfigfiles", key=KEY)).status == 404
