"""The login helper: the real processes (keeper and helper) with a real PAM, and the helper's own rules in the test's loop."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import pytest
import structlog
from msgspec.structs import replace
from tests.engine import pam_world

from postwright.engine import auth_client, auth_helper, auth_process, pam
from postwright.engine import auth_frames as a
from postwright.engine.auth_client import AuthClient, HelperUnavailable
from postwright.engine.auth_helper import Helper
from postwright.engine.auth_keeper import Frames
from postwright.engine.auth_process import AuthProcess
from postwright.engine.bus import encode, listen_unix
from postwright.model.credentials import Exchanged
from postwright.policy.settings import GeneralSettings, Settings, UserSettings

BOUND = 20.0


def system_users(service: str = "smtp") -> Settings:
    """Settings that need PAM."""
    alice = UserSettings("alice", authentication_method="system")
    return Settings(general=GeneralSettings(pam_service=service), users={"alice": alice})


class Log:
    """Collects what the supervisor would log."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def error(self, event: str, **more: object) -> None:
        self.lines.append(f"{event} {more}")

    warning = error


@asynccontextmanager
async def processes(folder: Path, settings: Settings) -> AsyncIterator[tuple[AuthProcess, AuthClient, Log]]:
    """Keeper and helper as the supervisor runs them, and a shard's client."""
    log = Log()
    process = AuthProcess(folder, "", log)  # type: ignore[arg-type]
    process.open(settings)
    attending = asyncio.create_task(process.attend())
    client = AuthClient(auth_process.socket_path(folder))
    try:
        yield process, client, log
    finally:
        client.close()
        attending.cancel()
        await process.stop()


