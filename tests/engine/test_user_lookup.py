"""The look-up of users over HTTP, against a real server on loopback: answers, caches, coalescing, failures, TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from click.testing import CliRunner
from msgspec.structs import replace

from postwright.control.cli.main import main
from postwright.engine import password_hash, user_lookup, users_file
from postwright.engine.credentials import Credentials
from postwright.engine.user_lookup import LookupUsers, secret_of
from postwright.engine.users_file import UserEntry
from postwright.engine.workers import Inline
from postwright.model.credentials import CredentialKinds
from postwright.model.errors import LoginUnavailable
from postwright.net.clock import SystemClock
from postwright.policy.settings import GeneralSettings, Rate, Settings, UserLookup, UserSettings
from postwright.wire.scram import derive_keys

SALT = bytes(range(16))
HASH = "$argon2id$v=19$m=8,t=1,p=1"
BOUND = 10.0


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password_hash, "ARGON2ID", HASH)


class Users:
    """A server of users: `known` maps a name to a reply (a document), a status, or octets."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}
        self.questions: list[dict[str, str]] = []
        self.secrets: list[str | None] = []
        self.hold: asyncio.Event | None = None
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        question = await request.json()
        self.questions.append(question)
        self.secrets.append(request.headers.get("Authorization"))
        if self.hold is not None:
            await self.hold.wait()
        reply = self.known.get(question["user"], 404)
        if callable(reply):
            reply = reply(question)
        if isinstance(reply, int):
            return web.Response(status=reply, headers={"Location": "/elsewhere"})
        return web.Response(body=reply) if isinstance(reply, bytes) else web.json_response(reply)

    def names(self) -> list[str]:
        return [question["user"] for question in self.questions]


