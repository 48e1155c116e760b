"""Where passwords come from, each in a real relay: PAM in the helper process, a users file that `postwright user` changes under a running
relay, a directory over HTTP. No log at full debug shows a password or a hash."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import smtplib
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from tests.engine import pam_world
from tests.scenarios.test_service import python_for_all, uids

from postwright.testing.relay_process import RelayProcess, plain_config
from postwright.testing.sockets import free_port

OPEN = """
<source 127.0.0.1/32>
    allow-auth yes
    allow-unencrypted-plain-auth yes
</source>
"""
SOON = 20.0


def _login(port: int, user: str, password: str, session: smtplib.SMTP | None = None) -> int:
    """The code of AUTH PLAIN."""
    smtp = session or smtplib.SMTP("127.0.0.1", port, timeout=SOON)
    try:
        smtp.ehlo()
        smtp.user, smtp.password = user, password
        return smtp.auth("PLAIN", smtp.auth_plain)[0]
    except smtplib.SMTPAuthenticationError as error:
        return error.smtp_code
    finally:
        if session is None:
            smtp.close()


async def login(port: int, user: str, password: str) -> int:
    return await asyncio.to_thread(_login, port, user, password)


async def until_login(port: int, user: str, password: str, code: int) -> None:
    async with asyncio.timeout(SOON):
        while await login(port, user, password) != code:  # noqa: ASYNC110  # the relay's own doing
            await asyncio.sleep(0.1)


def user(relay: RelayProcess, *words: str, password: str = "") -> None:
    """`postwright user WORDS` as an operator would."""
    words = (*words, "--password-stdin") if password else words
    command = [sys.executable, "-m", "postwright", "user", *words, "--config", str(relay.config_file)]
    subprocess.run(command, input=f"{password}\n", text=True, check=True, capture_output=True, timeout=60)


def log(relay: RelayProcess) -> str:
    return (relay.state_dir / "relay.log").read_text() + relay.output_file.read_text()


async def test_pam_judges_in_the_helper_and_what_it_cannot_tell_is_no_refusal(needs: Callable[[str], Path], tmp_path: Path) -> None:
    environment = pam_world.environment(needs("pam-wrapper"), tmp_path, alice="wonderland")
    port = free_port()
    config = plain_config(port) + OPEN + "<smtp-user alice>\n    authentication-method system\n</smtp-user>\n"
    async with RelayProcess(tmp_path, config, shards=2, options=["--debug"], environment=environment) as relay:
        assert await login(port, "alice", "wonderland") == 235
        wrong, stranger = await asyncio.gather(login(port, "alice", "Wonderland"), login(port, "mallory", "wonderland"))
        assert (wrong, stranger) == (535, 535)
        relay.write_config(config + "pam-service broken\n")
        assert (await asyncio.to_thread(relay.ask, "reload")).ok
        await until_login(port, "alice", "wonderland", 454)
        relay.write_config(config)
        assert (await asyncio.to_thread(relay.ask, "reload")).ok
        await until_login(port, "alice", "wonderland", 235)
        assert "onderland" not in log(relay)
        assert "PAM service broken" in log(relay)


async def test_a_reload_may_begin_to_need_the_helper(needs: Callable[[str], Path], tmp_path: Path) -> None:
    environment = pam_world.environment(needs("pam-wrapper"), tmp_path, alice="wonderland")
    port = free_port()
    config = plain_config(port) + OPEN
    async with RelayProcess(tmp_path, config, environment=environment) as relay:
        relay.write_config(config + "<smtp-user alice>\n    authentication-method system\n</smtp-user>\n")
        assert (await asyncio.to_thread(relay.ask, "reload")).ok
        await until_login(port, "alice", "wonderland", 235)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def keeper_of(relay: RelayProcess) -> int:
    """The parent of the login helper, 0 when there is none."""
    found = [pid for pid in children(relay.process.pid) if b"auth_keeper" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return found[0] if found else 0


@pytest.mark.needs("root", "setpriv")
async def test_the_helper_keeps_the_rights_that_the_shards_give_up(needs: Callable[[str], Path]) -> None:
    nobody = pwd.getpwnam("nobody")
    python, more = python_for_all(nobody)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="pw-") as open_to_all:  # pytest's own folders are closed to other users
        folder = Path(open_to_all)
        folder.chmod(0o755)
        environment = pam_world.environment(needs("pam-wrapper"), folder, alice="wonderland")
        environment["PYTHONPATH"] += os.pathsep + more["PYTHONPATH"]
        config = plain_config(port).replace("run-as-root yes", "run-as-root no") + OPEN
        users = "<smtp-user alice>\n    authentication-method system\n</smtp-user>\n"
        relay = RelayProcess(folder, config + users, options=["--user", "nobody"], environment=environment, python=python)
        async with relay:
            assert uids(relay.status().pids[0]) == (nobody.pw_uid,) * 4
            keeper = keeper_of(relay)
            (helper,) = children(keeper)
            assert uids(keeper) == uids(helper) == (0,) * 4
            assert await login(port, "alice", "wonderland") == 235
            os.kill(helper, signal.SIGKILL)
            await until_login(port, "alice", "wonderland", 235)
            (again,) = children(keeper)
            assert again != helper
            assert uids(again) == (0,) * 4
        relay.write_config(config)
        async with relay:
            assert keeper_of(relay) == 0
            relay.write_config(config + users)
            refused = await asyncio.to_thread(relay.ask, "reload")
            assert not refused.ok
            assert "restart the relay" in "\n".join(refused.lines)


async def test_users_come_and_go_while_the_relay_runs(tmp_path: Path) -> None:
    port = free_port()
    config = plain_config(port) + OPEN + "users-file users\n"
    async with RelayProcess(tmp_path, config, options=["--debug"]) as relay:
        assert await login(port, "alice", "wonderland") != 235
        stays = smtplib.SMTP("127.0.0.1", port, timeout=SOON)
        user(relay, "add", "alice", password="wonderland")
        user(relay, "add", "bob", password="builder")  # without anybody who could log in AUTH is not offered
        await until_login(port, "alice", "wonderland", 235)
        assert await login(port, "alice", "Wonderland") == 535
        assert await login(port, "mallory", "wonderland") == 535
        user(relay, "passwd", "alice", password="looking-glass")
        await until_login(port, "alice", "wonderland", 535)
        assert _login(port, "alice", "looking-glass", stays) == 235  # a session from before, with what holds now
        user(relay, "set", "alice", "--disable")
        await until_login(port, "alice", "looking-glass", 535)
        (tmp_path / "users").write_text("postwright-users 1\nalice pasword=x\n")
        refused = await asyncio.to_thread(relay.ask, "reload")
        assert not refused.ok
        assert "unknown field `pasword`" in "\n".join(refused.lines)
        assert stays.noop()[0] == 250
        stays.close()
        assert "onderland" not in log(relay)
        assert "argon2id" not in log(relay)


@asynccontextmanager
async def directory() -> AsyncIterator[tuple[str, web.AppRunner]]:
    """A server that knows alice, by a hash."""
    from postwright.engine import password_hash

    reply = {"password-hash": password_hash.make("wonderland", bytes(16))}

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(reply) if (await request.json())["user"] == "alice" else web.Response(status=404)

    app = web.Application()
    app.add_routes([web.post("/users", answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/users", runner
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("kept", [True, False])
async def test_a_directory_that_is_away_is_no_refusal(tmp_path: Path, kept: bool) -> None:
    port = free_port()
    async with directory() as (url, runner):
        block = f"<user-lookup>\n    url {url}\n    cache-for {'1h' if kept else '0s'}\n    negative-cache-for 0s\n</user-lookup>\n"
        async with RelayProcess(tmp_path, plain_config(port) + OPEN + block, options=["--debug"]) as relay:
            assert await login(port, "alice", "wonderland") == 235
            assert await login(port, "alice", "Wonderland") == 535
            assert await login(port, "mallory", "wonderland") == 535
            await runner.cleanup()
            assert await login(port, "alice", "wonderland") == (235 if kept else 454)
            assert await login(port, "mallory", "wonderland") == 454
            assert "onderland" not in log(relay)
            assert "the user look-up does not answer" in log(relay)
