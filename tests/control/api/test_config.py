"""`/api/v1/config`: nothing unsound is written, what the relay will not have is taken back, and every change can be undone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.control.http.asgi import KEY, PLAIN, Page, Relay

from postwright.control.config.folder import ConfigFolder, ConfigRefused
from postwright.engine.frames import Told

CONFIG = "host-name one.example\nhttp-mgmt-port 0\ninclude conf.d/*.conf\n"


class Picky(Relay):
    """Takes a configuration unless it names `refused.example`."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    async def ask_with(self, verb: str, arguments: dict[str, str]) -> Told:
        self.asked.append((verb, arguments))
        bad = "refused.example" in self._file.read_text()
        return Told(ok=not bad, lines=["it does not like that"] if bad else ["Configuration reloaded."])


@pytest.fixture
def page(tmp_path: Path) -> Page:
    for name in ("state", "etc", "etc/conf.d"):
        (tmp_path / name).mkdir()
    file = tmp_path / "etc" / "config"
    file.write_text(CONFIG)
    file.chmod(0o600)
    (tmp_path / "etc" / "conf.d" / "a.conf").write_text("postmaster a@one.example\n")
    found = Page(tmp_path / "state", PLAIN, Picky(file))
    found.site.config_file = file
    return found


async def get(page: Page, path: str, status: int = 200) -> Any:
    answer = await page.get(f"/api/v1/config/{path}", key=KEY)
    assert answer.status == status, answer
    return answer.json()


async def post(page: Page, path: str, body: Mapping[str, object], status: int = 200) -> Any:
    answer = await page.post(f"/api/v1/config/{path}", msgspec.json.encode(body), headers={"content-type": "application/json"}, key=KEY)
    assert answer.status == status, answer
    return answer.json()


def text(page: Page, name: str = "config") -> str:
    return (page.site.config_file.parent / name).read_text()  # type: ignore[union-attr]


async def test_files_are_read(page: Page) -> None:
    listed = await get(page, "files")
    assert listed["files"] == ["config", "conf.d/a.conf"]
    one = await get(page, "file?name=conf.d/a.conf")
    assert (one["text"], one["version"]) == ("postmaster a@one.example\n", listed["version"])
    await get(page, "file?name=conf.d/b.conf", 404)
    await get(page, "file?name=../state/x", 403)


async def test_what_would_be_is_judged_and_nothing_written(page: Page) -> None:
    good = await post(page, "validate", {"files": {"config": CONFIG + "total-max-smtp-in 7\n"}})
    assert good["good"] is True
    bad = await post(page, "validate", {"files": {"conf.d/a.conf": "postmasterr a@one.example\n"}})
    assert bad["good"] is False
    assert "conf.d/a.conf:1:1: error" in bad["problems"][0]
    new = await post(page, "validate", {"files": {"conf.d/new.conf": "nonsense\n"}})
    assert new["good"] is False  # it would be included
    told = await post(page, "diff", {"files": {"config": CONFIG.replace("one.example", "two.example")}})
    assert told["diff"].splitlines()[3:5] == ["-host-name one.example", "+host-name two.example"]
    assert (await post(page, "diff", {"files": {"config": CONFIG}}))["diff"] == ""
    assert text(page) == CONFIG
    assert page.relay.asked == []


async def test_a_change_is_written_read_and_taken_back(page: Page) -> None:
    second = CONFIG.replace("one.example", "two.example")
    first = await post(page, "apply", {"files": {"config": second, "conf.d/b.conf": "# new\n"}, "reason": "a new name"})
    assert first["number"] == 1
    assert text(page) == second
    assert page.site.config_file.stat().st_mode & 0o777 == 0o600  # type: ignore[union-attr]
    assert page.relay.asked[-1] == ("reload", {"reason": "a new name", "as": "key http-api-key 1 at 192.0.2.9"})
    await post(page, "apply", {"files": {"config": second.replace("two", "three"), "conf.d/a.conf": "# gone\n"}})
    items = (await get(page, "versions"))["items"]
    assert [(one["number"], one["files"]) for one in items] == [(2, ["conf.d/a.conf", "config"]), (1, ["conf.d/b.conf", "config"])]
    assert (items[1]["by"], items[1]["reason"]) == ("key http-api-key 1 at 192.0.2.9", "a new name")
    assert (await post(page, "rollback", {"number": 1}))["number"] == 3
    assert text(page) == CONFIG
    assert text(page, "conf.d/a.conf") == "postmaster a@one.example\n"
    assert text(page, "conf.d/b.conf") == ""
    assert (await post(page, "rollback", {"number": 3}))["number"] == 4  # a roll back is a change like others
    assert text(page) == second.replace("two", "three")
    await post(page, "rollback", {"number": 77}, 404)