@asynccontextmanager
async def served(tls: ssl.SSLContext | None = None) -> AsyncIterator[Users]:
    users = Users()
    app = web.Application()
    app.add_routes([web.post("/users", users.answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    users.url = f"{'https' if tls else 'http'}://localhost:{runner.addresses[0][1]}/users"
    try:
        yield users
    finally:
        if users.hold is not None:
            users.hold.set()
        await runner.cleanup()


@asynccontextmanager
async def credentials(folder: Path, *users: UserSettings, files: tuple[str, ...] = (), **lookup: Any) -> AsyncIterator[Credentials]:
    """A shard's stores with that look-up."""
    told: list[str] = []
    stores = Credentials(folder, Inline(), SystemClock(), lambda *more: told.append(": ".join(more)), lambda: None)
    stores.apply(
        Settings(
            general=GeneralSettings(users_file=files), users={user.name: user for user in users}, user_lookup=UserLookup(**lookup)
        )
    )
    stores.told = told  # type: ignore[attr-defined]
    try:
        yield stores
    finally:
        directory = stores._directory
        stores.close()
        assert directory is not None
        assert directory._closing is not None
        await directory._closing


async def password(stores: Credentials, user: str, typed: str) -> UserSettings | None:
    found = stores.check_password(user, typed)
    return await found if asyncio.isfuture(found) else found  # type: ignore[return-value]


def hashed(typed: str, **more: Any) -> dict[str, Any]:
    return {"password-hash": password_hash.make(typed, SALT), **more}


async def test_a_hash_is_judged_here_and_the_password_stays_here(tmp_path: Path) -> None:
    async with served() as users, credentials(tmp_path, url=users.url, secret="s3cret") as stores:
        users.known["alice"] = hashed("wonderland", user="Alice", source="mailings", later="ignored")
        alice = await password(stores, "alice", "wonderland")
        assert alice is not None
        assert (alice.name, alice.source) == ("Alice", "mailings")
        assert await password(stores, "alice", "Wonderland") is None
        assert await password(stores, "bob", "wonderland") is None
        assert users.questions == [{"user": "alice"}, {"user": "bob"}]
        assert users.secrets == ["Bearer s3cret"] * 2
        assert (await stores.find("ALICE")).source == "mailings"  # type: ignore[misc,union-attr]


async def test_other_kinds_of_reply(tmp_path: Path) -> None:
    keys = derive_keys("wonderland", SALT, 4096, "SHA-256")
    (line,) = [word for word in users_file.render(UserEntry("x", scram={"SHA-256": keys})).split() if word.startswith("scram")]
    async with served() as users, credentials(tmp_path, url=users.url, replies_have=("password", "scram-sha-256")) as stores:
        users.known |= {
            "plain": {"password": "wonderland"},
            "off": {"password": "wonderland", "enabled": False},
            "keyed": {"scram-sha-256": line.partition("=")[2]},
            "empty": {},
        }
        assert (await password(stores, "plain", "wonderland")) is not None
        assert await stores.secret("plain") == "wonderland"  # type: ignore[misc]
        assert await password(stores, "off", "wonderland") is None
        assert await stores.secret("off") is None  # type: ignore[misc]
        assert await stores.find("off") is None  # type: ignore[misc]
        assert await stores.scram_keys("keyed", "SHA-256") == keys  # type: ignore[misc]
        assert await stores.scram_keys("keyed", "SHA-1") is None  # type: ignore[misc]
        assert await stores.scram_keys("nobody", "SHA-1") is None  # type: ignore[misc]
        for typed in ("", "wonderland"):
            assert await password(stores, "empty", typed) is None


async def test_what_a_user_is_bound_to(tmp_path: Path) -> None:
    async with served() as users, credentials(tmp_path, url=users.url, replies_have=("password",)) as stores:
        bonds = {"sender": ["a.example", "b@b.example"], "check-from-header": True, "virtual-mta": ["one"], "max-msg-rate": "9/m"}
        users.known["alice"] = {"password": "wonderland", **bonds, "daily-limit": 5, "network": ["10.1.2.0/24"]}
        assert await stores.find("alice") == UserSettings(  # type: ignore[misc]
            "alice",
            sender=("a.example", "b@b.example"),
            check_from_header=True,
            virtual_mta=("one",),
            max_msg_rate=Rate(9, 60.0),
            daily_limit=5,
            network=("10.1.2.0/24",),
        )


async def test_a_readable_password_is_as_good_as_keys(tmp_path: Path) -> None:
    async with served() as users, credentials(tmp_path, url=users.url, replies_have=("password",)) as stores:
        users.known["plain"] = {"password": "wonderland"}
        keys = await stores.scram_keys("plain", "SHA-256")  # type: ignore[misc]
        assert keys == derive_keys("wonderland", keys.salt, keys.iterations, "SHA-256")  # type: ignore[union-attr]


async def test_the_server_may_judge_the_password_itself(tmp_path: Path) -> None:
    async with served() as users, credentials(tmp_path, url=users.url, send_password=True) as stores:
        users.known["alice"] = lambda question: {"allowed": question.get("password") == "wonderland"}
        for _ in range(2):
            assert (await password(stores, "alice", "wonderland")) is not None
            assert await password(stores, "alice", "wrong") is None
            assert await password(stores, "bob", "wonderland") is None
        assert users.questions == [
            {"user": "alice", "password": "wonderland"},
            {"user": "alice", "password": "wrong"},
            {"user": "bob", "password": "wonderland"},
        ]
        directory = stores._directory
        assert directory is not None
        assert not any(b"wonderland" in key for kept in (directory._there, directory._nobody) for key in kept._found)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (500, "HTTP status 500"),
        (401, "HTTP status 401"),
        (302, "HTTP status 302"),
        (b"not json", "no answer of the form"),
        (b'{"enabled": "perhaps"}', "no answer of the form"),
        ({"password-hash": "wonderland"}, "no hash of argon2id"),
        ({"scram-sha-1": "1,2"}, "has not the form"),
        ({"sender": "a.example"}, "no answer of the form"),
        ({"sender": ["a@"]}, "sender: "),
        ({"daily-limit": -1}, "daily-limit: "),
        ({"max-msg-rate": "fast"}, "max-msg-rate: "),
        ({"network": ["here"]}, "network: "),
        (b"[" * 2_000_000, "longer than"),
    ],
)
async def test_what_is_no_answer_is_no_refusal(tmp_path: Path, reply: Any, why: str) -> None:
    async with served() as users, credentials(tmp_path, url=users.url) as stores:
        users.known["alice"] = reply
        for _ in range(2):
            with pytest.raises(LoginUnavailable, match=why):
                await password(stores, "alice", "wonderland")
        assert len(users.questions) == 2  # nothing of it is kept
        assert len(stores.told) == 1  # type: ignore[attr-defined]
        assert "wonderland" not in stores.told[0].replace("password-hash", "")  # type: ignore[attr-defined]


async def test_a_slow_or_absent_server_is_no_hang_and_no_refusal(tmp_path: Path) -> None:
    async with served() as users, credentials(tmp_path, url=users.url, request_timeout=0.05) as stores:
        users.hold = asyncio.Event()
        with pytest.raises(LoginUnavailable, match=r"within 0\.05 s"):
            await password(stores, "alice", "wonderland")
    async with credentials(tmp_path, url=users.url) as stores:
        with pytest.raises(LoginUnavailable, match="does not answer"):
            await password(stores, "alice", "wonderland")


async def test_users_of_this_relay_log_in_while_the_server_is_away(tmp_path: Path) -> None:
    with users_file.editing(tmp_path / "users") as draft:
        draft.put(UserEntry("bob", password_hash.make("builder", SALT)))
    foo = UserSettings("foo", "barbaz")
    async with credentials(tmp_path, foo, files=(str(tmp_path / "users"),), url="http://127.0.0.1:1/") as stores:
        assert await password(stores, "foo", "barbaz") is foo
        assert (await password(stores, "bob", "builder")) is not None
        assert await password(stores, "bob", "wrong") is None
        assert await password(stores, "foo", "wrong") is None


async def test_a_refusal_of_a_user_of_this_relay_asks_the_server_like_any_other(tmp_path: Path) -> None:
    foo = UserSettings("foo", "barbaz")
    async with served() as users, credentials(tmp_path, foo, url=users.url) as stores:
        assert await password(stores, "foo", "wrong") is None
        assert await password(stores, "stranger", "wrong") is None
        assert users.names() == ["foo", "stranger"]


async def test_equal_questions_at_once_are_one(tmp_path: Path) -> None:
    async with served() as users, credentials(tmp_path, url=users.url) as stores:
        users.hold = asyncio.Event()
        users.known["alice"] = hashed("wonderland")
        logins = [asyncio.ensure_future(password(stores, name, "wonderland")) for name in ("alice", "ALICE", "alice", "bob")]
        async with asyncio.timeout(BOUND):
            while len(users.questions) < 2:  # noqa: ASYNC110  # on the server's side
                await asyncio.sleep(0.005)
        logins[0].cancel()  # the session that asked first is gone
        users.hold.set()
        found = await asyncio.gather(*logins, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert [isinstance(one, UserSettings) for one in found[1:]] == [True, True, False]
        assert sorted(users.names()) == ["alice", "bob"]


async def test_answers_are_kept_for_their_time(tmp_path: Path) -> None:
    async with served() as users:
        now = [0.0]
        settings = UserLookup(url=users.url, cache_for=300.0, negative_cache_for=30.0)
        directory = LookupUsers(settings, lambda: now[0], lambda *more: None)
        users.known["alice"] = hashed("wonderland")
        for at, asked in ((0.0, 2), (29.0, 2), (31.0, 3), (299.0, 4), (301.0, 5)):
            now[0] = at
            assert (await directory.find("alice")) is not None
            assert (await directory.find("bob")) is None
            assert len(users.questions) == asked, at
        directory.close()
        await directory._closing  # type: ignore[misc]


async def test_what_is_kept_and_under_way_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_lookup, "ENTRIES", 2)
    async with served() as users:
        directory = LookupUsers(UserLookup(url=users.url), lambda: 0.0, lambda *more: None)
        for name in ("a", "b", "c"):
            await directory.find(name)
        assert len(directory._nobody._found) == 2
        monkeypatch.setattr(user_lookup, "UNDER_WAY", 0)
        assert await directory.find("c") is None  # kept
        with pytest.raises(LoginUnavailable, match="too many"):
            await directory.find("d")
        for name in ("", "x" * 400, "a\r\nb"):
            assert await directory.find(name) is None
        assert users.names() == ["a", "b", "c"]
        directory.close()
        await directory._closing  # type: ignore[misc]


async def test_over_tls_the_server_has_to_be_who_it_says(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    async with served(context) as users:
        users.known["alice"] = hashed("wonderland")
        async with credentials(tmp_path, url=users.url, ca_file=str(tmp_path / "ca.pem")) as stores:
            assert (await password(stores, "alice", "wonderland")) is not None
        async with credentials(tmp_path, url=users.url) as stores:
            with pytest.raises(LoginUnavailable, match="does not answer"):
                await password(stores, "alice", "wonderland")
        assert users.names() == ["alice"]


async def test_a_reload_keeps_what_is_known_unless_the_look_up_has_changed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("first\n")
    async with served() as users, credentials(tmp_path, url=users.url, secret_file=str(secret)) as stores:
        users.known["alice"] = hashed("wonderland")
        same = Settings(user_lookup=UserLookup(url=users.url, secret_file=str(secret)))
        assert await password(stores, "alice", "wonderland")
        stores.apply(same)
        assert await password(stores, "alice", "wonderland")
        assert users.secrets == ["Bearer first"]
        secret.write_text("second\n")
        stores.apply(same)
        assert await password(stores, "alice", "wonderland")
        assert users.secrets == ["Bearer first", "Bearer second"]


def test_what_is_offered_goes_by_what_replies_have() -> None:
    def kinds(**more: Any) -> CredentialKinds:
        return LookupUsers(UserLookup(url="http://127.0.0.1/", **more), lambda: 0.0, lambda *more: None).kinds()

    assert kinds() == CredentialKinds(passwords=True)
    assert kinds(replies_have=("hash", "scram-sha-256")) == CredentialKinds(passwords=True, scram=("SHA-256",))
    assert kinds(replies_have=("password",)) == CredentialKinds(passwords=True, secrets=True, scram=("SHA-1", "SHA-256"))
    assert kinds(replies_have=("scram-sha-1",)) == CredentialKinds(scram=("SHA-1",))
    assert kinds(replies_have=(), send_password=True) == CredentialKinds(passwords=True)


def test_a_secret_is_in_no_repr_and_a_missing_file_is_told(tmp_path: Path) -> None:
    settings = UserLookup(url="https://users.example/", secret="s3cret")
    assert "s3cret" not in repr(settings)
    assert secret_of(settings) == "s3cret"
    with pytest.raises(ValueError, match=r"secret-file .*/none: No such file"):
        secret_of(replace(settings, secret_file=str(tmp_path / "none")))


async def test_postwright_user_test_asks_it_too(tmp_path: Path) -> None:
    async with served() as users:
        users.known |= {"alice": hashed("wonderland", source="mailings"), "off": hashed("x", enabled=False), "sick": 500}
        config = tmp_path / "config"
        config.write_text(f"host-name relay.example\n<user-lookup>\nurl {users.url}\n</user-lookup>\n")

        def tried(name: str, typed: str) -> tuple[int, str]:
            words = ["user", "test", name, "--config", str(config), "--password-stdin"]
            result = CliRunner().invoke(main, words, input=f"{typed}\n")
            return result.exit_code, result.output

        for name, typed, status, words in (
            ("alice", "wonderland", 0, "yes  the password is right"),
            ("alice", "Wonderland", 1, "NO   the password is wrong"),
            ("off", "x", 1, "NO   disabled"),
            ("bob", "x", 1, "NO   it knows no bob"),
            ("sick", "x", 1, "HTTP status 500; a login is answered 454"),
        ):
            code, output = await asyncio.to_thread(tried, name, typed)
            assert (code, words in output) == (status, True), output