@pytest.fixture
def pam_users(needs: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PAM that knows alice."""
    for name, value in pam_world.environment(needs("pam-wrapper"), tmp_path, alice="wonderland").items():
        monkeypatch.setenv(name, value)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Running, and no zombie that waits to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(BOUND):
        while not condition():  # noqa: ASYNC110  # what another process does
            await asyncio.sleep(0.01)


# -- the processes ------------------------------------------------------------------------


@pytest.mark.usefixtures("pam_users")
async def test_pam_judges_passwords_in_a_process_of_its_own(tmp_path: Path) -> None:
    async with processes(tmp_path, system_users()) as (_, client, log):
        assert await client.check_pam("alice", "wonderland")
        assert not await client.check_pam("alice", "Wonderland")
        assert not await client.check_pam("mallory", "wonderland")
        assert not await client.check_pam("alice", "")
        assert not await client.check_pam("alice\0", "wonderland")
        assert await asyncio.gather(*[client.check_pam("alice", "wonderland") for _ in range(40)]) == [True] * 40
        assert log.lines == []


@pytest.mark.usefixtures("pam_users")
async def test_a_pam_that_cannot_tell_is_no_refusal_and_is_logged_once(tmp_path: Path) -> None:
    async with processes(tmp_path, system_users("broken")) as (process, client, log):
        for _ in range(3):
            with pytest.raises(HelperUnavailable, match="PAM service broken"):
                await client.check_pam("alice", "wonderland")
        await until(lambda: log.lines)
        assert len(log.lines) == 1
        assert "wonderland" not in log.lines[0]
        process.reload(system_users("closed"))
        async with asyncio.timeout(BOUND):
            while True:
                try:
                    assert not await client.check_pam("alice", "wonderland")
                    break
                except HelperUnavailable:
                    await asyncio.sleep(0.01)


@pytest.mark.usefixtures("pam_users")
async def test_a_helper_that_dies_is_followed_by_another(tmp_path: Path) -> None:
    async with processes(tmp_path, system_users()) as (process, client, _):
        assert await client.check_pam("alice", "wonderland")
        (first,) = children(process.pid)
        os.kill(first, signal.SIGKILL)
        await until(lambda: children(process.pid) not in ([], [first]))
        assert await _when_back(client)


@pytest.mark.usefixtures("pam_users")
async def test_a_keeper_that_dies_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth_process, "PAUSE", 0.01)
    async with processes(tmp_path, system_users()) as (process, client, log):
        assert await client.check_pam("alice", "wonderland")
        keeper, (helper,) = process.pid, children(process.pid)
        os.kill(keeper, signal.SIGKILL)
        await until(lambda: not alive(helper) and process.pid not in (0, keeper))
        assert await _when_back(client)
        assert "keeper has died" in log.lines[0]


@pytest.mark.usefixtures("pam_users")
async def test_a_keeper_that_dies_is_not_followed_by_one_with_fewer_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with processes(tmp_path, system_users()) as (process, client, log):
        assert await client.check_pam("alice", "wonderland")
        process._began_as_root = True
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        os.kill(process.pid, signal.SIGKILL)
        await until(lambda: log.lines)
        assert "restart the relay" in log.lines[0]
        with pytest.raises(HelperUnavailable):
            await client.check_pam("alice", "wonderland")
        assert process.pid == 0


async def _when_back(client: AuthClient) -> bool:
    async with asyncio.timeout(BOUND):
        while True:
            try:
                return await client.check_pam("alice", "wonderland")
            except HelperUnavailable:
                await asyncio.sleep(0.01)


async def test_a_crash_would_leave_no_passwords_on_the_disk(tmp_path: Path) -> None:
    async with processes(tmp_path, system_users()) as (process, _, _):
        await until(lambda: children(process.pid))
        limits = Path(f"/proc/{children(process.pid)[0]}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)


async def test_both_leave_when_the_supervisor_does(tmp_path: Path) -> None:
    async with processes(tmp_path, system_users()) as (process, _, _):
        await until(lambda: children(process.pid))
        keeper, (helper,) = process.pid, children(process.pid)
        await process.stop()
        await until(lambda: not alive(keeper) and not alive(helper))
        assert not auth_process.socket_path(tmp_path).exists()


async def test_settings_without_system_users_start_nothing(tmp_path: Path) -> None:
    async with processes(tmp_path, Settings(users={"bob": UserSettings("bob", "secret")})) as (process, client, _):
        assert process.pid == 0
        with pytest.raises(HelperUnavailable, match="not there"):
            await client.check_pam("alice", "wonderland")
        process.reload(system_users())
        await until(lambda: process.pid)


async def test_a_reload_that_needs_a_helper_after_root_was_given_up_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    process = AuthProcess(tmp_path, "", structlog.get_logger())
    process.open(Settings())
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ValueError, match="restart the relay"):
        process.judge(system_users())
    process.judge(Settings())
    assert process.pid == 0


def test_without_python_pam_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pam, "available", lambda: False)
    with pytest.raises(ValueError, match=r"postwright\[pam\]"):
        auth_process.check(system_users())
    monkeypatch.setitem(sys.modules, "pam", None)
    assert "postwright[pam]" in pam.check("smtp", "alice", "wonderland").error
    assert auth_process.check(Settings()) is None


# -- the helper's rules -------------------------------------------------------------------------


class Say:
    """An acceptor that is done at "end", fails at "fail" and waits at "wait" until it is let go."""

    gate = threading.Event()
    equipped: list[str] = []

    def step(self, data: bytes) -> Exchanged:
        if data == b"fail":
            raise RuntimeError("secret octets")
        if data == b"wait":
            assert self.gate.wait(BOUND)
        return Exchanged(b"<" + data + b">", "alice", data == b"end", data == b"end")


def make_say(equip: a.Equip) -> Callable[[], Say]:
    Say.equipped.append(equip.pam_service)
    return Say


@asynccontextmanager
async def helper_here(folder: Path, patience: float = BOUND) -> AsyncIterator[tuple[Helper, AuthClient, list[a.Noticed], list[str]]]:
    """A helper in this loop."""
    module = ModuleType("say_acceptor")
    module.make = make_say  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    Say.gate.clear()
    noticed: list[a.Noticed] = []
    gave_up: list[str] = []
    helper = Helper(noticed.append, lambda: gave_up.append("gave up"), {"say": "say_acceptor:make"})
    server = await asyncio.get_running_loop().create_unix_server(helper.link, sock=listen_unix(folder / "auth.sock"))
    client = AuthClient(folder / "auth.sock", patience)
    try:
        yield helper, client, noticed, gave_up
    finally:
        Say.gate.set()
        client.close()
        server.close()


async def test_a_dialogue_has_its_own_acceptor_until_it_is_done(tmp_path: Path) -> None:
    async with helper_here(tmp_path) as (helper, client, _, _):
        assert await client.step("say", "1", b"a") == a.ExchangeTold(1, b"<a>", "alice")
        assert (await client.step("say", "2", b"b")).data == b"<b>"
        (contexts,) = helper._links.values()
        assert sorted(contexts) == ["1", "2"]
        ended = await client.step("say", "1", b"end")
        assert (ended.done, ended.ok, ended.user) == (True, True, "alice")
        client.over("2")
        await client.step("say", "3", b"c")
        assert sorted(contexts) == ["3"]


async def test_dialogues_end_with_their_shard_and_with_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with helper_here(tmp_path) as (helper, client, _, _):
        await client.step("say", "1", b"a")
        client.close()
        await until(lambda: not helper._links)
        monkeypatch.setattr(auth_helper, "FORGET", 0.01)
        again = AuthClient(tmp_path / "auth.sock")
        await again.step("say", "1", b"a")
        await until(lambda: list(helper._links.values()) == [{}])
        again.close()


async def test_what_an_acceptor_raises_is_a_temporary_failure_and_no_text_of_a_client(tmp_path: Path) -> None:
    async with helper_here(tmp_path) as (helper, client, noticed, _):
        with pytest.raises(HelperUnavailable, match="say failed: RuntimeError"):
            await client.step("say", "1", b"fail")
        with pytest.raises(HelperUnavailable, match="no acceptor for 'ntlm'"):
            await client.step("ntlm", "2", b"x")
        assert [n.event for n in noticed] == ["a login cannot be judged"] * 2
        assert "secret" not in repr(noticed)
        assert list(helper._links.values()) == [{}]


async def test_equipment_counts_from_the_next_dialogue_on(tmp_path: Path) -> None:
    async with helper_here(tmp_path) as (helper, client, _, _):
        Say.equipped.clear()
        await client.step("say", "1", b"a")
        await client.step("say", "2", b"a")
        helper.equip(a.Equip("other"))
        await client.step("say", "3", b"a")
        assert Say.equipped == ["smtp", "other"]


async def test_too_much_to_do_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth_helper, "QUEUE", 1)
    async with helper_here(tmp_path) as (helper, client, _, _):
        held = asyncio.create_task(client.step("say", "1", b"wait"))
        await until(lambda: helper._jobs)
        with pytest.raises(HelperUnavailable, match="too much to do"):
            await client.step("say", "2", b"a")
        Say.gate.set()
        assert (await held).data == b"<wait>"
        monkeypatch.setattr(auth_helper, "CONTEXTS", 1)
        with pytest.raises(HelperUnavailable, match="too much to do"):
            await client.step("say", "3", b"a")
        monkeypatch.setattr(auth_client, "WAITING", 0)
        with pytest.raises(HelperUnavailable, match="too many logins"):
            await client.step("say", "1", b"a")


async def test_one_step_at_a_time(tmp_path: Path) -> None:
    async with helper_here(tmp_path) as (helper, client, _, _):
        held = asyncio.create_task(client.step("say", "1", b"wait"))
        await until(lambda: helper._jobs)
        with pytest.raises(HelperUnavailable, match="before the last one"):
            await client.step("say", "1", b"a")
        Say.gate.set()
        assert (await held).data == b"<wait>"


async def test_no_answer_in_time_is_no_hang(tmp_path: Path) -> None:
    async with helper_here(tmp_path, patience=0.05) as (_, client, _, _):
        with pytest.raises(HelperUnavailable, match=r"within 0\.05 s"):
            await client.step("say", "1", b"wait")
        assert not client._waiting


async def test_a_job_that_hangs_ends_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth_helper, "STUCK", 0.02)
    async with helper_here(tmp_path) as (_, client, noticed, gave_up):
        held = asyncio.create_task(client.step("say", "1", b"wait"))
        await until(lambda: gave_up)
        assert noticed[0].event == "the login helper starts anew"
        Say.gate.set()
        await held


async def test_a_job_that_waited_longer_than_its_shard_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth_helper, "PATIENCE", -1.0)
    async with helper_here(tmp_path) as (_, client, _, _):
        with pytest.raises(HelperUnavailable, match="too much to do"):
            await client.step("say", "1", b"a")


async def test_what_waits_when_the_helper_goes_fails(tmp_path: Path) -> None:
    async with helper_here(tmp_path) as (helper, client, _, _):
        held = asyncio.create_task(client.step("say", "1", b"wait"))
        await until(lambda: helper._jobs)
        for link in list(helper._links):
            link.abort()
        with pytest.raises(HelperUnavailable, match="has gone"):
            await held


def test_no_frame_shows_what_was_typed() -> None:
    shown = repr([a.CheckPam(1, "alice", "wonderland"), a.ExchangeStep(1, "ntlm", "2", b"wonderland"), a.ExchangeTold(1, b"wonderland")])
    assert "wonderland" not in shown
    assert "alice" in shown


def test_the_keeper_cuts_frames_wherever_the_octets_break() -> None:
    frames = [encode(a.Noticed("one", "x" * 300)), encode(a.Noticed("two")), encode(a.Equip("smtp"))]
    stream = b"".join(frames)
    for size in (1, 3, 4, 5, 64, len(stream)):
        cutter = Frames()
        found = [frame for at in range(0, len(stream), size) for frame in cutter.feed(stream[at : at + size])]
        assert found == frames
    with pytest.raises(ValueError):
        Frames().feed(b"\xff\xff\xff\xff")


def test_equipment_is_what_the_settings_say() -> None:
    assert auth_process.equipment(replace(system_users(), general=GeneralSettings(pam_service="mail"))) == a.Equip("mail")