async def test_an_error_writes_nothing(page: Page) -> None:
    told = await post(page, "apply", {"files": {"config": "host-nam x\n"}}, 422)
    assert "config:1:1: error" in told["errors"][0]
    assert text(page) == CONFIG
    assert (await get(page, "versions"))["items"] == []
    assert page.relay.asked == []


async def test_what_the_relay_will_not_have_is_as_before(page: Page) -> None:
    told = await post(page, "apply", {"files": {"config": CONFIG.replace("one", "refused"), "conf.d/b.conf": "# new\n"}}, 422)
    assert told["errors"] == ["it does not like that"]
    assert text(page) == CONFIG
    assert not (page.site.config_file.parent / "conf.d" / "b.conf").exists()  # type: ignore[union-attr]
    assert [verb for verb, _ in page.relay.asked] == ["reload", "reload"]  # the second with what was there
    assert (await get(page, "versions"))["items"] == []


async def test_a_relay_that_does_not_answer_may_have_read_it(page: Page) -> None:
    """What is written stays, can be taken back, and whoever asked is told."""
    page.site.relay = Relay()
    changed = CONFIG.replace("one", "two")
    told = await post(page, "apply", {"files": {"config": changed}}, 503)
    assert told["detail"] == "written as change 1, but whether it is in force is not known: nobody is there"
    assert text(page) == changed
    assert [one["number"] for one in (await get(page, "versions"))["items"]] == [1]


async def test_a_change_of_what_has_changed_is_a_conflict(page: Page) -> None:
    version = (await get(page, "files"))["version"]
    page.site.config_file.write_text(CONFIG + "# by hand\n")  # type: ignore[union-attr]
    await post(page, "apply", {"files": {"config": CONFIG}, "expected": version}, 409)
    assert text(page).endswith("# by hand\n")
    now = (await get(page, "files"))["version"]
    await post(page, "apply", {"files": {"config": CONFIG}, "expected": now})
    assert text(page) == CONFIG


@pytest.mark.parametrize("name", ["../state/x", "/etc/passwd", "conf.d/../../x", ".hidden", "conf.d/.x", "none/x.conf", "a\nb", "conf.d"])
async def test_nothing_is_written_elsewhere(page: Page, name: str) -> None:
    for path in ("validate", "diff", "apply"):
        await post(page, path, {"files": {name: "# x\n"}}, 403)
    assert page.relay.asked == []


async def test_a_full_disk_changes_nothing(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: str, octets: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("postwright.control.config.folder._replace", full)
    told = await post(page, "apply", {"files": {"config": CONFIG + "# x\n"}}, 422)
    assert "No space left" in told["detail"]
    assert text(page) == CONFIG


async def test_a_disk_that_is_full_after_the_first_file_changes_neither(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        if "conf.d" in os.readlink(f"/proc/self/fd/{fd}"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    folder = page.site.config_file.parent  # type: ignore[union-attr]
    before = sorted(folder.rglob("*"))
    texts = {"config": CONFIG + "# x\n", "conf.d/b.conf": "# new\n"}
    assert "No space left" in (await post(page, "apply", {"files": texts}, 422))["detail"]
    assert text(page) == CONFIG
    assert sorted(folder.rglob("*")) == before
    assert (await get(page, "versions"))["items"] == []
    assert page.relay.asked == []


async def test_the_sandbox_has_none(page: Page) -> None:
    page.site.config_file = None
    await get(page, "files", 404)


def test_only_so_many_versions_are_kept(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postwright.control.config.folder.MOST_VERSIONS", 3)
    folder = ConfigFolder(page.site.config_file, page.site.state_dir)  # type: ignore[arg-type]
    for number in range(5):
        folder.write({"config": f"{CONFIG}# {number}\n"}, "somebody", float(number))
    assert [one.number for one in folder.versions()] == [5, 4, 3]
    with pytest.raises(ConfigRefused, match="no change 2"):
        folder.as_before(2)
    assert folder.as_before(3)["config"] == f"{CONFIG}# 1\n"
