"""The stores of users as one: every kind of user, refusals that are alike, what is offered, files that change under us."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace

from postwright.engine import credentials as module
from postwright.engine import file_users, password_hash, users_file, verifier
from postwright.engine.credentials import Credentials, check
from postwright.engine.users_file import UserEntry
from postwright.engine.workers import Inline, Threads
from postwright.model.credentials import CredentialKinds
from postwright.model.errors import LoginUnavailable
from postwright.net.clock import SystemClock
from postwright.policy.settings import GeneralSettings, Settings, UserSettings
from postwright.testing.certificate import self_signed_pem
from postwright.wire.scram import derive_keys

# cheap ones: what is judged here is not how dear a hash is
SALT = bytes(range(16))
BOUND = 10.0


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password_hash, "ARGON2ID", "$argon2id$v=19$m=8,t=1,p=1")
    monkeypatch.setattr(password_hash, "SCRYPT", "$scrypt$ln=4,r=1,p=1")
    monkeypatch.setattr(module, "LOOK", 0.01)


def entry(name: str, password: str, **more: Any) -> UserEntry:
    """A user of the file, with keys for SCRAM."""
    keys = {hash: derive_keys(password, SALT, 4096, hash) for hash in ("SHA-1", "SHA-256")}
    return UserEntry(name, password_hash.make(password, SALT), **{"scram": keys, **more})


def write(path: Path, *users: UserEntry) -> Path:
    path.unlink(missing_ok=True)
    with users_file.editing(path) as draft:
        for user in users:
            draft.put(user)
    return path


def settings(*users: UserSettings, files: tuple[Path, ...] = ()) -> Settings:
    general = GeneralSettings(users_file=tuple(map(str, files)))
    return Settings(general=general, users={user.name.lower(): user for user in users})


class Pam:
    """A helper that knows one password, or none."""

    def __init__(self, password: str = "", fails: bool = False) -> None:
        self.password = password
        self.fails = fails

    async def check_pam(self, user: str, password: str) -> bool:
        if self.fails:
            raise LoginUnavailable("the helper is not there")
        return password == self.password


class Stores:
    """Credentials with what they told."""

    def __init__(self, folder: Path, helper: Pam | None = None, threads: bool = False) -> None:
        self.told: list[str] = []
        self.changes = 0
        workers = Threads() if threads else Inline()
        self.stores = Credentials(folder, workers, SystemClock(), self._told, self._changed, helper)

    def _told(self, event: str, detail: str) -> None:
        self.told.append(f"{event}: {detail}")

    def _changed(self) -> None:
        self.changes += 1

    async def password(self, user: str, password: str) -> str:
        """The name of who that is, "" for a refusal."""
        found = self.stores.check_password(user, password)
        found = await found if asyncio.isfuture(found) else found
        return found.name if found is not None else ""  # type: ignore[union-attr]


Make = Callable[..., Stores]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Stores] = []

    def make(settings: Settings, **more: Any) -> Stores:
        made.append(Stores(tmp_path / "run", **more))
        made[-1].stores.apply(settings)
        return made[-1]

    yield make
    for one in made:
        one.stores.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(BOUND):
        while not condition():  # noqa: ASYNC110  # what threads do
            await asyncio.sleep(0.005)


# -- passwords ------------------------------------------------------------------------------------


async def test_users_of_the_configuration_and_of_files(make: Make, tmp_path: Path) -> None:
    first = write(tmp_path / "first", entry("Alice@Example.com", "wonderland", source="mailings"))
    second = write(tmp_path / "second", entry("bob", "builder"), entry("alice@example.com", "other"), entry("foo", "other"))
    stores = make(settings(UserSettings("Foo", "barbaz"), files=(first, second)))
    assert await stores.password("foo", "barbaz") == "Foo"
    assert await stores.password("alice@example.COM", "wonderland") == "Alice@Example.com"
    assert await stores.password("bob", "builder") == "bob"
    # of two with one name the first counts
    assert await stores.password("foo", "other") == ""
    assert await stores.password("alice@example.com", "other") == ""
    for user, password in (("bob", "Builder"), ("bob", ""), ("nobody", "builder"), ("", ""), ("bob", "\udcff\0")):
        assert await stores.password(user, password) == ""
    found = stores.stores.find("ALICE@example.com")
    assert isinstance(found, UserSettings)
    assert found.source == "mailings"


async def test_a_disabled_user_is_refused_whatever_he_proves(make: Make, tmp_path: Path) -> None:
    stores = make(settings(files=(write(tmp_path / "users", entry("bob", "builder", disabled=True)),)))
    assert await stores.password("bob", "builder") == ""
    assert stores.stores.find("bob") is None
    assert stores.stores.knows("bob") is True  # and so no stranger, whom a token might let in
    assert stores.stores.knows("nobody") is False


async def test_passwords_are_compared_as_they_are_meant(make: Make, tmp_path: Path) -> None:
    users = settings(UserSettings("foo", "pass\u00adwort"), files=(write(tmp_path / "users", entry("bar", "e\u0301te")),))
    stores = make(users)
    assert await stores.password("foo", "passwort") == "foo"
    assert await stores.password("bar", "\u00e9te") == "bar"


async def test_pam_judges_users_of_the_system(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAM_REFUSAL", 0.02)
    users = settings(UserSettings("carol", authentication_method="system"))
    assert await make(users, helper=Pam("hers")).password("Carol", "hers") == "carol"
    assert await make(users, helper=Pam("hers")).password("carol", "his") == ""
    for helper in (None, Pam(fails=True)):
        with pytest.raises(LoginUnavailable):
            await make(users, helper=helper).password("carol", "hers")


async def test_certificates_tell_who_somebody_is(make: Make, tmp_path: Path) -> None:
    pems = {name: self_signed_pem([f"{name}.example"]) for name in ("dora", "stranger")}
    for name, (certificate, _) in pems.items():
        (tmp_path / f"{name}.pem").write_bytes(certificate)
    dora = UserSettings("dora", authentication_method="certificate", tls_certificate=str(tmp_path / "dora.pem"))
    stores = make(settings(dora)).stores

    def der(name: str) -> bytes:
        return x509.load_pem_x509_certificate(pems[name][0]).public_bytes(Encoding.DER)

    assert stores.certificate_user(der("dora")) is dora
    assert stores.certificate_user(der("stranger")) is None
    assert stores.certificate_user(b"no certificate") is None
    assert stores.kinds() == CredentialKinds(certificates=True)
    assert stores.find("dora") is None  # a ticket or token that names her is no certificate
    assert stores.knows("dora") is True
    with pytest.raises(ValueError, match="the same tls-certificate as dora"):
        check(settings(dora, replace(dora, name="twin")))
    with pytest.raises(ValueError, match="smtp-user dora"):
        check(settings(replace(dora, tls_certificate=str(tmp_path / "none.pem"))))


# -- refusals are alike -----------------------------------------------------------------------------


async def test_every_refusal_costs_one_hash(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = make(settings(UserSettings("foo", "barbaz"), files=(write(tmp_path / "users", entry("bob", "builder")),)))
    hashes: list[str] = []
    derive = password_hash._derive

    def counted(kind: str, *more: Any) -> bytes:
        hashes.append(kind)
        return derive(kind, *more)

    monkeypatch.setattr(password_hash, "_derive", counted)
    for user in ("foo", "bob", "nobody"):
        hashes.clear()
        assert await stores.password(user, "wrong") == ""
        assert hashes == ["argon2id"], user


async def test_who_does_not_exist_costs_what_real_users_cost(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as without:
        without.setattr(password_hash, "has_argon2id", lambda: False)
        old = [entry(f"old{number}", "x") for number in range(3)]
    stores = make(settings(files=(write(tmp_path / "users", *old, entry("new", "x")),)))
    files, secret = stores.stores._files, stores.stores.secret_octets
    likes = [files.like(f"nobody{number}", secret).split("$")[1] for number in range(400)]
    assert likes == [files.like(f"nobody{number}", secret).split("$")[1] for number in range(400)]  # steady
    assert 0.6 < likes.count("scrypt") / 400 < 0.9  # three quarters of the users have that


async def test_where_pam_judges_nobody_is_refused_sooner_than_by_pam(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAM_REFUSAL", 0.2)
    carol, foo = UserSettings("carol", authentication_method="system"), UserSettings("foo", "barbaz")
    users = settings(carol, foo, files=(write(tmp_path / "users", entry("bob", "x")),))
    stores = make(users, helper=Pam("hers"))
    loop = asyncio.get_running_loop()
    began = loop.time()
    refused = await asyncio.gather(*[stores.password(user, "wrong") for user in ("carol", "foo", "bob", "nobody")])
    assert refused == [""] * 4
    assert loop.time() - began >= 0.2
    assert await stores.password("foo", "barbaz") == "foo"


async def test_a_hash_that_was_right_is_not_computed_again_for_a_while(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "users", entry("bob", "builder"))
    stores = make(settings(files=(path,)))
    now = [100.0]
    monkeypatch.setattr(stores.stores._verifier, "_now", lambda: now[0])
    assert asyncio.isfuture(stores.stores.check_password("bob", "builder"))
    assert await stores.password("bob", "builder") == "bob"
    assert not asyncio.isfuture(stores.stores.check_password("bob", "builder"))
    assert asyncio.isfuture(stores.stores.check_password("bob", "Builder"))
    now[0] += verifier.REMEMBERED + 1
    assert asyncio.isfuture(stores.stores.check_password("bob", "builder"))
    assert await stores.password("bob", "builder") == "bob"
    write(path, entry("bob", "changed"))
    await until(lambda: stores.changes)
    assert await stores.password("bob", "builder") == ""


async def test_what_is_remembered_is_bounded(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "ENTRIES", 2)
    stores = make(settings(files=(write(tmp_path / "users", *[entry(f"u{number}", "x") for number in range(4)]),)))
    for number in range(4):
        assert await stores.password(f"u{number}", "x")
    assert len(stores.stores._verifier._right) == 2
    assert not asyncio.isfuture(stores.stores.check_password("u3", "x"))


async def test_guessing_cannot_fill_the_line_without_end(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = make(settings(files=(write(tmp_path / "users", entry("bob", "builder")),)), threads=True)
    assert await stores.password("bob", "builder") == "bob"
    gate = threading.Event()
    monkeypatch.setattr(verifier, "_verify", lambda stored, password: gate.wait(BOUND))
    monkeypatch.setattr(stores.stores._workers, "_line", 3)
    held = [asyncio.ensure_future(stores.password("bob", f"guess {number}")) for number in range(3)]
    await asyncio.sleep(0)
    try:
        with pytest.raises(LoginUnavailable, match="too many logins"):
            await stores.password("bob", "one guess more")
        assert await stores.password("bob", "builder") == "bob"  # who has been right lately waits for nobody
    finally:
        gate.set()
    assert await asyncio.gather(*held) == ["bob"] * 3


# -- SCRAM and what is offered ---------------------------------------------------------------------------


async def test_keys_of_readable_passwords_are_the_same_for_every_shard_and_start(make: Make) -> None:
    users = settings(UserSettings("foo", "barbaz"))
    first, second = make(users).stores, make(users).stores
    await until(lambda: len(first._configured._derived) == len(second._configured._derived) == 2)
    assert first.scram_keys("FOO", "SHA-256") == second.scram_keys("foo", "SHA-256")
    keys = first.scram_keys("foo", "SHA-1")
    assert keys == derive_keys("barbaz", keys.salt, keys.iterations, "SHA-1")  # type: ignore[union-attr]
    assert first.secret_octets == second.secret_octets
    assert first.scram_keys("nobody", "SHA-1") is None


async def test_a_login_that_comes_before_its_keys_waits_for_them(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.ConfiguredUsers, "derive", lambda self, secret, workers: None)
    stores = make(settings(UserSettings("foo", "barbaz")), threads=True).stores
    future = stores.scram_keys("foo", "SHA-256")
    assert asyncio.isfuture(future)
    keys = await future
    assert keys == derive_keys("barbaz", keys.salt, keys.iterations, "SHA-256")


async def test_keys_go_with_a_changed_password(make: Make) -> None:
    stores = make(settings(UserSettings("foo", "barbaz"))).stores
    await until(lambda: len(stores._configured._derived) == 2)
    before = stores.scram_keys("foo", "SHA-256")
    stores.apply(settings(UserSettings("foo", "barbaz"), UserSettings("bar", "x")))
    assert stores.scram_keys("foo", "SHA-256") is before
    stores.apply(settings(UserSettings("foo", "changed")))
    await until(lambda: len(stores._configured._derived) == 2)
    assert stores.scram_keys("foo", "SHA-256") != before


async def test_only_what_works_for_every_user_is_offered(make: Make, tmp_path: Path) -> None:
    foo, carol = UserSettings("foo", "barbaz"), UserSettings("carol", authentication_method="system")
    both = ("SHA-1", "SHA-256")
    keyed = write(tmp_path / "keyed", entry("bob", "builder"))
    unkeyed = write(tmp_path / "unkeyed", entry("bob", "builder"), entry("eve", "x", scram={}))
    off = write(tmp_path / "off", entry("bob", "builder"), entry("eve", "x", scram={}, disabled=True))
    for users, expected in (
        (settings(), CredentialKinds()),
        (settings(foo), CredentialKinds(True, True, both)),
        (settings(files=(keyed,)), CredentialKinds(True, False, both)),
        (settings(foo, files=(keyed,)), CredentialKinds(True, False, both)),
        (settings(files=(unkeyed,)), CredentialKinds(True, False, ())),
        (settings(files=(off,)), CredentialKinds(True, False, both)),
        (settings(foo, carol), CredentialKinds(True, False, ())),
    ):
        assert make(users).stores.kinds() == expected, users
    assert make(settings(foo, carol)).stores.secret("foo") == "barbaz"
    assert make(settings(files=(keyed,))).stores.secret("bob") is None


# -- files that change ------------------------------------------------------------------------------------


async def test_a_changed_file_is_read_again_without_a_reload(make: Make, tmp_path: Path) -> None:
    path = write(tmp_path / "users")
    stores = make(settings(files=(path,)), threads=True)
    assert stores.stores.kinds() == CredentialKinds()
    write(path, entry("bob", "builder"))
    await until(lambda: stores.changes)
    assert await stores.password("bob", "builder") == "bob"
    assert stores.stores.kinds().passwords
    path.unlink()
    await until(lambda: stores.changes == 2)
    assert await stores.password("bob", "builder") == ""
    assert stores.told == []


async def test_a_file_that_has_become_bad_is_told_once_and_the_users_stay(make: Make, tmp_path: Path) -> None:
    path = write(tmp_path / "users", entry("bob", "builder"))
    stores = make(settings(files=(path,)), threads=True)
    looked: list[int] = []
    files = stores.stores._files
    look = files.look
    files.look = lambda: (look(), looked.append(1))[0]  # type: ignore[method-assign,func-returns-value]
    draft = tmp_path / "draft"
    draft.write_text("postwright-users 1\nbob pasword=x\n")
    os.replace(draft, path)
    await until(lambda: stores.told)
    count = len(looked)
    await until(lambda: len(looked) > count + 3)
    assert len(stores.told) == 1
    assert f"{path}:2: unknown field `pasword`" in stores.told[0]
    assert await stores.password("bob", "builder") == "bob"
    with pytest.raises(users_file.UsersFileError, match="unknown field"):
        stores.stores.apply(settings(files=(path,)))
    assert await stores.password("bob", "builder") == "bob"
    write_again = write(tmp_path / "good", entry("bob", "mended"))
    os.replace(write_again, path)
    await until(lambda: stores.changes)
    assert await stores.password("bob", "mended") == "bob"


async def test_a_reload_reads_only_what_has_changed(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = write(tmp_path / "users", entry("bob", "builder")), write(tmp_path / "other", entry("eve", "x"))
    stores = make(settings(files=(path,)))
    read: list[Path] = []
    real = users_file.read
    monkeypatch.setattr(file_users.users_file, "read", lambda path: (read.append(path), real(path))[1])
    stores.stores.apply(settings(files=(path, other)))
    assert read == [other]
    assert await stores.password("eve", "x") == "eve"
    stores.stores.apply(settings())
    assert await stores.password("bob", "builder") == ""


async def test_settings_that_cannot_be_used_change_nothing(make: Make, tmp_path: Path) -> None:
    stores = make(settings(UserSettings("foo", "barbaz")))
    bad = UserSettings("dora", authentication_method="certificate", tls_certificate=str(tmp_path / "none"))
    with pytest.raises(ValueError, match="smtp-user dora"):
        stores.stores.apply(settings(bad))
    assert await stores.password("foo", "barbaz") == "foo"


# -- the common secret ----------------------------------------------------------------------------------


def test_shards_that_begin_at_once_have_one_secret(tmp_path: Path) -> None:
    found: list[bytes] = []
    barrier = threading.Barrier(8)

    def begin() -> None:
        barrier.wait(BOUND)
        found.append(module.login_secret.load(tmp_path))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["login.secret"]
    assert (tmp_path / "login.secret").stat().st_mode & 0o777 == 0o600


def test_a_damaged_secret_is_told(tmp_path: Path) -> None:
    (tmp_path / "login.secret").write_bytes(b"short")
    with pytest.raises(OSError, match="remove it"):
        module.login_secret.load(tmp_path)


