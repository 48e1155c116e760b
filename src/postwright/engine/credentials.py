"""The stores of users as one: the configuration first, then the users files, then the look-up over HTTP; what a login is told by them.

    password      readable: compared in constant time · hash: a thread, unless it was right a short while ago · system: PAM, in the helper
    refusal       the same for a wrong password, an unknown user and a disabled one, and as late: see `_refuse`
    SCRAM         keys as stored, or derived from a readable password; the caller makes keys up for everybody else
    no answer     a store that cannot tell raises `LoginUnavailable` (454 4.7.0), and is never taken for "no"

What can be proved is offered only where it works for every user with a password: which one will log in is not known when AUTH is announced,
a client takes the strongest that it knows, and few try another one after a failure. Nothing here logs what was typed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from msgspec.structs import replace

from postwright.engine import auth_process, certificates, login_secret, users_file
from postwright.engine.configured_users import ConfiguredUsers, derived
from postwright.engine.file_users import FileUsers
from postwright.engine.known_user import KnownUser
from postwright.engine.user_lookup import LookupUsers, secret_of
from postwright.engine.verifier import Verifier
from postwright.engine.workers import Workers
from postwright.model.credentials import CredentialKinds, ScramKeys
from postwright.model.errors import LoginUnavailable
from postwright.model.saslprep import prepared
from postwright.net.clock import Clock, Timer
from postwright.policy import passwords
from postwright.policy.settings import Origin, Settings, UserLookup, UserSettings
from postwright.wire.scram import HASHES

LOOK = 2.0  # seconds between two looks at the users files
# PAM answers "no" two seconds late, give or take a quarter (pam_fail_delay); where it judges some users, nobody is refused sooner.
PAM_REFUSAL = 3.0

T = TypeVar("T")
Found = UserSettings | None | asyncio.Future[UserSettings | None]


class PamHelper(Protocol):
    """Asks PAM elsewhere; see `auth_client.AuthClient`."""

    async def check_pam(self, user: str, password: str) -> bool: ...


class Credentials:
    """One per shard, made on its loop; the face is `engine.login.Credentials`. `folder` is the run folder, for the common secret.

    `told` gets (event, detail) for the log; `changed` is called when what can be proved may have changed without new settings.
    """

    def __init__(
        self,
        folder: Path,
        workers: Workers,
        clock: Clock,
        told: Callable[[str, str], None],
        changed: Callable[[], None],
        helper: PamHelper | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.secret_octets = login_secret.load(folder)
        self._loop = asyncio.get_running_loop()
        self._workers = workers
        self._clock = clock
        self._told = told
        self._helper = helper
        self._verifier = Verifier(workers, clock.monotonic)
        self.generation = 0  # another one whenever users may have changed here: in the configuration, or in a file
        self._changed = changed
        self._files = FileUsers(workers, told, self._files_changed)
        self._configured = ConfiguredUsers(Settings())
        self._directory: LookupUsers | None = None
        self._timer: Timer | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def apply(self, settings: Settings) -> None:
        """Put settings in force. Raises ValueError (a users file or certificate that cannot be used) and then changes nothing."""
        configured = ConfiguredUsers(settings, self._configured)
        put_files = self._files.apply(settings.general.users_file)
        directory = self._directory_of(settings.user_lookup)
        put_files()
        self._configured = configured
        self._directory, directory = directory, self._directory
        if directory is not None and directory is not self._directory:
            directory.close()
        self.generation += 1
        configured.derive(self.secret_octets, self._workers)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_later(LOOK, self._look) if settings.general.users_file else None

    def _directory_of(self, settings: UserLookup | None) -> LookupUsers | None:
        """The one that we have, with what it remembers, unless its settings have changed."""
        if settings is None:
            return None
        present = self._directory
        if present is not None and present.settings == settings and present.secret == secret_of(settings):
            return present
        return LookupUsers(settings, self._clock.monotonic, self._told)

    def _files_changed(self) -> None:
        self.generation += 1
        self._changed()

    def _look(self) -> None:
        self._timer = self._clock.call_later(LOOK, self._look)
        self._files.look()

    def close(self) -> None:
        """The shard ends: nothing is looked at any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._directory is not None:
            self._directory.close()
        for task in list(self._tasks):
            task.cancel()
        self._workers.close()

    # -- see `engine.login.Credentials` --------------------------------------------------------

    def kinds(self) -> CredentialKinds:
        """What can be proved by every user who has a password."""
        there = self._directory.kinds() if self._directory is not None else None
        readable, hashed = self._configured.passwords(), self._files.census.passwords
        every = readable + self._configured.systems() + hashed
        directory_reads = there is None or there.secrets
        scram = [
            hash
            for hash in HASHES
            if readable + self._files.census.scram.get(hash, 0) == every
            and (every or there)
            and (there is None or there.secrets or hash in there.scram)
        ]
        return CredentialKinds(
            passwords=bool(every) or there is not None,
            secrets=readable == every and directory_reads and bool(every or there),
            scram=tuple(scram),
            certificates=bool(self._configured.certificates),
        )

    def check_password(self, user: str, password: str) -> Found:
        """The user whose password this is. At once for a readable password that is right and for a hash that was just verified."""
        began = self._clock.monotonic()
        known = self._here(user)
        if known is None and self._directory is not None:
            return self._task(self._check_there(user, password, began))
        # once for everybody, so that nothing is quicker for a name that is nobody's
        right = passwords.check(_plain(known), prepared(password))
        if known is not None and right:
            return known.settings
        if known is not None and not known.disabled and known.hash and self._verifier.remembers(known.settings.name, password, known.hash):
            return known.settings
        if not self._waits_to_refuse():
            return None
        return self._task(self._check(known, user, password, began))

    def secret(self, user: str) -> str | asyncio.Future[str | None] | None:
        """The password itself, where it can be read."""
        known = self._here(user)
        if known is None and self._directory is not None:
            return self._task(self._plain_there(user))
        return _plain(known)

    def scram_keys(self, user: str, hash: str) -> ScramKeys | asyncio.Future[ScramKeys | None] | None:
        """Stored or derived keys; None for whoever has none. A disabled user has his still: it is `find` that refuses him."""
        known = self._here(user)
        if known is None and self._directory is not None:
            return self._task(self._keys_there(user, hash))
        if known is None:
            return None
        if known.plain and hash not in known.scram:
            return self._workers.run(partial(self._configured.derived, self.secret_octets, user, hash))
        return known.scram.get(hash)

    def find(self, user: str) -> Found:
        """What a name that something else has proved is bound to; None for nobody of ours, a disabled user, or one whom the operator wants
        to see a certificate of: to let him in by a ticket or token would be to let him in without."""
        known = self._here(user)
        if known is None and self._directory is not None:
            return self._task(self._bound_there(user))
        return _bound(known)

    def knows(self, user: str) -> bool | asyncio.Future[bool]:
        """Is the name one of ours, whether or not it may log in?"""
        known = self._here(user)
        if known is None and self._directory is not None:
            return self._task(self._known_there(user))
        return known is not None

    def mark(self, user: str) -> int:
        """What configuration and files say of the user, his password too, as a number to compare; 0 for nobody. It is another one when any
        of that has changed."""
        known = self._here(user)
        if known is None:
            return 0
        return hash((replace(known.settings, origin=Origin()), known.plain, known.hash, known.disabled)) or 1

    def certificate_user(self, certificate: bytes) -> UserSettings | None:
        """The user whose `tls-certificate` has the public key of this one (DER)."""
        return self._configured.certificates.get(certificates.client_key(certificate))

    # -- looking ------------------------------------------------------------------------------

    def _here(self, user: str) -> KnownUser | None:
        return self._configured.find(user) or self._files.find(user)

    async def _there(self, user: str, password: str = "") -> KnownUser | None:
        assert self._directory is not None
        return await self._directory.find(user, password)

    async def _plain_there(self, user: str) -> str | None:
        return _plain(await self._there(user))

    async def _bound_there(self, user: str) -> UserSettings | None:
        return _bound(await self._there(user))

    async def _known_there(self, user: str) -> bool:
        return await self._there(user) is not None

    async def _keys_there(self, user: str, hash: str) -> ScramKeys | None:
        known = await self._there(user)
        if known is not None and hash in known.scram:
            return known.scram[hash]
        if self._directory is None or not self._directory.kinds().secrets:
            return None
        # derived for whoever does not exist as well, and thrown away: it takes milliseconds that could be seen
        plain = known.plain if known is not None else ""
        keys = await self._workers.run(partial(derived, self.secret_octets, users_file.canonical(user), plain, hash))
        return keys if plain else None

    # -- judging a password -----------------------------------------------------------------------

    async def _check_there(self, user: str, password: str, began: float) -> UserSettings | None:
        return await self._check(await self._there(user, password), user, password, began, asked=True)

    async def _check(self, known: KnownUser | None, user: str, password: str, began: float, asked: bool = False) -> UserSettings | None:
        """Judge, and let a refusal be like any other."""
        hashed = False
        if known is not None and not known.disabled:
            if known.system:
                right = await self._by_pam(known, password)
            elif known.hash:
                hashed = True
                right = self._verifier.remembers(known.settings.name, password, known.hash) or await self._verifier.verify(
                    known.settings.name, password, known.hash
                )
            else:
                right = known.vouched is True or bool(known.plain and passwords.check(known.plain, prepared(password)))
            if right:
                return known.settings
        await self._refuse(user, password, began, hashed, asked)
        return None

    async def _by_pam(self, known: KnownUser, password: str) -> bool:
        if self._helper is None:
            raise LoginUnavailable("there is no login helper")
        return await self._helper.check_pam(known.settings.name, password)

    def _waits_to_refuse(self) -> bool:
        return bool(self._files.census.passwords or self._configured.systems() or self._directory is not None)

    async def _refuse(self, user: str, password: str, began: float, hashed: bool, asked: bool) -> None:
        """Be as late as any refusal is: after a hash if some users have one, after a question to the directory if there is one, and
        after PAM's time if it judges some users. Who does not exist is so like who has mistyped."""
        if not hashed and (self._files.census.passwords or self._directory is not None):
            like = self._directory.like if asked and self._directory is not None else ""
            await self._verifier.pretend(password, like or self._files.like(user, self.secret_octets))
        if not asked and self._directory is not None:
            try:
                await self._directory.find(user)
            except LoginUnavailable:
                pass
        if self._configured.systems():
            await self._clock.sleep(max(0.0, began + PAM_REFUSAL - self._clock.monotonic()))

    def _task(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def check(settings: Settings) -> None:
    """Could a shard use these? Raises ValueError: a users file with a wrong line, a user's certificate, PAM without python-pam."""
    auth_process.check(settings)
    ConfiguredUsers(settings)
    if settings.user_lookup is not None:
        secret_of(settings.user_lookup)
    for path in settings.general.users_file:
        users_file.read(Path(path))


def _bound(known: KnownUser | None) -> UserSettings | None:
    if known is None or known.disabled or known.settings.authentication_method == "certificate":
        return None
    return known.settings


def _plain(known: KnownUser | None) -> str | None:
    return known.plain or None if known is not None and not known.disabled else None
