"""Fuzzes what logins read of others: the users file, replies of a user look-up, hashes, the frames that the helper's keeper cuts.

A users file may be a UsersFileError, a reply HttpFailed or ValueError; nothing else. What is taken can be taken apart and written again.
"""

from __future__ import annotations

import common

from postwright.engine import file_users, password_hash, users_file
from postwright.engine.auth_keeper import Frames
from postwright.engine.user_lookup import LookupUsers
from postwright.engine.users_file import HEAD, UsersFileError
from postwright.net.http_client import HttpAnswer, HttpFailed
from postwright.policy.bindings import bindings_of
from postwright.policy.settings import UserLookup

HASH = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
KEYS = "4096,AAECAwQFBgcICQoLDA0ODw==,AAECAwQFBgcICQoLDA0ODxAREhM=,AAECAwQFBgcICQoLDA0ODxAREhM="
SEEDS = (
    f"alice password={HASH} scram-sha-1={KEYS} source=mailings\nbob disabled\n".encode(),
    b"%41%20b source=%7Bauth%7D disabled",
    b"eve sender=a@b.example,*.c.example virtual-mta=one,%7Bdefault%7D max-msg-rate=9/10m daily-limit=5 network=10/8,::1 check-from-header",
    b'{"sender": ["a@b.example"], "virtual-mta": ["x"], "max-msg-rate": "9/h", "daily-limit": 5, "network": ["::/0"]}',
    HASH.encode(),
    b"$scrypt$ln=15,r=8,p=3$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
    f'{{"password-hash": "{HASH}", "scram-sha-1": "{KEYS}", "enabled": false, "source": "x", "allowed": null}}'.encode(),
    b"\0\0\0\x02ab\0\0\0\x01c",
)
LOOKUP = LookupUsers(UserLookup(url="http://127.0.0.1/"), lambda: 0.0, lambda *more: None)


def _users(data: bytes) -> None:
    try:
        lines = users_file.parse(HEAD.encode() + b"\n" + data)
    except UsersFileError:
        return
    for name, line in lines.items():
        user = users_file.entry(line)
        assert users_file.canonical(user.name) == name
        file_users.known(user)
        again = users_file.parse(f"{HEAD}\n{users_file.render(user)}".encode())
        assert [users_file.entry(one) for one in again.values()] == [user]


def _reply(data: bytes) -> None:
    try:
        known = LOOKUP._known("alice", HttpAnswer(200, data))
    except (HttpFailed, ValueError):
        return
    assert known is not None
    bindings_of(known.settings)
    if known.hash:
        password_hash.read(known.hash)


def fuzz_one(data: bytes) -> None:
    try:
        users_file.parse(data)
    except UsersFileError:
        pass
    _users(data)
    _reply(data)
    try:
        password_hash.read(data.decode("utf-8", "replace"))
    except ValueError:
        pass
    try:
        frames = Frames().feed(data)
        assert b"".join(frames) == data[: sum(map(len, frames))]
    except ValueError:
        pass


if __name__ == "__main__":
    common.run(fuzz_one, SEEDS)
