"""What `postwright user` does behind its words: makes users of a users file, and tells step by step how a login would end.

The face of the users file towards `control`. Passwords come in as arguments of functions and leave as hashes; nothing is logged.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from postwright.engine import certificates, file_users, pam, password_hash, users_file
from postwright.engine.known_user import KnownUser
from postwright.engine.user_lookup import LookupUsers
from postwright.engine.users_file import UserEntry
from postwright.model.credentials import SCRAM_ITERATIONS
from postwright.model.errors import LoginUnavailable
from postwright.model.saslprep import prepared
from postwright.policy import bindings, passwords
from postwright.policy.settings import Settings, UserLookup, UserSettings
from postwright.wire.scram import HASHES, SALT, derive_keys

LONGEST = 1024  # characters of a password


class Step(Struct, frozen=True):
    """One step of a login: does it go on, and what was found."""

    ok: bool
    text: str


class Shown(Struct, frozen=True):
    """A user as `list` shows him."""

    name: str
    enabled: bool
    password: str
    mechanisms: list[str]
    source: str
    bound: dict[str, str] = {}
    check_from_header: bool = False


def with_password(user: UserEntry, password: str, scram: bool) -> UserEntry:
    """The user with a new password, and with keys for SCRAM or without. Raises ValueError for a password that is none."""
    if not password or len(password) > LONGEST or "\0" in password:
        raise ValueError(f"a password has 1 to {LONGEST} characters, and no NUL among them")
    keys = {hash: derive_keys(prepared(password), secrets.token_bytes(SALT), SCRAM_ITERATIONS, hash) for hash in HASHES} if scram else {}
    return replace(user, password=password_hash.make(password, secrets.token_bytes(password_hash.SALT)), scram=keys)


def judged(user: UserEntry) -> UserEntry:
    """The user, if what he is bound to can be read. Raises ValueError."""
    bindings.read(user.bound)
    return user


def shown(user: UserEntry) -> Shown:
    """For `list`."""
    kind = user.password.split("$")[1] if user.password else ""
    return Shown(user.name, not user.disabled, kind, list(_mechanisms(user)), user.source, user.bound, user.check_from_header)


def _mechanisms(user: UserEntry) -> Iterator[str]:
    if user.password:
        yield from ("PLAIN", "LOGIN")
    yield from (f"SCRAM-{hash}" for hash in user.scram)


# -- a login, step by step ------------------------------------------------------------------------


def judge(settings: Settings, files: Sequence[Path], name: str, password: Callable[[], str]) -> Iterator[Step]:
    """How a login of `name` would end; the last step tells. `password` is asked only when it comes to that. Raises UsersFileError."""
    configured = {users_file.canonical(user.name): user for user in settings.users.values()}.get(users_file.canonical(name))
    if configured is not None:
        yield Step(True, f"{configured.name} is an <smtp-user> of the configuration ({configured.origin.file}:{configured.origin.line})")
        yield from _judge_configured(settings, configured, password)
        return
    for file in files:
        user = users_file.read(file).find(name)
        if user is not None:
            yield Step(True, f"{user.name} is in {file}")
            yield from _judge_entry(settings, user, password)
            return
    places = ", ".join(["the configuration", *map(str, files)]) if settings.file else ", ".join(map(str, files))
    if settings.user_lookup is None:
        yield Step(False, f"there is no {name} in {places}")
        return
    yield Step(True, f"there is no {name} in {places}, so {settings.user_lookup.url} is asked")
    yield from _judge_lookup(settings, settings.user_lookup, name, password)


def _judge_configured(settings: Settings, user: UserSettings, password: Callable[[], str]) -> Iterator[Step]:
    if user.authentication_method == "certificate":
        yield from _judge_certificate(user)
        return
    if user.authentication_method == "elsewhere":
        yield Step(True, "has no password here: logs in by OAuth token or Kerberos")
        return
    if user.authentication_method == "system":
        service = settings.general.pam_service
        answer = pam.check(service, user.name, password())
        yield Step(answer.ok, f"PAM, service {service}: {answer.error or ('the password is right' if answer.ok else 'refused')}")
        yield Step(answer.ok, "works with PLAIN and LOGIN only: nobody but PAM knows the password")
    else:
        right = passwords.check(prepared(user.password), prepared(password()))
        yield _password(right)
        yield Step(right, "works with PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1 and SCRAM-SHA-256, as the password can be read")
    yield from _bound(settings, user.source)
    yield from _bonds(user)


def _judge_lookup(settings: Settings, lookup: UserLookup, name: str, password: Callable[[], str]) -> Iterator[Step]:
    typed = password()
    try:
        known = asyncio.run(_looked_up(lookup, name, typed))
    except (LoginUnavailable, ValueError) as error:
        yield Step(False, f"{error}; a login is answered 454 for as long")
        return
    if known is None:
        yield Step(False, f"it knows no {name}")
        return
    yield Step(not known.disabled, "disabled: every login is refused" if known.disabled else f"it knows {known.settings.name}")
    if known.hash:
        yield _password(password_hash.read(known.hash).verify(typed))
    else:
        yield _password(known.vouched is True or bool(known.plain and passwords.check(known.plain, prepared(typed))))
    yield from _bound(settings, known.settings.source)
    yield from _bonds(known.settings)


async def _looked_up(lookup: UserLookup, name: str, password: str) -> KnownUser | None:
    directory = LookupUsers(lookup, time.monotonic, lambda event, detail: None)
    try:
        return await directory.find(name, password)
    finally:
        await directory.end()


def _judge_certificate(user: UserSettings) -> Iterator[Step]:
    try:
        certificates.read(user.tls_certificate)
    except certificates.CertificateError as error:
        yield Step(False, f"logs in by certificate, but {error}")
        return
    yield Step(True, f"logs in by the certificate in {user.tls_certificate} (EXTERNAL over TLS); there is no password to try")


def _judge_entry(settings: Settings, user: UserEntry, password: Callable[[], str]) -> Iterator[Step]:
    yield Step(not user.disabled, "disabled: every login is refused" if user.disabled else "enabled")
    if not user.password:
        yield Step(False, "has no password: `postwright user passwd` gives one")
        return
    typed = password()
    right = password_hash.read(user.password).verify(typed)
    yield _password(right)
    for hash, keys in user.scram.items():
        same = derive_keys(prepared(typed), keys.salt, keys.iterations, hash) == keys
        if same != right:
            yield Step(False, f"the keys for SCRAM-{hash} are of another password: `postwright user passwd` makes all anew")
    missing = [hash for hash in HASHES if hash not in user.scram]
    yield Step(True, f"works with {', '.join(_mechanisms(user))}; not with CRAM-MD5 and NTLM, which need the password itself")
    if missing:
        yield Step(True, f"has no keys for SCRAM-{' and SCRAM-'.join(missing)}, so these are offered to nobody")
    yield from _bound(settings, user.source)
    yield from _bonds(file_users.known(user).settings)


def _password(right: bool) -> Step:
    return Step(right, "the password is right" if right else "the password is wrong")


def _bonds(user: UserSettings) -> Iterator[Step]:
    """What the user is bound to, a line each."""
    for what, words in (("senders", user.sender), ("virtual MTAs", user.virtual_mta), ("networks to log in from", user.network)):
        if words:
            yield Step(True, f"bound to these {what}: {', '.join(words)}")
    if user.check_from_header and user.sender:
        yield Step(True, "the From field, too, has to be one of these senders")
    if user.max_msg_rate is not None:
        yield Step(True, f"at most {user.max_msg_rate.count} messages in {user.max_msg_rate.interval:g} seconds")
    if user.daily_limit is not None:
        yield Step(True, f"at most {user.daily_limit} recipients a day")


def _bound(settings: Settings, source: str) -> Iterator[Step]:
    if not source:
        yield Step(True, "what <source {auth}> says holds for this user, if there is one")
    elif not settings.file or any(block.name.lower() == source.lower() for block in settings.sources):
        yield Step(True, f"what <source {source}> says holds for this user")
    else:
        yield Step(True, f"is to have what <source {source}> says, but the configuration has none: it is as if no source were named")
